"""The water marks of a transport's write buffer, as asyncio's own transports have them."""

from __future__ import annotations

HIGH_WATER = 64 * 1024  # octets; the low mark is a quarter


def water_marks(high: int | None, low: int | None) -> tuple[int, int]:
    """(high, low) as `set_write_buffer_limits` takes them; ValueError unless high >= low >= 0."""
    if high is None:
        high = HIGH_WATER if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low
