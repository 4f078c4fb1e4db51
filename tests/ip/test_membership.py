"""The listener's machine of MLD: joins, leaves, queries, and who is not answered."""

from __future__ import annotations

import pytest

from corten.core.chance import Chance
from corten.ip.membership import Membership

SECOND = 1_000_000_000
NOW = 10 * SECOND
GROUP, OTHER = 0x1FF000001, 0x1FF000002
EXCLUDE, TO_INCLUDE, TO_EXCLUDE = 2, 3, 4


def run(groups: Membership, until: int) -> list[tuple[int, list]]:
    """What is reported, and when."""
    said = []
    while groups.due_at <= until:
        now = groups.due_at
        said.append((now, groups.expire(now)))
    return said


def joined(*lows: int, seed: int = 1) -> Membership:
    groups = Membership(Chance(seed))
    for low in lows:
        groups.join(low, NOW - 5 * SECOND)
    run(groups, NOW)
    return groups


@pytest.mark.requirement("RFC 3810 6.1")
def test_a_join_is_reported_twice() -> None:
    groups = Membership(Chance(1))
    groups.join(GROUP, NOW)
    first, second = run(groups, NOW + 100 * SECOND)
    assert first == (NOW, [(TO_EXCLUDE, GROUP)])
    assert second[1] == [(TO_EXCLUDE, GROUP)] and NOW < second[0] <= NOW + SECOND
    assert groups.listens(GROUP) and not groups.listens(OTHER)


@pytest.mark.requirement("RFC 4861 7.2.1")
def test_a_group_is_left_when_the_last_address_goes() -> None:
    groups = joined(GROUP, GROUP)
    groups.leave(GROUP, NOW)
    assert run(groups, NOW + 100 * SECOND) == [] and groups.listens(GROUP)
    groups.leave(GROUP, NOW)
    assert not groups.listens(GROUP)
    said = [records for _, records in run(groups, NOW + 100 * SECOND)]
    assert said == [[(TO_INCLUDE, GROUP)]] * 2
    groups.leave(GROUP, NOW)
    assert run(groups, NOW + 200 * SECOND) == []


@pytest.mark.requirement("RFC 3810 6.2")
def test_a_general_query_is_answered_once_after_a_random_delay() -> None:
    delays = []
    for seed in range(50):
        groups = joined(GROUP, OTHER, seed=seed)
        groups.query(0, 10_000, False, NOW)
        groups.query(0, 60_000, False, NOW + 1)
        ((when, records),) = run(groups, NOW + 100 * SECOND)
        assert records == [(EXCLUDE, GROUP), (EXCLUDE, OTHER)]
        delays.append(when - NOW)
    assert max(delays) <= 10 * SECOND and max(delays) - min(delays) > 5 * SECOND


@pytest.mark.requirement("RFC 3810 6.2")
def test_a_specific_query_is_answered_for_that_group() -> None:
    groups = joined(GROUP, OTHER)
    groups.query(OTHER, 1000, False, NOW)
    ((when, records),) = run(groups, NOW + 100 * SECOND)
    assert records == [(EXCLUDE, OTHER)] and when <= NOW + SECOND
    groups.query(0x1FF000099, 1000, False, NOW)
    assert run(groups, NOW + 100 * SECOND) == []


@pytest.mark.requirement("RFC 3810 6.2")
def test_an_answer_to_all_answers_the_specific_query_too() -> None:
    groups = joined(GROUP, OTHER)
    groups.query(0, 1, False, NOW)
    groups.query(OTHER, 60_000, False, NOW + 2)
    assert [r for _, r in run(groups, NOW + 1_000_000)] == [[(EXCLUDE, GROUP), (EXCLUDE, OTHER)]]


@pytest.mark.requirement("RFC 3810 5.2.13")
def test_everything_is_said_again_once_there_is_a_source() -> None:
    groups = joined(GROUP, OTHER)
    groups.report_all(NOW)
    assert run(groups, NOW)[0][1] == [(TO_EXCLUDE, GROUP), (TO_EXCLUDE, OTHER)]


@pytest.mark.requirement("RFC 3810 8.2.1")
def test_version_1_while_its_querier_is_there() -> None:
    groups = joined(GROUP)
    assert not groups.is_v1(NOW)
    groups.query(0, 1000, True, NOW)
    assert groups.is_v1(NOW + 259 * SECOND) and not groups.is_v1(NOW + 261 * SECOND)


def test_ten_thousand_queries_leave_one_answer() -> None:
    groups = joined(GROUP)
    for i in range(10_000):
        groups.query(0 if i % 2 else GROUP, 65_000, False, NOW + i)
    said = run(groups, NOW + 100 * SECOND)
    assert 1 <= len(said) <= 2 and groups.due_at > NOW + 1000 * SECOND
