"""TCP packets as the simulator's own eyes see them: decoded and built with plain struct.

Strategy. The checker and the traces must not believe what the stack believes, so nothing here is
shared with `corten.wire`: a mistake made twice by the same hand would hide itself. Speed does not
matter, being short and obviously right does.

Rules. `decode` answers None for a frame that is not TCP over IPv4 or IPv6, a `Segment` for one
that is, and raises `Malformed` where a header cannot be true, checksums included.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
_LETTERS = "FSRP.UEW"
ETHERNET_LEN = 14
IPV4, IPV6, TCP = 0x0800, 0x86DD, 6


class Malformed(ValueError):
    """A header that cannot be true."""


@dataclass(slots=True)
class Options:
    """The TCP options of one segment; what is absent is None or empty."""

    mss: int | None = None
    wscale: int | None = None
    sack_permitted: bool = False
    sack: list[tuple[int, int]] = field(default_factory=list)
    timestamps: tuple[int, int] | None = None
    unknown: list[tuple[int, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Segment:
    """One TCP segment with what matters of the headers around it."""

    source: str
    target: str
    source_port: int
    target_port: int
    seq: int
    ack: int
    flags: int
    window: int
    options: Options
    payload: bytes
    target_mac: str = ""
    source_mac: str = ""
    options_len: int = 0
    ip_len: int = 0
    urgent: int = 0
    ttl: int = 64
    ecn: int = 0  # the IP header's codepoint: 0 not capable, 2 ECT(0), 1 ECT(1), 3 CE

    @property
    def span(self) -> int:
        """SEG.LEN: what the segment takes of the sequence space."""
        return len(self.payload) + (self.flags & SYN != 0) + (self.flags & FIN != 0)

    @property
    def flow(self) -> tuple[str, int, str, int]:
        return (self.source, self.source_port, self.target, self.target_port)

    def __str__(self) -> str:
        parts = [flags_text(self.flags), f"seq {self.seq}"]
        if self.flags & ACK:
            parts.append(f"ack {self.ack}")
        if self.ecn:
            parts.append(("", "ECT(1)", "ECT(0)", "CE")[self.ecn])
        parts.append(f"win {self.window} len {len(self.payload)}")
        options = self.options
        if options.mss is not None:
            parts.append(f"mss {options.mss}")
        if options.wscale is not None:
            parts.append(f"wscale {options.wscale}")
        if options.sack_permitted:
            parts.append("sackOK")
        if options.timestamps:
            parts.append("TS {} {}".format(*options.timestamps))
        if options.sack:
            parts.append("sack " + " ".join(f"{left}:{right}" for left, right in options.sack))
        ports = f"{self.source}:{self.source_port} > {self.target}:{self.target_port}"
        return f"{ports} {' '.join(parts)}"


def flags_text(flags: int) -> str:
    """`S.` for SYN and ACK, as tcpdump writes it; `-` for none."""
    return "".join(letter for i, letter in enumerate(_LETTERS) if flags >> i & 1) or "-"


def flags_value(text: str) -> int:
    """The inverse of `flags_text`; `A` is taken for the dot too."""
    value = 0
    for letter in text.replace("A", ".").replace("-", ""):
        value |= 1 << _LETTERS.index(letter)
    return value


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): 0 over data that carries its own."""
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _mac_text(octets: bytes) -> str:
    return octets.hex(":")


def decode(frame: bytes, strict: bool = True) -> Segment | None:
    """The TCP segment in an Ethernet frame. Not `strict`: options that cannot be end the list, as a
    receiver takes them."""
    if len(frame) < ETHERNET_LEN:
        raise Malformed("no whole Ethernet header")
    kind = int.from_bytes(frame[12:14], "big")
    if kind == IPV4:
        found = _ipv4(frame[ETHERNET_LEN:])
    elif kind == IPV6:
        found = _ipv6(frame[ETHERNET_LEN:])
    else:
        return None
    if found is None:
        return None
    source, target, ttl, ip_len, tcp = found
    segment = _tcp(source, target, tcp, strict)
    segment.target_mac = _mac_text(frame[:6])
    segment.source_mac = _mac_text(frame[6:12])
    segment.ttl = ttl
    segment.ecn = codepoint(frame)
    segment.ip_len = ip_len
    return segment


