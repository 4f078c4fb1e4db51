"""What a connection has still to send: a chain of slices of memory, kept and not copied."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory


@cython.final
@cython.no_gc
@cython.freelist(1024)
@cython.cclass
class Slice:
    """memory[at : at + length], and the slice to send after it.

    Slices only point forward, to others and to memory, so no cycle can pass through one.
    """

    memory: Memory
    at: cython.Py_ssize_t
    length: cython.Py_ssize_t
    following: Slice | None

    def __init__(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> None:
        self.memory = memory
        self.at = at
        self.length = length
        self.following = None
