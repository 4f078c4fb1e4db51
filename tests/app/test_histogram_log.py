"""What HdrHistogram's tools are given: its own numbers, read back by the format's description."""

from __future__ import annotations

import base64
import random
import struct
import zlib

from corten.app.histogram import Histogram
from corten.app.histogram_log import encode, log_text, percentile_table


def decoded(text: bytes) -> list[int]:
    """The counts in a compressed V2 histogram."""
    packed = base64.b64decode(text)
    cookie, length = struct.unpack(">ii", packed[:8])
    assert (cookie, length) == (0x1C849314, len(packed) - 8)
    data = zlib.decompress(packed[8:])
    cookie, length, offset, digits, lowest, highest, ratio = struct.unpack(">iiiiqqd", data[:40])
    assert (cookie, length, offset) == (0x1C849313, len(data) - 40, 0)
    assert (digits, lowest, highest, ratio) == (2, 1, (1 << 40) - 1, 1.0)
    counts: list[int] = []
    at = 40
    while at < len(data):
        value = shift = 0
        for octet in range(9):
            byte = data[at]
            at += 1
            value |= (byte if octet == 8 else byte & 0x7F) << shift
            shift += 7
            if octet < 8 and byte < 0x80:
                break
        number = (value >> 1) ^ -(value & 1)
        counts += [0] * -number if number < 0 else [number]
    return counts


def test_the_counts_come_back() -> None:
    histogram = Histogram()
    chance = random.Random(1)
    for _ in range(3000):
        histogram.record(int(chance.lognormvariate(13, 2)))
    counts = decoded(encode(histogram))
    known = histogram.counts()
    assert counts == known[: len(counts)]
    assert not any(known[len(counts) :])
    assert sum(counts) == 3000


def test_large_counts_and_none() -> None:
    histogram = Histogram()
    assert decoded(encode(histogram)) == []
    for _ in range(20_000):
        histogram.record(1000)
    assert [count for count in decoded(encode(histogram)) if count] == [20_000]


def test_one_value_gives_the_line_that_hdrhistogram_reads() -> None:
    """Decoded once by HdrHistogram's Python port to one value of 1,000,000 ns."""
    histogram = Histogram()
    histogram.record(1_000_000)
    lines = log_text(histogram, 1.5, 2.0).splitlines()
    assert lines[0] == "#[Histogram log format version 1.3]"
    assert lines[-1].startswith("0.000,2.000,1.000,HISTFAAA")


def test_the_table_rises_to_the_whole_and_ends_with_what_plotters_skip() -> None:
    histogram = Histogram()
    for value in range(1, 1001):
        histogram.record(value * 1_000_000)
    text = percentile_table(histogram)
    lines = text.splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = [line.split() for line in lines[2:] if not line.startswith("#")]
    values, shares = [float(row[0]) for row in rows], [float(row[1]) for row in rows]
    assert values == sorted(values)
    assert shares == sorted(shares)
    assert shares[:6] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert rows[-1] == ["1000.000", "1.000000000000", "1000"]
    middle = float(rows[shares.index(0.5)][0])
    assert abs(middle - 500) < 500 / 128
    assert "Total count    =         1000]" in text
    assert "#[Mean    =      500." in text
