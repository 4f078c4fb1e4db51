"""A link made of Python objects: two pipes back to back, or any callable that takes frames.

`Pipe.pair()` is a wire between two stacks in one process. `Pipe(send=function)` calls `function`
with each frame that the stack sends, or the `send` of an object that has one, and `push(frame)` is
how a frame arrives: so a tunnel, a test or another library's packets become a link. On a link with
Ethernet a frame begins with its header, on a bare one with that of IP: the interface says which.

Rules. `push` may be called from any thread, and from within `send`. What `send` raises goes to the
log, and the frame is lost. Queues are bounded: beyond `limit` a frame is dropped and counted.
A pair that offloads hands checksums and super-segments on undone, as virtio would; a callable gets
complete frames unless it asks for the same.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from cython.cimports.corten.driver.driver import Driver

if not cython.compiled:
    PIPE_FRAMES = 1024  # frames that wait at most, where nothing else is said

log = logging.getLogger("corten")


@cython.cclass
class Pipe(Driver):
    """One end of a link of Python objects."""

    limit: cython.Py_ssize_t
    _send: Callable[[bytes], object] | None  # called with each frame, where there is no other end
    _other: Pipe | None  # the other end
    _wake: Callable[[], object] | None  # called when a frame arrives in an empty queue
    _waiting: deque[tuple[bytes, int, int]]  # frame, flags, gso_size
    _closed: cython.bint

    def __init__(
        self,
        send: Any = None,
        wake: Callable[[], object] | None = None,
        limit: int = PIPE_FRAMES,
        offload: bool = False,
    ) -> None:
        """`send`: a function of each frame, or an object with such a `send`."""
        Driver.__init__(self)
        self.limit = limit
        self.offload_checksum = offload
        self.offload_segmentation = offload
        self._send = getattr(send, "send", send)
        self._other = None
        self._wake = wake
        self._waiting = deque()
        self._closed = False

    @staticmethod
    def pair(limit: int = PIPE_FRAMES, offload: bool = False) -> tuple[Pipe, Pipe]:
        """Both ends of a wire."""
        one = Pipe(limit=limit, offload=offload)
        two = Pipe(limit=limit, offload=offload)
        join(one, two)
        return one, two

    @cython.ccall
    def push(
        self, frame: bytes, flags: cython.longlong = 0, gso_size: cython.longlong = 0
    ) -> cython.bint:
        """A frame arrives; False when the queue is full or closed and it was dropped."""
        if self._closed or len(self._waiting) >= self.limit:
            self.receive_dropped += 1
            return False
        self._waiting.append((frame, flags, gso_size))
        if self._wake is not None and len(self._waiting) == 1:
            self._wake()
        return True

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        taken: cython.Py_ssize_t = 0
        while self._waiting:
            frame, flags, gso_size = self._waiting[0]
            if not batch.append(frame, flags, gso_size):
                break
            self._waiting.popleft()
            taken += 1
        self.received += taken
        return taken

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        taken: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        for i in range(batch.count):
            if self._pass_on(batch, i):
                taken += 1
            else:
                self.transmit_dropped += 1
        self.transmitted += taken
        return taken

    @cython.cfunc
    def _pass_on(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Give frame i to the other end, or to the callable."""
        frame: bytes = batch.frame(i)
        if self._closed:
            return False
        other: Pipe | None = self._other
        if other is not None:
            flags: cython.longlong = CHECKSUM_GOOD if batch.checksum_start[i] else 0
            return other.push(frame, flags, batch.gso_size[i])
        if self._send is None:
            return False
        try:
            self._send(frame)
        except Exception as error:
            log.error("a pipe's %r failed", self._send, exc_info=error)
            return False
        return True

    @cython.ccall
    def waiting(self) -> cython.Py_ssize_t:
        """Frames that have arrived and were not yet received."""
        return len(self._waiting)

    @cython.ccall
    def is_ready(self) -> cython.bint:
        return len(self._waiting) != 0

    def wake_with(self, function: Callable[[], object]) -> None:
        self._wake = function

    def fileno(self) -> int:
        """There is no descriptor: the `wake` callable says when something arrived."""
        return -1

    def close(self) -> None:
        self._closed = True
        self._waiting.clear()
        self._send = None
        self._other = None
        self._wake = None


@cython.ccall
def join(one: Pipe, two: Pipe) -> cython.void:
    """Lay a wire between two pipes: what one sends the other receives."""
    one._other = two
    two._other = one
