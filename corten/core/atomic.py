"""Loads and stores of words that two processes share: of 64 bits, and of 16. Its `.pxd` is
handwritten.

What one side wrote before `store_release(word)` is there for the other once `load_acquire` shows it
that word (C11, 7.17.3). The word is in the machine's own byte order and aligned; a wrong or
unaligned offset raises IndexError.

Compiled, these are the compiler's atomic built-ins. Here is the plain twin: one aligned store of
eight octets (or two), which no CPU tears, in the order the CPU gives to plain stores (on x86 the
same). (`struct.pack_into` would not do: it clears the octets before it writes them.)
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, out_of_range


@cython.cfunc
@cython.inline
def load_acquire(memory: Memory, at: cython.Py_ssize_t) -> cython.ulonglong:
    """The word at `at`; what its writer did before is visible after."""
    if at < 0 or at > memory.size - 8 or at & 7:
        out_of_range(at, 8, memory.size)
    word: int = memory._base[at : at + 8].cast("Q")[0]
    return word


@cython.cfunc
@cython.inline
def store_release(memory: Arena, at: cython.Py_ssize_t, value: cython.ulonglong) -> cython.int:
    """Store a word; whatever was written before is visible to who sees it. Answers 0."""
    if at < 0 or at > memory.size - 8 or at & 7:
        out_of_range(at, 8, memory.size)
    memory._base[at : at + 8].cast("Q")[0] = value
    return 0


@cython.cfunc
@cython.inline
def load_acquire16(memory: Memory, at: cython.Py_ssize_t) -> cython.uint:
    """As `load_acquire`, of a half of 16 bits."""
    if at < 0 or at > memory.size - 2 or at & 1:
        out_of_range(at, 2, memory.size)
    word: int = memory._base[at : at + 2].cast("H")[0]
    return word


@cython.cfunc
@cython.inline
def store_release16(memory: Arena, at: cython.Py_ssize_t, value: cython.uint) -> cython.int:
    """As `store_release`, of a half of 16 bits: what is more than that is cut off."""
    if at < 0 or at > memory.size - 2 or at & 1:
        out_of_range(at, 2, memory.size)
    memory._base[at : at + 2].cast("H")[0] = value & 0xFFFF
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def fence() -> cython.void:
    """What was stored before is visible before anything after is loaded (C11, 7.17.4). The plain
    twin needs none: the interpreter does much between two of its loads."""
