"""One breath of a stack's worker: what arrived, what is due, the handlers, what they send.

Strategy. The links are drivers with an interface each; everything between a frame's arrival and the
answer's departure happens here, compiled, with the GIL held and no Python object per frame.

Rules. Every link has the same index in every worker of a group, so that a frame handed over by one
is received by the others on the same interface; of a link that was removed since, it is dropped and
counted.
"""

from __future__ import annotations

import time

import cython
from cython.cimports.corten.core.frame import BATCH_FRAMES, ReceiveBatch
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.teaching import learn
from cython.cimports.corten.stack.stack import Stack
from cython.cimports.corten.wire.reason import HAND_OVER_STALE, HANDED_IN
from cython.cimports.corten.worker.exchange import WorkerExchange

if cython.compiled:
    from cython.cimports.cpython.exc import PyErr_CheckSignals

if not cython.compiled:
    BEHIND_MAX = 16  # breaths that may be spent on input before timers have their turn
    HELD_MAX_NS = 20_000_000  # longer no output waits for room on a wire


@cython.final
@cython.cclass
class Wire:
    """A driver, the stack's interface on it, and the burst being received."""

    driver: Driver
    interface: Interface
    incoming: ReceiveBatch

    def __init__(self, driver: Driver, interface: Interface) -> None:
        self.driver = driver
        self.interface = interface
        self.incoming = driver.make_batch()


