"""Histogram: the promised precision over the whole range, and percentiles against sorted lists."""

from __future__ import annotations

import random

import pytest

from corten.app.histogram import Histogram, bucket_range


def test_every_small_value_has_a_bucket_of_its_own() -> None:
    assert [bucket_range(value) for value in range(256)] == [(v, v) for v in range(256)]


def test_buckets_grow_with_the_value_and_never_leave_a_gap() -> None:
    last = -1
    for bits in range(1, 40):
        for value in (2**bits - 1, 2**bits, 2**bits + 1, 3 * 2**bits // 2):
            if value < 2**40:
                index, _ = bucket_range(value)
                assert index >= last or value < 2**bits
                last = max(last, index)
    assert bucket_range(2**40 - 1)[0] == 4351


@pytest.mark.parametrize("seed", range(4))
def test_a_reported_value_is_within_one_part_in_128(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(2000):
        value = int(2 ** chance.uniform(0, 39.99))
        _, reported = bucket_range(value)
        assert abs(reported - value) <= value / 128


def test_percentiles_are_those_of_the_sorted_values() -> None:
    chance = random.Random(7)
    values = [int(chance.lognormvariate(13, 1.5)) for _ in range(5000)]
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    values.sort()
    for percent in (1.0, 50.0, 90.0, 99.0, 99.9, 100.0):
        exact = values[max(1, int(percent / 100 * len(values) + 0.5)) - 1]
        assert histogram.percentile(percent) == pytest.approx(exact, rel=1 / 128)
    assert histogram.maximum == values[-1]
    assert histogram.mean() == pytest.approx(sum(values) / len(values))


def test_nothing_recorded_is_zero_and_clear_forgets() -> None:
    histogram = Histogram()
    assert (histogram.percentile(50), histogram.mean(), histogram.maximum) == (0, 0.0, 0)
    histogram.record(-5)
    histogram.record(2**50)
    assert histogram.count == 2
    assert histogram.percentile(1) == 0
    assert histogram.maximum == 2**50
    histogram.clear()
    assert (histogram.count, histogram.percentile(99), histogram.maximum) == (0, 0, 0)
