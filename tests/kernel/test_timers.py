"""The heap of timers: order, cancelling, and that cancelled ones do not pile up."""

from __future__ import annotations

import random

from corten.core.clock import NEVER
from corten.kernel.timers import Timer, Timers


def popped(timers: Timers, now: int) -> list[object]:
    """Everything due, as `pop` hands it out."""
    found = []
    while timers.pop(now) is not None:
        found.append(timers.due)
    return found


def test_an_empty_heap() -> None:
    timers = Timers()
    assert timers.next_deadline() == NEVER
    assert timers.pop(1 << 60) is None
    assert len(timers) == 0


def test_earliest_first_and_ties_in_order() -> None:
    timers = Timers()
    for when, name in [(3, "c"), (1, "a"), (2, "b1"), (2, "b2")]:
        timers.arm(when, name)
    assert timers.next_deadline() == 1
    assert popped(timers, 2) == ["a", "b1", "b2"]
    assert timers.next_deadline() == 3
    assert popped(timers, 3) == ["c"]


def test_cancelled_ones_never_come() -> None:
    timers = Timers()
    kept = timers.arm(1, "kept")
    gone = timers.arm(1, "gone")
    timers.cancel(gone)
    timers.cancel(gone)
    assert len(timers) == 1
    assert popped(timers, 1) == ["kept"]
    timers.cancel(kept)
    assert len(timers) == 0


def test_a_million_connections_that_come_and_go_leave_little() -> None:
    """Each arms a minute's timeout and is over at once."""
    timers = Timers()
    for i in range(20_000):
        timers.cancel(timers.arm(60_000_000_000 + i, "connection"))
        assert timers.heap_len() < 300


def test_against_a_sorted_list() -> None:
    chance = random.Random(7)
    timers = Timers()
    live: dict[int, Timer] = {}
    for i in range(5000):
        live[i] = timers.arm(chance.randrange(1000), i)
        if chance.random() < 0.6:
            timers.cancel(live.pop(chance.choice(list(live))))
    wanted = [i for i, _ in sorted(live.items(), key=lambda item: (item[1].when, item[0]))]
    assert popped(timers, 1000) == wanted
    assert timers.heap_len() == 0
