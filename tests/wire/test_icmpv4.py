"""ICMP messages against scapy, and what is an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP

from corten.core.arena import Arena, Memory
from corten.wire import reason
from corten.wire.icmpv4 import (
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_LEN,
    ICMP_UNREACHABLE,
    Icmp,
    emit_icmp,
    is_error,
)

# echo request, id 1, seq 2, "abc": an odd length
GOLDEN = bytes.fromhex("0800 339a 0001 0002 616263")


def parse(data: bytes) -> tuple[int, Icmp]:
    icmp = Icmp()
    return icmp.parse(Memory(data), 0, len(data)), icmp


def test_golden_octets() -> None:
    why, icmp = parse(GOLDEN)
    assert why == reason.ACCEPTED
    assert (icmp.type, icmp.code, icmp.rest) == (ICMP_ECHO, 0, 0x00010002)
    assert (icmp.payload_at, icmp.payload_len) == (8, 3)
    arena = Arena(13)
    assert emit_icmp(arena, 1, ICMP_ECHO, 0, 0x00010002, Memory(b"-abc-"), 1, 3) == 11
    assert arena.octets() == b"\0" + GOLDEN + b"\0"


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=200))
def test_an_echo_is_answered_as_scapy_would(ident: int, seq: int, data: bytes) -> None:
    request = bytes(ICMP(type="echo-request", id=ident, seq=seq) / data)
    why, icmp = parse(request)
    assert why == reason.ACCEPTED
    arena = Arena(ICMP_LEN + len(data))
    source = Memory(request)
    length = emit_icmp(
        arena, 0, ICMP_ECHO_REPLY, 0, icmp.rest, source, icmp.payload_at, icmp.payload_len
    )
    assert length == len(request)
    reply = ICMP(type="echo-reply", id=ident, seq=seq) / data
    assert arena.octets() == bytes(reply)


def test_an_error_quotes_what_it_is_about() -> None:
    quoted = bytes(range(28))
    arena = Arena(ICMP_LEN + 28)
    emit_icmp(arena, 0, ICMP_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1400, Memory(quoted), 0, 28)
    want = ICMP(type=3, code=4, nexthopmtu=1400) / quoted
    assert arena.octets() == bytes(want)


def test_emit_checks_both_ranges() -> None:
    for arena, source_len in ((Arena(10), 3), (Arena(11), 2)):
        with pytest.raises(IndexError):
            emit_icmp(arena, 0, ICMP_ECHO, 0, 0, Memory(bytes(source_len)), 0, 3)


@pytest.mark.parametrize("length", range(8))
def test_a_short_message(length: int) -> None:
    assert Icmp().parse(Memory(GOLDEN), 0, length) == reason.ICMP_SHORT


def test_each_bit_is_under_the_checksum() -> None:
    for bit in range(len(GOLDEN) * 8):
        flipped = bytearray(GOLDEN)
        flipped[bit // 8] ^= 0x80 >> (bit % 8)
        assert parse(bytes(flipped))[0] == reason.ICMP_BAD_CHECKSUM


def test_a_message_of_zeros_has_no_checksum() -> None:
    assert parse(bytes(8))[0] == reason.ICMP_BAD_CHECKSUM


def test_which_types_are_errors() -> None:
    # RFC 1122, 3.2.2
    assert {kind for kind in range(256) if is_error(kind)} == {3, 4, 5, 11, 12}


@given(st.binary(max_size=80))
def test_parse_never_raises(data: bytes) -> None:
    parse(data)
