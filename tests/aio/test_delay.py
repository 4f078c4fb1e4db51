"""Timers of equal delays: in order, cancelled in any, as the loop's own to whoever sets them."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any

import pytest

from corten.aio.delay import LISTS_MAX, Delays
from tests.aio.joined import run


class Loop:
    """A loop whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.armed: list[tuple[float, Callable[..., Any], tuple[Any, ...]]] = []
        self.later: list[float] = []
        self.told: list[dict[str, Any]] = []
        self.debug = False

    def time(self) -> float:
        return self.now

    def call_later(
        self, delay: float, function: Callable[..., Any], *arguments: Any, context: Any = None
    ) -> str:
        if getattr(function, "__name__", "") == "_due":
            self.armed.append((self.now + delay, function, arguments))
        else:
            self.later.append(delay)
        return "the loop's own"

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return self.debug

    def call_exception_handler(self, told: dict[str, Any]) -> None:
        self.told.append(told)

    def go(self, now: float) -> None:
        """Fire what is due until `now`, each at its time."""
        while self.armed and (first := min(self.armed, key=lambda each: each[0]))[0] <= now:
            self.armed.remove(first)
            self.now = max(self.now, first[0])
            first[1](*first[2])
        self.now = now


def test_they_come_in_order_and_the_loop_has_one_timer_for_all() -> None:
    loop, heard = Loop(), list[int]()
    delays = Delays(loop)
    for i in range(5):
        handle = delays.call_later(5, heard.append, i)
        assert handle.when() == loop.now + 5
        loop.now += 1.0
    assert len(loop.armed) == 1
    loop.go(106.5)
    assert heard == [0, 1]
    assert len(loop.armed) == 1
    loop.go(200.0)
    assert heard == [0, 1, 2, 3, 4]
    assert loop.armed == []
    delays.call_later(5, heard.append, 5)
    loop.go(300.0)
    assert heard[-1] == 5


def test_any_of_them_may_be_cancelled_at_any_time() -> None:
    chance = random.Random(3)
    loop, heard = Loop(), list[int]()
    delays = Delays(loop)
    waiting: dict[int, Any] = {}
    in_time: set[int] = set()
    for i in range(2000):
        loop.go(loop.now + 0.01)
        waiting[i] = delays.call_later(chance.choice([1, 2.5]), heard.append, i)
        if chance.random() < 0.8:
            number = chance.choice(list(waiting))
            gone = waiting.pop(number)
            if number not in heard:
                in_time.add(number)
            gone.cancel()
            gone.cancel()
            assert gone.cancelled()
    loop.go(loop.now + 10)
    assert in_time
    assert set(heard) == set(range(2000)) - in_time
    assert len(heard) == len(set(heard))
    assert loop.armed == []


def test_one_that_is_cancelled_by_another_of_the_same_instant_does_not_come() -> None:
    loop, heard = Loop(), list[str]()
    delays = Delays(loop)
    handles: list[Any] = []
    delays.call_later(1, lambda: handles[0].cancel())
    handles.append(delays.call_later(1, heard.append, "cancelled"))
    delays.call_later(1, heard.append, "last")
    loop.go(102.0)
    assert heard == ["last"]


def test_what_one_raises_is_told_and_harms_no_other() -> None:
    loop, heard = Loop(), list[str]()
    delays = Delays(loop)

    def fail() -> None:
        raise ValueError("mine")

    handle = delays.call_later(1, fail)
    delays.call_later(1, heard.append, "next")
    loop.go(102.0)
    assert heard == ["next"]
    assert [str(each["exception"]) for each in loop.told] == ["mine"]
    assert loop.told[0]["handle"] is handle

    def leave() -> None:
        raise SystemExit

    delays.call_later(1, leave)
    delays.call_later(1, heard.append, "after the end")
    with pytest.raises(SystemExit):
        loop.go(104.0)
    loop.go(105.0)
    assert heard[-1] == "after the end"


def test_each_runs_in_its_context() -> None:
    loop, heard = Loop(), list[str]()
    delays = Delays(loop)
    who = contextvars.ContextVar("who", default="nobody")
    who.set("who set it")
    delays.call_later(1, lambda: heard.append(who.get()))
    delays.call_later(1, lambda: heard.append(who.get()), context=contextvars.Context())
    who.set("somebody else")
    loop.go(102.0)
    assert heard == ["who set it", "nobody"]


def test_short_ones_too_many_and_debug_are_the_loops_own() -> None:
    loop = Loop()
    delays = Delays(loop)
    assert delays.call_later(0.5, print) == "the loop's own"
    handles = [delays.call_later(10 + i, print) for i in range(LISTS_MAX)]
    assert delays.call_later(99, print) == "the loop's own"
    assert loop.later == [0.5, 99]
    for handle in handles:
        handle.cancel()
    loop.go(200.0)  # a list goes when the loop's timer of it has found nobody
    assert delays.call_later(99, print) != "the loop's own"
    loop.debug = True
    assert delays.call_later(98, print) == "the loop's own"
    with pytest.raises(TypeError):
        delays.call_later("soon", print)  # type: ignore[arg-type]  # the loop would say it too


def test_on_a_real_loop(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later = Delays(loop).call_later  # type: ignore[method-assign]  # as asgi does
        began = loop.time()
        over = loop.create_future()
        loop.call_later(1, over.set_result, None)
        loop.call_later(1, over.set_exception, ValueError).cancel()
        await asyncio.sleep(0.01)
        await asyncio.wait_for(over, 5)
        assert loop.time() - began >= 0.99
        del loop.call_later

    run(main, factory)
