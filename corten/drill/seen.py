"""What the stack has sent, decoded octet by octet, checksums included.

Rules. Nothing here is shared with `corten.wire`: a mistake made twice by the same hand would hide
itself. A packet that cannot be true raises Differs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from corten.drill.error import Differs
from corten.sim.packet import checksum

ETHERNET_LEN = 14
TCP, ICMP, ICMPV6, UDP = 6, 1, 58, 17


@dataclass(slots=True)
class Header:
    """The IP header of a packet."""

    version: int
    protocol: int
    tos: int
    ttl: int
    flow_label: int
    source: bytes
    target: bytes
    body: bytes


@dataclass(slots=True)
class SeenTcp:
    """A TCP segment as it lay on the wire."""

    when: int
    ip: Header
    source_port: int
    target_port: int
    seq: int
    ack: int
    reserved: int
    flags: int  # nine bits, AE the highest
    window: int
    urgent: int
    options: list[tuple[int, bytes]]  # kind and body, in order; NOPs and EOLs too
    payload: bytes

    def option(self, kind: int) -> bytes | None:
        """The body of an option; None when it is absent."""
        for found, body in self.options:
            if found == kind:
                return body
        return None


@dataclass(slots=True)
class SeenIcmp:
    """An ICMP or ICMPv6 message."""

    when: int
    ip: Header
    type: int
    code: int
    rest: int
    body: bytes


@dataclass(slots=True)
class SeenOther:
    """A packet of another protocol."""

    when: int
    ip: Header
    notes: list[str] = field(default_factory=list)


Seen = SeenTcp | SeenIcmp | SeenOther


def decode(when: int, frame: bytes) -> Seen | None:
    """The packet in a frame; None for what is not IP (ARP) and for neighbour discovery."""
    kind = frame[12:14]
    if kind == b"\x08\x00":
        ip = _ipv4(frame[ETHERNET_LEN:])
    elif kind == b"\x86\xdd":
        ip = _ipv6(frame[ETHERNET_LEN:])
    else:
        return None
    if ip.protocol == TCP:
        return _tcp(when, ip)
    if ip.protocol in (ICMP, ICMPV6):
        return _icmp(when, ip)
    if ip.protocol == 0:  # hop-by-hop: the reports of multicast listeners
        return None
    return SeenOther(when, ip)


def _ipv4(packet: bytes) -> Header:
    if len(packet) < 20 or packet[0] != 0x45:
        raise Differs(f"an IPv4 header that begins with {packet[:1].hex()}")
    total = int.from_bytes(packet[2:4], "big")
    if total != len(packet):
        raise Differs(f"IPv4 total length {total} of a packet of {len(packet)} octets")
    if checksum(packet[:20]):
        raise Differs("the IPv4 header checksum is wrong")
    return Header(4, packet[9], packet[1], packet[8], 0, packet[12:16], packet[16:20], packet[20:])


def _ipv6(packet: bytes) -> Header:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        raise Differs("an IPv6 header of another version")
    length = int.from_bytes(packet[4:6], "big")
    if length != len(packet) - 40:
        raise Differs(f"IPv6 payload length {length} of {len(packet) - 40} octets")
    first = int.from_bytes(packet[:4], "big")
    return Header(
        6, packet[6], first >> 20 & 0xFF, packet[7], first & 0xFFFFF,
        packet[8:24], packet[24:40], packet[40:],
    )  # fmt: skip


def pseudo_header(ip: Header, protocol: int, length: int) -> bytes:
    """What TCP's and ICMPv6's checksums cover besides their own octets."""
    if ip.version == 4:
        return ip.source + ip.target + struct.pack("!2H", protocol, length)
    return ip.source + ip.target + struct.pack("!2I", length, protocol)


def _tcp(when: int, ip: Header) -> SeenTcp:
    octets = ip.body
    if len(octets) < 20:
        raise Differs("a TCP segment without a whole header")
    source, target, seq, ack, word, window, _, urgent = struct.unpack_from("!2H2I4H", octets)
    header_len = (word >> 12) * 4
    if not 20 <= header_len <= len(octets):
        raise Differs(f"TCP data offset {header_len} of a segment of {len(octets)} octets")
    if checksum(pseudo_header(ip, TCP, len(octets)) + octets):
        raise Differs("the TCP checksum is wrong")
    return SeenTcp(
        when, ip, source, target, seq, ack, word >> 9 & 7, word & 0x1FF, window, urgent,
        _options(octets[20:header_len]), octets[header_len:],
    )  # fmt: skip


def _options(octets: bytes) -> list[tuple[int, bytes]]:
    """Kinds and bodies; every octet from an EOL on is an EOL."""
    options: list[tuple[int, bytes]] = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind == 0:
            if any(octets[at:]):
                raise Differs("TCP header padding is not zero")
            return options + [(0, b"")] * (len(octets) - at)
        if kind == 1:
            options.append((1, b""))
            at += 1
            continue
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            raise Differs(f"TCP option {kind} of length {length}")
        options.append((kind, octets[at + 2 : at + length]))
        at += length
    return options


def _icmp(when: int, ip: Header) -> SeenIcmp | None:
    octets = ip.body
    if len(octets) < 8:
        raise Differs("an ICMP message without a whole header")
    if ip.version == 4:
        wrong = checksum(octets)
    else:
        wrong = checksum(pseudo_header(ip, ICMPV6, len(octets)) + octets)
    if wrong:
        raise Differs("the ICMP checksum is wrong")
    if ip.version == 6 and octets[0] >= 130 and octets[0] not in (128, 129):
        return None  # neighbour discovery and multicast membership
    rest = int.from_bytes(octets[4:8], "big")
    return SeenIcmp(when, ip, octets[0], octets[1], rest, octets[8:])
