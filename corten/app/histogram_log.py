"""A histogram as HdrHistogram's own tools read it: a table of percentiles, and the compressed log.

Our buckets are exactly those of an HdrHistogram with two significant digits from 1 to 2**40 - 1, so
counts are written as they are (format V2: each count as a zigzag LEB128 number, a run of empty
buckets as its negative length; deflated, base64). Times are milliseconds in the table, as the
plotters expect, and nanoseconds in the log.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib

from corten.app.histogram import Histogram

_COOKIE = 0x1C849303 | 0x10  # V2; 0x10: words of 8 octets
_COMPRESSED_COOKIE = 0x1C849304 | 0x10
_DIGITS = 2
_LOWEST, _HIGHEST = 1, (1 << 40) - 1
_SUB_BUCKETS = 256
_BUCKETS = 33
_MS = 1e6
_STEPS = 5  # percentile steps for each halving of what is left


def percentile_table(histogram: Histogram) -> str:
    """The table of percentiles: value, share of all values, their number, 1/(1 - share)."""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    seen, level, total = 0, 0.0, max(histogram.count, 1)
    for top, count in histogram.filled():
        seen += count
        share = seen / total
        while share >= level and seen < total:
            lines.append(f"{top / _MS:12.3f} {level:14.12f} {seen:10d} {1 / (1 - level):14.2f}")
            level += 1 / (_STEPS * 2 ** (int(math.log2(1 / (1 - level))) + 1))
    lines.append(f"{histogram.maximum / _MS:12.3f} {1.0:14.12f} {histogram.count:10d}")
    lines += [
        f"#[Mean    = {histogram.mean() / _MS:12.3f}, "
        f"StdDeviation   = {histogram.deviation() / _MS:12.3f}]",
        f"#[Max     = {histogram.maximum / _MS:12.3f}, Total count    = {histogram.count:12d}]",
        f"#[Buckets = {_BUCKETS:12d}, SubBuckets     = {_SUB_BUCKETS:12d}]",
    ]
    return "\n".join(lines) + "\n"


def log_text(histogram: Histogram, started: float, seconds: float) -> str:
    """A histogram log of one interval, which began at `started` (seconds since 1970)."""
    whole = encode(histogram).decode("ascii")
    return (
        "#[Histogram log format version 1.3]\n"
        f"#[StartTime: {started:.3f} (seconds since epoch)]\n"
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        f"0.000,{seconds:.3f},{histogram.maximum / _MS:.3f},{whole}\n"
    )


def encode(histogram: Histogram) -> bytes:
    """The counts, compressed, in base64."""
    payload = b"".join(_varints(histogram.counts()))
    head = struct.pack(">iiiiqqd", _COOKIE, len(payload), 0, _DIGITS, _LOWEST, _HIGHEST, 1.0)
    packed = zlib.compress(head + payload)
    return base64.b64encode(struct.pack(">ii", _COMPRESSED_COOKIE, len(packed)) + packed)


def _varints(counts: list[int]) -> list[bytes]:
    """Up to the last bucket that is not empty."""
    while counts and counts[-1] == 0:
        counts.pop()
    found, empty = [], 0
    for count in counts:
        if count == 0:
            empty += 1
            continue
        if empty:
            found.append(_varint(-empty))
            empty = 0
        found.append(_varint(count))
    return found


def _varint(value: int) -> bytes:
    """A signed number: zigzag, then seven bits an octet, the ninth octet whole."""
    left = (value << 1) ^ (value >> 63)
    octets = bytearray()
    for _ in range(8):
        if left < 0x80:
            octets.append(left)
            return bytes(octets)
        octets.append(left & 0x7F | 0x80)
        left >>= 7
    octets.append(left & 0xFF)
    return bytes(octets)
