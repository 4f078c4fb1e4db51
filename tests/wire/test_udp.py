"""UDP headers against scapy, and every length that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from corten.core.arena import Arena, Memory, sum_octets
from corten.wire import reason
from corten.wire.address import parse_address
from corten.wire.checksum import pseudo_sum, pseudo_sum_v4
from corten.wire.udp import UDP_LEN, Udp, emit_udp, verify_udp

SOURCE, DESTINATION = 0x0A000001, 0x0A000002
PSEUDO = pseudo_sum_v4(SOURCE, DESTINATION, 17)


def parse(data: bytes) -> tuple[int, Udp]:
    udp = Udp()
    return udp.parse(Memory(data), 0, len(data)), udp


def emitted(sport: int, dport: int, data: bytes, pseudo: int) -> bytes:
    arena = Arena(UDP_LEN)
    payload = sum_octets(Memory(data), 0, len(data))
    assert emit_udp(arena, 0, sport, dport, len(data), pseudo + payload) == UDP_LEN
    return arena.octets() + data


@given(st.integers(0, 0xFFFF), st.integers(1, 0xFFFF), st.binary(max_size=300))
def test_as_scapy_writes_it_over_ipv4(sport: int, dport: int, data: bytes) -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=sport, dport=dport) / Raw(data)
    theirs = bytes(packet)[20:]
    assert emitted(sport, dport, data, PSEUDO) == theirs
    why, udp = parse(theirs)
    assert why == reason.ACCEPTED
    assert (udp.source_port, udp.destination_port, udp.payload_len) == (sport, dport, len(data))
    assert verify_udp(udp, Memory(theirs), PSEUDO)


@given(st.binary(max_size=100))
@pytest.mark.requirement("RFC 8200 8.1")
def test_as_scapy_writes_it_over_ipv6(data: bytes) -> None:
    packet = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=5, dport=6) / Raw(data)
    pseudo = pseudo_sum(*parse_address("fd00::1"), *parse_address("fd00::2"), 17)
    assert emitted(5, 6, data, pseudo) == bytes(packet)[40:]


@given(st.binary(min_size=1, max_size=60), st.integers(0, 67), st.integers(1, 255))
@pytest.mark.requirement("RFC 1122 4.1.3.4")
def test_a_changed_octet_is_found(data: bytes, place: int, change: int) -> None:
    good = emitted(5, 6, data, PSEUDO)
    place %= len(good)
    if place in (4, 5):
        return  # another length is another datagram, which may be right by chance
    changed = bytearray(good)
    changed[place] ^= change
    why, udp = parse(bytes(changed))
    assert why != reason.ACCEPTED or not verify_udp(udp, Memory(bytes(changed)), PSEUDO)


@pytest.mark.requirement("RFC 768 checksum")
def test_a_checksum_of_zero_is_sent_as_ones() -> None:
    """Two octets that bring the sum to 0xFFFF: inverted it is 0, which would say «none»."""
    bare = emitted(5, 6, bytes(2), PSEUDO)
    data = bare[6:8]  # the inverted sum of the rest, added to it
    made = emitted(5, 6, data, PSEUDO)
    assert made[6:8] == b"\xff\xff"
    _, udp = parse(made)
    assert verify_udp(udp, Memory(made), PSEUDO)


@pytest.mark.parametrize("length", range(UDP_LEN))
def test_a_header_that_is_not_whole(length: int) -> None:
    assert parse(bytes(length))[0] == reason.UDP_SHORT


@pytest.mark.parametrize(
    ("length", "why"),
    [(n, reason.UDP_BAD_LENGTH) for n in range(UDP_LEN)]
    + [(8, reason.ACCEPTED), (12, reason.ACCEPTED), (13, reason.UDP_BAD_LENGTH)]
    + [(0xFFFF, reason.UDP_BAD_LENGTH)],
)
def test_the_length_field_is_believed_within_the_packet_only(length: int, why: int) -> None:
    data = bytes([0, 5, 0, 6, *length.to_bytes(2, "big"), 0, 0]) + b"abcd"
    found, udp = parse(data)
    assert found == why
    if why == reason.ACCEPTED:
        assert udp.payload_len == length - UDP_LEN


def test_port_zero_is_nobodys_and_may_be_a_source() -> None:
    assert parse(bytes([0, 5, 0, 0, 0, 8, 0, 0]))[0] == reason.UDP_BAD_PORT
    assert parse(bytes([0, 0, 0, 5, 0, 8, 0, 0]))[0] == reason.ACCEPTED
