"""Whether to look on before sleeping: only while that has lately paid."""

from __future__ import annotations

import random

from corten.core.spin import Spin

WINDOW = 100_000


class Waits:
    """Waits of given lengths; what was spent looking on, and how many ended so."""

    def __init__(self, wake_ns: int = 0) -> None:
        self.spin = Spin(WINDOW)
        self.now = 1_000_000_000
        self.spent = 0
        self.paid = 0
        self.wake_ns = wake_ns

    def wait(self, length: int) -> None:
        begun = self.now
        until = self.spin.idle(begun)
        if until >= begun + length:
            self.now = begun + length
            self.spent += length
            self.paid += 1
        else:
            if until > begun:
                self.spent += until - begun
                self.spin.ran_out()
            self.now = begun + length + self.wake_ns
        self.spin.arrived(self.now)
        self.now += 10_000  # work


def test_short_waits_are_looked_through_after_a_few() -> None:
    waits = Waits()
    for _ in range(100):
        waits.wait(20_000)
    assert waits.paid >= 90


def test_long_waits_cost_nothing() -> None:
    waits = Waits()
    for _ in range(1000):
        waits.wait(5_000_000)
    assert waits.spent == 0


def test_it_stops_when_waits_become_long_and_begins_when_they_become_short() -> None:
    waits = Waits()
    for _ in range(100):
        waits.wait(20_000)
    before = waits.spent
    for _ in range(1000):
        waits.wait(50_000_000)
    assert waits.spent - before <= 8 * WINDOW
    before = waits.paid
    for _ in range(20):
        waits.wait(20_000)
    assert waits.paid - before >= 10


def test_that_waking_up_takes_long_does_not_hide_what_would_have_paid() -> None:
    waits = Waits(wake_ns=45_000)
    for _ in range(100):
        waits.wait(90_000)
    assert waits.paid >= 90


def test_waits_a_little_too_long_do_not_keep_it_looking() -> None:
    waits = Waits()
    for _ in range(1000):
        waits.wait(WINDOW + 20_000)
    assert waits.spent < 0.6 * 1000 * WINDOW
    assert waits.paid == 0


def test_what_it_costs_is_bounded_by_the_window_for_each_arrival() -> None:
    chance = random.Random(1)
    waits = Waits()
    for _ in range(5000):
        waits.wait(int(chance.expovariate(1 / 200_000)))
    assert waits.spent <= 5000 * WINDOW


def test_a_timer_in_between_is_no_arrival() -> None:
    """Idle again without anything having come: the wait goes on, and is not begun anew."""
    spin = Spin(WINDOW)
    for _ in range(20):
        spin.idle(1000)
        spin.arrived(2000)
    assert spin.idle(1_000_000) == 1_000_000 + WINDOW
    assert spin.idle(2_000_000) == 1_000_000 + WINDOW
    spin.arrived(2_000_000)
    assert spin.score < 1000


def test_arrivals_without_a_wait_say_nothing() -> None:
    spin = Spin(WINDOW)
    for now in range(1000):
        spin.arrived(now)
    assert spin.score == 0
