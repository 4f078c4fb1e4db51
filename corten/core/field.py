"""Big-endian loads and stores at an offset of a Memory. Header module: inlined where cimported.

Each checks its range in one comparison and then follows the pointer: a wrong offset raises
IndexError in both modes. A whole TCP header costs about 10 ns so.

Rules. A store returns 0, which nobody reads: a C function that returns nothing makes its caller ask
CPython after each call whether it raised. It takes the pointer once: an octet stored may alias
everything, and would make the compiler load it again.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, out_of_range


@cython.cfunc
@cython.inline
def get8(memory: Memory, at: cython.Py_ssize_t) -> cython.uint:
    if at < 0 or at >= memory.size:
        out_of_range(at, 1, memory.size)
    return memory._base[at]


@cython.cfunc
@cython.inline
def get16(memory: Memory, at: cython.Py_ssize_t) -> cython.uint:
    if at < 0 or at > memory.size - 2:
        out_of_range(at, 2, memory.size)
    return (cython.cast(cython.uint, memory._base[at]) << 8) | memory._base[at + 1]


@cython.cfunc
@cython.inline
def get32(memory: Memory, at: cython.Py_ssize_t) -> cython.uint:
    if at < 0 or at > memory.size - 4:
        out_of_range(at, 4, memory.size)
    return (
        (cython.cast(cython.uint, memory._base[at]) << 24)
        | (cython.cast(cython.uint, memory._base[at + 1]) << 16)
        | (cython.cast(cython.uint, memory._base[at + 2]) << 8)
        | memory._base[at + 3]
    )


@cython.cfunc
@cython.inline
def get64(memory: Memory, at: cython.Py_ssize_t) -> cython.ulonglong:
    if at < 0 or at > memory.size - 8:
        out_of_range(at, 8, memory.size)
    base: cython.p_uchar = memory._base
    high: cython.ulonglong = (
        (cython.cast(cython.uint, base[at]) << 24)
        | (cython.cast(cython.uint, base[at + 1]) << 16)
        | (cython.cast(cython.uint, base[at + 2]) << 8)
        | base[at + 3]
    )
    low: cython.uint = (
        (cython.cast(cython.uint, base[at + 4]) << 24)
        | (cython.cast(cython.uint, base[at + 5]) << 16)
        | (cython.cast(cython.uint, base[at + 6]) << 8)
        | base[at + 7]
    )
    return (high << 32) | low


@cython.cfunc
@cython.inline
def put8(memory: Arena, at: cython.Py_ssize_t, value: cython.uint) -> cython.int:
    if at < 0 or at >= memory.size:
        out_of_range(at, 1, memory.size)
    memory._base[at] = value & 0xFF
    return 0


@cython.cfunc
@cython.inline
def put16(memory: Arena, at: cython.Py_ssize_t, value: cython.uint) -> cython.int:
    if at < 0 or at > memory.size - 2:
        out_of_range(at, 2, memory.size)
    base: cython.p_uchar = memory._base
    base[at] = (value >> 8) & 0xFF
    base[at + 1] = value & 0xFF
    return 0


@cython.cfunc
@cython.inline
def put32(memory: Arena, at: cython.Py_ssize_t, value: cython.uint) -> cython.int:
    if at < 0 or at > memory.size - 4:
        out_of_range(at, 4, memory.size)
    base: cython.p_uchar = memory._base
    base[at] = (value >> 24) & 0xFF
    base[at + 1] = (value >> 16) & 0xFF
    base[at + 2] = (value >> 8) & 0xFF
    base[at + 3] = value & 0xFF
    return 0


@cython.cfunc
@cython.inline
def put64(memory: Arena, at: cython.Py_ssize_t, value: cython.ulonglong) -> cython.int:
    mask: cython.uint = 0xFFFF_FFFF
    put32(memory, at, cython.cast(cython.uint, value >> 32))
    return put32(memory, at + 4, cython.cast(cython.uint, value & mask))
