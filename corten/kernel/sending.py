"""The queue of what a connection has still to send."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, Memory, copy, read
from cython.cimports.corten.kernel import system
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.limits import SMALL_LEN
from cython.cimports.corten.kernel.slices import Slice

if not cython.compiled:
    AGAIN = 11  # EAGAIN
    INTERRUPTED = 4  # EINTR


@cython.final
@cython.cclass
class SendQueue:
    """Slices in order. Small ones are copied to the breath's scratch and coalesce there; what has
    not left when its connection has worked moves to memory of its own (`leave_scratch`)."""

    first: Slice | None
    _last: Slice | None
    _breath: Breath
    queued_len: cython.Py_ssize_t  # octets
    _scratched: cython.bint  # slices of the scratch are queued

    def __init__(self, breath: Breath) -> None:
        self.first = None
        self._last = None
        self._breath = breath
        self.queued_len = 0
        self._scratched = False

    @cython.cfunc
    def append(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.void:
        """Queue a slice: copied when it is small, kept else."""
        if length < SMALL_LEN:
            self._copy(memory, at, length)
        else:
            self._link(memory, at, length)
        self.queued_len += length

    @cython.cfunc
    def _link(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.void:
        made: Slice = Slice(memory, at, length)
        if self._last is None:
            self.first = made
        else:
            cython.cast(Slice, self._last).following = made
        self._last = made

    @cython.cfunc
    def _copy(
        self, source: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.void:
        """Queue a copy: in one piece with the last one where that lies before it in the scratch."""
        breath: Breath = self._breath
        scratch_at: cython.Py_ssize_t = breath.scratch_at
        if length > breath.scratch.size - scratch_at:
            self._link(Buffer(read(source, at, length)), 0, length)
            return
        copy(breath.scratch, scratch_at, source, at, length)
        breath.scratch_at = scratch_at + length
        if not self._scratched:
            self._scratched = True
            breath.scratch_users += 1
        if self._last is not None:
            last: Slice = cython.cast(Slice, self._last)
            if last.memory is breath.scratch and last.at + last.length == scratch_at:
                last.length += length
                return
        self._link(breath.scratch, scratch_at, length)

    @cython.cfunc
    def flush(self, fd: cython.int) -> cython.Py_ssize_t:
        """Write until the queue is empty (0) or the kernel takes no more (an error number below
        zero, -EAGAIN for a full socket)."""
        taken: cython.Py_ssize_t
        while self.first is not None:
            taken = system.transmit(fd, cython.cast(Slice, self.first))
            if taken >= 0:
                self._breath.sent_len += taken
                self._drop(taken)
            elif taken != -INTERRUPTED:
                return taken
        return 0

    @cython.cfunc
    def _drop(self, length: cython.Py_ssize_t) -> cython.void:
        """The first `length` octets have left."""
        each: Slice
        self.queued_len -= length
        while self.first is not None:
            each = cython.cast(Slice, self.first)
            if each.length > length:
                each.at += length
                each.length -= length
                return
            length -= each.length
            self.first = each.following
            each.following = None
        self._last = None
        self._forget_scratch()

    @cython.cfunc
    def clear(self) -> cython.void:
        """Nothing more is to be sent."""
        self._drop(self.queued_len)

    @cython.cfunc
    def leave_scratch(self) -> cython.void:
        """Give what is left in the scratch memory of its own."""
        if not self._scratched:
            return
        scratch: Arena = self._breath.scratch
        slot: Slice | None = self.first
        each: Slice
        while slot is not None:
            each = cython.cast(Slice, slot)
            if each.memory is scratch:
                each.memory = Buffer(read(scratch, each.at, each.length))
                each.at = 0
            slot = each.following
        self._forget_scratch()

    @cython.cfunc
    def _forget_scratch(self) -> cython.void:
        """No slice of the scratch is queued here; when none is anywhere it starts again."""
        if self._scratched:
            self._scratched = False
            self._breath.scratch_users -= 1
            if self._breath.scratch_users == 0:
                self._breath.scratch_at = 0