def codepoint(frame: bytes) -> int:
    """The ECN codepoint of an IP packet in an Ethernet frame; 0 of anything else."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == IPV4:
        return frame[ETHERNET_LEN + 1] & 3
    return frame[ETHERNET_LEN + 1] >> 4 & 3 if kind == IPV6 else 0


def mark(frame: bytes) -> bytes:
    """The same packet with CE, as a congested router writes it (RFC 3168 5)."""
    out = bytearray(frame)
    if int.from_bytes(frame[12:14], "big") == IPV6:
        out[ETHERNET_LEN + 1] |= 0x30
        return bytes(out)
    out[ETHERNET_LEN + 1] |= 3
    header = slice(ETHERNET_LEN, ETHERNET_LEN + (frame[ETHERNET_LEN] & 15) * 4)
    out[24:26] = b"\0\0"
    out[24:26] = checksum(bytes(out[header])).to_bytes(2, "big")
    return bytes(out)


def _ipv4(packet: bytes) -> tuple[bytes, bytes, int, int, bytes] | None:
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise Malformed("no IPv4 header")
    header_len = (packet[0] & 15) * 4
    total_len, fragment = struct.unpack_from("!H2xH", packet, 2)
    if header_len < 20 or not header_len <= total_len <= len(packet):
        raise Malformed(f"IPv4 lengths: header {header_len}, total {total_len}")
    if checksum(packet[:header_len]):
        raise Malformed("IPv4 header checksum")
    if packet[9] != TCP:
        return None
    if fragment & 0x3FFF:
        raise Malformed("an IPv4 fragment")
    payload = packet[header_len:total_len]
    return packet[12:16], packet[16:20], packet[8], total_len, payload


def _ipv6(packet: bytes) -> tuple[bytes, bytes, int, int, bytes] | None:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        raise Malformed("no IPv6 header")
    payload_len = int.from_bytes(packet[4:6], "big")
    if 40 + payload_len > len(packet):
        raise Malformed(f"IPv6 payload length {payload_len}")
    if packet[6] != TCP:
        return None
    payload = packet[40 : 40 + payload_len]
    return packet[8:24], packet[24:40], packet[7], 40 + payload_len, payload


def _pseudo_header(source: bytes, target: bytes, length: int) -> bytes:
    if len(source) == 4:
        return source + target + struct.pack("!2H", TCP, length)
    return source + target + struct.pack("!2I", length, TCP)


def _tcp(source: bytes, target: bytes, tcp: bytes, strict: bool) -> Segment:
    if len(tcp) < 20:
        raise Malformed("no whole TCP header")
    source_port, target_port, seq, ack, offset, flags, window, _, urgent = struct.unpack_from(
        "!2H2I2B3H", tcp
    )
    header_len = (offset >> 4) * 4
    if header_len < 20 or header_len > len(tcp):
        raise Malformed(f"TCP data offset {header_len}")
    if checksum(_pseudo_header(source, target, len(tcp)) + tcp):
        raise Malformed("TCP checksum")
    return Segment(
        str(ip_address(source)),
        str(ip_address(target)),
        source_port,
        target_port,
        seq,
        ack,
        flags,
        window,
        _options(tcp[20:header_len], strict),
        tcp[header_len:],
        options_len=header_len - 20,
        urgent=urgent,
    )


def _options(octets: bytes, strict: bool) -> Options:
    options = Options()
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind == 0:
            if strict and any(octets[at:]):
                raise Malformed("TCP header padding is not zero (RFC 9293 MUST-69)")
            break
        if kind == 1:
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            if not strict:
                break
            raise Malformed(f"TCP option {kind} of length {length}")
        _option(options, kind, octets[at + 2 : at + length])
        at += length
    return options


def _option(options: Options, kind: int, body: bytes) -> None:
    if kind == 2 and len(body) == 2:
        options.mss = int.from_bytes(body, "big")
    elif kind == 3 and len(body) == 1:
        options.wscale = body[0]
    elif kind == 4 and not body:
        options.sack_permitted = True
    elif kind == 5 and body and len(body) % 8 == 0:
        options.sack = list(struct.iter_unpack("!2I", body))
    elif kind == 8 and len(body) == 8:
        options.timestamps = struct.unpack("!2I", body)
    else:
        options.unknown.append((kind, body))


def encode(segment: Segment, raw_options: bytes | None = None) -> bytes:
    """The Ethernet frame of a segment, checksums right. `raw_options` replaces its options."""
    options = _encode_options(segment.options) if raw_options is None else raw_options
    options += b"\0" * (-len(options) % 4)
    source, target = ip_address(segment.source).packed, ip_address(segment.target).packed
    tcp = bytearray(
        struct.pack(
            "!2H2I2B3H",
            segment.source_port,
            segment.target_port,
            segment.seq & 0xFFFFFFFF,
            segment.ack & 0xFFFFFFFF,
            (20 + len(options)) << 2,
            segment.flags,
            segment.window,
            0,
            segment.urgent,
        )
        + options
        + segment.payload
    )
    total = checksum(_pseudo_header(source, target, len(tcp)) + bytes(tcp))
    tcp[16:18] = total.to_bytes(2, "big")
    macs = bytes.fromhex((segment.target_mac + segment.source_mac).replace(":", ""))
    if len(source) == 16:
        header = (
            struct.pack("!IHBB", 6 << 28 | segment.ecn << 20, len(tcp), TCP, segment.ttl)
            + source
            + target
        )
        return macs + IPV6.to_bytes(2, "big") + header + tcp
    header = struct.pack(
        "!2B3H2BH4s4s",
        0x45,
        segment.ecn,
        20 + len(tcp),
        0,
        0x4000,
        segment.ttl,
        TCP,
        0,
        source,
        target,
    )
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return macs + IPV4.to_bytes(2, "big") + header + tcp


def _encode_options(options: Options) -> bytes:
    octets = b""
    if options.mss is not None:
        octets += struct.pack("!2BH", 2, 4, options.mss)
    if options.sack_permitted:
        octets += b"\4\2"
    if options.timestamps is not None:
        octets += struct.pack("!2B2I", 8, 10, *options.timestamps)
    if options.wscale is not None:
        octets += bytes([3, 3, options.wscale])
    if options.sack:
        octets += bytes([5, 2 + 8 * len(options.sack)])
        octets += b"".join(struct.pack("!2I", *block) for block in options.sack)
    for kind, body in options.unknown:
        octets += bytes([kind, 2 + len(body)]) + body
    return octets
