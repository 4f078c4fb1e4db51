"""Packet memory: ranges are checked, sums are right at every offset and parity."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.arena import Arena, Buffer, Memory, checksum_of, copy, sum_octets, sum_range


def words_sum(data: bytes) -> int:
    """RFC 1071, 4.1, word by word: the other way to say it."""
    total = 0
    for i in range(0, len(data), 2):
        total += (data[i] << 8) | (data[i + 1] if i + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    return total


def sample(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


# octets outside: (at, length) for a memory of 10
WRONG = [(-1, 1), (-1, 0), (0, 11), (10, 1), (11, 0), (5, 6), (sys.maxsize, 1), (-sys.maxsize, 2)]


@pytest.mark.parametrize(("at", "length"), WRONG)
def test_a_wrong_range_raises_and_names_it(at: int, length: int) -> None:
    memory = Memory(bytes(10))
    for read in (memory.octets, lambda a, n: sum_octets(memory, a, n)):
        with pytest.raises(IndexError, match="of a memory of 10"):
            read(at, length)
    for target, source in ((Arena(10), Memory(bytes(99))), (Arena(99), memory)):
        far = (at, 0) if target.size == 10 else (0, at)
        with pytest.raises(IndexError):
            copy(target, far[0], source, far[1], length)


def test_negative_lengths_raise() -> None:
    with pytest.raises(IndexError):
        sum_octets(Memory(bytes(10)), 5, -1)
    with pytest.raises(IndexError):
        sum_range(Buffer(bytes(10)).with_sums(), 5, -1)
    with pytest.raises(IndexError):
        copy(Arena(10), 0, Memory(bytes(10)), 0, -1)


def test_the_whole_and_the_empty_range_are_right() -> None:
    data = sample(10)
    memory = Memory(data)
    assert len(memory) == 10
    assert memory.octets() == data
    assert memory.octets(3) == data[3:]
    assert memory.octets(10, 0) == b""
    assert sum_octets(memory, 10, 0) == 0
    assert Memory(b"").octets() == b""


def test_store_writes_only_what_fits() -> None:
    arena = Arena(6)
    arena.store(2, b"abcd")
    assert arena.octets() == b"\0\0abcd"
    for at, data in ((3, b"abcd"), (-1, b"a"), (0, b"1234567"), (7, b"")):
        with pytest.raises(IndexError):
            arena.store(at, data)
    assert arena.octets() == b"\0\0abcd"


def test_an_arena_lies_over_what_it_is_given() -> None:
    below = bytearray(b"abcdef")
    arena = Arena(0, below)
    arena.store(1, b"XY")
    assert below == b"aXYdef"
    with pytest.raises(ValueError, match="writable"):
        Arena(0, b"read-only")


def test_memory_keeps_its_octets_alive() -> None:
    memory = Memory(bytes([7]) * 100_000)
    noise = [bytes(100_000) for _ in range(4)]
    assert memory.octets() == bytes([7]) * 100_000
    assert len(noise) == 4


def test_a_buffer_is_read_only_memory() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Buffer(bytearray(4))
    view = memoryview(bytearray(b"abcd")).toreadonly()
    assert Buffer(view).octets() == b"abcd"
    assert Buffer(b"abcd").octets(1, 2) == b"bc"


@pytest.mark.parametrize("shift", [-3, 0, 3])
def test_copy_within_one_arena_may_overlap(shift: int) -> None:
    data = sample(20)
    arena = Arena(20)
    arena.store(0, data)
    copy(arena, 5 + shift, arena, 5, 8)
    want = bytearray(data)
    want[5 + shift : 13 + shift] = data[5:13]
    assert arena.octets() == want


@pytest.mark.parametrize("data", [sample(70), b"\xff" * 70, bytes(69) + b"\1"])
def test_sum_octets_at_every_offset_and_length(data: bytes) -> None:
    memory = Memory(data)
    for at in range(9):
        for length in range(len(data) - at + 1):
            assert sum_octets(memory, at, length) == words_sum(data[at : at + length])


def test_sum_octets_does_not_overflow() -> None:
    assert sum_octets(Memory(b"\xff" * 1_000_001), 0, 1_000_001) == words_sum(b"\xff" * 1_000_001)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 40, 41])
def test_prefix_sums_agree_at_every_offset_and_length(length: int) -> None:
    data = sample(length, seed=length)
    plain, summed = Buffer(data), Buffer(data).with_sums()
    assert summed.has_sums
    assert not plain.has_sums
    for at in range(length + 1):
        for part in range(length - at + 1):
            want = words_sum(data[at : at + part])
            assert sum_range(plain, at, part) == want
            assert (sum_range(summed, at, part) - want) % 65535 == 0
            assert 0 <= sum_range(summed, at, part) <= 65535


@pytest.mark.parametrize(("at", "length"), [(-1, 8), (0, 11), (5, 6), (7, 4), (11, 0)])
def test_prefix_sums_check_their_range(at: int, length: int) -> None:
    with pytest.raises(IndexError):
        sum_range(Buffer(bytes(10)).with_sums(), at, length)


def test_sum_range_of_other_memory_is_the_plain_sum() -> None:
    arena = Arena(12)
    arena.store(0, sample(12))
    assert sum_range(arena, 1, 11) == sum_octets(arena, 1, 11)


@given(st.binary(max_size=300), st.data())
def test_sums_of_parts_add_up(data: bytes, draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(data) // 2)) * 2
    memory = Memory(data)
    total = sum_octets(memory, 0, cut) + sum_octets(memory, cut, len(data) - cut)
    assert (total - words_sum(data)) % 65535 == 0


def test_checksum_of_the_rfc_example() -> None:
    # RFC 1071, 3: the sum is ddf2
    assert checksum_of(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
