"""Identifications: no repeats for one flow, nothing to learn about another (RFC 6864, RFC 7739)."""

from __future__ import annotations

import itertools

import pytest

from corten.core.chance import Chance
from corten.core.siphash import Siphash
from corten.ip.identification import Identification

V4 = 0xFFFF_0000_0000
HERE = V4 | 0x0A000002


def numbers(seed: int = 1, index: int = 0, workers: int = 1) -> Identification:
    return Identification(Siphash(bytes(range(16))), Chance(seed), index, workers)


def run(source: Identification, there: int, count: int, protocol: int = 17) -> list[int]:
    return [source.next(0, HERE, 0, V4 | there, protocol) for _ in range(count)]


@pytest.mark.requirement("RFC 6864 4.3")
def test_one_flow_does_not_repeat_within_the_sixteen_bits_that_ipv4_has() -> None:
    seen = [number & 0xFFFF for number in run(numbers(), 1, 20_000)]
    assert len(set(seen)) == len(seen)


@pytest.mark.requirement("RFC 7739 5.3")
def test_flows_begin_anywhere() -> None:
    """Of neighbouring addresses, protocols and directions: no first number says another's."""
    source = numbers()
    firsts = [run(source, there, 1)[0] for there in range(1, 20_001)]
    buckets = [0] * 64
    for number in firsts:
        buckets[number >> 26] += 1
    mean = len(firsts) / 64
    chi = sum((bucket - mean) ** 2 / mean for bucket in buckets)
    assert chi < 130  # 63 degrees of freedom: once in a million runs
    steps = {(b - a) & 0xFFFF_FFFF for a, b in itertools.pairwise(firsts)}
    assert len(steps) > 19_000
    other = [run(source, 1, 1, protocol)[0] for protocol in range(256)]
    assert len(set(other)) == 256


def test_another_secret_is_another_sequence() -> None:
    mine = Identification(Siphash(bytes(16)), Chance(1), 0, 1)
    other = Identification(Siphash(bytes([1] * 16)), Chance(1), 0, 1)
    assert run(mine, 1, 1) != run(other, 1, 1)


@pytest.mark.requirement("RFC 7739 idle scan")
def test_traffic_to_others_moves_nothing_that_a_third_can_see_exactly() -> None:
    """The steps of one flow are of random size: an observer cannot count what lies between."""
    seen = run(numbers(), 1, 1000)
    steps = {(b - a) & 0xFFFF for a, b in itertools.pairwise(seen)}
    assert steps == {1, 2, 3}


def test_workers_of_one_address_take_different_numbers() -> None:
    """They share the secret, so each has residues of its own."""
    seen = [set(run(numbers(i, i, 4), 1, 3000)) for i in range(4)]
    assert len(set.union(*seen)) == 4 * 3000
    assert {number % 4 for number in seen[0]}.isdisjoint({n % 4 for n in seen[1]})
