"""Initial sequence numbers, ports, timestamps and identifications cannot be guessed (robustness of
RFC 6528, 6056, 7323 5.4, 6864). Seeds and secrets are fixed: what passes passes always.

A measure that nothing can fail proves nothing: each is shown a generator that it finds out.
"""

from __future__ import annotations

import math
from itertools import islice, pairwise

import pytest

from corten.core.chance import Chance
from corten.endpoint.handler import Handler
from corten.sim.script import Trace
from corten.stack.stack import Stack
from tests.tcp.randomness import (
    LUCKY,
    WRAP,
    chi_square,
    correlation,
    differences,
    linear_complexity,
    linear_fits,
    predictability,
)
from tests.trace.pace import COMPILED

SECOND = 10**9
MANY = 100_000 if COMPILED else 5_000
BITS = 1024
SHIFTS = (0, 8, 16, 24)


class Isns:
    """ISNs and timestamp offsets of a stack, at one instant, as many as asked for."""

    def __init__(self, secret: bytes = b"k" * 32, now: int = SECOND) -> None:
        self.stack = Stack(Chance(1), secret, now=now)
        self.stack.add_interface("t0", "02:00:00:00:00:01", ["10.0.0.1/8"])
        self.now = now

    def of(self, address: str, port: int, local: int | None = 5000) -> tuple[int, int, int]:
        """(ISN, timestamp offset, local port) of one pair of sockets."""
        connection = self.stack.connect(address, port, Handler, source=(None, local))
        found = connection.iss, connection.ts_offset, connection.local_port
        connection.abort()
        return found

    def settle(self) -> None:
        """A breath: what was aborted goes."""
        self.stack.deliver(self.now)
        while self.stack.transmit(self.now):
            self.stack.interfaces[0].outgoing.clear()
        self.stack.interfaces[0].outgoing.clear()

    def many(self, count: int) -> list[tuple[int, int]]:
        """Of as many pairs, all different."""
        found = []
        for k in range(count):
            number, offset, _ = self.of(f"10.1.{k >> 8 & 15}.{k % 200 + 1}", 1 + k % 60_000)
            found.append((number, offset))
            if k % 200 == 199:
                self.settle()
        return found


def cycled(multiplier: int, increment: int, seed: int = 1) -> list[int]:
    """A linear congruential generator, as weak stacks have it."""
    numbers = [seed]
    for _ in range(4000):
        numbers.append((multiplier * numbers[-1] + increment) % WRAP)
    return numbers


@pytest.fixture(scope="module")
def found() -> list[tuple[int, int]]:
    return Isns().many(MANY)


@pytest.mark.requirement("RFC 6528 3", "MUST-9", "SHLD-1")
@pytest.mark.timeout(300)
def test_each_octet_of_isns_and_offsets_is_uniform(found: list[tuple[int, int]]) -> None:
    isns, offsets = [n for n, _ in found], [o for _, o in found]
    for numbers in (isns, offsets, differences(isns), differences(offsets)):
        for shift in SHIFTS:
            assert chi_square(numbers, shift) < LUCKY
    assert chi_square(cycled(5, 4096), 0) > LUCKY  # it would be found out


@pytest.mark.requirement("RFC 6528 3", "MUST-9")
def test_isns_have_no_step_in_common(found: list[tuple[int, int]]) -> None:
    steps = differences([n for n, _ in found])
    assert math.gcd(*steps) == 1
    repeated = len(steps) - len(set(steps))
    assert repeated <= 10 + len(steps) ** 2 / WRAP  # birthdays
    assert math.gcd(*differences(list(range(0, 640_000, 64_000)))) == 64_000


@pytest.mark.requirement("RFC 6528 3", "MUST-9")
def test_no_generator_fits_isns(found: list[tuple[int, int]]) -> None:
    assert linear_fits([n for n, _ in found[:20_000]]) == 0
    assert linear_fits([o for _, o in found[:20_000]]) == 0
    assert linear_fits(cycled(69069, 1)) > 1000


