"""What somebody who guesses would compute of our numbers (after NUMBER:JACK and nmap)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

WRAP = 1 << 32
LUCKY = 6.0  # standard deviations: chance goes that far once in a thousand million


def chi_square(values: Iterable[int], shift: int) -> float:
    """How far the octet at `shift` is from uniform, in standard deviations."""
    seen = [0] * 256
    count = 0
    for value in values:
        seen[value >> shift & 255] += 1
        count += 1
    expected = count / 256
    chi = sum((n - expected) ** 2 / expected for n in seen)
    return abs(chi - 255) / math.sqrt(2 * 255)


def differences(numbers: Sequence[int]) -> list[int]:
    return [(b - a) % WRAP for a, b in pairwise(numbers)]


def linear_fits(numbers: Sequence[int]) -> int:
    """How often three numbers foretell the fourth as a linear congruential generator would:
    x' = a x + c modulo 2**32, solved for a and c."""
    hits = 0
    for w, x, y, z in zip(numbers, numbers[1:], numbers[2:], numbers[3:], strict=False):
        if (x - w) % 2:
            a = (y - x) * pow(x - w, -1, WRAP) % WRAP
            hits += (a * y + x - a * w) % WRAP == z
    return hits


def linear_complexity(bits: Sequence[int]) -> int:
    """The shortest feedback register that makes these bits (Berlekamp and Massey). About half their
    number where there is none."""
    connection, before = 1, 1
    length, since = 0, 1
    history = 0  # the bits so far, the newest lowest
    for n, bit in enumerate(bits):
        history = history << 1 | bit
        discrepancy = (connection & history).bit_count() & 1
        if not discrepancy:
            since += 1
        elif 2 * length <= n:
            connection, before = connection ^ (before << since), connection
            length, since = n + 1 - length, 1
        else:
            connection ^= before << since
            since += 1
    return length


def predictability(numbers: Sequence[int], seconds: float) -> float:
    """nmap's SP of probes so far apart: 8 log2 of the deviation of their rates; 0 is a constant."""
    steps = [min(d, WRAP - d) for d in differences(numbers)]
    divisor = math.gcd(*steps)
    rates = [d / seconds / (divisor if divisor > 9 else 1) for d in steps]
    mean = sum(rates) / len(rates)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in rates) / (len(rates) - 1))
    return 8 * math.log2(deviation) if deviation > 1 else 0.0


def correlation(xs: Sequence[int], ys: Sequence[int]) -> float:
    """Pearson's, in standard deviations from none."""
    n = len(xs)
    mx, my = sum(xs) / n, sum(ys) / n
    top = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    bottom = math.sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))
    return abs(top / bottom) * math.sqrt(n) if bottom else math.inf
