"""One line a packet, as tcpdump prints it: for test traces and for people.

Nothing here may raise, whatever the octets: what cannot be read is named in brackets. The headers
are read by the stack's own parsers, so a trace shows what the stack saw.
"""

from __future__ import annotations

from corten.core.arena import Memory
from corten.wire.address import format_address, format_mac
from corten.wire.arp import REQUEST, Arp
from corten.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet
from corten.wire.icmpv4 import (
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_PORT_UNREACHABLE,
    ICMP_PROTOCOL_UNREACHABLE,
    ICMP_REDIRECT,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACHABLE,
    Icmp,
)
from corten.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Ipv4
from corten.wire.ipv6 import Ipv6
from corten.wire.reason import (
    ETHERNET_SHORT,
    IPV4_BAD_CHECKSUM,
    IPV6_BAD_SOURCE,
    TCP_BAD_PORT,
    counter_names,
)
from corten.wire.tcp import ACK, FIN, RST, SYN, Segment

_REASONS = counter_names()
_V4_MAPPED = 0xFFFF_0000_0000
_FLAGS = "FSRP.UEW"  # from bit 0 up
_UNREACHABLE = {
    0: "net unreachable",
    1: "host unreachable",
    ICMP_PROTOCOL_UNREACHABLE: "protocol unreachable",
    ICMP_PORT_UNREACHABLE: "port unreachable",
    ICMP_FRAGMENTATION_NEEDED: "need to frag",
    5: "source route failed",
}


def describe(frame: bytes, link: str = "ethernet") -> str:
    """The line of a frame; of a bare IP packet when `link` is "ip". Never raises."""
    memory = Memory(frame)
    if link != "ethernet":
        version = frame[0] >> 4 if frame else 0
        if version == 6:
            return _ipv6(memory, frame, 0, len(frame))
        return _ipv4(memory, frame, 0, len(frame))
    ethernet = Ethernet()
    if ethernet.parse(memory, 0, len(frame)) == ETHERNET_SHORT:
        return f"[{_REASONS[ETHERNET_SHORT]}], length {len(frame)}"
    at, length = ethernet.payload_at, ethernet.payload_len
    if ethernet.ethertype == ETHERTYPE_IPV4:
        return _ipv4(memory, frame, at, length)
    if ethernet.ethertype == ETHERTYPE_IPV6:
        return _ipv6(memory, frame, at, length)
    if ethernet.ethertype == ETHERTYPE_ARP:
        return _arp(memory, at, length)
    ends = f"{format_mac(ethernet.source)} > {format_mac(ethernet.destination)}"
    return f"{ends}, ethertype 0x{ethernet.ethertype:04x}, length {len(frame)}"


def _address_v4(v4: int) -> str:
    return format_address(0, _V4_MAPPED | v4)


def _arp(memory: Memory, at: int, length: int) -> str:
    arp = Arp()
    reason = arp.parse(memory, at, length)
    sender, target = _address_v4(arp.sender_ip), _address_v4(arp.target_ip)
    mark = f" [{_REASONS[reason]}]" if reason else ""
    if arp.operation == 0:
        return f"ARP{mark}, length {length}"
    if arp.operation == REQUEST:
        return f"ARP, Request who-has {target} tell {sender}{mark}, length {length}"
    return f"ARP, Reply {sender} is-at {format_mac(arp.sender_mac)}{mark}, length {length}"


def _ipv4(memory: Memory, frame: bytes, at: int, length: int) -> str:
    ip = Ipv4()
    reason = ip.parse(memory, at, length)
    if 0 < reason < IPV4_BAD_CHECKSUM:
        return f"IP [{_REASONS[reason]}], length {length}"
    mark = f" [{_REASONS[reason]}]" if reason else ""
    source, destination = _address_v4(ip.source), _address_v4(ip.destination)
    if ip.is_fragment:
        more = "+" if ip.more_fragments else ""
        place = f"frag {ip.identification}:{ip.payload_len}@{ip.fragment_at}{more}"
        return f"IP{mark} {source} > {destination}: ip-proto-{ip.protocol} ({place})"
    upper = _upper(memory, frame, source, destination, ip.protocol, ip.payload_at, ip.payload_len)
    return f"IP{mark} {upper}"


def _ipv6(memory: Memory, frame: bytes, at: int, length: int) -> str:
    ip = Ipv6()
    reason = ip.parse(memory, at, length)
    if 0 < reason < IPV6_BAD_SOURCE:
        return f"IP6 [{_REASONS[reason]}], length {length}"
    mark = f" [{_REASONS[reason]}]" if reason else ""
    source = format_address(ip.source_high, ip.source_low)
    destination = format_address(ip.destination_high, ip.destination_low)
    protocol = -1 if ip.next_header == PROTOCOL_ICMP else ip.next_header
    upper = _upper(memory, frame, source, destination, protocol, ip.payload_at, ip.payload_len)
    return f"IP6{mark} {upper}"


