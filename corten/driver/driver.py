"""A link as the worker sees it: frames in, frames out, one descriptor to wait on.

One interface for every wire, so that the same stack runs on all of them. A driver is made with its
queue's descriptor already open (the supervisor owns devices and queues), and knows no protocol.

Rules. `receive` and `transmit` never block. A frame that the wire refuses is dropped and counted,
as a NIC's queue would drop it: TCP repairs it. What a peer can write (rings, indices, lengths) is
hostile: read once, checked, then used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.frame import ReceiveBatch, TransmitBatch


@cython.cclass
class Driver:
    """One queue of one link. Attributes are set by the implementation before first use."""

    offload_checksum: cython.bint  # transmit completes checksums (`TransmitBatch.needs_checksum`)
    offload_segmentation: cython.bint  # transmit cuts super-segments (`needs_segmentation`)
    has_deadlines: cython.bint  # writable; it holds frames: `advance` and `next_deadline` are asked
    congested: cython.bint  # writable; the last `transmit` left little room: `is_full` is asked
    received: cython.ulonglong  # frames
    transmitted: cython.ulonglong  # frames
    transmit_dropped: cython.ulonglong  # frames that the wire refused
    receive_dropped: cython.ulonglong  # frames that were unreadable or did not fit

    def __init__(self) -> None:
        self.offload_checksum = False
        self.offload_segmentation = False
        self.has_deadlines = False
        self.congested = False
        self.received = 0
        self.transmitted = 0
        self.transmit_dropped = 0
        self.receive_dropped = 0

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Append what has arrived to `batch`, as far as it has room; how many frames."""
        raise NotImplementedError

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Send every frame of `batch`; how many the wire took. The caller clears the batch."""
        raise NotImplementedError

    @cython.ccall
    def is_ready(self) -> cython.bint:
        """Whether frames wait already. The caller is about to sleep: a wire that wakes only those
        who ask is asked here."""
        return False

    @cython.ccall
    def is_full(self) -> cython.bint:
        """Whether a batch might not fit. Asked before output while the wire is `congested`."""
        return False

    @cython.ccall
    def advance(self, now: cython.longlong) -> cython.void:
        """The time, before each `receive`. Called where the wire `has_deadlines`."""

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        """When `receive` is to be called at the latest; NEVER when nothing waits for time."""
        return NEVER

    def make_batch(self) -> ReceiveBatch:
        """The batch that `receive` fills: over the wire's own memory, where it has some."""
        return ReceiveBatch()

    def fileno(self) -> int:
        """A descriptor that is readable when `receive` would find something; -1: there is none."""
        raise NotImplementedError

    def filenos(self) -> list[int]:
        """All such descriptors, of a wire that may have several."""
        return [self.fileno()] if self.fileno() >= 0 else []

    def wake_with(self, function: Callable[[], object]) -> None:
        """A wire without descriptors calls `function` when something arrives, from any thread."""

    def renew(self, values: dict[str, Any], fds: list[int]) -> None:
        """The far side came or went: go on with this (`corten.driver.device.Queue`)."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the queue. Calling it again does nothing."""
        raise NotImplementedError
