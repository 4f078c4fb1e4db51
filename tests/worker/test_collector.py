"""The cycle collector runs when it is worth it and fits the budget."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from corten.worker import collector
from corten.worker.collector import Collector


class Cycle:
    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def made() -> Iterator[Collector]:
    one = Collector()
    one.start()
    yield one
    one.stop()


def litter(count: int) -> None:
    for _ in range(count):
        Cycle()


def garbage() -> int:
    return sum(isinstance(each, Cycle) for each in gc.get_objects())


def test_off_until_it_is_worth_it(made: Collector) -> None:
    assert not gc.isenabled()
    litter(10)
    made.idle()
    made.busy()
    assert garbage() == 10


def test_idle_collects_the_young(made: Collector) -> None:
    litter(collector.YOUNG_ENOUGH + 50)
    made.idle()
    assert garbage() == 0
    assert made.longest_ns > 0


def test_busy_collects_only_what_is_too_much(made: Collector) -> None:
    litter(collector.YOUNG_ENOUGH + 50)
    made.busy()
    assert garbage() > 0
    litter(collector.YOUNG_TOO_MANY)
    made.busy()
    assert garbage() == 0


def test_the_oldest_wait_where_they_would_take_too_long() -> None:
    one = Collector(budget_ns=-1)
    one.start()
    for _ in range(collector.MIDDLE_EVERY * collector.OLD_EVERY):
        litter(collector.YOUNG_ENOUGH + 1)
        one.idle()
    assert one.put_off == 1
    one.stop()
    assert gc.isenabled()