@pytest.mark.requirement("RFC 6528 3", "MUST-9")
@pytest.mark.parametrize("bit", [0, 1, 2, 3, 16, 31])
def test_no_register_makes_a_bit_of_isns(found: list[tuple[int, int]], bit: int) -> None:
    for column in (0, 1):
        bits = [pair[column] >> bit & 1 for pair in found[:BITS]]
        assert abs(linear_complexity(bits) - BITS // 2) < 12
    assert linear_complexity([n >> 4 & 1 for n in cycled(69069, 1)[:BITS]]) < 64


@pytest.mark.requirement("RFC 6528 3")
def test_neighbouring_ports_say_nothing_of_each_other() -> None:
    made = Isns()
    by_port = []
    for port in range(1024, 5024):
        by_port.append(made.of("10.0.0.2", port)[0])
        if port % 200 == 0:
            made.settle()
    assert correlation(by_port[:-1], by_port[1:]) < LUCKY
    line = list(range(0, 4_000_000, 1000))
    assert correlation(line[:-1], line[1:]) > LUCKY


@pytest.mark.requirement("RFC 6528 3", "MUST-8")
def test_the_same_sockets_follow_the_clock_and_nothing_else() -> None:
    """+250,000 a second, exactly, whatever was opened in between."""
    first = Isns(now=SECOND).of("10.0.0.2", 80)
    later = Isns(now=2 * SECOND)
    later.many(50)
    again = later.of("10.0.0.2", 80)
    assert (again[0] - first[0]) % WRAP == 250_000
    assert again[1] == first[1]


@pytest.mark.requirement("RFC 6528 3", "MUST-9")
def test_two_secrets_are_unrelated() -> None:
    """One bit of the secret changes half the bits of everything."""
    one = Isns(b"k" * 32).many(2000)
    for changed in (b"j" + b"k" * 31, b"k" * 16 + b"j" + b"k" * 15, b"k" * 31 + b"j"):
        other = Isns(changed).many(2000)
        for column in (0, 1):
            pairs = [(a[column], b[column]) for a, b in zip(one, other, strict=True)]
            if changed[:16] != b"k" * 16 and all(a == b for a, b in pairs):
                continue  # the first half is the flow table's key: it makes no ISN
            flipped = sum((a ^ b).bit_count() for a, b in pairs) / len(pairs)
            assert 15.5 < flipped < 16.5
            assert correlation([a for a, _ in pairs], [b for _, b in pairs]) < LUCKY
    assert Isns(b"k" * 32).many(20) == one[:20]  # a worker that was started again


@pytest.mark.requirement("RFC 6528 3")
def test_nmap_finds_them_hard_to_predict() -> None:
    """Six probes from six ports, 100 ms apart."""
    instants = [SECOND + i * SECOND // 10 for i in range(6)]
    numbers = [Isns(now=now).of("10.0.0.2", 40_000 + i)[0] for i, now in enumerate(instants)]
    assert predictability(numbers, 0.1) > 240
    assert predictability([n * 64_000 for n in range(6)], 0.1) < 100


@pytest.mark.requirement("RFC 6056 3.1", "RFC 6056 3.3")
def test_ephemeral_ports_fill_their_range_without_order() -> None:
    made = Isns()
    ports = []
    for k in range(4000):
        ports.append(made.of(f"10.2.{k >> 8}.{k % 200 + 1}", 80, None)[2])
        if k % 200 == 199:
            made.settle()
    assert min(ports) >= 1024
    low, high = min(ports), max(ports)
    assert high - low > 0.9 * 28_000
    assert correlation(ports[:-1], ports[1:]) < LUCKY
    steps = {b - a for a, b in pairwise(ports)}
    assert len(steps) > 1000  # no counter


@pytest.mark.requirement("RFC 6056 3.3")
def test_no_port_is_given_twice_while_it_is_in_use() -> None:
    """Half of the range towards one server: all open at once."""
    made = Isns()
    count = 10_000 if COMPILED else 1000
    ports = set()
    for k in range(count):
        connection = made.stack.connect("10.0.0.2", 80, Handler)
        ports.add(connection.local_port)
        if k % 100 == 99:
            made.settle()
    assert len(ports) == count


@pytest.mark.requirement("RFC 7323 5.4")
def test_two_connections_at_one_instant_have_unrelated_clocks() -> None:
    """What a timestamp says of one connection says nothing of another, nor how long we run."""
    seen = []
    for port in (41_000, 41_001):
        t = Trace(check=False)
        t.use(port).stack_port = 80
        t.established(ts=True)
        stamps = []
        for _ in range(3):
            t.app.send(b"x")
            stamps.append(t.heard()[-1].options.timestamps[0])  # type: ignore[index]
            t.send(100, ".", ack=t.flow.heard)
        assert [(b - a) % WRAP for a, b in pairwise(stamps)] == [100, 100]
        seen.append(stamps[0])
        t.heard()
        t.finish()
    assert abs(seen[0] - seen[1]) > 100_000
    assert all(stamp > 100_000 for stamp in seen)  # the clock of the test has just begun


@pytest.mark.requirement("RFC 6864 4.1")
def test_segments_are_atomic_and_their_identification_says_nothing() -> None:
    """DF on each, and never a counter: an idle scan would read one (nmap -sI)."""
    t = Trace(check=False)
    seen: list[bytes] = []
    send = t.link.send

    def record(now: int, port: object, frame: bytes) -> None:
        if port is t.port and frame[12:14] == b"\x08\0":
            seen.append(frame)
        send(now, port, frame)  # type: ignore[arg-type]

    t.link.send = record  # type: ignore[method-assign]
    t.established()
    t.app.send(bytes(20_000))
    t.send(1, ".", ack=1 + 14_600)
    t.advance(300)
    t.use(42_000).stack_port = 9  # refused
    t.send(0, "S", seq=5)
    t.use(40_000)
    t.heard()
    t.finish()
    assert len(seen) > 10
    assert all(frame[20] & 0x40 for frame in seen)
    numbers = [int.from_bytes(frame[18:20], "big") for frame in seen]
    assert set(numbers) == {0} or len(set(islice(numbers, 10))) == 10
