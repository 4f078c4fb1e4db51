"""Serial-number arithmetic modulo 2**32 (RFC 1982; RFC 9293, 3.4). Header module.

Serial numbers are compared by which is reached first going forward. Of two that lie exactly 2**31
apart each is before the other (RFC 1982 leaves that undefined); windows never let it happen.
"""

from __future__ import annotations

import cython

U32: cython.uint = 0xFFFF_FFFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_lt(a: cython.uint, b: cython.uint) -> cython.bint:
    """a is before b: bit 31 of the difference is set."""
    return ((a - b) >> 31) & 1 != 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_le(a: cython.uint, b: cython.uint) -> cython.bint:
    """a is b or before it: b is not before a."""
    return ((b - a) >> 31) & 1 == 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_gt(a: cython.uint, b: cython.uint) -> cython.bint:
    """a is after b."""
    return ((b - a) >> 31) & 1 != 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_ge(a: cython.uint, b: cython.uint) -> cython.bint:
    """a is b or after it."""
    return ((a - b) >> 31) & 1 == 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_add(a: cython.uint, n: cython.uint) -> cython.uint:
    """The number n steps after a."""
    return (a + n) & U32


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_sub(a: cython.uint, b: cython.uint) -> cython.uint:
    """How many steps lead from b forward to a (0 to 2**32 - 1)."""
    return (a - b) & U32


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_max(a: cython.uint, b: cython.uint) -> cython.uint:
    """The later of the two."""
    return b if ((a - b) >> 31) & 1 != 0 else a


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_min(a: cython.uint, b: cython.uint) -> cython.uint:
    """The earlier of the two."""
    return a if ((a - b) >> 31) & 1 != 0 else b


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def seq_between(a: cython.uint, low: cython.uint, high: cython.uint) -> cython.bint:
    """low <= a < high, for a range of any length under 2**32; never when low is high."""
    return ((a - low) & U32) < ((high - low) & U32)
