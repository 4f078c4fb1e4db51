"""Out-of-order data: kept until the hole before it is filled (RFC 9293, 3.10.7.4, SHLD-31).

Chunks are bytes of exact size, sorted, disjoint. Where segments overlap, the octets that came
first win. What is kept is bounded by its true cost (octets and the overhead of holding them), so
that a peer that sends every second octet gains nothing (CVE-2018-5390): beyond the bound the newest
end gives way.
"""

from __future__ import annotations

from bisect import bisect_right

import cython
from cython.cimports.corten.core.arena import Memory, read
from cython.cimports.corten.core.interval import Ranges
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_sub

if not cython.compiled:
    CHUNK_COST = 96  # octets of overhead of one chunk: bytes head, list slots, the start
    RECENT_MAX = 4  # how many ranges the SACK option can carry
    REBASE_AT = 0x1000_0000


@cython.final
@cython.cclass
class Reassembly:
    """The chunks beyond RCV.NXT of one connection."""

    ranges: Ranges
    cost: cython.Py_ssize_t
    has_fin: cython.bint
    fin_at: cython.uint  # the sequence number of a FIN that came early
    _origin: cython.uint  # starts are octets from here
    _starts: list
    _chunks: list
    _recent: list  # where the newest segments began, newest first

    def __init__(self, rcv_nxt: cython.uint) -> None:
        self.ranges = Ranges(1 << 16)
        self.cost = 0
        self.has_fin = False
        self.fin_at = 0
        self._origin = rcv_nxt
        self._starts = []
        self._chunks = []
        self._recent = []

    @cython.ccall
    def is_empty(self) -> cython.bint:
        return not self._chunks and not self.has_fin

    @cython.ccall
    def note_fin(self, at: cython.uint) -> cython.void:
        """A FIN came early: the first one counts, there is no other place for it."""
        if not self.has_fin:
            self.has_fin = True
            self.fin_at = at

    @cython.ccall
    def take_fin(self, rcv_nxt: cython.uint) -> cython.bint:
        """Whether the FIN is due; one that text has passed was a lie."""
        if not self.has_fin or seq_gt(self.fin_at, rcv_nxt):
            return False
        self.has_fin = False
        return self.fin_at == rcv_nxt

    @cython.ccall
    def add(
        self,
        seq: cython.uint,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        cost_max: cython.Py_ssize_t,
    ) -> cython.bint:
        """Keep what is new of memory[at : at + length], whose first octet is `seq` (beyond
        RCV.NXT, inside the window). False when some of it had to be refused."""
        first: cython.Py_ssize_t = seq_sub(seq, self._origin)
        end: cython.Py_ssize_t = first + length
        i: cython.Py_ssize_t = bisect_right(self._starts, first)
        position: cython.Py_ssize_t = first
        if i > 0:
            position = max(position, self._end_of(i - 1))
        whole: cython.bint = True
        while position < end:
            stop: cython.Py_ssize_t = end
            if i < len(self._starts):
                stop = min(end, self._starts[i])
            if stop > position:
                if not self._make_room(position, stop - position + CHUNK_COST, cost_max):
                    whole = False
                    break
                self._insert(i, position, read(memory, at + position - first, stop - position))
                i += 1
            if i >= len(self._starts):
                break
            position = self._end_of(i)
            i += 1
        self._note(seq)
        return whole

    @cython.cfunc
    def _end_of(self, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        start: cython.Py_ssize_t = self._starts[i]
        return start + len(cython.cast(bytes, self._chunks[i]))

    @cython.cfunc
    def _insert(
        self, i: cython.Py_ssize_t, position: cython.Py_ssize_t, chunk: bytes
    ) -> cython.void:
        self._starts.insert(i, position)
        self._chunks.insert(i, chunk)
        self.cost += len(chunk) + CHUNK_COST
        seq: cython.uint = seq_add(self._origin, position)
        self.ranges.add(seq, seq_add(seq, len(chunk)))

    @cython.cfunc
    def _make_room(
        self, position: cython.Py_ssize_t, cost: cython.Py_ssize_t, cost_max: cython.Py_ssize_t
    ) -> cython.bint:
        """Let the newest ends give way to something nearer; False when that does not suffice."""
        while self.cost + cost > cost_max:
            last: cython.Py_ssize_t = len(self._starts) - 1
            last_at: cython.Py_ssize_t = self._starts[last] if last >= 0 else 0
            if last < 0 or last_at <= position:
                return False
            chunk: bytes = self._chunks.pop()
            self._starts.pop()
            self.cost -= len(chunk) + CHUNK_COST
            self.ranges.remove_from(seq_add(self._origin, last_at))
        return True

    @cython.cfunc
    def _note(self, seq: cython.uint) -> cython.void:
        """RFC 2018 4: the first block reports the newest segment, then the most recent others."""
        self._recent.insert(0, seq)
        if len(self._recent) > 2 * RECENT_MAX:
            self._recent.pop()

    @cython.ccall
    def blocks(self, most: cython.Py_ssize_t) -> list:
        """Up to `most` (start, end) pairs for the SACK option, newest first, each once."""
        found: list = []
        for seq in self._recent:
            if len(found) >= most:
                break
            i: cython.Py_ssize_t = self.ranges.find(seq)
            if i >= 0:
                block = (self.ranges.start(i), self.ranges.end(i))
                if block not in found:
                    found.append(block)
        return found

    @cython.ccall
    def take(self, rcv_nxt: cython.uint) -> bytes | None:
        """The chunk that continues the stream at `rcv_nxt`, stale front cut; None for a hole."""
        position: cython.Py_ssize_t = seq_sub(rcv_nxt, self._origin)
        chunk: bytes
        while self._starts:
            start: cython.Py_ssize_t = self._starts[0]
            if start > position:
                break
            chunk = self._chunks.pop(0)
            self._starts.pop(0)
            self.cost -= len(chunk) + CHUNK_COST
            if start + len(chunk) > position:
                self.ranges.remove_below(seq_add(self._origin, start + len(chunk)))
                return chunk[position - start :]
        self.ranges.remove_below(rcv_nxt)
        if position > REBASE_AT:
            self._rebase(position)
        return None

    @cython.cfunc
    def _rebase(self, by: cython.Py_ssize_t) -> cython.void:
        """Count from a later origin, before 32 bits run out."""
        self._origin = seq_add(self._origin, by)
        self._starts = [start - by for start in self._starts]
