"""The timing wheel: when each of a million timers is due, at a cost that does not depend on them.

Strategy (Varghese and Lauck 1987, scheme 7). Time is counted in ticks of 2**20 ns. Level 0 has a
slot for each of 64 ticks, each further level 64 slots of 64 times that; eight levels reach past
2**63 ns, so no deadline is out of range. A timer lies at the level of the highest group of six bits
in which its tick differs from the wheel's: it moves down a level when the wheel enters its slot,
seven times at most, and mostly it is cancelled before. A slot is a doubly linked list of indices;
a level's occupied slots are the bits of one word, so empty time is skipped, not walked.

Within a slot the timers stand in the order in which they were armed; those that are due are sorted
by deadline (a stable merge of the list), so ties keep that order. Equal deadlines are always in the
same slot.

Each slot knows its earliest deadline. At level 0 that is made exact when asked (a timer that left
may have been the earliest: the slot is then `stale` and walked once); above, it may be too early
but lies within the slot, so a worker that sleeps until `next_deadline` wakes early a few times at
most, and never late.

Rules. 29 octets a timer, and the list's slot for its owner. The wheel holds its owners until
`discard`. Nothing is called from here: `advance` hands out owners.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.clock import NEVER

if not cython.compiled:
    TICK_BITS = 20  # a tick is 2**20 ns, about a millisecond
    LEVEL_BITS = 6
    LEVELS = 8
    SLOTS = 512  # 64 a level
    # the fields of a timer in `_links`
    NEXT = 0  # in its slot's list, or in the free list; -1 at the end
    PREVIOUS = 1
    PLACE = 2  # the slot it is in: level * 64 + slot, or one of the following
    LINKS = 3  # fields
    UNARMED = -1
    FREE = -2


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _lowest_bit(word: cython.ulonglong) -> cython.int:
    """The position of the lowest bit set in a word that is not 0."""
    at: cython.int = 0
    half: cython.ulonglong = 0xFFFF_FFFF
    if word & half == 0:
        word >>= 32
        at += 32
    if word & 0xFFFF == 0:
        word >>= 16
        at += 16
    if word & 0xFF == 0:
        word >>= 8
        at += 8
    if word & 0xF == 0:
        word >>= 4
        at += 4
    if word & 3 == 0:
        word >>= 2
        at += 2
    if word & 1 == 0:
        at += 1
    return at


@cython.cfunc
def _copied(view: object, typecode: str, length: cython.Py_ssize_t) -> memoryview:
    """An array of `length` octets that begins with a copy of `view`."""
    grown = array(typecode)
    old = memoryview(view).cast("B")  # type: ignore[arg-type]
    grown.frombytes(old)
    grown.frombytes(bytes(length - old.nbytes))
    return memoryview(grown)


@cython.final
@cython.cclass
class Wheel:
    """Timers that count from `now` (ns, not negative; ValueError)."""

    armed: cython.Py_ssize_t  # timers that have a deadline
    _tick: cython.longlong  # where the wheel stands
    _now: cython.longlong
    _room: cython.Py_ssize_t  # timers that the arrays hold
    _deadlines: cython.longlong[::1]
    _links: cython.int[::1]
    _heads: cython.int[::1]  # of each slot: its list, and its earliest deadline
    _tails: cython.int[::1]
    _earliest: cython.longlong[::1]
    _occupied: cython.ulonglong[::1]  # of each level: the slots that have timers
    _stale: cython.ulonglong  # slots of level 0 whose earliest may have left
    _owners: list
    _free: cython.int
    _free_count: cython.Py_ssize_t

    def __init__(self, now: cython.longlong) -> None:
        if now < 0:
            raise ValueError("time begins at 0")
        self.armed = 0
        self._now = now
        self._tick = now >> TICK_BITS
        self._room = 0
        self._deadlines = memoryview(array("q"))
        self._links = memoryview(array("i"))
        self._heads = memoryview(array("i", [-1] * SLOTS))
        self._tails = memoryview(array("i", [-1] * SLOTS))
        self._earliest = memoryview(array("q", bytes(8 * SLOTS)))
        self._occupied = memoryview(array("Q", bytes(8 * LEVELS)))
        self._stale = 0
        self._owners = []
        self._free = -1
        self._free_count = 0

    def __len__(self) -> int:
        """Timers that were added and not discarded."""
        return len(self._owners) - self._free_count

    # -- timers -----------------------------------------------------------------------------

    @cython.ccall
    def add(self, owner: object) -> cython.int:
        """A new timer, unarmed; its id, which may be one that was discarded."""
        timer: cython.int = self._free
        if timer < 0:
            timer = len(self._owners)
            if timer == self._room:
                self._grow()
            self._owners.append(owner)
        else:
            self._free = self._links[LINKS * timer + NEXT]
            self._free_count -= 1
            self._owners[timer] = owner
        self._links[LINKS * timer + PLACE] = UNARMED
        self._deadlines[timer] = NEVER
        return timer

    @cython.ccall
    def discard(self, timer: cython.int) -> cython.void:
        """Cancel the timer and let go of it and its owner. IndexError when there is none."""
        self.cancel(timer)
        self._owners[timer] = None
        self._links[LINKS * timer + PLACE] = FREE
        self._links[LINKS * timer + NEXT] = self._free
        self._free = timer
        self._free_count += 1

    @cython.ccall
    def arm(self, timer: cython.int, deadline: cython.longlong) -> cython.void:
        """Be due once at `deadline`, instead of any earlier one; NEVER cancels. A deadline that
        has passed is due at the next `advance`. IndexError when there is no such timer."""
        self.cancel(timer)
        if deadline == NEVER:
            return
        self._deadlines[timer] = deadline
        self._link(timer, deadline)
        self.armed += 1

    @cython.ccall
    def cancel(self, timer: cython.int) -> cython.void:
        """Have no deadline any more; nothing happens when it has none. IndexError as above."""
        place: cython.int = self._place(timer)
        if place >= 0:
            self._unlink(timer, place)
            self._deadlines[timer] = NEVER
            self._links[LINKS * timer + PLACE] = UNARMED
            self.armed -= 1

    @cython.ccall
    def deadline(self, timer: cython.int) -> cython.longlong:
        """When it is due; NEVER when it is not armed. IndexError as above."""
        self._place(timer)
        return self._deadlines[timer]

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _place(self, timer: cython.int) -> cython.int:
        """The slot of a timer, or UNARMED."""
        if timer < 0 or timer >= len(self._owners):
            raise IndexError(f"timer {timer} of {len(self._owners)}")
        place: cython.int = self._links[LINKS * timer + PLACE]
        if place == FREE:
            raise IndexError(f"timer {timer} was discarded")
        return place

    @cython.cfunc
    def _grow(self) -> cython.void:
        """Twice the room, 64 timers at first."""
        room: cython.Py_ssize_t = max(64, 2 * self._room)
        self._deadlines = _copied(self._deadlines, "q", 8 * room)
        self._links = _copied(self._links, "i", 4 * LINKS * room)
        self._room = room

    # -- slots ------------------------------------------------------------------------------

    @cython.cfunc
    def _link(self, timer: cython.int, deadline: cython.longlong) -> cython.void:
        """Append a timer to the slot of its deadline, as seen from where the wheel stands."""
        tick: cython.longlong = max(deadline >> TICK_BITS, self._tick)
        level: cython.int = 0
        differing: cython.longlong = (tick ^ self._tick) >> LEVEL_BITS
        while differing != 0:
            level += 1
            differing >>= LEVEL_BITS
        slot: cython.int = cython.cast(cython.int, (tick >> (LEVEL_BITS * level)) & 63)
        place: cython.int = (level << LEVEL_BITS) + slot
        tail: cython.int = self._tails[place]
        if tail < 0:
            one: cython.ulonglong = 1
            self._occupied[level] |= one << slot
            self._heads[place] = timer
            self._earliest[place] = deadline
        else:
            self._links[LINKS * tail + NEXT] = timer
            self._earliest[place] = min(deadline, self._earliest[place])
        self._tails[place] = timer
        self._links[LINKS * timer + NEXT] = -1
        self._links[LINKS * timer + PREVIOUS] = tail
        self._links[LINKS * timer + PLACE] = place

    @cython.cfunc
    def _unlink(self, timer: cython.int, place: cython.int) -> cython.void:
        """Take a timer out of its slot."""
        after: cython.int = self._links[LINKS * timer + NEXT]
        before: cython.int = self._links[LINKS * timer + PREVIOUS]
        if after < 0:
            self._tails[place] = before
        else:
            self._links[LINKS * after + PREVIOUS] = before
        if before >= 0:
            self._links[LINKS * before + NEXT] = after
        else:
            self._heads[place] = after
            if after < 0:
                self._vacate(place)
                return
        if place < 64 and self._deadlines[timer] == self._earliest[place]:
            one: cython.ulonglong = 1
            self._stale |= one << place

    @cython.cfunc
    def _vacate(self, place: cython.int) -> cython.void:
        """A slot has no timers left: forget its list and its bits."""
        one: cython.ulonglong = 1
        bit: cython.ulonglong = one << (place & 63)
        self._heads[place] = -1
        self._tails[place] = -1
        if self._occupied[place >> LEVEL_BITS] & bit:
            self._occupied[place >> LEVEL_BITS] ^= bit
        if place < 64 and self._stale & bit:
            self._stale ^= bit

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _first(self) -> cython.int:
        """The slot that comes first of those that have timers, or -1."""
        level: cython.int
        for level in range(LEVELS):
            if self._occupied[level] != 0:
                return (level << LEVEL_BITS) + _lowest_bit(self._occupied[level])
        return -1

    # -- time -------------------------------------------------------------------------------

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def next_deadline(self) -> cython.longlong:
        """Never later than the earliest deadline, and later than the last `advance` unless that
        has passed; exact when it lies within level 0; NEVER when nothing is armed."""
        place: cython.int = self._first()
        if place < 0:
            return NEVER
        if place < 64 and (self._stale >> place) & 1:
            self._freshen(place)
        return self._earliest[place]

    @cython.cfunc
    def _freshen(self, place: cython.int) -> cython.void:
        """Find a slot's earliest deadline again."""
        earliest: cython.longlong = NEVER
        timer: cython.int = self._heads[place]
        while timer >= 0:
            earliest = min(earliest, self._deadlines[timer])
            timer = self._links[LINKS * timer + NEXT]
        self._earliest[place] = earliest
        one: cython.ulonglong = 1
        if self._stale & (one << place):
            self._stale ^= one << place

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def advance(self, now: cython.longlong, due: list) -> cython.Py_ssize_t:
        """Time is `now`: append the owners of all timers due by then to `due`, by deadline, ties
        as they were armed; how many. They are unarmed. Time does not go back: an earlier `now`
        counts as the last one."""
        self._now = max(now, self._now)
        target: cython.longlong = self._now >> TICK_BITS
        before: cython.Py_ssize_t = self.armed
        place: cython.int = self._first()
        while place >= 0:
            start: cython.longlong = self._start(place)
            if start > target:
                break
            self._tick = start
            if place >= 64:
                self._refile(place)
            else:
                self._expire(place, due)
                if start == target:
                    break
            place = self._first()
        self._tick = target
        return before - self.armed

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _start(self, place: cython.int) -> cython.longlong:
        """The tick at which an occupied slot begins."""
        shift: cython.int = LEVEL_BITS * (place >> LEVEL_BITS)
        above: cython.int = shift + LEVEL_BITS
        slot: cython.longlong = place & 63
        return ((self._tick >> above) << above) + (slot << shift)

    @cython.cfunc
    def _refile(self, place: cython.int) -> cython.void:
        """The wheel has entered a slot above level 0: its timers move down, in their order."""
        timer: cython.int = self._heads[place]
        self._vacate(place)
        while timer >= 0:
            after: cython.int = self._links[LINKS * timer + NEXT]
            self._link(timer, self._deadlines[timer])
            timer = after

    @cython.cfunc
    def _expire(self, place: cython.int, due: list) -> cython.void:
        """Hand out what is due of a slot of level 0, sorted."""
        if (self._stale >> place) & 1:
            self._freshen(place)
        if self._earliest[place] > self._now:
            return
        head: cython.int = -1  # of those that are due
        tail: cython.int = -1
        sorted_already: cython.bint = True
        timer: cython.int = self._heads[place]
        while timer >= 0:
            after: cython.int = self._links[LINKS * timer + NEXT]
            if self._deadlines[timer] <= self._now:
                self._unlink(timer, place)
                if tail < 0:
                    head = timer
                else:
                    self._links[LINKS * tail + NEXT] = timer
                    if self._deadlines[timer] < self._deadlines[tail]:
                        sorted_already = False
                tail = timer
                self._links[LINKS * timer + NEXT] = -1
            timer = after
        if not sorted_already:
            head = self._sorted(head)
        while head >= 0:
            due.append(self._owners[head])
            self._deadlines[head] = NEVER
            self._links[LINKS * head + PLACE] = UNARMED
            self.armed -= 1
            head = self._links[LINKS * head + NEXT]

    @cython.cfunc
    def _sorted(self, head: cython.int) -> cython.int:
        """Sort a list by deadline, stably: merge runs of 1, 2, 4 … until one is left."""
        run: cython.Py_ssize_t = 1
        merges: cython.Py_ssize_t = 2
        while merges > 1:
            merges = 0
            left: cython.int = head
            tail: cython.int = -1
            while left >= 0:
                merges += 1
                right: cython.int = left
                left_len: cython.Py_ssize_t = 0
                while left_len < run and right >= 0:
                    left_len += 1
                    right = self._links[LINKS * right + NEXT]
                right_len: cython.Py_ssize_t = run
                while left_len > 0 or (right_len > 0 and right >= 0):
                    taken: cython.int
                    if left_len > 0 and (
                        right_len == 0
                        or right < 0
                        or self._deadlines[left] <= self._deadlines[right]
                    ):
                        taken = left
                        left = self._links[LINKS * left + NEXT]
                        left_len -= 1
                    else:
                        taken = right
                        right = self._links[LINKS * right + NEXT]
                        right_len -= 1
                    if tail < 0:
                        head = taken
                    else:
                        self._links[LINKS * tail + NEXT] = taken
                    tail = taken
                left = right
            self._links[LINKS * tail + NEXT] = -1
            run *= 2
        return head
