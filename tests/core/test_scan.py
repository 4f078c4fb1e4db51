"""Scans of memory agree with the obvious way to do them, and never look outside their range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.arena import Memory
from corten.core.scan import (
    Classes,
    digest_octets,
    same_folded,
    same_octets,
    skip_class,
    skip_text,
)

DIGIT, LETTER = 1, 2
TABLE = bytes(
    (DIGIT if 48 <= o < 58 else 0) | (LETTER if chr(o).isalpha() and o < 128 else 0)
    for o in range(256)
)
CLASSES = Classes(TABLE)


@given(st.binary(max_size=40), st.data())
def test_skip_text_stops_at_the_first_control(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    end = draw.draw(st.integers(at, len(data)))
    controls = [i for i in range(at, end) if (data[i] < 32 and data[i] != 9) or data[i] == 127]
    assert skip_text(Memory(data), at, end) == (controls[0] if controls else end)


@pytest.mark.parametrize("octet", range(256))
@pytest.mark.parametrize("place", [0, 3, 7, 8, 13, 23])
def test_skip_text_sees_every_octet_at_every_place_of_a_word(octet: int, place: int) -> None:
    data = bytearray(b"a" * 24)
    data[place] = octet
    is_text = octet == 9 or (octet >= 32 and octet != 127)
    assert skip_text(Memory(bytes(data)), 0, 24) == (24 if is_text else place)


@given(st.binary(max_size=40), st.integers(0, 3))
def test_skip_class_stops_where_no_wanted_class_is(data: bytes, wanted: int) -> None:
    outside = [i for i, octet in enumerate(data) if not TABLE[octet] & wanted]
    expected = outside[0] if outside else len(data)
    assert skip_class(Memory(data), 0, len(data), CLASSES, wanted) == expected


@pytest.mark.parametrize(("at", "end"), [(-1, 2), (0, 5), (3, 2), (5, 5)])
def test_a_range_outside_the_memory_raises(at: int, end: int) -> None:
    memory = Memory(b"abcd")
    with pytest.raises(IndexError):
        skip_text(memory, at, end)
    with pytest.raises(IndexError):
        skip_class(memory, at, end, CLASSES, LETTER)


def test_comparison_with_octets() -> None:
    memory = Memory(b"xHost: ")
    assert same_octets(memory, 1, b"Host")
    assert not same_octets(memory, 1, b"host")
    assert same_folded(memory, 1, b"host")
    assert not same_folded(memory, 0, b"host")
    assert not same_folded(Memory(b"[\\]^@"), 0, b"{|}~`")  # 32 apart, and no letters
    assert same_octets(memory, 7, b"")
    for compare in (same_octets, same_folded):
        with pytest.raises(IndexError):
            compare(memory, 5, b"abc")
        with pytest.raises(IndexError):
            compare(memory, -1, b"a")


def test_a_class_table_has_256_entries() -> None:
    with pytest.raises(ValueError, match="256"):
        Classes(b"short")


def test_a_digest_tells_octets_apart_wherever_they_differ_and_looks_at_no_others() -> None:
    data = bytes(range(40))
    seen = {digest_octets(Memory(data), at, length) for at in range(20) for length in range(1, 20)}
    assert len(seen) == 20 * 19
    for place in range(19):
        other = bytearray(data)
        other[place] ^= 1
        assert digest_octets(Memory(bytes(other)), 0, 19) != digest_octets(Memory(data), 0, 19)
    assert digest_octets(Memory(data + b"x"), 3, 19) == digest_octets(Memory(data + b"y"), 3, 19)


def test_the_upper_bits_of_a_digest_spread_what_is_alike() -> None:
    heads = [b"GET /%d.htm HTTP/1.1" % i for i in range(4096)]
    slots = {digest_octets(Memory(head), 0, len(head)) >> 52 for head in heads}
    assert len(slots) > 2400  # of 4,096 slots; by chance 2,589


@pytest.mark.parametrize("at, length", [(-1, 2), (0, 5), (4, 1), (0, -1)])
def test_a_digest_stays_within_the_memory(at: int, length: int) -> None:
    with pytest.raises(IndexError):
        digest_octets(Memory(b"abcd"), at, length)
