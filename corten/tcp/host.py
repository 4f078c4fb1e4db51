"""The TCP of one host: what its connections share. Tables, the wheel, settings, work due.

It finds the connection of a segment, registers and removes connections, and keeps the list of
those that have something to do before the breath ends. It has no protocol behaviour.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.arena import Memory, read
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.core.table import FlowTable
from cython.cimports.corten.core.wheel import Wheel
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.ip.route import RouteTable
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.flight import Flight, News
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.sample import AckSample
from cython.cimports.corten.tcp.state import CLOSED, EVENT_CLOSE
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait import TimeWait
from cython.cimports.corten.wire.reason import (
    CONNECTIONS_CLOSED,
    CONNECTIONS_RESET,
    CONNECTIONS_TIMED_OUT,
)
from cython.cimports.corten.wire.tcp import Segment

if not cython.compiled:
    TIME_WAIT_IDS = 0x4000_0000  # table values from here are TIME_WAITs
    RETAINED_LEN = 1024  # received octets kept in pieces under this are put together
    FLIGHTS_MAX = 64  # kept for the next connection
    SLICES_MAX = 4096  # ranges of received frames that wait for their handlers


@cython.final
@cython.cclass
class TcpHost:
    """What all connections of one stack share."""

    now: cython.longlong  # the breath's instant
    is_breathing: cython.bint  # one is under way: `now` stands until it has sent
    clock: Any  # tells the time between breaths; None: nobody calls then
    config: Config
    counters: Counters
    chance: Chance
    routes: RouteTable
    exchange: Exchange
    loop: Any  # what connections call their worker
    wheel: Wheel
    table: FlowTable
    flow_key: Siphash
    secret: Siphash
    connections: list  # Tcb by id
    free_ids: list
    live: cython.Py_ssize_t
    granted: cython.Py_ssize_t  # octets by which buffers have grown, of all connections
    cookies: Any  # SynCookies, once there was need
    half_open: dict  # id -> Tcb in SYN_RECEIVED, oldest first
    listeners: dict  # port -> list of Listener
    time_waits: list  # TimeWait by id
    time_wait_free: list
    time_wait_queue: Any  # deque of TimeWait, earliest first
    time_wait_live: cython.Py_ssize_t
    acks_owed: list  # TimeWaits that have something to acknowledge
    resets_owed: list  # RSTs that found no room: what `emit_reset` takes
    failed_controls: list  # users' congestion controls that raised in this breath
    sample: AckSample  # of the acknowledgement in hand
    news: News  # what it delivered
    spare_flights: list  # of Flight: records for the next connection that needs some
    found_time_wait: TimeWait | None  # beside a `find` that returned None
    active: list  # Tcbs with events or output due
    slice_memory: list
    slice_at: cython.longlong[::1]
    slice_len: cython.longlong[::1]
    slice_next: cython.longlong[::1]
    slices: cython.Py_ssize_t

    def __init__(
        self,
        config: Config,
        counters: Counters,
        chance: Chance,
        routes: RouteTable,
        exchange: Exchange,
        secret: bytes,
        wheel: Wheel,
    ) -> None:
        if len(secret) < 32:
            raise ValueError("the secret needs 32 octets")
        self.now = 0
        self.is_breathing = False
        self.clock = None
        self.config = config
        self.counters = counters
        self.chance = chance
        self.routes = routes
        self.exchange = exchange
        self.loop = None
        self.wheel = wheel
        self.table = FlowTable(1024)
        self.flow_key = Siphash(secret[:16])
        self.secret = Siphash(secret[16:32])
        routes.set_label_key(self.secret)
        self.connections = []
        self.free_ids = []
        self.live = 0
        self.granted = 0
        self.cookies = None
        self.half_open = {}
        self.listeners = {}
        self.time_waits = []
        self.time_wait_free = []
        self.time_wait_queue = deque()
        self.time_wait_live = 0
        self.acks_owed = []
        self.resets_owed = []
        self.failed_controls = []
        self.sample = AckSample()
        self.news = News()
        self.spare_flights = []
        self.found_time_wait = None
        self.active = []
        self.slice_memory = [None] * SLICES_MAX
        self.slice_at = memoryview(array("q", bytes(8 * SLICES_MAX)))
        self.slice_len = memoryview(array("q", bytes(8 * SLICES_MAX)))
        self.slice_next = memoryview(array("q", bytes(8 * SLICES_MAX)))
        self.slices = 0

    def start(self, now: int, loop: object, clock: Callable[[], int] | None = None) -> None:
        """The loop that connections belong to, the clock's first instant, and the clock."""
        self.now = now
        self.clock = clock
        self.loop = loop

    @cython.ccall
    def moment(self) -> cython.longlong:
        """The time, for what may be called between breaths too: `now` is then that of the last."""
        if not self.is_breathing and self.clock is not None:
            self.now = max(self.now, cython.cast(cython.longlong, self.clock()))
        return self.now

    # -- finding ----------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def hash_of(self, seg: Segment) -> cython.ulonglong:
        """The keyed hash of a segment's flow: the same on every worker of a group."""
        ports: cython.ulonglong = seg.remote_port
        return self.flow_key.flow(
            seg.remote_high,
            seg.remote_low,
            seg.local_high,
            seg.local_low,
            (ports << 16) | seg.local_port,
        )

    @cython.cfunc
    def hash_path(
        self, path: Path, local_port: cython.uint, remote_port: cython.uint
    ) -> cython.ulonglong:
        """The hash of a flow that is to be opened."""
        ports: cython.ulonglong = remote_port
        return self.flow_key.flow(
            path.remote_high,
            path.remote_low,
            path.local_high,
            path.local_low,
            (ports << 16) | local_port,
        )

    @cython.cfunc
    def in_use(
        self,
        path: Path,
        local_port: cython.uint,
        remote_port: cython.uint,
        flow_hash: cython.ulonglong,
    ) -> cython.bint:
        """Whether these sockets are connected, or in TIME-WAIT."""
        position: cython.longlong = self.table.first(flow_hash)
        while position >= 0:
            value: cython.int = self.table.value_at(position)
            if value >= TIME_WAIT_IDS:
                return True
            tcb: Tcb = cython.cast(Tcb, self.connections[value])
            if (
                tcb.path.remote_low == path.remote_low
                and tcb.path.remote_high == path.remote_high
                and tcb.path.local_low == path.local_low
                and tcb.path.local_high == path.local_high
                and tcb.remote_port == remote_port
                and tcb.local_port == local_port
            ):
                return True
            position = self.table.next(flow_hash, position)
        return False

    @cython.cfunc
    def find(self, seg: Segment, flow_hash: cython.ulonglong) -> Tcb | None:
        """The connection of a segment. None otherwise; then `found_time_wait` may hold one that
        has ended."""
        self.found_time_wait = None
        position: cython.longlong = self.table.first(flow_hash)
        while position >= 0:
            value: cython.int = self.table.value_at(position)
            if value < TIME_WAIT_IDS:
                tcb: Tcb = cython.cast(Tcb, self.connections[value])
                if (
                    tcb.remote_port == seg.remote_port
                    and tcb.local_port == seg.local_port
                    and tcb.path.remote_low == seg.remote_low
                    and tcb.path.local_low == seg.local_low
                    and tcb.path.remote_high == seg.remote_high
                    and tcb.path.local_high == seg.local_high
                ):
                    return tcb
            else:
                ended: TimeWait = self.time_waits[value - TIME_WAIT_IDS]
                if ended.matches(seg):
                    self.found_time_wait = ended
                    return None
            position = self.table.next(flow_hash, position)
        return None

    @cython.cfunc
    def find_listener(self, seg: Segment) -> Listener | None:
        """Who listens for this segment's destination: an exact address before any."""
        candidates = self.listeners.get(seg.local_port)
        if candidates is None:
            return None
        anybody: Listener | None = None
        listener: Listener
        for listener in candidates:
            if listener.any_address:
                anybody = listener
            elif listener.address_low == seg.local_low and listener.address_high == seg.local_high:
                return listener
        return anybody

    def forget_listener(self, listener: Listener) -> None:
        """Take a listener off its port."""
        at_port = self.listeners.get(listener.port, [])
        if listener in at_port:
            at_port.remove(listener)
        if not at_port:
            self.listeners.pop(listener.port, None)

    # -- registering ------------------------------------------------------------------------

    @cython.cfunc
    def register(self, tcb: Tcb) -> cython.void:
        """Give a new connection its id, its timer and its place in the table."""
        if self.free_ids:
            tcb.id = self.free_ids.pop()
            self.connections[tcb.id] = tcb
        else:
            tcb.id = len(self.connections)
            self.connections.append(tcb)
        tcb.timer = self.wheel.add(tcb)
        self.table.insert(tcb.hash, tcb.id)
        self.exchange.opened(tcb.hash)
        self.live += 1

    @cython.cfunc
    def remove(self, tcb: Tcb) -> cython.void:
        """Forget a connection's id, timer and place. What it still has to say is in `active`."""
        if tcb.timer < 0:
            return
        self.table.remove(tcb.hash, tcb.id)
        self.exchange.closed(tcb.hash)
        self.connections[tcb.id] = None
        self.free_ids.append(tcb.id)
        self.half_open.pop(tcb.id, None)
        self.wheel.discard(tcb.timer)
        tcb.timer = -1
        self.live -= 1
        self.granted -= tcb.rcv_buf - tcb.config.receive_buffer
        self.granted -= tcb.snd_buf - tcb.config.send_high_water

    @cython.cfunc
    def finish(self, tcb: Tcb, error: object) -> cython.void:
        """The connection is over: CLOSED, its memory released, `on_close(error)` due."""
        if tcb.state == CLOSED:
            return
        tcb.state = CLOSED
        self.remove(tcb)
        release_send(tcb)
        if error is not None:
            release_receive(tcb)  # what came in order before an orderly end is still delivered
        tcb.error = error
        if error is None:
            self.counters.add(CONNECTIONS_CLOSED)
        elif isinstance(error, ConnectionError):
            self.counters.add(CONNECTIONS_RESET)
        else:
            self.counters.add(CONNECTIONS_TIMED_OUT)  # nothing came through
        tcb.events |= EVENT_CLOSE
        self.mark(tcb)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def mark(self, tcb: Tcb) -> cython.int:
        """The connection has something to do before this breath ends."""
        if not tcb.active:
            tcb.active = True
            self.active.append(tcb)
        return 0

    @cython.cfunc
    def spare_flight(self, tcb: Tcb) -> cython.void:
        """Nothing is in flight: its records may serve another connection."""
        flight: Flight | None = tcb.flight
        tcb.flight = None
        if flight is not None and flight.may_pool() and len(self.spare_flights) < FLIGHTS_MAX:
            self.spare_flights.append(flight)

    # -- slices of this breath's frames -----------------------------------------------------

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def add_slice(
        self, tcb: Tcb, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.int:
        """Octets received in order, where they lie: the handler's until the breath ends."""
        i: cython.Py_ssize_t = self.slices
        if i >= SLICES_MAX:
            self.retain(tcb)
            retain_octets(tcb, read(memory, at, length))
            return 0
        self.slices = i + 1
        self.slice_memory[i] = memory
        self.slice_at[i] = at
        self.slice_len[i] = length
        self.slice_next[i] = -1
        if tcb.first_slice < 0:
            tcb.first_slice = cython.cast(cython.int, i)
        else:
            self.slice_next[tcb.last_slice] = i
        tcb.last_slice = cython.cast(cython.int, i)
        tcb.slices_len += length
        return 0

    @cython.cfunc
    def retain(self, tcb: Tcb) -> cython.void:
        """Copy what lies in frames of this breath: they are about to be reused."""
        i: cython.longlong = tcb.first_slice
        while i >= 0:
            memory: Memory = self.slice_memory[i]
            retain_octets(tcb, read(memory, self.slice_at[i], self.slice_len[i]))
            i = self.slice_next[i]
        tcb.first_slice = -1
        tcb.last_slice = -1
        tcb.slices_len = 0

    @cython.cfunc
    def release_slices(self) -> cython.void:
        """The breath is over: nobody refers to its frames any more."""
        i: cython.Py_ssize_t
        for i in range(self.slices):
            self.slice_memory[i] = None
        self.slices = 0


@cython.cfunc
def retain_octets(tcb: Tcb, octets: bytes) -> cython.void:
    """Keep received octets beyond the breath. Small ones are put together: what they are charged
    to the receive buffer is then near what they cost."""
    if tcb.retained is None:
        tcb.retained = []
    tcb.retained_len += len(octets)
    if tcb.retained:
        last: bytes = tcb.retained[len(tcb.retained) - 1]
        if len(last) + len(octets) <= RETAINED_LEN:
            tcb.retained[len(tcb.retained) - 1] = last + octets
            return
    tcb.retained.append(octets)


@cython.cfunc
def release_send(tcb: Tcb) -> cython.void:
    """Let go of what was to be sent, link by link: recursion over a long chain ends the C stack."""
    piece: Piece | None = tcb.first_piece
    tcb.first_piece = tcb.last_piece = tcb.next_piece = None
    while piece is not None:
        following: Piece | None = piece.next
        piece.next = None
        piece = following
    tcb.first_offset = tcb.next_offset = 0
    tcb.flight = None


@cython.cfunc
def release_receive(tcb: Tcb) -> cython.void:
    """Let go of what was received and not read."""
    tcb.reassembly = None
    tcb.duplicates = None
    tcb.retained = None
    tcb.retained_len = tcb.retained_at = 0
    tcb.first_slice = tcb.last_slice = -1
    tcb.slices_len = 0
