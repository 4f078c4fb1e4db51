"""Sums of 16-bit words in larger integers (RFC 1071, 2 and 4.1). Header module.

A one's-complement sum of 16-bit words is the number modulo 65535, so words of any width may be
added and folded at the end.
"""

from __future__ import annotations

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def fold(total: cython.ulonglong) -> cython.uint:
    """Fold a sum of 16-bit words into 16 bits (RFC 1071, 4.1)."""
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return cython.cast(cython.uint, total)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def halves(number: cython.ulonglong) -> cython.ulonglong:
    """A number congruent to the sum of `number`'s 16-bit words, small enough to add many."""
    mask: cython.uint = 0xFFFF_FFFF
    return (number >> 32) + (number & mask)
