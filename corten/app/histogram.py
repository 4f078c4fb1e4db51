"""A histogram of times with a fixed relative precision, in a fixed amount of memory.

Strategy. As in HdrHistogram: within each power of two there are HALF buckets of equal width, so
that a value is known to 1 part in HALF (0.8 %) whatever its size, and recording is an index and an
increment. Values from 0 to 2**BITS - 1 nanoseconds (18 minutes) are told apart; a larger one counts
as the largest. Below 2 * HALF nanoseconds every value has a bucket of its own.

A percentile is the middle of its bucket, the maximum is exact.
"""

from __future__ import annotations

from array import array

import cython

if not cython.compiled:
    HALF_BITS = 7
    HALF = 128  # buckets in each power of two
    BITS = 40
    BUCKETS = 4352  # (BITS - HALF_BITS + 1) * HALF


@cython.final
@cython.cclass
class Histogram:
    """Counts of values, in nanoseconds."""

    count: cython.longlong
    total: cython.longlong  # the sum of all values
    maximum: cython.longlong
    _counts: cython.longlong[::1]

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.maximum = 0
        self._counts = memoryview(array("q", bytes(8 * BUCKETS)))

    @cython.ccall
    def record(self, value: cython.longlong) -> cython.void:
        """Count one value; a negative one counts as 0."""
        value = max(value, 0)
        self._counts[index_of(value)] += 1
        self.count += 1
        self.total += value
        self.maximum = max(self.maximum, value)

    def percentile(self, percent: float) -> int:
        """The value that `percent` of all values do not exceed; 0 when there are none."""
        wanted: cython.longlong = max(1, int(percent / 100 * self.count + 0.5))
        seen: cython.longlong = 0
        i: cython.Py_ssize_t
        for i in range(BUCKETS):
            seen += self._counts[i]
            if seen >= wanted:
                return min(middle_of(i), self.maximum)
        return self.maximum

    def mean(self) -> float:
        """The arithmetic mean; 0 when there are no values."""
        return self.total / self.count if self.count else 0.0

    def counts(self) -> list[int]:
        """How many values fell into each bucket."""
        return list(self._counts)

    def filled(self) -> list[tuple[int, int]]:
        """(largest value, how many) of each bucket that is not empty."""
        return [(top_of(i), count) for i, count in enumerate(self._counts) if count]

    def deviation(self) -> float:
        """The standard deviation, as far as buckets tell."""
        mean, squares = self.mean(), 0.0
        for i, count in enumerate(self._counts):
            squares += count * (middle_of(i) - mean) ** 2
        return (squares / self.count) ** 0.5 if self.count else 0.0

    def clear(self) -> None:
        """Forget everything."""
        i: cython.Py_ssize_t
        for i in range(BUCKETS):
            self._counts[i] = 0
        self.count = self.total = self.maximum = 0


@cython.cfunc
@cython.exceptval(check=False)
def index_of(value: cython.longlong) -> cython.Py_ssize_t:
    """The bucket of a value."""
    shift: cython.int = 0
    if value >> BITS != 0:
        return BUCKETS - 1
    if value >> 16 >= 2 * HALF:
        shift = 16
    if value >> (shift + 8) >= 2 * HALF:
        shift += 8
    while value >> shift >= 2 * HALF:
        shift += 1
    return shift * HALF + (value >> shift)


@cython.cfunc
@cython.exceptval(check=False)
def middle_of(index: cython.Py_ssize_t) -> cython.longlong:
    """The middle of the values of a bucket."""
    if index < 2 * HALF:
        return index
    shift: cython.int = cython.cast(cython.int, index >> HALF_BITS) - 1
    first: cython.longlong = cython.cast(cython.longlong, HALF + (index & (HALF - 1))) << shift
    return first + ((cython.cast(cython.longlong, 1) << shift) >> 1)


def top_of(index: int) -> int:
    """The largest value of a bucket."""
    if index < 2 * HALF:
        return index
    shift = (index >> HALF_BITS) - 1
    return ((HALF + (index & (HALF - 1)) + 1) << shift) - 1


def bucket_range(value: int) -> tuple[int, int]:
    """The bucket that a value falls into and the value it would be reported as. For tests."""
    index = index_of(value)
    return index, middle_of(index)
