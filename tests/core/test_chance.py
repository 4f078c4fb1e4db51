"""Chance: the same numbers from the same seed, compiled and plain, for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.chance import Chance

U64 = 2**64 - 1


class Reference:
    """xoshiro256++ 1.0 and SplitMix64 as their authors' C has them."""

    def __init__(self, seed: int) -> None:
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & U64
            z = seed
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & U64
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & U64
            self.s.append(z ^ (z >> 31))

    def next64(self) -> int:
        s = self.s

        def rotate(x: int, n: int) -> int:
            return ((x << n) | (x >> (64 - n))) & U64

        result = (rotate((s[0] + s[3]) & U64, 23) + s[0]) & U64
        t = (s[1] << 17) & U64
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result


def test_golden() -> None:
    chance = Chance(1)
    assert [chance.next64() for _ in range(3)] == [
        0xCFC5D07F6F03C29B,
        0xBF424132963FE08D,
        0x19A37D5757AAF520,
    ]
    assert Chance(7).octets(11).hex() == GOLDEN_OCTETS
    assert Chance(1).fork(3).next64() == GOLDEN_FORK


GOLDEN_OCTETS = "3d91ae2a001a2c0e149e4e"
GOLDEN_FORK = 0x571070B18C21E879


@given(st.integers())
def test_any_seed_gives_the_reference_sequence(seed: int) -> None:
    chance, reference = Chance(seed), Reference(seed & U64)
    assert [chance.next64() for _ in range(20)] == [reference.next64() for _ in range(20)]
    assert chance.next32() == reference.next64() >> 32
    assert chance.fraction() == (reference.next64() >> 11) / 2**53


@given(st.integers(), st.integers(0, 40))
def test_octets_are_the_words_lowest_octet_first(seed: int, n: int) -> None:
    reference = Reference(seed & U64)
    expected = b"".join(reference.next64().to_bytes(8, "little") for _ in range(5))
    assert Chance(seed).octets(n) == expected[:n]


@given(st.integers(), st.integers(1, U64))
def test_below_stays_below(seed: int, n: int) -> None:
    chance = Chance(seed)
    assert all(0 <= chance.below(n) < n for _ in range(10))


def test_below_favours_nobody() -> None:
    """Without rejection the lower third of 3 * 2**62 would come up half of the time."""
    chance, n = Chance(5), 3 << 62
    low = sum(chance.below(n) < 1 << 62 for _ in range(3000))
    assert 900 < low < 1100
    counts = [0] * 6
    for _ in range(6000):
        counts[chance.below(6)] += 1
    assert all(850 < count < 1150 for count in counts)


def test_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        Chance(1).below(0)


def test_a_fork_does_not_disturb_its_parent() -> None:
    parent, twin = Chance(9), Chance(9)
    children = [parent.fork(label) for label in (0, 1, 2, -1, 0)]
    assert [parent.next64() for _ in range(5)] == [twin.next64() for _ in range(5)]
    firsts = [child.next64() for child in children]
    assert firsts[0] == firsts[4]
    assert len(set(firsts)) == 4
    assert parent.fork(1).next64() == firsts[1]  # whenever it is made
    assert firsts[1] not in {Chance(9).next64(), Chance(1).next64()}