def _upper(
    memory: Memory, frame: bytes, source: str, destination: str, protocol: int, at: int, length: int
) -> str:
    """What lies in an IP packet, its addresses in front."""
    if protocol == PROTOCOL_TCP:
        return _tcp(memory, frame, source, destination, at, length)
    if protocol == PROTOCOL_ICMP:
        return f"{source} > {destination}: {_icmp(memory, frame, at, length)}"
    if protocol == PROTOCOL_UDP and length >= 8:
        ports = [int.from_bytes(frame[at + i : at + i + 2], "big") for i in (0, 2)]
        return f"{source}.{ports[0]} > {destination}.{ports[1]}: UDP, length {length - 8}"
    return f"{source} > {destination}: ip-proto-{protocol} {length}"


def _icmp(memory: Memory, frame: bytes, at: int, length: int) -> str:
    icmp = Icmp()
    reason = icmp.parse(memory, at, length)
    if length < 8:
        return f"ICMP [{_REASONS[reason]}], length {length}"
    mark = f" [{_REASONS[reason]}]" if reason else ""
    kind = f"type-{icmp.type} code-{icmp.code}"
    if icmp.type in (ICMP_ECHO, ICMP_ECHO_REPLY):
        kind = "echo request" if icmp.type == ICMP_ECHO else "echo reply"
        kind += f", id {icmp.rest >> 16}, seq {icmp.rest & 0xFFFF}"
    elif icmp.type == ICMP_UNREACHABLE:
        kind = f"{_quoted_address(memory, icmp)} {_UNREACHABLE.get(icmp.code, kind)}"
        if icmp.code == ICMP_FRAGMENTATION_NEEDED:
            kind += f" (mtu {icmp.rest & 0xFFFF})"
    elif icmp.type == ICMP_TIME_EXCEEDED:
        kind = "ip reassembly time exceeded" if icmp.code == 1 else "time exceeded in-transit"
    elif icmp.type == ICMP_REDIRECT:
        kind = f"redirect to {_address_v4(icmp.rest)}"
    return f"ICMP{mark} {kind}, length {length}"


def _quoted_address(memory: Memory, icmp: Icmp) -> str:
    """The destination of the packet that an ICMP error quotes."""
    quoted = Ipv4()
    if quoted.parse_quote(memory, icmp.payload_at, icmp.payload_len):
        return "[bad quote]"
    return _address_v4(quoted.destination)


def _tcp(memory: Memory, frame: bytes, source: str, destination: str, at: int, length: int) -> str:
    segment = Segment()
    reason = segment.parse(memory, at, length)
    if 0 < reason < TCP_BAD_PORT:
        return f"{source} > {destination}: TCP [{_REASONS[reason]}], length {length}"
    flags = segment.flags
    letters = "".join(letter for bit, letter in enumerate(_FLAGS) if flags >> bit & 1)
    parts = [f"Flags [{letters or 'none'}]"]
    payload = segment.payload_len
    if payload:
        parts.append(f"seq {segment.seq}:{(segment.seq + payload) & 0xFFFF_FFFF}")
    elif flags & (SYN | FIN | RST):
        parts.append(f"seq {segment.seq}")
    if flags & ACK:
        parts.append(f"ack {segment.ack}")
    parts.append(f"win {segment.window}")
    options = tcp_options(frame[at + 20 : segment.payload_at])
    if options:
        parts.append(f"options [{options}]")
    parts.append(f"length {payload}")
    ports = f"{source}.{segment.remote_port} > {destination}.{segment.local_port}"
    return f"{ports}: {', '.join(parts)}"


def tcp_options(data: bytes) -> str:
    """The options of a TCP header, each as it stands: also what the stack would ignore."""
    names: list[str] = []
    at = 0
    while at < len(data):
        kind = data[at]
        if kind == 0:
            names.append("eol")
            break
        if kind == 1:
            names.append("nop")
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        if length < 2 or length > len(data) - at:
            names.append(f"[bad opt-{kind}]")
            break
        names.append(_option(kind, data[at + 2 : at + length]))
        at += length
    return ",".join(names)


def _option(kind: int, value: bytes) -> str:
    number = int.from_bytes(value, "big")
    match kind, len(value):
        case 2, 2:
            return f"mss {number}"
        case 3, 1:
            return f"wscale {number}"
        case 4, 0:
            return "sackOK"
        case 8, 8:
            return f"TS val {number >> 32} ecr {number & 0xFFFF_FFFF}"
        case 5, length if length and length % 8 == 0:
            edges = [int.from_bytes(value[i : i + 4], "big") for i in range(0, length, 4)]
            pairs = zip(edges[::2], edges[1::2], strict=True)
            blocks = "".join(f"{{{left}:{right}}}" for left, right in pairs)
            return f"sack {length // 8} {blocks}"
    return f"opt-{kind}:{value.hex()}" if value else f"opt-{kind}"
