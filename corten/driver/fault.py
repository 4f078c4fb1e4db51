"""A driver that wraps a driver and does to its frames what bad networks do, from a seed.

Strategy. Each frame, in each direction, draws its fate once: dropped, doubled, an octet changed,
held back so that others overtake it, or delayed. What is not due waits in a bounded heap ordered by
(time, arrival). Time is an argument: the owner calls `advance(now)` before each breath, and asks
`next_deadline` when to come back. The same seed and the same calls give the same faults.

Rules. Frames are copied here, so nothing is promised to the stack: no offloads. A corrupted frame
loses the flag that vouches for its checksum, so that the stack's own check finds it. What is held
when the wire closes is lost with it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.frame import ReceiveBatch, TransmitBatch
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.driver.wrapper import Wrapper

if not cython.compiled:
    HELD_FRAMES = 4096  # frames that wait in one direction at most; more are dropped
    PART = 1_000_000  # chances are drawn in millionths


@dataclass(frozen=True)
class Faults:
    """What happens to the frames of one direction. Chances are from 0 to 1, times nanoseconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    reorder_ns: int = 2_000_000  # how long a reordered frame is held back
    delay_ns: int = 0
    jitter_ns: int = 0  # added to the delay, evenly from 0 to this

    def __post_init__(self) -> None:
        for name in ("drop", "duplicate", "corrupt", "reorder"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a chance from 0 to 1, not {getattr(self, name)}")
        for name in ("reorder_ns", "delay_ns", "jitter_ns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative: {getattr(self, name)}")


@cython.final
@cython.cclass
class Way:
    """One direction: the faults, what they did, and the frames that are not due yet."""

    _drop: cython.ulonglong
    _duplicate: cython.ulonglong
    _corrupt: cython.ulonglong
    _reorder: cython.ulonglong
    _reorder_ns: cython.longlong
    _delay_ns: cython.longlong
    _jitter_ns: cython.ulonglong
    _chance: Chance
    _held: list
    _arrival: cython.longlong
    dropped: cython.ulonglong
    duplicated: cython.ulonglong
    corrupted: cython.ulonglong
    reordered: cython.ulonglong

    def __init__(self, faults: Faults, chance: Chance) -> None:
        self._drop = round(faults.drop * PART)
        self._duplicate = round(faults.duplicate * PART)
        self._corrupt = round(faults.corrupt * PART)
        self._reorder = round(faults.reorder * PART)
        self._reorder_ns = faults.reorder_ns
        self._delay_ns = faults.delay_ns
        self._jitter_ns = faults.jitter_ns
        self._chance = chance
        self._held = []
        self._arrival = 0
        self.dropped = 0
        self.duplicated = 0
        self.corrupted = 0
        self.reordered = 0

    @cython.cfunc
    def _happens(self, part: cython.ulonglong) -> cython.bint:
        return part != 0 and self._chance.below(PART) < part

    @cython.cfunc
    def put(
        self, now: cython.longlong, frame: bytes, flags: cython.longlong, gso_size: cython.longlong
    ) -> cython.void:
        """Decide what becomes of a frame."""
        if self._happens(self._drop):
            self.dropped += 1
            return
        if self._happens(self._corrupt) and frame:
            self.corrupted += 1
            frame = self._damaged(frame)
            flags = 0
        due: cython.longlong = now + self._delay_ns
        if self._jitter_ns:
            due += self._chance.below(self._jitter_ns + 1)
        if self._happens(self._reorder):
            self.reordered += 1
            due += self._reorder_ns
        self._hold(due, frame, flags, gso_size)
        if self._happens(self._duplicate):
            self.duplicated += 1
            self._hold(due, frame, flags, gso_size)

    @cython.cfunc
    def _damaged(self, frame: bytes) -> bytes:
        """`frame` with one bit of one octet turned over."""
        octets = bytearray(frame)
        at: cython.Py_ssize_t = self._chance.below(len(frame))
        octets[at] ^= 1 << self._chance.below(8)
        return bytes(octets)

    @cython.cfunc
    def _hold(
        self, due: cython.longlong, frame: bytes, flags: cython.longlong, gso_size: cython.longlong
    ) -> cython.void:
        if len(self._held) >= HELD_FRAMES:
            self.dropped += 1
            return
        self._arrival += 1
        heapq.heappush(self._held, (due, self._arrival, frame, flags, gso_size))

    @cython.cfunc
    def next_due(self) -> cython.longlong:
        return self._held[0][0] if self._held else NEVER

    @cython.cfunc
    def is_due(self, now: cython.longlong) -> cython.bint:
        return len(self._held) != 0 and self._held[0][0] <= now

    @cython.cfunc
    def first(self) -> tuple:
        """The frame that is due first: (due, arrival, frame, flags, gso_size)."""
        return self._held[0]

    @cython.cfunc
    def remove_first(self) -> cython.void:
        heapq.heappop(self._held)


@cython.cclass
class Fault(Wrapper):
    """The wrapped driver with faults in each direction."""

    _now: cython.longlong
    _incoming: ReceiveBatch
    _outgoing: TransmitBatch
    receiving: Way
    sending: Way

    def __init__(
        self,
        inner: Driver,
        chance: Chance,
        receiving: Faults | None = None,
        sending: Faults | None = None,
    ) -> None:
        Wrapper.__init__(self, inner)
        self._now = 0
        self._incoming = inner.make_batch()
        self._outgoing = TransmitBatch()
        self.receiving = Way(receiving or Faults(), chance.fork(1))
        self.sending = Way(sending or Faults(), chance.fork(2))

    @cython.ccall
    def mirror(self) -> cython.void:
        self.offload_checksum = False
        self.offload_segmentation = False
        self.has_deadlines = True

    @cython.ccall
    def advance(self, now: cython.longlong) -> cython.void:
        """The time: what is due by then moves in the next `receive` and `transmit`."""
        self._now = now
        self.inner.advance(now)

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        """When the next held frame is due; NEVER when none is held."""
        due: cython.longlong = self.inner.next_deadline()
        due = min(due, self.receiving.next_due())
        return min(due, self.sending.next_due())

    def make_batch(self) -> ReceiveBatch:
        return ReceiveBatch()

    def renew(self, values: dict[str, Any], fds: list[int]) -> None:
        Wrapper.renew(self, values, fds)
        self._incoming = self.inner.make_batch()

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Take in what the wrapped driver has; pass on what is due. Sends what is due as well."""
        self._flush()
        self.inner.receive(self._incoming)
        i: cython.Py_ssize_t
        for i in range(self._incoming.count):
            self.receiving.put(
                self._now,
                self._incoming.frame(i),
                self._incoming.frame_flags[i],
                self._incoming.frame_gso[i],
            )
        self._incoming.clear()
        taken: cython.Py_ssize_t = 0
        while self.receiving.is_due(self._now):
            _, _, frame, flags, gso_size = self.receiving.first()
            if not batch.append(frame, flags, gso_size):
                break
            self.receiving.remove_first()
            taken += 1
        self.received += taken
        return taken

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Draw each frame's fate, then send what is due. A dropped frame counts as taken: a wire
        that loses it does not say so."""
        i: cython.Py_ssize_t
        for i in range(batch.count):
            self.sending.put(self._now, batch.frame(i), 0, 0)
        self.transmitted += batch.count
        self._flush()
        return batch.count

    @cython.cfunc
    def _flush(self) -> cython.void:
        """Pass what is due to the wrapped driver."""
        while self.sending.is_due(self._now):
            _, _, frame, _, _ = self.sending.first()
            if not self._outgoing.append(frame):
                self.inner.transmit(self._outgoing)
                self._outgoing.clear()
                continue
            self.sending.remove_first()
        if self._outgoing.count:
            self.inner.transmit(self._outgoing)
            self._outgoing.clear()
