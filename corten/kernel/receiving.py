"""What a connection has received and its handler has not taken."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, copy
from cython.cimports.corten.kernel import system
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.limits import KEPT_MAX, READ_LEN, ROOM_MIN


@cython.final
@cython.cclass
class ReceiveBuffer:
    """Octets in one piece: in the breath's arena while the handler looks at them, then, where it
    left some, in memory of their own. That grows to KEPT_MAX; then there is no more room, and the
    kernel closes the window."""

    memory: Arena
    at: cython.Py_ssize_t
    length: cython.Py_ssize_t
    room: cython.Py_ssize_t  # octets that the last read could have brought
    _breath: Breath

    def __init__(self, breath: Breath) -> None:
        self.memory = breath.arena
        self.at = 0
        self.length = 0
        self.room = 0
        self._breath = breath

    @cython.cfunc
    def fill(self, fd: cython.int) -> cython.Py_ssize_t:
        """Read once, behind what is there: how many octets, 0 at the end, or an error number below
        zero. Where `room` is 0 nothing was read."""
        if self.length == 0:
            self.memory = self._breath.arena
            self.at = 0
            self.room = READ_LEN
        else:
            self._make_room()
            self.room = min(self.memory.size - self.at - self.length, READ_LEN)
            if self.room == 0:
                return 0
        count: cython.Py_ssize_t
        count = system.receive(fd, self.memory, self.at + self.length, self.room)
        if count > 0:
            self.length += count
            self._breath.received_len += count
        return count

    @cython.cfunc
    @cython.exceptval(check=False)
    def consume(self, length: cython.Py_ssize_t) -> cython.void:
        """The first octets are done with; there are as many."""
        self.at += length
        self.length -= length

    @cython.cfunc
    def keep(self) -> cython.void:
        """Leave the breath's arena, before the next connection reads there."""
        if self.length == 0:
            self.memory = self._breath.arena
        elif self.memory is self._breath.arena:
            self._move(max(2 * self.length, ROOM_MIN))

    @cython.cfunc
    def clear(self) -> cython.void:
        self.length = 0
        self.memory = self._breath.arena

    @cython.cfunc
    def _move(self, size: cython.Py_ssize_t) -> cython.void:
        """Move to memory of `size` octets."""
        kept: Arena = Arena(size)
        copy(kept, 0, self.memory, self.at, self.length)
        self.memory = kept
        self.at = 0

    @cython.cfunc
    def _make_room(self) -> cython.void:
        """Have room behind what is kept, by moving it to the front or to larger memory."""
        size: cython.Py_ssize_t = self.memory.size
        if size - self.at - self.length >= ROOM_MIN:
            return
        if self.at >= size // 2 or (size >= KEPT_MAX and self.at > 0):
            copy(self.memory, 0, self.memory, self.at, self.length)
            self.at = 0
        elif size < KEPT_MAX:
            self._move(min(KEPT_MAX, 2 * size))
