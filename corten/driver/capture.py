"""A driver that wraps a driver and records its frames, with what became of them (pcapng).

Strategy. A frame that is sent is written before it goes. One that is received waits, copied, until
the stack has said what it thinks of it, which is in the batch's `reasons` when the driver is next
called: the breath that received it is over then. A frame that the stack dropped has the reason as
its comment. Checksums that the link leaves undone are completed in the record.

Rules. A recorded link works as before: what cannot be written is given up, as
`corten.driver.recording` says, and nothing here raises. Around a wire with faults the record is
what the stack has seen and sent. A frame that another worker handed over is in the record of the
one that received it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.driver.wrapper import Wrapper

from corten.driver.recording import LIMIT, Recording
from corten.wire.completion import completed
from corten.wire.pcapng import ETHERNET, INBOUND, OUTBOUND, RAW, packet
from corten.wire.reason import ACCEPTED, FRAGMENT_HELD, HANDED_OVER, PROSE, counter_names

_NAMES = counter_names()
_NO_DROPS = (FRAGMENT_HELD, HANDED_OVER)


@cython.cclass
class Capture(Wrapper):
    """The wrapped driver, recorded to `file`: a path, or an open binary file."""

    _recording: Any
    _clock: Callable[[], int]
    _ethernet: cython.bint
    _batch: ReceiveBatch | None  # whose frames from `_first` on wait for their reasons
    _first: cython.Py_ssize_t
    _time_ns: cython.longlong  # when they came
    _waiting: list[bytes]

    def __init__(
        self,
        inner: Driver,
        file: Any,
        ethernet: bool = True,
        name: str = "",
        limit: int = LIMIT,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`ethernet`: whether frames have its header, or are bare IP packets. `limit`: of the
        file's octets, with its predecessor's. `clock`: nanoseconds since 1970."""
        Wrapper.__init__(self, inner)
        self._recording = Recording(file, ETHERNET if ethernet else RAW, name, limit)
        self._clock = clock
        self._ethernet = ethernet
        self._batch = None
        self._first = 0
        self._time_ns = 0
        self._waiting = []

    def make_batch(self) -> ReceiveBatch:
        batch = self.inner.make_batch()
        batch.ask_reasons()
        return batch

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        self.settle()
        first: cython.Py_ssize_t = batch.count
        taken: cython.Py_ssize_t = self.inner.receive(batch)
        if batch.count > first:
            self._hold(batch, first)
        self.received += taken
        self.receive_dropped = self.inner.receive_dropped
        return taken

    @cython.cfunc
    def _hold(self, batch: ReceiveBatch, first: cython.Py_ssize_t) -> cython.void:
        """Keep what has come until its reasons are known."""
        self._batch = batch
        self._first = first
        self._time_ns = self._clock()
        i: cython.Py_ssize_t
        for i in range(first, batch.count):
            frame: bytes = batch.frame(i)
            if batch.frame_flags[i] & CHECKSUM_GOOD:
                frame = completed(frame, self._ethernet)
            self._waiting.append(frame)
            if batch.reasons is not None:
                batch.reasons[i] = ACCEPTED

    @cython.ccall
    def settle(self) -> cython.void:
        """Write what was received and has been dealt with."""
        batch: ReceiveBatch | None = self._batch
        if batch is None:
            return
        self._batch = None
        reasons: list = batch.reasons or []
        blocks: list = []
        i: cython.Py_ssize_t = self._first
        for frame in self._waiting:
            reason = reasons[i] if i < len(reasons) else ACCEPTED
            blocks.append(packet(self._time_ns, frame, INBOUND, remark(reason)))
            i += 1
        self._waiting.clear()
        self._recording.write(blocks)

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        self.settle()
        now: cython.longlong = self._clock()
        blocks: list = []
        i: cython.Py_ssize_t
        for i in range(batch.count):
            frame: bytes = batch.frame(i)
            if batch.checksum_start[i]:
                frame = completed(frame, self._ethernet)
            blocks.append(packet(now, frame, OUTBOUND))
        self._recording.write(blocks)
        taken: cython.Py_ssize_t = self.inner.transmit(batch)
        self.transmitted += taken
        self.transmit_dropped = self.inner.transmit_dropped
        self.mirror()  # a wire may find out that it does not cut super-segments after all
        return taken

    def close(self) -> None:
        self.settle()
        self.inner.close()
        self._recording.close()


def remark(reason: int) -> str:
    """The comment of a received frame: why it went no further, "" for one that did."""
    if reason == ACCEPTED or not 0 <= reason < len(_NAMES):
        return ""
    name = _NAMES[reason]
    prose = PROSE.get(name.upper(), "")
    return f"{name}: {prose}" if reason in _NO_DROPS else f"dropped: {name}: {prose}"
