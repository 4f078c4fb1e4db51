"""What a connection has in flight: one record for each frame sent and not yet acknowledged.

Strategy. Records tile the sequence space from SND.UNA to SND.NXT: a record begins where the one
before it ends, the first one at SND.UNA. They lie in two arrays, in the order of sequence
numbers, which is that of sending too except for what was sent again: so a record is found by
bisection, a new one is appended, and acknowledged ones leave at the front. A super-segment is one
record (RFC 8985 4 (2)), split where part of it is SACKed or sent again.

What was sent again is queued as well, in the order in which it was: RACK looks at the oldest of
them and at the oldest never sent again, and so pays for each transmission once, not for each
acknowledgement.

Rules. A connection with one frame in flight has no Flight: `Tcb.sent_at` says all there is to say.
The second frame makes one, or anything that sends a second time. A record is in the network, or
SACKED, or LOST and waiting to be sent again: never two of them. `sacked_len` and `lost_len` count
its octets, so that what is in the network is known without a walk.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.interval import Ranges
from cython.cimports.corten.core.serial import seq_gt, seq_lt, seq_sub

if not cython.compiled:
    SACKED = 1  # the peer says that it has it
    LOST = 2  # it is to be sent again
    AGAIN = 4  # it has been sent again, once at least
    LIMITED = 8  # sent while the application, not the network, was the limit
    ROOM = 16  # records of a fresh Flight
    POOLED_MAX = 512  # records of one that is kept for the next connection
    RANGES_MAX = 256  # of one scoreboard: a peer that reports more is not believed
    _MARKS = 2  # words of a record: its end, its flags
    _TIMES = 4  # sent_at, and what had been delivered by then: octets, when, since when
    _AGAIN = 3  # words of a transmission that was not the first: start, end, when


@cython.final
@cython.cclass
class Flight:
    """The records of one connection, the oldest first; record i has `count` > i >= 0."""

    count: cython.Py_ssize_t
    sacked_len: cython.uint
    lost_len: cython.uint
    sacked_segments: cython.int  # the SACKed records, counted in segments
    lost_at: cython.uint  # nothing before it is LOST
    judged: cython.uint  # RACK has nothing more to say of first transmissions before it
    sacked: Ranges  # what the peer reported, octet by octet
    # -- RACK (RFC 8985 5.3); times in nanoseconds
    rack_sent_at: cython.longlong  # RACK.xmit_ts; -1: nothing was delivered yet
    rack_end: cython.uint
    rack_rtt: cython.longlong
    fack: cython.uint  # the highest octet the peer is known to have
    _first: cython.Py_ssize_t
    _room: cython.Py_ssize_t
    _marks: cython.uint[::1]
    _times: cython.longlong[::1]
    _again: cython.longlong[::1]
    _again_first: cython.Py_ssize_t
    _again_count: cython.Py_ssize_t
    _again_room: cython.Py_ssize_t

    def __init__(self) -> None:
        self.sacked = Ranges(RANGES_MAX)
        self._room = ROOM
        self._marks = memoryview(array("I", bytes(4 * _MARKS * ROOM)))
        self._times = memoryview(array("q", bytes(8 * _TIMES * ROOM)))
        self._again_room = ROOM
        self._again = memoryview(array("q", bytes(8 * _AGAIN * ROOM)))
        self.clear(0)

    @cython.cfunc
    def clear(self, una: cython.uint) -> cython.void:
        """Nothing is in flight; what comes next begins at `una`."""
        self.count = 0
        self.sacked_len = 0
        self.lost_len = 0
        self.sacked_segments = 0
        self.lost_at = una
        self.judged = una
        self.sacked.clear()
        self.rack_sent_at = -1
        self.rack_end = una
        self.rack_rtt = 0
        self.fack = una
        self._first = 0
        self._again_first = 0
        self._again_count = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def may_pool(self) -> cython.bint:
        """Whether it is small enough to be kept for another connection."""
        return self._room <= POOLED_MAX and self._again_room <= POOLED_MAX

    # -- one record -------------------------------------------------------------------------

    @cython.cfunc
    def end(self, i: cython.Py_ssize_t) -> cython.uint:
        """The octet after record i."""
        return self._marks[_MARKS * (self._first + i)]

    @cython.cfunc
    def flags(self, i: cython.Py_ssize_t) -> cython.uint:
        return self._marks[_MARKS * (self._first + i) + 1]

    @cython.cfunc
    def sent_at(self, i: cython.Py_ssize_t) -> cython.longlong:
        """When it was sent last."""
        return self._times[_TIMES * (self._first + i)]

    @cython.cfunc
    def snapshot(self, i: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.longlong:
        """What stood when it was sent: k = 1, octets delivered; 2, when the last of them were; 3,
        when the flight they were of began to be sent."""
        return self._times[_TIMES * (self._first + i) + k]

    @cython.cfunc
    def start(self, i: cython.Py_ssize_t, una: cython.uint) -> cython.uint:
        """The first octet of record i; `una` is SND.UNA."""
        return una if i == 0 else self._marks[_MARKS * (self._first + i - 1)]

    @cython.cfunc
    def find(self, seq: cython.uint) -> cython.Py_ssize_t:
        """The record that holds octet `seq`: the first that ends after it; `count` if none does."""
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = self.count
        while low < high:
            middle: cython.Py_ssize_t = (low + high) >> 1
            if seq_gt(self._marks[_MARKS * (self._first + middle)], seq):
                high = middle
            else:
                low = middle + 1
        return low

    @cython.cfunc
    def set_flags(self, i: cython.Py_ssize_t, flags: cython.uint) -> cython.int:
        self._marks[_MARKS * (self._first + i) + 1] = flags
        return 0

    # -- the sequence of records ------------------------------------------------------------

    @cython.cfunc
    def push(
        self,
        end: cython.uint,
        flags: cython.uint,
        now: cython.longlong,
        delivered: cython.longlong,
        delivered_at: cython.longlong,
        first_sent_at: cython.longlong,
    ) -> cython.int:
        """A frame was sent for the first time: everything up to `end` that no record covers. 0."""
        if self._first + self.count == self._room:
            self._make_room()
        at: cython.Py_ssize_t = self._first + self.count
        self._marks[_MARKS * at] = end
        self._marks[_MARKS * at + 1] = flags
        self._times[_TIMES * at] = now
        self._times[_TIMES * at + 1] = delivered
        self._times[_TIMES * at + 2] = delivered_at
        self._times[_TIMES * at + 3] = first_sent_at
        self.count += 1
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def drop(self, n: cython.Py_ssize_t) -> cython.void:
        """The first n records are acknowledged."""
        self._first += n
        self.count -= n
        if self.count == 0:
            self._first = 0

    @cython.cfunc
    def split(self, i: cython.Py_ssize_t, at: cython.uint) -> cython.void:
        """Cut record i in two before octet `at`, which lies inside it."""
        if self._first + self.count == self._room:
            self._make_room()
        k: cython.Py_ssize_t = self._first + self.count
        cut: cython.Py_ssize_t = self._first + i
        w: cython.Py_ssize_t
        while k > cut:
            for w in range(_MARKS):
                self._marks[_MARKS * k + w] = self._marks[_MARKS * (k - 1) + w]
            for w in range(_TIMES):
                self._times[_TIMES * k + w] = self._times[_TIMES * (k - 1) + w]
            k -= 1
        self._marks[_MARKS * cut] = at
        self.count += 1

    @cython.cfunc
    def _make_room(self) -> cython.void:
        """Move the records to the front, where half of the room is free; else double it."""
        room: cython.Py_ssize_t = self._room
        marks: cython.uint[::1] = self._marks
        times: cython.longlong[::1] = self._times
        if 2 * self.count > room:
            room *= 2
            marks = memoryview(array("I", bytes(4 * _MARKS * room)))
            times = memoryview(array("q", bytes(8 * _TIMES * room)))
        k: cython.Py_ssize_t
        for k in range(_MARKS * self.count):
            marks[k] = self._marks[_MARKS * self._first + k]
        for k in range(_TIMES * self.count):
            times[k] = self._times[_TIMES * self._first + k]
        self._room = room
        self._marks = marks
        self._times = times
        self._first = 0

    # -- marks ------------------------------------------------------------------------------

    @cython.cfunc
    def mark_lost(self, i: cython.Py_ssize_t, una: cython.uint) -> cython.uint:
        """Record i, which is in the network, is lost; its octets."""
        start: cython.uint = self.start(i, una)
        length: cython.uint = seq_sub(self.end(i), start)
        self.set_flags(i, self.flags(i) | LOST)
        if self.lost_len == 0 or seq_lt(start, self.lost_at):
            self.lost_at = start
        self.lost_len += length
        return length

    @cython.cfunc
    def mark_sacked(self, i: cython.Py_ssize_t, una: cython.uint, mss: cython.uint) -> cython.uint:
        """Record i has arrived; its octets."""
        length: cython.uint = seq_sub(self.end(i), self.start(i, una))
        flags: cython.uint = self.flags(i)
        if flags & LOST:
            self.lost_len -= length
        self.set_flags(i, (flags | SACKED) & ~LOST & 0xFF)
        self.sacked_len += length
        self.sacked_segments += cython.cast(cython.int, (length + mss - 1) // mss)
        return length

    @cython.cfunc
    def mark_sent(
        self, start: cython.uint, end: cython.uint, una: cython.uint, now: cython.longlong
    ) -> cython.void:
        """start..end was sent again: the records there are in the network once more."""
        i: cython.Py_ssize_t = self.find(start)
        if i < self.count and seq_lt(self.start(i, una), start):
            self.split(i, start)
            i += 1
        while i < self.count and seq_lt(self.start(i, una), end):
            if seq_gt(self.end(i), end):
                self.split(i, end)
            flags: cython.uint = self.flags(i)
            if flags & LOST:
                self.lost_len -= seq_sub(self.end(i), self.start(i, una))
            self.set_flags(i, (flags | AGAIN) & ~LOST & 0xFF)
            self._times[_TIMES * (self._first + i)] = now
            i += 1
        self._queue(start, end, now)

    @cython.cfunc
    def forget_sacks(self, una: cython.uint) -> cython.void:
        """The peer has thrown away what it reported (RFC 2018 8): all of that is lost."""
        i: cython.Py_ssize_t
        for i in range(self.count):
            flags: cython.uint = self.flags(i)
            if flags & SACKED:
                self.set_flags(i, flags & ~SACKED & 0xFF)
                self.mark_lost(i, una)
        self.sacked.clear()
        self.sacked_len = 0
        self.sacked_segments = 0

    @cython.cfunc
    def forget_losses(self, una: cython.uint) -> cython.void:
        """Nothing was lost after all (RFC 4015 3.3): what waits to be sent again is under way, and
        RACK judges it anew."""
        i: cython.Py_ssize_t
        for i in range(self.count):
            flags: cython.uint = self.flags(i)
            if flags & LOST:
                self.set_flags(i, flags & ~LOST & 0xFF)
                if flags & AGAIN:
                    self._queue(self.start(i, una), self.end(i), self.sent_at(i))
        self.lost_len = 0
        self.judged = una

    # -- what was sent again, in the order in which it was ------------------------------------

    @cython.cfunc
    def _queue(self, start: cython.uint, end: cython.uint, now: cython.longlong) -> cython.void:
        k: cython.Py_ssize_t
        if self._again_first + self._again_count == self._again_room:
            again: cython.longlong[::1] = self._again
            if 2 * self._again_count > self._again_room:
                self._again_room *= 2
                again = memoryview(array("q", bytes(8 * _AGAIN * self._again_room)))
            for k in range(_AGAIN * self._again_count):
                again[k] = self._again[_AGAIN * self._again_first + k]
            self._again = again
            self._again_first = 0
        k = _AGAIN * (self._again_first + self._again_count)
        self._again[k] = start
        self._again[k + 1] = end
        self._again[k + 2] = now
        self._again_count += 1

    @cython.cfunc
    def oldest_again(self, una: cython.uint) -> cython.Py_ssize_t:
        """The record of the oldest transmission that was not its first and is still in the network;
        -1 when there is none. Entries that are over are let go of."""
        while self._again_count > 0:
            k: cython.Py_ssize_t = _AGAIN * self._again_first
            start: cython.uint = cython.cast(cython.uint, self._again[k])
            end: cython.uint = cython.cast(cython.uint, self._again[k + 1])
            when: cython.longlong = self._again[k + 2]
            if seq_lt(start, una):
                start = una
            if seq_lt(start, end):
                i: cython.Py_ssize_t = self.find(start)
                while i < self.count and seq_lt(self.start(i, una), end):
                    if self.flags(i) & (SACKED | LOST) == 0 and self.sent_at(i) == when:
                        self._again[k] = self.start(i, una)
                        return i
                    i += 1
            self._again_first += 1
            self._again_count -= 1
        self._again_first = 0
        return -1


@cython.final
@cython.cclass
class News:
    """What one acknowledgement told of deliveries. A stack has one, filled anew for each
    acknowledgement of a connection that has more than one frame in flight."""

    acked: cython.uint  # octets newly acknowledged that had not been SACKed before
    sacked: cython.uint  # octets newly SACKed
    advanced: cython.uint  # how far SND.UNA moved
    repaired: cython.uint  # octets of `acked` that had been sent again
    original: cython.bint  # something sent once only was delivered
    dsack: cython.bint  # the first block reported a duplicate (RFC 2883)
    dsack_start: cython.uint
    dsack_end: cython.uint
    duplicate: cython.bint  # it was a duplicate acknowledgement (RFC 5681 2)
    rtt: cython.longlong  # of the newest segment delivered that was sent once; -1: none
    rtt_most: cython.longlong  # of the oldest of them
    # -- of the newest segment delivered, as it was sent: for the delivery rate; -1: none
    sent_at: cython.longlong
    sent_end: cython.uint
    prior_delivered: cython.longlong
    prior_at: cython.longlong
    prior_sent_at: cython.longlong
    limited: cython.bint

    def __init__(self) -> None:
        self.clear()

    @cython.cfunc
    @cython.exceptval(check=False)
    def clear(self) -> cython.void:
        self.acked = 0
        self.sacked = 0
        self.advanced = 0
        self.repaired = 0
        self.original = False
        self.dsack = False
        self.dsack_start = 0
        self.dsack_end = 0
        self.duplicate = False
        self.rtt = -1
        self.rtt_most = -1
        self.sent_at = -1
        self.sent_end = 0
        self.prior_delivered = 0
        self.prior_at = 0
        self.prior_sent_at = 0
        self.limited = False
