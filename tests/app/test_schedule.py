"""The instants of an open loop, and that each of its requests becomes exactly one thing."""

from __future__ import annotations

import itertools
import statistics

import pytest

from corten.app.schedule import Schedule

MS = 1_000_000


def instants(schedule: Schedule, until: int) -> list[int]:
    """What is sent when somebody looks all the time."""
    found = []
    while schedule.is_due(until):
        found.append(schedule.take(schedule.next_ns, True))
    return found


def test_requests_are_meant_for_equal_distances_whatever_the_rate() -> None:
    schedule = Schedule(3000.0, False, 1000 * MS, 1)
    schedule.start(5, 0)
    schedule.end(5 + 1000 * MS)
    found = instants(schedule, 1000 * MS)
    assert found[:4] == [5, 333338, 666672, 1000005]
    assert len(found) == 3000  # no drift


def test_instants_by_chance_have_the_mean_and_the_spread_of_a_poisson_process() -> None:
    schedule = Schedule(1000.0, True, 60_000 * MS, 7)
    schedule.start(0, 0)
    schedule.end(20_000 * MS)
    found = instants(schedule, 30_000 * MS)
    distances = [b - a for a, b in itertools.pairwise(found)]
    assert statistics.mean(distances) == pytest.approx(MS, rel=0.03)
    assert statistics.pstdev(distances) == pytest.approx(MS, rel=0.05)
    again = Schedule(1000.0, True, 60_000 * MS, 7)
    again.start(0, 0)
    again.end(20_000 * MS)
    assert instants(again, 30_000 * MS) == found


def test_what_cannot_be_sent_is_late_and_then_abandoned_but_never_forgotten() -> None:
    schedule = Schedule(1000.0, False, 50 * MS, 1)
    schedule.start(0, 0)
    schedule.end(100 * MS)
    assert schedule.take(0, True) == 0
    assert schedule.is_due(80 * MS)  # nobody sent for 80 ms: what is older than 50 is given up
    assert schedule.abandoned == 29
    assert schedule.take(80 * MS, False) == 30 * MS
    assert (schedule.late, schedule.overslept) == (1, 0)
    assert schedule.take(80 * MS, True) == 31 * MS
    assert (schedule.late, schedule.overslept) == (2, 1)
    assert schedule.delay.maximum == 50 * MS
    schedule.finish(0, True)
    schedule.finish(30 * MS, False)
    assert not schedule.is_over()
    schedule.give_up()
    counts = schedule.result(0.1)
    assert (counts["answered"], counts["lost"], counts["abandoned"]) == (1, 2, 97)
    assert counts["scheduled"] == 100
    assert counts["offered_per_second"] == 1000.0


def test_the_warm_up_is_sent_but_does_not_count() -> None:
    schedule = Schedule(1000.0, False, 1000 * MS, 1)
    schedule.start(0, 10 * MS)
    schedule.end(20 * MS)
    found = instants(schedule, 30 * MS)
    counted = [schedule.finish(each, True) for each in found]
    assert counted == [False] * 10 + [True] * 10
    assert schedule.is_over()
    assert schedule.result(0.01)["scheduled"] == 10
