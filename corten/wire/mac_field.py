"""48-bit Ethernet addresses in packet memory and as integers. Header module."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get16, get32, put16, put32

BROADCAST_MAC: cython.ulonglong = 0xFFFF_FFFF_FFFF


@cython.cfunc
@cython.inline
def get48(memory: Memory, at: cython.Py_ssize_t) -> cython.ulonglong:
    high: cython.ulonglong = get16(memory, at)
    return (high << 32) | get32(memory, at + 2)


@cython.cfunc
@cython.inline
def put48(arena: Arena, at: cython.Py_ssize_t, mac: cython.ulonglong) -> cython.int:
    mask: cython.uint = 0xFFFF_FFFF
    put16(arena, at, cython.cast(cython.uint, (mac >> 32) & 0xFFFF))
    return put32(arena, at + 2, cython.cast(cython.uint, mac & mask))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_group_mac(mac: cython.ulonglong) -> cython.bint:
    """Whether a MAC address is multicast or broadcast: the Group bit (RFC 7042, 2.1)."""
    return (mac >> 40) & 1 != 0
