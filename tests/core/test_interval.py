"""Ranges against a set of octets, around the place where serial numbers wrap."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corten.core.interval import Ranges

TOP = 2**32
SPAN = 60  # the universe: octets 0 to SPAN - 1 after `base`
bases = st.sampled_from([0, 1000, TOP - 1, TOP - 30, TOP - SPAN, 2**31 - 20])
places = st.integers(0, SPAN)
steps = st.tuples(st.sampled_from(["add", "add", "add", "remove", "clear"]), places, places)


def runs(octets: set[int]) -> list[tuple[int, int]]:
    """The maximal runs of a set, half-open."""
    starts = sorted(x for x in octets if x - 1 not in octets)
    ends = sorted(x + 1 for x in octets if x + 1 not in octets)
    return list(zip(starts, ends, strict=True))


def check(ranges: Ranges, octets: set[int], base: int) -> None:
    def at(place: int) -> int:
        return (base + place) % TOP

    expected = [(at(a), at(b)) for a, b in runs(octets)]
    assert [(ranges.start(i), ranges.end(i)) for i in range(ranges.count)] == expected
    assert ranges.total == len(octets)
    for x in range(SPAN):
        assert ranges.covers(at(x)) == (x in octets)
        for limit in (x, min(x + 7, SPAN), SPAN):
            gap = next((y for y in range(x, limit) if y not in octets), limit)
            assert ranges.first_gap(at(x), at(limit)) == at(gap)
            gap_end = next(
                (y for y in range(x + 1, limit) if y in octets and y - 1 not in octets), limit
            )
            assert ranges.gap_end(at(x), at(limit)) == at(gap_end)
            assert ranges.covers_range(at(x), at(limit)) == octets.issuperset(range(x, limit))


@settings(max_examples=150)
@given(bases, st.integers(1, 12), st.lists(steps, max_size=30))
def test_it_is_a_set_of_octets(base: int, limit: int, script: list[tuple[str, int, int]]) -> None:
    ranges, octets, refused = Ranges(limit), set[int](), 0
    for what, *two in script:
        a, b = sorted(two)
        if what == "add":
            wanted = octets | set(range(a, b))
            gained = len(wanted) - len(octets)
            if len(runs(wanted)) > limit:
                refused, gained, wanted = refused + 1, 0, octets
            assert ranges.add((base + a) % TOP, (base + b) % TOP) == gained
            octets = wanted
        elif what == "remove":
            gone = {x for x in octets if x < a}
            assert ranges.remove_below((base + a) % TOP) == len(gone)
            octets -= gone
        else:
            ranges.clear()
            octets = set()
        assert ranges.refused == refused
    check(ranges, octets, base)


def test_many_ranges_grow_up_to_the_limit() -> None:
    ranges = Ranges(100)
    for i in reversed(range(100)):
        assert ranges.add(10 * i, 10 * i + 3) == 3
    assert ranges.count == 100
    assert ranges.add(5000, 5001) == 0
    assert ranges.refused == 1
    assert ranges.add(3, 10) == 7  # which makes one of two
    assert ranges.add(5000, 5001) == 1
    assert ranges.add(0, 6000) == 6000 - 300 - 7 - 1
    assert (ranges.count, ranges.start(0), ranges.end(0)) == (1, 0, 6000)


@given(bases, st.integers(-(2**31), 2**31), st.one_of(st.integers(1, 99), st.integers(1, TOP - 1)))
@example(0, -(2**31) + 2**29, 1)
@example(0, -(2**31) + 2**29 + 1, 1)
@example(7, 2**31 - 2, 1)
@example(7, 2**31 - 1, 1)
def test_what_would_span_half_the_circle_is_refused(base: int, offset: int, length: int) -> None:
    """The numbers' order would be lost; nothing changes."""
    ranges = Ranges(4)
    held = 2**29
    ranges.add(base, (base + held) % TOP)
    start = (base + offset) % TOP
    signed = (offset + 2**31) % TOP - 2**31  # where it lies, the short way round
    low, high = min(0, signed), max(held, signed + length)
    gained = ranges.add(start, (start + length) % TOP)
    if high - low >= 2**31:
        assert (gained, ranges.refused, ranges.total, ranges.count) == (0, 1, held, 1)
    else:
        assert ranges.refused == 0
        assert ranges.total == held + gained
        overlap = max(0, min(held, signed + length) - max(0, signed))
        assert gained == length - overlap


def test_wrong_calls() -> None:
    ranges = Ranges(2)
    ranges.add(5, 6)
    for i in (-1, 1, 100):
        with pytest.raises(IndexError):
            ranges.start(i)
        with pytest.raises(IndexError):
            ranges.end(i)
    with pytest.raises(ValueError, match="at least one"):
        Ranges(0)
