"""Extension headers: every order, every option action, every limit (RFC 8200 4, RFC 7112)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Jumbo,
    Pad1,
    PadN,
    RouterAlert,
)
from scapy.layers.ipsec import AH
from scapy.packet import Packet, Raw

from corten.core.arena import Memory
from corten.wire import reason
from corten.wire.ipv6 import Ipv6
from corten.wire.ipv6_extension import NO_PROBLEM, Extensions

UPPER = TCP(sport=1, dport=2)
PAD = 3  # the packet starts here in memory: positions are not offsets


def walk(packet: Packet | bytes) -> tuple[int, Extensions]:
    octets = bytes(packet)
    memory = Memory(b"#" * PAD + octets)
    ip = Ipv6()
    assert ip.parse(memory, PAD, len(octets)) == reason.ACCEPTED
    extensions = Extensions()
    return extensions.walk(memory, PAD, ip), extensions


def base(**fields: object) -> IPv6:
    return IPv6(src="2001:db8::1", dst="2001:db8::2", **fields)


ORDERS = [
    (),
    (IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]),),
    (IPv6ExtHdrDestOpt(), IPv6ExtHdrDestOpt(), IPv6ExtHdrDestOpt()),
    (IPv6ExtHdrRouting(segleft=0, addresses=["2001:db8::9"]), IPv6ExtHdrDestOpt()),
    (IPv6ExtHdrHopByHop(options=[RouterAlert()]), IPv6ExtHdrFragment(), IPv6ExtHdrRouting()),
    (IPv6ExtHdrFragment(), IPv6ExtHdrFragment(), IPv6ExtHdrDestOpt(options=[Pad1()] * 6)),
]


@pytest.mark.parametrize("headers", ORDERS)
@pytest.mark.parametrize(("upper", "number"), [(UPPER, 6), (UDP(), 17), (ICMPv6EchoRequest(), 58)])
@pytest.mark.requirement("RFC 8200 4.1")
def test_headers_are_walked_in_any_order(
    headers: tuple[Packet, ...], upper: Packet, number: int
) -> None:
    packet: Packet = base()
    for header in headers:
        packet = packet / header.copy()
    octets = bytes(packet / upper.copy())
    why, found = walk(octets)
    assert why == reason.ACCEPTED
    assert found.next_header == number
    assert found.upper_len == len(bytes(upper))
    assert found.upper_at == PAD + len(octets) - found.upper_len
    assert found.code == NO_PROBLEM
    assert octets[found.next_header_at - PAD] == number


@pytest.mark.requirement("RFC 8200 4.2")
@pytest.mark.parametrize("header", [IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt])
@pytest.mark.parametrize(
    ("bits", "why", "code", "to_group"),
    [
        (0, reason.ACCEPTED, NO_PROBLEM, False),
        (1, reason.IPV6_OPTION_REFUSED, NO_PROBLEM, False),
        (2, reason.IPV6_OPTION_REFUSED, 2, True),
        (3, reason.IPV6_OPTION_REFUSED, 2, False),
    ],
)
def test_the_upper_bits_of_an_unknown_option_say_what_to_do(
    header: type[Packet], bits: int, why: int, code: int, to_group: bool
) -> None:
    option = HBHOptUnknown(otype=bits << 6 | 0x1E, optdata=b"abcd")
    got, found = walk(base() / header(options=[option]) / UPPER)
    assert (got, found.code, found.report_group) == (why, code, to_group)
    if code != NO_PROBLEM:
        assert found.pointer == 42


def test_a_jumbo_payload_is_an_unknown_option() -> None:
    got, found = walk(base() / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)]) / UPPER)
    assert (got, found.code, found.pointer) == (reason.IPV6_OPTION_REFUSED, 2, 42)


@pytest.mark.requirement("RFC 5095 3")
@pytest.mark.requirement("RFC 8200 4.4")
@pytest.mark.parametrize("kind", [0, 1, 2, 4, 255])
@pytest.mark.parametrize("left", [0, 1, 255])
def test_a_routing_header_is_ignored_or_refused_by_its_segments_left(kind: int, left: int) -> None:
    octets = bytearray(bytes(base() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / UPPER))
    octets[48 + 2], octets[48 + 3] = kind, left
    got, found = walk(bytes(octets))
    if left == 0:
        assert (got, found.next_header) == (reason.ACCEPTED, 6)
    else:
        assert (got, found.code, found.pointer) == (reason.IPV6_ROUTING, 0, 50)


@pytest.mark.requirement("RFC 8200 4")
@pytest.mark.parametrize("number", [4, 41, 47, 50, 51, 94, 132, 135, 255])
def test_an_unknown_next_header_is_reported_where_it_stands(number: int) -> None:
    got, found = walk(base(nh=number) / Raw(bytes(40)))
    assert (got, found.code, found.pointer) == (reason.IPV6_UNKNOWN_NEXT_HEADER, 1, 6)
    got, found = walk(base() / IPv6ExtHdrDestOpt(nh=number) / Raw(bytes(40)))
    assert (got, found.code, found.pointer) == (reason.IPV6_UNKNOWN_NEXT_HEADER, 1, 40)


def test_authentication_is_not_spoken() -> None:
    got, found = walk(base() / AH() / UPPER)
    assert (got, found.code) == (reason.IPV6_UNKNOWN_NEXT_HEADER, 1)


@pytest.mark.requirement("RFC 8200 4.3")
@pytest.mark.requirement("RFC 8200 4")
def test_hop_by_hop_options_stand_first_only() -> None:
    got, found = walk(base() / IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / UPPER)
    assert (got, found.code, found.pointer) == (reason.IPV6_UNKNOWN_NEXT_HEADER, 1, 40)
    got, found = walk(base() / IPv6ExtHdrHopByHop() / IPv6ExtHdrHopByHop() / UPPER)
    assert (got, found.code, found.pointer) == (reason.IPV6_UNKNOWN_NEXT_HEADER, 1, 40)


@pytest.mark.requirement("RFC 8200 4.7")
def test_no_next_header_is_the_end_whatever_follows() -> None:
    got, found = walk(base(nh=59) / Raw(b"data behind"))
    assert (got, found.code) == (reason.IPV6_NO_NEXT_HEADER, NO_PROBLEM)


def test_a_header_beyond_the_packet_is_dropped_without_a_word() -> None:
    octets = bytearray(bytes(base() / IPv6ExtHdrDestOpt() / UPPER))
    for ext_len in (3, 31, 255):
        octets[41] = ext_len
        got, found = walk(bytes(octets))
        assert (got, found.code) == (reason.IPV6_BAD_EXTENSION, NO_PROBLEM)
    for length in range(8):
        got, found = walk(base(nh=60) / Raw(bytes([6, 0, 1, 4, 0, 0, 0, 0])[:length]))
        assert (got, found.code) == (reason.IPV6_BAD_EXTENSION, NO_PROBLEM)


def test_options_stay_inside_their_header() -> None:
    for option_len in (5, 6, 7, 254, 255):
        got, _ = walk(base(nh=60) / Raw(bytes([6, 0, 30, option_len, 0, 0, 0, 0])) / UPPER)
        assert got == reason.IPV6_BAD_OPTION
    got, _ = walk(base(nh=60) / Raw(bytes([6, 0, 0, 0, 0, 0, 0, 30])) / UPPER)
    assert got == reason.IPV6_BAD_OPTION, "an option without its length"
    got, _ = walk(base(nh=60) / Raw(bytes([6, 0, 30, 0, 30, 0, 1, 0])) / UPPER)
    assert got == reason.ACCEPTED, "options of no data"


def test_the_number_and_the_length_of_headers_are_bounded() -> None:
    packet: Packet = base()
    for _ in range(8):
        packet = packet / IPv6ExtHdrDestOpt()
    assert walk(packet / UPPER)[0] == reason.ACCEPTED
    assert walk(packet / IPv6ExtHdrDestOpt() / UPPER)[0] == reason.IPV6_EXTENSIONS_LIMIT
    pads = Raw(bytes([60, 127, *[0] * 1022]))  # Pad1 only
    assert walk(base(nh=60) / pads / Raw(bytes([6, 127, *[0] * 1022])) / UPPER)[0] == 0
    three = base(nh=60) / pads / pads / Raw(bytes([6, 0, 1, 4, 0, 0, 0, 0])) / UPPER
    assert walk(three)[0] == reason.IPV6_EXTENSIONS_LIMIT


@pytest.mark.requirement("RFC 6946 4")
def test_a_fragment_that_is_whole_is_no_fragment() -> None:
    got, found = walk(base() / IPv6ExtHdrFragment(id=7, m=0, offset=0) / UPPER)
    assert (got, found.next_header, found.has_fragment) == (reason.ACCEPTED, 6, True)


def test_a_fragment_is_told_with_its_place() -> None:
    header = IPv6ExtHdrFragment(id=0xDEADBEEF, m=1, offset=3, nh=17)
    octets = bytes(base() / IPv6ExtHdrDestOpt() / header / Raw(bytes(16)))
    got, found = walk(octets)
    assert got == reason.IPV6_FRAGMENT
    assert (found.fragment_offset, found.more_fragments) == (24, True)
    assert found.identification == 0xDEADBEEF
    assert found.next_header == 17
    assert (found.fragment_at - PAD, found.upper_at - PAD, found.upper_len) == (48, 56, 16)
    assert found.code == NO_PROBLEM


@pytest.mark.requirement("RFC 7112 5")
@pytest.mark.parametrize(("upper", "whole"), [(UPPER, 20), (UDP(), 8), (ICMPv6EchoRequest(), 8)])
def test_the_first_fragment_holds_all_headers(upper: Packet, whole: int) -> None:
    inner = bytes(IPv6ExtHdrDestOpt(nh=upper_number(upper)) / upper.copy() / Raw(bytes(40)))
    for length in range(len(inner)):
        header = IPv6ExtHdrFragment(m=1, offset=0, nh=60)
        got, found = walk(base() / header / Raw(inner[:length]))
        if length < 8 + whole:
            assert (got, found.code, found.pointer) == (reason.IPV6_BAD_EXTENSION, 3, 0), length
        else:
            assert (got, found.code) == (reason.IPV6_FRAGMENT, NO_PROBLEM), length


def upper_number(upper: Packet) -> int:
    return int(bytes(IPv6() / upper)[6])


@given(st.binary(max_size=400), st.integers(0, 255))
def test_whatever_comes_is_walked_to_an_end(octets: bytes, number: int) -> None:
    got, found = walk(base(nh=number) / Raw(octets))
    if got == reason.ACCEPTED:
        assert found.next_header in (6, 17, 58)
        assert found.upper_at + found.upper_len == PAD + 40 + len(octets)
        assert found.upper_len >= 0
