"""Loads and stores: big-endian, and IndexError at the first octet outside, compiled and plain.

Compiled, `field` is a header that Python cannot call: there the range checks are seen through a
parser and an emitter that use every width.
"""

from __future__ import annotations

import pytest

from corten.core.arena import Arena, Memory
from corten.wire.ethernet import Ethernet
from corten.wire.ipv6 import IPV6_LEN, Ipv6, emit_ipv6

WORDS = (0x2001_0DB8_FFEE_DDCC, 0x8000_0000_0000_0001, 0xFFFF_FFFF_FFFF_FFFF, 0x0123_4567_89AB_CDEF)
DATA = bytes.fromhex("60000000 0000 06 40") + b"".join(word.to_bytes(8, "big") for word in WORDS)


def test_every_width_is_big_endian_and_keeps_its_top_bit() -> None:
    ip = Ipv6()
    ip.parse(Memory(DATA), 0, IPV6_LEN)
    got = (ip.source_high, ip.source_low, ip.destination_high, ip.destination_low)
    assert got == WORDS
    arena = Arena(IPV6_LEN)
    emit_ipv6(arena, 0, *WORDS, 6, 0, 64, 0, 0)
    assert arena.octets() == DATA


@pytest.mark.parametrize("size", range(IPV6_LEN))
def test_a_load_behind_the_end_raises(size: int) -> None:
    with pytest.raises(IndexError, match=f"of a memory of {size}$"):
        Ipv6().parse(Memory(DATA[:size]), 0, IPV6_LEN)


@pytest.mark.parametrize("at", [-(2**62), *range(-14, 0), *range(1, 15), 2**62, 2**63 - 1])
def test_a_load_outside_raises(at: int) -> None:
    with pytest.raises(IndexError, match="of a memory of 14"):
        Ethernet().parse(Memory(DATA[:14]), at, 14)


@pytest.mark.parametrize("at", [*range(-41, 0), *range(1, 41), 2**62, -(2**62), 2**63 - 41])
def test_a_store_outside_raises(at: int) -> None:
    with pytest.raises(IndexError, match="of a memory of 40"):
        emit_ipv6(Arena(40), at, *WORDS, 6, 0, 64, 0, 0)
