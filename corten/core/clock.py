"""Instants and spans of time: 64-bit signed nanoseconds. Header module.

An instant counts from an origin that its giver chooses (the worker: the monotonic clock; the
simulator: 0). Nobody below the worker reads a clock: `now` is an argument.
"""

from __future__ import annotations

import cython

NEVER: cython.longlong = 0x7FFF_FFFF_FFFF_FFFF  # later than every deadline
MICROSECOND: cython.longlong = 1_000
MILLISECOND: cython.longlong = 1_000_000
SECOND: cython.longlong = 1_000_000_000
