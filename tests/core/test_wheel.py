"""The timing wheel against a sorted list of deadlines, at every scale of time."""

from __future__ import annotations

import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.core.chance import Chance
from corten.core.clock import NEVER
from corten.core.wheel import Wheel

TICK = 1 << 20
DAY = 86_400 * 10**9


class Model:
    """What a wheel must do: every timer's deadline, and in which order they were armed."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.armed: dict[int, tuple[int, int]] = {}
        self.calls = 0

    def arm(self, timer: int, deadline: int) -> None:
        self.calls += 1
        self.armed[timer] = (deadline, self.calls)

    def advance(self, now: int) -> list[int]:
        self.now = max(self.now, now)
        due = [t for t, (deadline, _) in self.armed.items() if deadline <= self.now]
        due.sort(key=self.armed.__getitem__)
        for timer in due:
            del self.armed[timer]
        return due

    def earliest(self) -> int:
        return min((deadline for deadline, _ in self.armed.values()), default=NEVER)


def check(wheel: Wheel, model: Model) -> None:
    earliest, said = model.earliest(), wheel.next_deadline()
    assert said <= earliest
    if earliest == NEVER:
        assert said == NEVER
    elif earliest <= model.now or earliest // TICK // 64 == model.now // TICK // 64:
        assert said == earliest, "exact in the lowest level"
    else:
        assert said > model.now, "or the worker would spin"
    assert wheel.armed == len(model.armed)
    for timer, (deadline, _) in model.armed.items():
        assert wheel.deadline(timer) == deadline


# spans of every scale, around the borders of slots and levels too
spans = st.one_of(
    st.integers(0, 3 * TICK),
    st.builds(
        lambda bits, factor, delta: max(0, (factor << bits) + delta),
        st.integers(18, 56),
        st.integers(1, 64),
        st.sampled_from([-TICK, -1, 0, 1, TICK]),
    ),
)
starts = st.one_of(st.just(0), spans)
steps = st.one_of(
    st.tuples(st.just("arm"), st.integers(0, 7), spans),
    st.tuples(st.just("arm"), st.integers(0, 7), spans),
    st.tuples(st.just("past"), st.integers(0, 7), spans),
    st.tuples(st.just("same"), st.integers(0, 7), st.integers(0, 7)),
    st.tuples(st.just("cancel"), st.integers(0, 7), st.just(0)),
    st.tuples(st.just("advance"), st.just(0), spans),
    st.tuples(st.just("wake"), st.just(0), st.just(0)),
    st.tuples(st.just("back"), st.just(0), spans),
)


@settings(max_examples=300)
@given(starts, st.lists(steps, max_size=50))
def test_it_is_a_sorted_list(start: int, script: list[tuple[str, int, int]]) -> None:
    wheel, model = Wheel(start), Model(start)
    timers = [wheel.add(owner) for owner in range(8)]
    assert timers == list(range(8))
    for what, timer, span in script:
        deadline = min(model.now + span, NEVER - 1)
        if what == "past":
            deadline = model.now - span
        if what == "same":
            deadline = model.armed.get(span, (deadline, 0))[0]
        if what in {"arm", "past", "same"}:
            wheel.arm(timer, deadline)
            model.arm(timer, deadline)
        elif what == "cancel":
            wheel.cancel(timer)
            model.armed.pop(timer, None)
            assert wheel.deadline(timer) == NEVER
        else:
            now = deadline
            if what == "wake":
                now = min(wheel.next_deadline(), NEVER - 1)
            if what == "back":
                now = max(0, model.now - span)
            due: list[int] = []
            expected = model.advance(now)
            assert wheel.advance(now, due) == len(expected)
            assert due == expected
            assert all(wheel.deadline(timer) == NEVER for timer in due)
        check(wheel, model)


@given(starts, spans)
def test_sleeping_until_next_deadline_arrives_on_time(start: int, span: int) -> None:
    """Early a few times at most (once a level), and never late."""
    wheel, deadline = Wheel(start), min(start + span, NEVER - 1)
    wheel.arm(wheel.add("owner"), deadline)
    due: list[str] = []
    now = start
    for _ in range(8):
        wheel.advance(now, due)
        if due:
            break
        assert now < wheel.next_deadline() <= deadline
        now = wheel.next_deadline()
    assert due == ["owner"]
    assert now == max(start, deadline)


def test_a_stale_bound_does_not_make_a_worker_spin() -> None:
    """The earliest of a far slot goes; the bound stays early, but is reached only once."""
    wheel = Wheel(0)
    first, second = wheel.add(1), wheel.add(2)
    wheel.arm(first, 100 * TICK)
    wheel.arm(second, 120 * TICK)
    wheel.cancel(first)
    due: list[int] = []
    wakes = 0
    while not due:
        wakes += 1
        wheel.advance(wheel.next_deadline(), due)
    assert wakes <= 2
    assert due == [2]


def test_ties_fire_in_the_order_in_which_they_were_armed() -> None:
    """Also when some were armed a week before and some a moment before."""
    wheel, deadline = Wheel(0), 7 * DAY + 12345
    order: list[str] = []
    due: list[str] = []
    for now in (0, DAY, 6 * DAY, deadline - 10**9, deadline - 100 * TICK, deadline - 1):
        wheel.advance(now, due)
        order.append(f"armed at {now}")
        wheel.arm(wheel.add(order[-1]), deadline)
    again = 2
    wheel.arm(again, deadline)  # which makes it the last
    order.append(order.pop(again))
    assert due == []
    wheel.advance(deadline, due)
    assert due == order


def test_a_crowd() -> None:
    """Many timers in few slots: sorted, complete, and each once."""
    wheel, chance = Wheel(0), Chance(3)
    deadlines = [chance.below(200 * TICK) for _ in range(3000)]
    for i, deadline in enumerate(deadlines):
        wheel.arm(wheel.add(i), deadline)
    due: list[int] = []
    for now in range(0, 201 * TICK, 7 * TICK // 3):
        before = len(due)
        wheel.advance(now, due)
        assert all(deadlines[i] <= now for i in due[before:])
        assert len(due) == sum(deadline <= now for deadline in deadlines)
    assert due == sorted(range(3000), key=lambda i: (deadlines[i], i))


def test_ids_are_used_again_and_owners_let_go() -> None:
    wheel = Wheel(0)
    timers = [wheel.add(str(i)) for i in range(200)]
    assert len(wheel) == 200
    for timer in timers[50:150]:
        wheel.arm(timer, 10)
        wheel.discard(timer)
    assert len(wheel) == 100
    assert wheel.armed == 0
    due: list[object] = []
    assert wheel.advance(100, due) == 0
    assert {wheel.add("new") for _ in range(100)} == set(timers[50:150])
    wheel.arm(timers[60], 200)
    wheel.advance(200, due)
    assert due == ["new"]
    assert wheel.add("one more") == 200


def test_a_discarded_timer_lets_go_of_its_owner() -> None:
    class Owner:
        pass

    wheel, owner = Wheel(0), Owner()
    gone = weakref.ref(owner)
    timer = wheel.add(owner)
    wheel.arm(timer, 5)
    del owner
    assert gone() is not None
    wheel.discard(timer)
    assert gone() is None


def test_wrong_timers_are_refused() -> None:
    wheel = Wheel(0)
    timer = wheel.add(None)
    wheel.discard(timer)
    for wrong in (timer, -1, 1, 10**9):
        with pytest.raises(IndexError):
            wheel.arm(wrong, 5)
        with pytest.raises(IndexError):
            wheel.cancel(wrong)
        with pytest.raises(IndexError):
            wheel.deadline(wrong)
        with pytest.raises(IndexError):
            wheel.discard(wrong)
    with pytest.raises(ValueError, match="begins at 0"):
        Wheel(-1)


def test_never_is_no_deadline() -> None:
    wheel = Wheel(0)
    timer = wheel.add(None)
    wheel.arm(timer, 5)
    wheel.arm(timer, NEVER)
    assert wheel.deadline(timer) == wheel.next_deadline() == NEVER == 2**63 - 1
    assert wheel.armed == 0
    wheel.arm(timer, NEVER - 1)
    due: list[None] = []
    wheel.advance(NEVER - 2, due)
    assert due == []
    wheel.advance(NEVER - 1, due)
    assert due == [None]
