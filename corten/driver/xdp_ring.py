"""A ring of an AF_XDP socket, seen from our side of it.

Rules. The kernel's index is read with acquire, ours written with release; each once, then used.
What is read is bounded by the ring's size, whatever the index says. Compiled only: entries are
reached by pointers whose index is masked, within what was measured when the ring was made.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.atomic import load_acquire32, store_release32

from corten.driver.xdp_socket import RingMap

if not cython.compiled:
    WANTS_WAKEUP = 1  # of a ring's flags (XDP_RING_NEED_WAKEUP)


@cython.final
@cython.cclass
class Ring:
    """One of a socket's four rings, seen from our side of it.

    Indices have 32 bits and only grow; entry i lies at i modulo the size. `own` is the index that
    we write: the consumer's where the kernel produces, the producer's where we do.
    """

    _arena: Arena
    _producer_at: cython.Py_ssize_t
    _consumer_at: cython.Py_ssize_t
    _flags_at: cython.Py_ssize_t
    _entries_at: cython.Py_ssize_t
    _entry_len: cython.Py_ssize_t
    size: cython.uint
    own: cython.uint

    def __init__(self, given: RingMap) -> None:
        self._arena = Arena(0, given.memory)
        self._producer_at = given.producer_at
        self._consumer_at = given.consumer_at
        self._flags_at = given.flags_at
        self._entries_at = given.entries_at
        self._entry_len = given.entry_len
        self.size = given.size
        self.own = 0
        fits = given.entries_at + given.size * given.entry_len <= self._arena.size
        if not fits or given.size & (given.size - 1) or given.entry_len not in (8, 16):
            raise ValueError(f"a ring cannot be {given}")

    @cython.cfunc
    def waiting(self) -> cython.uint:
        """Entries that the kernel has produced and we have not consumed."""
        found: cython.uint = load_acquire32(self._arena, self._producer_at) - self.own
        return found if found <= self.size else 0  # no ring can say more: then it says nothing

    @cython.cfunc
    def room(self) -> cython.uint:
        """Entries that we may produce before the kernel consumes."""
        used: cython.uint = self.own - load_acquire32(self._arena, self._consumer_at)
        return self.size - used if used <= self.size else 0

    @cython.cfunc
    def consumed(self, count: cython.uint) -> cython.int:
        """The first `count` entries are the kernel's again."""
        self.own += count
        return store_release32(self._arena, self._consumer_at, self.own)

    @cython.cfunc
    def produced(self, count: cython.uint) -> cython.int:
        """The next `count` entries, written before, are the kernel's now."""
        self.own += count
        return store_release32(self._arena, self._producer_at, self.own)

    @cython.cfunc
    def wants_wakeup(self) -> cython.bint:
        """Whether the kernel looks at this ring only when it is called."""
        return load_acquire32(self._arena, self._flags_at) & WANTS_WAKEUP != 0

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _entry(self, i: cython.uint) -> cython.p_uchar:
        """The entry `i` after ours: masked, so within what `__init__` has measured."""
        place: cython.Py_ssize_t = (self.own + i) & (self.size - 1)
        return self._arena._base + self._entries_at + place * self._entry_len

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def address(self, i: cython.uint) -> cython.ulonglong:
        """Where in the memory the entry points."""
        return cython.cast(cython.pointer(cython.ulonglong), self._entry(i))[0]

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def length(self, i: cython.uint) -> cython.uint:
        """Octets there; of receive and transmit rings, whose entries are descriptors."""
        return cython.cast(cython.pointer(cython.uint), self._entry(i))[2]

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def options(self, i: cython.uint) -> cython.uint:
        """A descriptor's options."""
        return cython.cast(cython.pointer(cython.uint), self._entry(i))[3]

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def point(self, i: cython.uint, address: cython.ulonglong) -> cython.void:
        """Let the entry point there."""
        cython.cast(cython.pointer(cython.ulonglong), self._entry(i))[0] = address

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def describe(self, i: cython.uint, length: cython.uint, options: cython.uint) -> cython.void:
        """Say the rest of a descriptor."""
        cython.cast(cython.pointer(cython.uint), self._entry(i))[2] = length
        cython.cast(cython.pointer(cython.uint), self._entry(i))[3] = options
