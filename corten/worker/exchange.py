"""Hand-over between workers: a segment goes to the worker that owns its connection.

Why. The wire spreads flows over the queues, and sometimes otherwise than the connections lie: after
a pause, for fragments, for replies to connections that a worker opened. A segment that matches
nothing here is looked up in the other workers' presence filters and put into the ring of whoever
may own it; only when nobody does may it be answered with RST. What would begin a connection goes
back to whom the wire gave it: a filter that was wrong must not decide where a flow lives, for all
that follows would have to be handed over too. The fragments of a datagram go to the worker that
their hash says, and so meet, unless the wire makes them meet. ARP news goes to every worker of the
group, so that each resolves from one answer, and a worker that has just begun is told all that
another knows of its neighbours.

Rules. One ring for each ordered pair, one writer and one reader each; a full ring drops and counts,
as a wire would. A message carries the workers that have looked at it already (`tried`), so nothing
goes in circles, and the one that got it from the wire (`first`). A worker is woken by its eventfd
once at the end of the breath, not per message. HANDED_OUT and HANDED_IN count frames and not news:
over FRAMES_IN, which counts a frame where it arrived, they are the share that the wire misdirected.
"""

from __future__ import annotations

import os

import cython
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.frame import FRAME_LEN_MAX, ReceiveBatch
from cython.cimports.corten.core.presence import Presence
from cython.cimports.corten.core.ring import ByteRing
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.wire.reason import HAND_OVER_FULL, HANDED_OUT

from corten.worker.shared import SharedMemory

if not cython.compiled:
    WORKERS_MAX = 64  # of one group: `tried` has a bit for each, `first` six bits
    # the low octet of a message's kind: a frame's flags, NEWS, and `first` above them; of news,
    # which has no `first`, whether it is a frame
    FLAGS_MASK = 1
    NEWS = 2
    FIRST_SHIFT = 2
    TEACHES = 6  # NEWS that is no frame: see `corten.ip.teaching`

_ONE: cython.ulonglong = 1
_EVERYBODY: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF


