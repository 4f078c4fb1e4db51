"""Ranges of serial numbers: what has arrived out of order, what the peer holds.

Strategy. Two arrays, of starts and of ends, sorted, half-open, never touching: what touches is
merged. A range is found by bisection and inserted by moving those above it.

Rules. Numbers are serial (modulo 2**32), so all that is held lies within 2**31: an `add` that would
break this, or make more than `limit` ranges, is refused and counted, and changes nothing.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.serial import seq_ge, seq_gt, seq_le, seq_lt, seq_sub


@cython.final
@cython.cclass
class Ranges:
    """At most `limit` disjoint ranges."""

    count: cython.Py_ssize_t  # ranges
    total: cython.uint  # octets in them
    refused: cython.ulonglong  # calls of `add` that found no room
    limit: cython.Py_ssize_t
    _room: cython.Py_ssize_t  # ranges that the arrays hold
    _starts: cython.uint[::1]
    _ends: cython.uint[::1]

    def __init__(self, limit: cython.Py_ssize_t) -> None:
        if limit < 1:
            raise ValueError("a limit of at least one range")
        self.count = 0
        self.total = 0
        self.refused = 0
        self.limit = limit
        room: cython.Py_ssize_t = min(limit, 8)
        self._room = room
        self._starts = memoryview(array("I", bytes(4 * room)))
        self._ends = memoryview(array("I", bytes(4 * room)))

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _after(self, seq: cython.uint) -> cython.Py_ssize_t:
        """The first range that ends after seq; `count` when none does."""
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = self.count
        while low < high:
            middle: cython.Py_ssize_t = (low + high) >> 1
            if seq_gt(self._ends[middle], seq):
                high = middle
            else:
                low = middle + 1
        return low

    @cython.cfunc
    def _spans_too_much(self, start: cython.uint, end: cython.uint) -> cython.bint:
        """Whether start..end together with what is held covers 2**31 or more."""
        limit: cython.uint = 0x7FFF_FFFF
        if seq_sub(end, start) > limit:
            return True
        if self.count == 0:
            return False
        low: cython.uint = self._starts[0]
        if seq_lt(start, low):
            low = start
        return seq_sub(end, low) > limit or seq_sub(self._ends[self.count - 1], low) > limit

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def add(self, start: cython.uint, end: cython.uint) -> cython.uint:
        """Cover start..end (end excluded); how many octets were not covered before. 0 too for an
        empty range, and when it is refused (`refused` counts that)."""
        if start == end:
            return 0
        if self._spans_too_much(start, end):
            self.refused += 1
            return 0
        first: cython.Py_ssize_t = self._touching(start)
        last: cython.Py_ssize_t = first  # after the last range that start..end touches
        before: cython.uint = 0
        while last < self.count and seq_le(self._starts[last], end):
            before += seq_sub(self._ends[last], self._starts[last])
            last += 1
        if first == last:
            if self.count >= self.limit:
                self.refused += 1
                return 0
            self._open(first)
        else:
            if seq_lt(self._starts[first], start):
                start = self._starts[first]
            if seq_gt(self._ends[last - 1], end):
                end = self._ends[last - 1]
            self._remove(first + 1, last)
        self._starts[first] = start
        self._ends[first] = end
        gained: cython.uint = seq_sub(end, start) - before
        self.total += gained
        return gained

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _touching(self, start: cython.uint) -> cython.Py_ssize_t:
        """The first range that ends at `start` or after it."""
        i: cython.Py_ssize_t = self._after(start)
        if i > 0 and self._ends[i - 1] == start:
            return i - 1
        return i

    @cython.cfunc
    def _open(self, at: cython.Py_ssize_t) -> cython.void:
        """Make room for a range at position `at`."""
        if self.count == self._room:
            self._grow()
        i: cython.Py_ssize_t = self.count
        while i > at:
            self._starts[i] = self._starts[i - 1]
            self._ends[i] = self._ends[i - 1]
            i -= 1
        self.count += 1

    @cython.cfunc
    def _grow(self) -> cython.void:
        """Twice the room, but no more than `limit`."""
        room: cython.Py_ssize_t = min(2 * self.count, self.limit)
        starts: cython.uint[::1] = memoryview(array("I", bytes(4 * room)))
        ends: cython.uint[::1] = memoryview(array("I", bytes(4 * room)))
        i: cython.Py_ssize_t
        for i in range(self.count):
            starts[i] = self._starts[i]
            ends[i] = self._ends[i]
        self._room = room
        self._starts = starts
        self._ends = ends

    @cython.cfunc
    def _remove(self, first: cython.Py_ssize_t, last: cython.Py_ssize_t) -> cython.void:
        """Take out the ranges first..last (last excluded)."""
        gone: cython.Py_ssize_t = last - first
        if gone <= 0:
            return
        i: cython.Py_ssize_t
        for i in range(last, self.count):
            self._starts[i - gone] = self._starts[i]
            self._ends[i - gone] = self._ends[i]
        self.count -= gone

    @cython.ccall
    def remove_below(self, seq: cython.uint) -> cython.uint:
        """Uncover everything before seq; how many octets that were."""
        kept: cython.Py_ssize_t = self._after(seq)
        gone: cython.uint = 0
        i: cython.Py_ssize_t
        for i in range(kept):
            gone += seq_sub(self._ends[i], self._starts[i])
        self._remove(0, kept)
        if self.count > 0 and seq_lt(self._starts[0], seq):
            gone += seq_sub(seq, self._starts[0])
            self._starts[0] = seq
        self.total -= gone
        return gone

    @cython.ccall
    def remove_from(self, seq: cython.uint) -> cython.uint:
        """Uncover everything from seq on; how many octets that were."""
        kept: cython.Py_ssize_t = self._after(seq)
        gone: cython.uint = 0
        if kept < self.count and seq_lt(self._starts[kept], seq):
            gone = seq_sub(self._ends[kept], seq)
            self._ends[kept] = seq
            kept += 1
        i: cython.Py_ssize_t
        for i in range(kept, self.count):
            gone += seq_sub(self._ends[i], self._starts[i])
        self.count = kept
        self.total -= gone
        return gone

    @cython.ccall
    def find(self, seq: cython.uint) -> cython.Py_ssize_t:
        """Which range covers octet seq; -1 when none does."""
        i: cython.Py_ssize_t = self._after(seq)
        return i if i < self.count and seq_le(self._starts[i], seq) else -1

    @cython.ccall
    def clear(self) -> cython.void:
        """Uncover everything. `refused` goes on counting."""
        self.count = 0
        self.total = 0

    @cython.ccall
    def start(self, i: cython.Py_ssize_t) -> cython.uint:
        """The first octet of range i, counted from the lowest. IndexError when there is none."""
        if i < 0 or i >= self.count:
            raise IndexError(f"range {i} of {self.count}")
        return self._starts[i]

    @cython.ccall
    def end(self, i: cython.Py_ssize_t) -> cython.uint:
        """The octet after range i. IndexError when there is none."""
        if i < 0 or i >= self.count:
            raise IndexError(f"range {i} of {self.count}")
        return self._ends[i]

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def covers(self, seq: cython.uint) -> cython.bint:
        """Whether octet seq is covered."""
        i: cython.Py_ssize_t = self._after(seq)
        return i < self.count and seq_le(self._starts[i], seq)

    @cython.ccall
    def covers_range(self, start: cython.uint, end: cython.uint) -> cython.bint:
        """Whether all of start..end (end excluded) is covered; an empty range always is."""
        if start == end:
            return True
        i: cython.Py_ssize_t = self._after(start)
        return i < self.count and seq_le(self._starts[i], start) and seq_ge(self._ends[i], end)

    @cython.ccall
    def first_gap(self, seq: cython.uint, limit: cython.uint) -> cython.uint:
        """The first octet that is not covered, at seq or after it, but `limit` at the latest."""
        i: cython.Py_ssize_t = self._after(seq)
        if i < self.count and seq_le(self._starts[i], seq):
            seq = self._ends[i]
        return seq if seq_lt(seq, limit) else limit

    @cython.ccall
    def gap_end(self, seq: cython.uint, limit: cython.uint) -> cython.uint:
        """Where the next range above seq starts, but `limit` at the latest."""
        i: cython.Py_ssize_t = self._after(seq)
        if i < self.count and seq_le(self._starts[i], seq):
            i += 1
        if i < self.count and seq_lt(self._starts[i], limit):
            return self._starts[i]
        return limit
