"""Instants and spans of time: 64-bit signed nanoseconds. Header module; its `.pxd` is handwritten.

An instant counts from an origin that its giver chooses (the worker: the monotonic clock; the
simulator: 0). Nobody below the worker reads a clock: `now` is an argument.

Compiled, these are C constants of type `long long`, so that `60 * SECOND` does not overflow an int
and `NEVER` does not turn into -1 on its way to Python (both happen to members of a C enum).
"""

from __future__ import annotations

NEVER = 0x7FFF_FFFF_FFFF_FFFF  # later than every deadline
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
