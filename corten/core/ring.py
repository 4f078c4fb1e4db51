"""A byte ring in shared memory: messages from one process to one other.

Layout. The reader's index at 0, the writer's at 64 (a cache line each), messages from 128 on. An
index counts octets since the beginning; its place is the index modulo the room. A message is a
head of 16 octets (length, kind, tag) and its payload, padded to 16; a payload may wrap around the
end, a head never does. Memory full of zeros is an empty ring.

Rules. One writer, one reader, no lock. A message is there only once the writer's index has passed
it (release/acquire), and its room is free only once the reader's has: a process killed at any
instruction leaves nothing half-written to be seen. The reader's successor may get the last message
again. Both indices stay in the shared memory, so that a successor goes on where it was.

What lies in shared memory is the other side's word: indices and lengths are read once, checked,
then used. A ring that cannot be is a RuntimeError; nothing is read or written outside.
Waking a sleeping reader is the caller's business (an eventfd).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, copy, out_of_range
from cython.cimports.corten.core.atomic import load_acquire, store_release
from cython.cimports.corten.core.field import get32, get64, put32, put64

if not cython.compiled:
    RING_READ_AT = 0
    RING_WRITE_AT = 64
    RING_DATA_AT = 128
    RING_HEAD_LEN = 16


@cython.final
@cython.cclass
class ByteRing:
    """One end of a ring over `memory` (writable, aligned to 8; zeros at first).

    `kind` and `tag` are those of the message that `get` has just returned. ValueError when the
    memory holds no room for messages.
    """

    _arena: Arena
    room: cython.Py_ssize_t  # octets for messages, heads and padding included
    kind: cython.uint
    tag: cython.ulonglong

    def __init__(self, memory: object) -> None:
        self._arena = Arena(0, memory)
        self.room = (self._arena.size - RING_DATA_AT) & ~15
        if self.room < 2 * RING_HEAD_LEN:
            raise ValueError(f"a ring needs more than {self._arena.size} octets")
        self.kind = 0
        self.tag = 0

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _used(self, read: cython.ulonglong, write: cython.ulonglong) -> cython.Py_ssize_t:
        """Octets between the two indices. RuntimeError when they cannot be indices."""
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        used: cython.ulonglong = (write - read) & mask
        room: cython.ulonglong = self.room
        if used > room or (read | write) & 15 != 0:
            raise RuntimeError(f"the ring is corrupt: indices {read} and {write}, room {self.room}")
        return cython.cast(cython.Py_ssize_t, used)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _place(self, index: cython.ulonglong) -> cython.Py_ssize_t:
        """Where in the memory an index points."""
        room: cython.ulonglong = self.room
        return RING_DATA_AT + cython.cast(cython.Py_ssize_t, index % room)

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def put(
        self,
        kind: cython.uint,
        tag: cython.ulonglong,
        source: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
    ) -> cython.bint:
        """Append source[at : at + length] as a message; False, and nothing is written, when it
        does not fit (now, or ever). IndexError outside the source."""
        if at < 0 or length < 0 or at > source.size - length:
            out_of_range(at, length, source.size)
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        arena: Arena = self._arena
        write: cython.ulonglong = load_acquire(arena, RING_WRITE_AT)
        used: cython.Py_ssize_t = self._used(load_acquire(arena, RING_READ_AT), write)
        if length > self.room:
            return False
        needed: cython.Py_ssize_t = RING_HEAD_LEN + ((length + 15) & ~15)
        if needed > self.room - used:
            return False
        place: cython.Py_ssize_t = self._place(write)
        put32(arena, place, cython.cast(cython.uint, length))
        put32(arena, place + 4, kind)
        put64(arena, place + 8, tag)
        place = self._place((write + RING_HEAD_LEN) & mask)
        straight: cython.Py_ssize_t = min(length, RING_DATA_AT + self.room - place)
        copy(arena, place, source, at, straight)
        copy(arena, RING_DATA_AT, source, at + straight, length - straight)
        store_release(arena, RING_WRITE_AT, (write + needed) & mask)
        return True

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def get(
        self, target: Arena, at: cython.Py_ssize_t, room: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Take the first message: its payload goes to target[at : at + room]. Its length; -1 when
        the ring is empty. ValueError when the payload is longer than `room`: it stays the first."""
        if at < 0 or room < 0 or at > target.size - room:
            out_of_range(at, room, target.size)
        mask: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        arena: Arena = self._arena
        read: cython.ulonglong = load_acquire(arena, RING_READ_AT)
        used: cython.Py_ssize_t = self._used(read, load_acquire(arena, RING_WRITE_AT))
        if used == 0:
            return -1
        place: cython.Py_ssize_t = self._place(read)
        length: cython.Py_ssize_t = get32(arena, place)
        needed: cython.Py_ssize_t = RING_HEAD_LEN + ((length + 15) & ~15)
        if needed > used:
            raise RuntimeError(f"the ring is corrupt: a message of {length} in {used} octets")
        if length > room:
            raise ValueError(f"a message of {length} octets does not fit in {room}")
        self.kind = get32(arena, place + 4)
        self.tag = get64(arena, place + 8)
        place = self._place((read + RING_HEAD_LEN) & mask)
        straight: cython.Py_ssize_t = min(length, RING_DATA_AT + self.room - place)
        copy(target, at, arena, place, straight)
        copy(target, at + straight, arena, RING_DATA_AT, length - straight)
        store_release(arena, RING_READ_AT, (read + needed) & mask)
        return length

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def is_empty(self) -> cython.bint:
        """Whether there is nothing to get."""
        arena: Arena = self._arena
        return load_acquire(arena, RING_READ_AT) == load_acquire(arena, RING_WRITE_AT)
