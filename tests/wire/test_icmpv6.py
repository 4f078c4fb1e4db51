"""ICMPv6 messages against scapy: heads, checksums over the pseudo-header, and what errors mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet, Raw

from corten.core.arena import Arena, Memory
from corten.wire import reason
from corten.wire.address import parse_address
from corten.wire.checksum import pseudo_sum
from corten.wire.icmpv6 import Icmpv6, emit_icmpv6, error_v4, is_error_v6

SOURCE = "2001:db8::1"
DESTINATION = "2001:db8::2"
SUM = pseudo_sum(*parse_address(SOURCE), *parse_address(DESTINATION), 58)


def message(layer: Packet) -> bytes:
    return bytes(IPv6(src=SOURCE, dst=DESTINATION) / layer)[40:]


def parse(data: bytes) -> tuple[int, Icmpv6]:
    icmp = Icmpv6()
    return icmp.parse(Memory(data), 0, len(data), SUM), icmp


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=99))
@pytest.mark.requirement("RFC 4443 2.3")
def test_an_echo_is_parsed_and_emitted_as_scapy_does(ident: int, seq: int, data: bytes) -> None:
    octets = message(ICMPv6EchoRequest(id=ident, seq=seq, data=data))
    why, icmp = parse(octets)
    assert why == reason.ACCEPTED
    assert (icmp.type, icmp.code, icmp.rest) == (128, 0, ident << 16 | seq)
    assert octets[icmp.payload_at : icmp.payload_at + icmp.payload_len] == data
    arena = Arena(len(octets))
    length = emit_icmpv6(
        arena,
        0,
        *parse_address(SOURCE),
        *parse_address(DESTINATION),
        129,
        0,
        icmp.rest,
        Memory(octets),
        icmp.payload_at,
        icmp.payload_len,
    )
    assert length == len(octets)
    assert arena.octets() == message(ICMPv6EchoReply(id=ident, seq=seq, data=data))


@pytest.mark.parametrize(
    ("layer", "type_code", "rest"),
    [
        (ICMPv6DestUnreach(code=4), (1, 4), 0),
        (ICMPv6PacketTooBig(mtu=1400), (2, 0), 1400),
        (ICMPv6TimeExceeded(code=1), (3, 1), 0),
        (ICMPv6ParamProblem(code=1, ptr=40), (4, 1), 40),
    ],
)
def test_errors_have_their_types(layer: Packet, type_code: tuple[int, int], rest: int) -> None:
    why, icmp = parse(message(layer / Raw(b"x" * 48)))
    assert why == reason.ACCEPTED
    assert (icmp.type, icmp.code) == type_code
    assert icmp.rest == rest
    assert is_error_v6(icmp.type)


def test_what_is_short_or_has_a_wrong_checksum_is_refused() -> None:
    octets = message(ICMPv6EchoRequest(data=b"data"))
    for length in range(8):
        assert parse(octets[:length])[0] == reason.ICMPV6_SHORT
    for at in range(len(octets)):
        broken = bytearray(octets)
        broken[at] ^= 0x10
        assert parse(bytes(broken))[0] == reason.ICMPV6_BAD_CHECKSUM
    icmp = Icmpv6()
    other = pseudo_sum(*parse_address(SOURCE), *parse_address("2001:db8::3"), 58)
    assert icmp.parse(Memory(octets), 0, len(octets), other) == reason.ICMPV6_BAD_CHECKSUM


@pytest.mark.requirement("RFC 4443 2.4")
def test_errors_and_redirects_get_no_error() -> None:
    assert [kind for kind in range(256) if is_error_v6(kind)] == [*range(128), 137]


@pytest.mark.parametrize(
    ("type_code", "said"),
    [
        ((1, 0), (3, 0)),  # no route: network unreachable
        ((1, 1), (3, 13)),  # prohibited
        ((1, 2), (3, 1)),  # beyond scope: host unreachable
        ((1, 3), (3, 1)),
        ((1, 4), (3, 3)),  # port
        ((1, 5), (3, 13)),
        ((1, 6), (3, 13)),
        ((1, 77), (3, 1)),
        ((2, 0), (3, 4)),  # too big: fragmentation needed
        ((3, 0), (11, 0)),
        ((3, 1), (11, 1)),
        ((4, 0), (12, 0)),
        ((4, 1), (3, 2)),  # unknown next header: protocol unreachable
        ((4, 2), (12, 0)),
        ((100, 0), (12, 0)),  # unknown errors are passed up as the vaguest
    ],
)
def test_an_error_is_said_in_the_words_of_icmpv4(
    type_code: tuple[int, int], said: tuple[int, int]
) -> None:
    assert error_v4(*type_code) == said[0] << 8 | said[1]