@cython.cclass
class WorkerExchange(Exchange):
    """One worker's side of the exchange with its fellows."""

    counters: Counters
    batch: ReceiveBatch  # holds the last message taken; its arena lasts until `end_breath`
    interface_index: cython.int  # of the last message taken
    tried: cython.ulonglong  # of the last message taken
    first: cython.int  # who got it from the wire
    is_news: cython.bint  # for everybody, and no frame of anybody's flow
    teaches: cython.bint  # the last message taken is no frame
    _mine: Presence
    _presences: list  # by worker
    _outward: list  # ByteRing by worker; our own place is unused
    _inward: list
    _wakes: list  # eventfds by worker
    _to_wake: cython.ulonglong
    _next: cython.int  # whose ring is read first: everyone has a turn

    def __init__(
        self, shared: SharedMemory, index: int, wakes: list[int], counters: Counters
    ) -> None:
        if shared.workers > WORKERS_MAX:
            raise ValueError(f"at most {WORKERS_MAX} workers share links, not {shared.workers}")
        Exchange.__init__(self)
        self.index = index
        self.workers = shared.workers
        self.counters = counters
        self.batch = ReceiveBatch()
        self.interface_index = 0
        self.tried = 0
        self.first = index
        self.is_news = False
        self.teaches = False
        self._presences = [Presence(shared.presence(i)) for i in range(shared.workers)]
        self._mine = self._presences[index]
        self._outward = [ByteRing(shared.ring(index, i)) for i in range(shared.workers)]
        self._inward = [ByteRing(shared.ring(i, index)) for i in range(shared.workers)]
        self._wakes = list(wakes)
        self._to_wake = 0
        self._next = 0

    def clear(self) -> None:
        """A dead worker's successor begins: none of its flows lives on."""
        self._mine.clear()

    # -- what the stack tells ---------------------------------------------------------------

    @cython.cfunc
    def opened(self, flow_hash: cython.ulonglong) -> cython.void:
        self._mine.opened(flow_hash)

    @cython.cfunc
    def closed(self, flow_hash: cython.ulonglong) -> cython.void:
        self._mine.closed(flow_hash)

    @cython.ccall
    def is_elsewhere(self, flow_hash: cython.ulonglong) -> cython.bint:
        """Ask the others' filters: a false yes costs the caller another port."""
        i: cython.int
        for i in range(self.workers):
            if i != self.index:
                presence: Presence = self._presences[i]
                if presence.may_own(flow_hash):
                    return True
        return False

    @cython.cfunc
    def offer(
        self,
        flow_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """Put the frame into the ring of the first worker that may own its flow. True as well where
        that ring is full: the frame is lost as on a wire, it is nobody's to refuse."""
        turn: cython.int
        first: cython.int = self.index if tried == 0 else self.first
        tried |= _ONE << self.index
        for turn in range(1, self.workers):
            i: cython.int = (self.index + turn) % self.workers  # not always the same one's trouble
            if tried & (_ONE << i):
                continue
            presence: Presence = self._presences[i]
            if presence.may_own(flow_hash):
                low: cython.uint = self._low(flags, first)
                self._put(i, memory, at, length, low, gso_size, interface_index, tried)
                return True
        return False

    @cython.cfunc
    def give_back(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """Tried by everybody: it is its own from here on."""
        if tried == 0 or tried == _EVERYBODY or self.first == self.index:
            return False
        low: cython.uint = self._low(flags, self.first)
        self._put(self.first, memory, at, length, low, gso_size, interface_index, _EVERYBODY)
        return True

    @cython.cfunc
    def pass_on(
        self,
        flow_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """The flow's hash says which of those that have not looked yet is the first to be asked:
        a SYN that comes again finds the same one. It counts as received there."""
        tried |= _ONE << self.index
        workers: cython.ulonglong = self.workers
        begin: cython.int = cython.cast(cython.int, flow_hash % workers)
        turn: cython.int
        for turn in range(self.workers):
            i: cython.int = (begin + turn) % self.workers
            if tried & (_ONE << i) == 0:
                low: cython.uint = self._low(flags, i)
                self._put(i, memory, at, length, low, gso_size, interface_index, tried)
                return True
        return False

    @cython.cfunc
    @cython.exceptval(check=False)
    def _low(self, flags: cython.longlong, first: cython.int) -> cython.uint:
        """The low octet of a message's kind."""
        return cython.cast(cython.uint, (flags & FLAGS_MASK) | (first << FIRST_SHIFT))

    @cython.cfunc
    def gather(
        self,
        datagram_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        interface_index: cython.int,
    ) -> cython.bint:
        """Fragments of one datagram reach any queue: their ports stand in the first of them only.
        The same hash on every worker makes them meet; nobody passes one on that was handed over."""
        workers: cython.ulonglong = self.workers
        target: cython.int = cython.cast(cython.int, datagram_hash % workers)
        if target == self.index:
            return False
        low: cython.uint = self._low(0, self.index)
        self._put(target, memory, at, length, low, 0, interface_index, _ONE << self.index)
        return True

    @cython.cfunc
    def neighbour(
        self,
        interface_index: cython.int,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
    ) -> cython.void:
        """Tell every other worker; that it was tried by everybody says not to tell it on."""
        i: cython.int
        for i in range(self.workers):
            if i != self.index:
                self._put(i, memory, at, length, NEWS, 0, interface_index, _EVERYBODY)

    def relay(self, interface_index: int, frame: bytes) -> None:
        """As `neighbour`, for a frame that was made here."""
        self.neighbour(interface_index, Memory(frame), 0, len(frame))

    def teach(self, target: int, interface_index: int, message: bytes) -> None:
        """Tell one worker what `corten.ip.teaching` has written."""
        memory: Memory = Memory(message)
        self._put(target, memory, 0, memory.size, TEACHES, 0, interface_index, _EVERYBODY)

    @cython.cfunc
    def _put(
        self,
        target: cython.int,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        low: cython.uint,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.void:
        """`kind` holds what is known of the frame: gso_size, the interface and `low`."""
        ring: ByteRing = self._outward[target]
        kind: cython.uint = (
            (cython.cast(cython.uint, gso_size & 0xFFFF) << 16)
            | (cython.cast(cython.uint, interface_index & 0xFF) << 8)
            | low
        )
        if ring.put(kind, tried, memory, at, length):
            self._to_wake |= _ONE << target
            if low & NEWS == 0:
                self.counters.add(HANDED_OUT)
        else:
            self.counters.add(HAND_OVER_FULL)

    # -- what the worker does ---------------------------------------------------------------

    @cython.ccall
    def is_empty(self) -> cython.bint:
        """Whether no message waits for this worker."""
        i: cython.int
        for i in range(self.workers):
            ring: ByteRing = self._inward[i]
            if i != self.index and not ring.is_empty():
                return False
        return True

    @cython.ccall
    def take(self) -> cython.bint:
        """Take one message: a batch of one frame, with its `interface_index` and `tried`. False
        when none waits, or the arena is full until the end of the breath."""
        turn: cython.int
        for turn in range(self.workers):
            i: cython.int = (self._next + turn) % self.workers
            if i != self.index and self._take_from(self._inward[i]):
                self._next = (i + 1) % self.workers
                return True
        return False

    @cython.cfunc
    def _take_from(self, ring: ByteRing) -> cython.bint:
        batch: ReceiveBatch = self.batch
        batch.count = 0
        if not batch.has_room(FRAME_LEN_MAX):
            return False
        length: cython.Py_ssize_t = ring.get(batch.arena, batch.used, FRAME_LEN_MAX)
        if length < 0:
            return False
        kind: cython.uint = ring.kind
        self.interface_index = cython.cast(cython.int, (kind >> 8) & 0xFF)
        self.tried = ring.tag
        self.is_news = kind & NEWS != 0
        self.teaches = kind & 0xFF == TEACHES
        self.first = cython.cast(cython.int, (kind & 0xFF) >> FIRST_SHIFT)
        if self.is_news or self.first >= self.workers:  # nobody's word but the other side's
            self.first = self.index
        batch.push(batch.used, length, kind & FLAGS_MASK, kind >> 16)
        return True

    @cython.ccall
    def end_breath(self) -> cython.void:
        """Received frames may be reused; wake those who have something to take."""
        self.batch.clear()
        if self._to_wake == 0:
            return
        i: cython.int
        for i in range(self.workers):
            if self._to_wake & (_ONE << i):
                _wake(self._wakes[i])
        self._to_wake = 0


@cython.cfunc
def _wake(fd: cython.int) -> cython.void:
    try:
        os.eventfd_write(fd, 1)
    except BlockingIOError:  # silent: its count is full, it is awake enough
        return
