"""Octets that depend on where they stand in a stream, so that a shifted, lost or doubled one shows.

Position 1 is the first octet after the SYN, as sequence numbers count in scripts; both directions
use the same pattern. The period is a prime, so that no segment size hides a shift.
"""

from __future__ import annotations

PERIOD = 251
_POSITIONS = 1 << 32
_TABLE = bytes((i * 31 + 7) % PERIOD for i in range(PERIOD)) * 300


def pattern(position: int, length: int) -> bytes:
    """`length` octets of a stream from `position` on (positions wrap as sequence numbers do)."""
    position %= _POSITIONS
    if position + length > _POSITIONS:
        first = _POSITIONS - position
        return pattern(position, first) + pattern(0, length - first)
    start = position % PERIOD
    if start + length <= len(_TABLE):
        return _TABLE[start : start + length]
    whole = _TABLE[start:] + _TABLE * (length // len(_TABLE) + 1)
    return whole[:length]


def first_difference(one: bytes, other: bytes) -> int:
    """Where two octet strings first differ; the shorter one's length where one begins the other."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))