@cython.final
@cython.cclass
class Breath:
    """What one worker breathes with."""

    now: cython.longlong
    stack: Stack
    wires: list
    exchange: WorkerExchange | None
    breaths: cython.ulonglong
    busy: cython.ulonglong  # breaths in which something arrived
    behind: cython.int  # breaths in a row that left frames waiting
    held_at: cython.longlong  # since when output waits for room; 0: it does not
    unsent: cython.bint  # something is left for the next breath to send

    def __init__(self, stack: Stack, exchange: WorkerExchange | None = None) -> None:
        self.now = 0
        self.stack = stack
        self.wires = []
        self.exchange = exchange
        self.breaths = 0
        self.busy = 0
        self.behind = 0
        self.held_at = 0
        self.unsent = False

    def add_wire(self, driver: Driver, interface: Interface) -> None:
        """Serve one more link."""
        self.wires.append(Wire(driver, interface))

    def wire_of(self, index: int) -> Wire | None:
        """The link with this number, if there is one."""
        return self._find(index)

    def remove_wire(self, interface: Interface) -> Driver:
        """Serve a link no more, its last frames sent; its driver, which is to be closed after this
        breath: frames of the link may be in use until then."""
        wire: Wire | None = self._find(interface.index)
        if wire is None:
            raise KeyError(interface.index)
        self.wires = [other for other in self.wires if other is not wire]
        if wire.interface.outgoing.count:
            wire.driver.transmit(wire.interface.outgoing)
            wire.interface.outgoing.clear()
        return wire.driver

    @cython.cfunc
    def _find(self, index: cython.int) -> Wire | None:
        wire: Wire
        for wire in self.wires:
            if wire.interface.index == index:
                return wire
        return None

    def set_leader(self, leads: bool) -> None:
        """Whether this worker speaks for all workers of its links."""
        self.stack.lead(leads)

    @cython.ccall
    def run(self, most: cython.int) -> cython.bint:
        """Breathe while something arrives, `most` times at most; whether the last one was busy.

        What a signal's own handler raises comes out of here.
        """
        left: cython.int = most
        arrived: cython.bint = True
        while arrived and left > 0:
            left -= 1
            arrived = self.breathe(time.monotonic_ns())
            if cython.compiled:
                PyErr_CheckSignals()
        return arrived

    @cython.ccall
    def spin(self, until: cython.longlong) -> cython.bint:
        """Breathe on while nothing arrives, at the latest until `until`; whether something did."""
        now: cython.longlong = time.monotonic_ns()
        while now < until:
            if self.breathe(now):
                return True
            if cython.compiled:
                PyErr_CheckSignals()
            now = time.monotonic_ns()
        return False

    @cython.ccall
    def breathe(self, now: cython.longlong) -> cython.bint:
        """One breath at the instant `now`; whether anything arrived."""
        self.now = now
        self.breaths += 1
        arrived: cython.Py_ssize_t = self._receive(now)
        if arrived >= BATCH_FRAMES and self.behind < BEHIND_MAX:
            self.behind += 1  # the acknowledgement that stops a timer may be among what waits
        else:
            self.behind = 0
            self.stack.expire(now)
        self.stack.deliver(now)
        self.stack.release(now)
        wire: Wire
        for wire in self.wires:
            wire.incoming.clear()
        self._transmit(now)
        if self.exchange is not None:
            self.exchange.end_breath()
        self.busy += arrived > 0
        return arrived > 0

    @cython.ccall
    def is_ready(self) -> cython.bint:
        """Whether frames wait on any link: asked before sleeping."""
        wire: Wire
        for wire in self.wires:
            if wire.driver.is_ready():
                return True
        return False

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        """When the next breath is due at the latest; NEVER when nothing waits for time."""
        deadline: cython.longlong = self.stack.next_deadline()
        wire: Wire
        for wire in self.wires:
            if wire.driver.has_deadlines:
                deadline = min(deadline, wire.driver.next_deadline())
        return deadline

    @cython.cfunc
    def _receive(self, now: cython.longlong) -> cython.Py_ssize_t:
        """A burst from each link, then what other workers handed over; the largest burst."""
        arrived: cython.Py_ssize_t = 0
        wire: Wire
        for wire in self.wires:
            if wire.driver.has_deadlines:
                wire.driver.advance(now)
            count: cython.Py_ssize_t = wire.driver.receive(wire.incoming)
            if count:
                self.stack.receive(now, wire.interface, wire.incoming)
                arrived = max(arrived, count)
        exchange: WorkerExchange | None = self.exchange
        if exchange is not None and not exchange.is_empty():
            while exchange.take():
                self._handed_in(exchange, now)
            arrived = max(arrived, 1)
        return arrived

    @cython.cfunc
    def _handed_in(self, exchange: WorkerExchange, now: cython.longlong) -> cython.void:
        """A message of another worker: a frame, or what it knows of a link's neighbours."""
        wire: Wire | None = self._find(exchange.interface_index)
        batch: ReceiveBatch = exchange.batch
        if wire is None:
            self.stack.counters.add(HAND_OVER_STALE)
        elif exchange.teaches:
            learn(wire.interface, batch.arena, batch.frame_at[0], batch.frame_len[0], now)
        else:
            if not exchange.is_news:
                self.stack.counters.add(HANDED_IN)
            self.stack.receive(now, wire.interface, batch, exchange.tried)

    @cython.cfunc
    def _transmit(self, now: cython.longlong) -> cython.void:
        """One batch to each link. What is left has its turn after the next look at the input: the
        acknowledgements of more would overflow the queue that they come by."""
        if self._is_held(now):
            self.unsent = True
            return
        self.unsent = self.stack.transmit(now)
        wire: Wire
        for wire in self.wires:
            if wire.interface.outgoing.count:
                wire.driver.transmit(wire.interface.outgoing)
                wire.interface.outgoing.clear()
                # a driver may find out that the wire does not cut super-segments after all
                wire.interface.offload_segmentation = wire.driver.offload_segmentation

    @cython.cfunc
    def _is_held(self, now: cython.longlong) -> cython.bint:
        """Whether output waits: what a full wire refuses is lost, and costs a time-out. A wire that
        stays full has nobody at its other end who reads, and holds up nothing any more."""
        wire: Wire
        for wire in self.wires:
            if wire.driver.congested and wire.driver.is_full():
                if self.held_at == 0:
                    self.held_at = now
                return now - self.held_at < HELD_MAX_NS
        self.held_at = 0
        return False
