"""Initial sequence numbers and timestamp offsets as the wire shows them (RFC 6528; D.5)."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from corten.core.chance import Chance
from corten.endpoint.handler import Handler
from corten.sim.script import Trace
from corten.stack.stack import Stack

SECOND = 10**9
WRAP = 1 << 32


def stack(secret: bytes = b"k" * 32, now: int = SECOND) -> Stack:
    made = Stack(Chance(1), secret, now=now)
    made.add_interface("t0", "02:00:00:00:00:01", ["10.0.0.1/8"])
    return made


def isn(made: Stack, address: str = "10.0.0.2", port: int = 5000) -> tuple[int, int]:
    """(ISN, timestamp offset) of one pair of sockets now."""
    connection = made.connect(address, 80, Handler, source=(None, port))
    found = connection.iss, connection.ts_offset
    connection.abort()
    return found


@pytest.mark.requirement("RFC 9293 MUST-8", "RFC 9293 SHLD-1")
def test_it_follows_a_clock_of_four_microseconds() -> None:
    first, offset = isn(stack(now=SECOND))
    second, again = isn(stack(now=2 * SECOND))
    assert (second - first) % WRAP == 250_000
    assert offset == again


@pytest.mark.requirement("RFC 9293 MUST-9")
def test_secrets_are_unrelated() -> None:
    one, other = isn(stack(b"k" * 32)), isn(stack(b"k" * 31 + b"l"))
    assert one[0] != other[0] and one[1] != other[1]
    with pytest.raises(ValueError, match="32 octets"):
        stack(b"short")


def test_many_pairs_at_one_instant_look_like_chance() -> None:
    made = stack()
    numbers: list[int] = []
    offsets: list[int] = []
    for k in range(4000):
        number, offset = isn(made, f"10.1.{k // 250}.{k % 250 + 1}", 1024 + k)
        numbers.append(number)
        offsets.append(offset)
        if k % 500 == 0:
            made.transmit(SECOND)
            made.interfaces[0].outgoing.clear()
    assert len(set(numbers)) == len(numbers) and len(set(offsets)) >= len(offsets) - 5
    differences = [(b - a) % WRAP for a, b in pairwise(numbers)]
    assert math.gcd(*differences) == 1
    for values in (numbers, offsets, differences):
        for shift in (0, 8, 16, 24):
            seen = [0] * 256
            for value in values:
                seen[value >> shift & 255] += 1
            expected = len(values) / 256
            chi = sum((n - expected) ** 2 / expected for n in seen)
            assert 150 < chi < 390  # 255 degrees of freedom: one in a million


def test_no_line_through_three_samples_fits_a_fourth() -> None:
    """No linear congruential generator: x' = a x + c."""
    made = stack()
    numbers = [isn(made, port=2000 + k)[0] for k in range(64)]
    hits = 0
    for w, x, y, z in zip(numbers, numbers[1:], numbers[2:], numbers[3:], strict=False):
        if (x - w) % 2 == 0:
            continue
        a = (y - x) * pow(x - w, -1, WRAP) % WRAP
        hits += (a * y + (x - a * w)) % WRAP == z
    assert hits == 0


@pytest.mark.requirement("RFC 7323 5.4")
def test_timestamps_tick_every_millisecond_from_an_offset() -> None:
    t = Trace(check=False).established(ts=True)
    t.app.send(b"x")
    first = t.heard()[-1].options.timestamps
    t.send(50, ".", seq=1, ack=2)
    t.app.send(b"x")
    second = t.heard()[-1].options.timestamps
    assert first and second
    assert (second[0] - first[0]) % WRAP == 50
    t.finish()
