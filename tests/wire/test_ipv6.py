"""IPv6 fixed headers against scapy, and a checksum over their pseudo-header."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6

from corten.core.arena import Arena, Memory
from corten.wire import reason
from corten.wire.address import parse_address
from corten.wire.checksum import pseudo_sum
from corten.wire.ipv6 import IPV6_LEN, Ipv6, emit_ipv6
from corten.wire.tcp import Segment, verify_checksum

LOW = 2**64 - 1
GLOBAL = st.integers(0x2000 << 112, (0x4000 << 112) - 1)


def parse(data: bytes) -> tuple[int, Ipv6]:
    ip = Ipv6()
    return ip.parse(Memory(data), 0, len(data)), ip


@given(
    GLOBAL,
    GLOBAL,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFFF),
    st.binary(max_size=40),
)
def test_emit_and_parse_agree_with_scapy(
    source: int,
    destination: int,
    next_header: int,
    hop_limit: int,
    traffic_class: int,
    flow_label: int,
    payload: bytes,
) -> None:
    header = IPv6(
        src=str(ipaddress.IPv6Address(source)),
        dst=str(ipaddress.IPv6Address(destination)),
        nh=next_header,
        hlim=hop_limit,
        tc=traffic_class,
        fl=flow_label,
        plen=len(payload),
    )
    data = bytes(header) + payload
    halves = (source >> 64, source & LOW, destination >> 64, destination & LOW)
    arena = Arena(IPV6_LEN)
    emit_ipv6(arena, 0, *halves, next_header, len(payload), hop_limit, traffic_class, flow_label)
    assert arena.octets() == data[:40]
    why, ip = parse(data + b"padding")
    assert why == reason.ACCEPTED
    assert (ip.source_high, ip.source_low) == halves[:2]
    assert (ip.destination_high, ip.destination_low) == halves[2:]
    assert (ip.next_header, ip.hop_limit) == (next_header, hop_limit)
    assert (ip.traffic_class, ip.flow_label) == (traffic_class, flow_label)
    assert (ip.payload_at, ip.payload_len) == (40, len(payload))


def test_a_segment_over_ipv6_has_its_pseudo_header() -> None:
    packet = IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2) / b"odd"
    data = bytes(packet)
    why, ip = parse(data)
    assert why == reason.ACCEPTED
    segment = Segment()
    assert segment.parse(Memory(data), ip.payload_at, ip.payload_len) == reason.ACCEPTED
    halves = (ip.source_high, ip.source_low, ip.destination_high, ip.destination_low)
    assert verify_checksum(segment, pseudo_sum(*halves, ip.next_header))
    assert not verify_checksum(segment, pseudo_sum(*halves, ip.next_header + 1))


def fixed(source: str, version: int = 6, payload_len: int = 0) -> bytes:
    high, low = parse_address(source)
    start = (version << 28).to_bytes(4, "big") + payload_len.to_bytes(2, "big") + b"\6\x40"
    return start + high.to_bytes(8, "big") + low.to_bytes(8, "big") + bytes(15) + b"\2"


@pytest.mark.parametrize("length", range(40))
def test_a_short_packet(length: int) -> None:
    assert Ipv6().parse(Memory(fixed("2001:db8::1")), 0, length) == reason.IPV6_SHORT


@pytest.mark.parametrize(
    ("why", "data"),
    [
        (reason.ACCEPTED, fixed("2001:db8::1")),
        (reason.ACCEPTED, fixed("::")),
        (reason.IPV6_BAD_VERSION, fixed("2001:db8::1", version=4)),
        (reason.IPV6_BAD_PAYLOAD_LEN, fixed("2001:db8::1", payload_len=1)),
        (reason.IPV6_BAD_PAYLOAD_LEN, fixed("2001:db8::1", payload_len=0xFFFF)),
        (reason.IPV6_BAD_SOURCE, fixed("ff02::1")),
        (reason.IPV6_BAD_SOURCE, fixed("::1")),
        (reason.IPV6_BAD_SOURCE, fixed("::ffff:10.0.2.1")),
    ],
)
def test_each_malformed_packet_has_its_reason(why: int, data: bytes) -> None:
    assert parse(data)[0] == why


def test_emit_asserts_what_cannot_be() -> None:
    with pytest.raises(AssertionError):
        emit_ipv6(Arena(40), 0, 0, 1, 0, 2, 6, 65536, 64, 0, 0)


@given(st.binary(max_size=80))
def test_parse_never_raises(data: bytes) -> None:
    parse(data)
    parse(b"\x60" + data)
