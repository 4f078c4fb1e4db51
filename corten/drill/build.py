"""Inbound packets: from a script's words to the octets of a frame, then the changes it asks for."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from corten.drill.error import ScriptError
from corten.drill.flow import U32, Flow
from corten.drill.icmp_name import code_number, type_number
from corten.drill.nodes import ANY, Icmp, IpInfo, Mutation, Packet, Tcp
from corten.drill.option_code import encode_options
from corten.drill.pattern import pattern
from corten.sim.packet import checksum

SYN, ACK = 2, 16
_ECN = {"noecn": 0, "ect1": 1, "ect0": 2, "ect01": 2, "ce": 3}
_PROTOCOLS = {"tcp": 6, "udp": 17, "udplite": 136, "sctp": 132}
TCP_PROTOCOL, ICMP_PROTOCOL, ICMPV6_PROTOCOL = 6, 1, 58

# where fields lie that a change may replace: (offset, octets, bits from the top, bits)
_TCP_FIELDS = {
    "src_port": (0, 2, 0, 16), "dst_port": (2, 2, 0, 16), "seq": (4, 4, 0, 32),
    "ack_seq": (8, 4, 0, 32), "data_off": (12, 1, 0, 4), "doff": (12, 1, 0, 4),
    "tcp_hdr_len": (12, 1, 0, 8), "reserved": (12, 1, 4, 3),
    "flags": (13, 1, 0, 8), "window": (14, 2, 0, 16),
    "checksum": (16, 2, 0, 16), "urg_ptr": (18, 2, 0, 16),
}  # fmt: skip
_IPV4_FIELDS = {
    "version": (0, 1, 0, 4), "ihl": (0, 1, 4, 4), "version_ihl": (0, 1, 0, 8),
    "tos": (1, 1, 0, 8), "tot_len": (2, 2, 0, 16),
    "id": (4, 2, 0, 16), "flags": (6, 2, 0, 3), "frag_off": (6, 2, 3, 13), "ttl": (8, 1, 0, 8),
    "protocol": (9, 1, 0, 8), "checksum": (10, 2, 0, 16), "src_addr": (12, 4, 0, 32),
    "dst_addr": (16, 4, 0, 32),
}  # fmt: skip
_IPV6_FIELDS = {
    "version": (0, 1, 0, 4), "flow_label": (0, 4, 12, 20), "pyld_len": (4, 2, 0, 16),
    "next_header": (6, 1, 0, 8), "hop_limit": (7, 1, 0, 8), "src_addr": (8, 16, 0, 128),
    "dst_addr": (24, 16, 0, 128),
}  # fmt: skip
_FIELDS = {"tcp": _TCP_FIELDS, "ipv4": _IPV4_FIELDS, "ipv6": _IPV6_FIELDS}


class Builder:
    """Makes frames from the peer to the stack."""

    def __init__(self, version: int, remote: str, local: str, macs: bytes) -> None:
        """`macs`: target's and source's. `remote` sends, `local` receives."""
        self.version = version
        self.source = ip_address(remote).packed
        self.target = ip_address(local).packed
        self.head = macs + (b"\x08\x00" if version == 4 else b"\x86\xdd")

    def frame(self, packet: Packet, flow: Flow) -> bytes:
        """The frame of an inbound packet. ScriptError for what cannot be built."""
        if isinstance(packet.body, Tcp):
            octets = self.segment(packet.body, flow)
            protocol = TCP_PROTOCOL
        else:
            assert isinstance(packet.body, Icmp)
            octets = self.message(packet.body, flow)
            protocol = ICMP_PROTOCOL if self.version == 4 else ICMPV6_PROTOCOL
        header = self.ip_header(len(octets), protocol, packet.ip)
        if packet.mutations:
            header, octets = self.mutate(header, octets, packet.mutations, protocol)
        return self.head + header + octets

    # -- TCP --------------------------------------------------------------------------------

    def segment(self, tcp: Tcp, flow: Flow) -> bytes:
        """A TCP segment with its checksum."""
        syn = tcp.flags & SYN != 0
        if tcp.win is None:
            raise ScriptError("an inbound segment needs win")
        if tcp.seq.is_open or tcp.win == ANY:
            raise ScriptError("an inbound segment cannot leave its numbers open")
        source, target = tcp.ports or (flow.peer_port, flow.stack_port)
        seq = tcp.seq.start + (0 if tcp.seq.is_absolute else flow.peer_base(syn))
        ack = 0
        if tcp.ack is not None:
            ack = tcp.ack + (0 if tcp.ack_is_absolute else flow.stack_base(syn))
        options = encode_options(tcp.options or [], flow, syn)
        if len(options) % 4:
            raise ScriptError(f"{len(options)} octets of options: pad them to a multiple of four")
        if len(options) > 40:
            raise ScriptError(f"{len(options)} octets of options do not fit a header")
        word = (5 + len(options) // 4) << 12 | tcp.flags & 0x1FF
        header = struct.pack(
            "!2H2I4H", source, target, seq & U32, ack & U32, word, tcp.win, 0, tcp.urg or 0
        )
        # the SYN takes one place, and text begins after it
        octets = header + options + pattern(tcp.seq.start + syn, tcp.seq.length)
        return self._sum(octets, TCP_PROTOCOL, 16)

    def _sum(self, octets: bytes, protocol: int, at: int) -> bytes:
        """The same octets with their checksum at `at`."""
        octets = octets[:at] + b"\0\0" + octets[at + 2 :]
        total = checksum(self.pseudo(protocol, len(octets)) + octets)
        return octets[:at] + total.to_bytes(2, "big") + octets[at + 2 :]

    def pseudo(self, protocol: int, length: int) -> bytes:
        if self.version == 4:
            return self.source + self.target + struct.pack("!2H", protocol, length)
        return self.source + self.target + struct.pack("!2I", length, protocol)

    # -- IP ---------------------------------------------------------------------------------

    def ip_header(
        self, length: int, protocol: int, info: IpInfo, outbound: bool = False, flags: int = 0x4000
    ) -> bytes:
        """The IP header before `length` octets; `outbound`: as the stack would have sent it."""
        tos = info.tos or 0
        if info.ecn is not None:
            tos = tos & ~3 | _ECN[info.ecn]
        ttl = 64 if info.ttl is None else info.ttl
        source, target = (self.target, self.source) if outbound else (self.source, self.target)
        if self.version == 6:
            first = 6 << 28 | tos << 20 | (info.flow_label or 0)
            return struct.pack("!IHBB", first, length, protocol, ttl) + source + target
        header = struct.pack(
            "!2B3H2BH", 0x45, tos, 20 + length, 0, flags, ttl, protocol, 0
        ) + source + target  # fmt: skip
        return header[:10] + checksum(header).to_bytes(2, "big") + header[12:]

    # -- ICMP -------------------------------------------------------------------------------

    def message(self, icmp: Icmp, flow: Flow) -> bytes:
        """An ICMP message; an error quotes the beginning of what the stack sent."""
        rest = 0
        type_ = type_number(self.version, icmp.type)
        if icmp.mtu is not None:
            rest = icmp.mtu
        elif icmp.id is not None:
            rest = icmp.id << 16
        code = code_number(self.version, icmp.code)
        body = self._quote(icmp, flow) if icmp.id is None else b""
        octets = struct.pack("!2BHI", type_, code, 0, rest) + body
        if self.version == 4:
            return octets[:2] + checksum(octets).to_bytes(2, "big") + octets[4:]
        return self._sum(octets, ICMPV6_PROTOCOL, 2)

    def _quote(self, icmp: Icmp, flow: Flow) -> bytes:
        """The IP header and eight octets of a segment of ours, as a router saw them."""
        start, length = (icmp.quote.start, icmp.quote.length) if icmp.quote else (0, 0)
        seq = start + flow.stack_base(False)
        if icmp.quote is not None and icmp.quote.is_absolute:
            seq = start
        ports = struct.pack("!2H", flow.stack_port, flow.peer_port)
        inner = ports + struct.pack("!I", seq & U32)
        protocol = _PROTOCOLS.get(icmp.quote_protocol, TCP_PROTOCOL)
        return self.ip_header(20 + length, protocol, IpInfo(), outbound=True) + inner

    # -- changes ----------------------------------------------------------------------------

    def mutate(
        self, header: bytes, octets: bytes, changes: list[Mutation], protocol: int
    ) -> tuple[bytes, bytes]:
        """Apply changes in order, then make right what they do not name: lengths and checksums."""
        kept: set[tuple[str, str]] = set()
        for change in changes:
            part = octets if change.header == "tcp" else header
            part = _changed(part, change, kept)
            if change.header == "tcp":
                octets = part
            else:
                header = part
        return self._right(header, octets, kept, protocol)

    def _right(
        self, header: bytes, octets: bytes, kept: set[tuple[str, str]], protocol: int
    ) -> tuple[bytes, bytes]:
        if protocol == TCP_PROTOCOL and ("tcp", "checksum") not in kept and len(octets) >= 18:
            octets = self._sum(octets, protocol, 16)
        if self.version == 4:
            if ("ipv4", "tot_len") not in kept:
                total = len(header) + len(octets)
                header = header[:2] + total.to_bytes(2, "big") + header[4:]
            if ("ipv4", "checksum") not in kept:
                header = header[:10] + b"\0\0" + header[12:]
                header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
        elif ("ipv6", "pyld_len") not in kept:
            length = len(header) - 40 + len(octets)
            header = header[:4] + length.to_bytes(2, "big") + header[6:]
        return header, octets


def _changed(part: bytes, change: Mutation, kept: set[tuple[str, str]]) -> bytes:
    """One change. `kept` learns which fields must stay as the script wrote them."""
    if change.op == "rep":
        fields = _FIELDS[change.header]
        if change.place not in fields:
            raise ScriptError(f"no such field of {change.header}: {change.place}")
        kept.add((change.header, change.place))
        return _replaced(part, fields[change.place], int.from_bytes(change.value, "big"))
    if not change.place.isdigit() or int(change.place) > len(part):
        raise ScriptError(f"{change.op} {change.header} {change.place}: not an offset in it")
    at = int(change.place)
    if change.op == "trun":
        count = int.from_bytes(change.value, "big")
        return part[: len(part) - count] if at == 0 else part[:at] + part[at + count :]
    if change.header == "tcp" and at >= 20:  # octets of options: the header grows with them
        longer = part[:at] + change.value + part[at:]
        words = (longer[12] >> 4) + (len(change.value) + 3) // 4
        padding = -len(change.value) % 4
        end = at + len(change.value)
        longer = longer[:end] + bytes(padding) + longer[end:]
        return longer[:12] + bytes([words << 4 & 0xF0 | longer[12] & 15]) + longer[13:]
    return part[:at] + change.value + part[at:]


def _replaced(part: bytes, place: tuple[int, int, int, int], value: int) -> bytes:
    offset, size, skipped, bits = place
    shift = size * 8 - skipped - bits
    mask = (1 << bits) - 1
    word = int.from_bytes(part[offset : offset + size], "big")
    word = word & ~(mask << shift) | (value & mask) << shift
    return part[:offset] + word.to_bytes(size, "big") + part[offset + size :]
