"""Duplicate address detection and address conflict detection, as machines."""

from __future__ import annotations

import itertools

import pytest

from corten.core.chance import Chance
from corten.ip.probation import ANNOUNCE, GIVE_UP, SOLICIT, USE, WAIT, Claim, Duplicates

SECOND = 1_000_000_000
NOW = 50 * SECOND
NEVER = 0x7FFF_FFFF_FFFF_FFFF


def run(machine: Duplicates | Claim, now: int = NOW, until: int = 30 * SECOND) -> list[tuple]:
    """(when, what) of all that the machine wants."""
    wanted = []
    while machine.due_at <= now + until:
        due = machine.due_at
        assert machine.expire(due - 1) == WAIT
        wanted.append((due, machine.expire(due)))
    return wanted


@pytest.mark.requirement("RFC 4862 5.4.2")
def test_one_solicitation_after_a_delay_and_a_second_of_silence() -> None:
    for delay in (0, 1, SECOND - 1):
        (asked, first), (used, second) = run(Duplicates(Chance(1), NOW, SECOND, delay))
        assert (first, second) == (SOLICIT, USE)
        assert (asked, used) == (NOW + delay, NOW + delay + SECOND)


@pytest.mark.requirement("RFC 7527 4.1")
def test_our_own_heard_back_is_no_conflict_but_asks_three_times_more() -> None:
    machine = Duplicates(Chance(3), NOW, SECOND, 0)
    nonces = set()
    assert machine.expire(NOW) == SOLICIT
    nonces.add(machine.nonce)
    assert machine.is_ours(machine.nonce)
    assert not machine.is_ours(0) and not machine.is_ours(machine.nonce ^ 2)
    for i in (1, 2, 3):
        assert machine.expire(NOW + i * SECOND) == SOLICIT
        nonces.add(machine.nonce)
    assert machine.expire(NOW + 4 * SECOND) == USE
    assert len(nonces) == 4, "a nonce is used once"


@pytest.mark.requirement("RFC 7527 4.1")
def test_while_the_link_loops_the_address_is_not_used() -> None:
    machine = Duplicates(Chance(3), NOW, SECOND, 0)
    for i in range(50):
        assert machine.expire(NOW + i * SECOND) == SOLICIT
        assert machine.is_ours(machine.nonce)


@pytest.mark.requirement("RFC 5227 2.1.1")
@pytest.mark.requirement("RFC 5227 2.3")
def test_three_probes_and_two_announcements() -> None:
    for seed in range(100):
        claim = Claim(Chance(seed), NOW, True)
        wanted = run(claim)
        assert [what for _, what in wanted] == [SOLICIT] * 3 + [USE | ANNOUNCE, ANNOUNCE]
        times = [when for when, _ in wanted]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert NOW <= times[0] < NOW + SECOND
        assert all(SECOND <= gap < 2 * SECOND for gap in gaps[:2])
        assert gaps[2:] == [2 * SECOND, 2 * SECOND]
        assert claim.is_used


@pytest.mark.requirement("RFC 5227 2.1.1")
def test_a_conflict_while_probing_ends_it() -> None:
    claim = Claim(Chance(1), NOW, True)
    claim.expire(claim.due_at)
    assert claim.conflict(NOW + SECOND) == GIVE_UP
    assert (claim.is_used, claim.due_at) == (False, NEVER)


@pytest.mark.requirement("RFC 5227 2.4")
def test_defends_once_in_ten_seconds_and_then_gives_up() -> None:
    claim = Claim(Chance(1), NOW, True)
    now = run(claim)[-1][0]
    assert claim.conflict(now + SECOND) == ANNOUNCE
    assert claim.conflict(now + 12 * SECOND) == ANNOUNCE
    assert claim.conflict(now + 21 * SECOND) == GIVE_UP


@pytest.mark.requirement("RFC 5227 2.4")
def test_one_that_is_to_be_kept_is_defended_for_ever_but_quietly() -> None:
    claim = Claim(Chance(1), NOW, False)
    assert (claim.is_used, claim.due_at) == (True, NEVER)
    answers = [claim.conflict(NOW + i * SECOND) for i in range(25)]
    assert [i for i, answer in enumerate(answers) if answer == ANNOUNCE] == [0, 10, 20]
    assert set(answers) == {ANNOUNCE, WAIT}
