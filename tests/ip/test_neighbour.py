"""The neighbour machine: every state under every message, timers, and what must not happen."""

from __future__ import annotations

import itertools

import pytest

from corten.core.chance import Chance
from corten.ip.neighbour import (
    ASK,
    DELAY,
    FAILED,
    INCOMPLETE,
    LAPSED,
    NOTHING,
    PROBE,
    REACHABLE,
    ROUTER_LOST,
    SEND_WAITING,
    STALE,
    STATIC,
    Neighbour,
    Timing,
)

SECOND = 1_000_000_000
NOW = 100 * SECOND
NEVER = 0x7FFF_FFFF_FFFF_FFFF
OLD, NEW = 0x020000000001, 0x020000000099


def nd(state: int = INCOMPLETE, router: bool = False) -> Neighbour:
    """An IPv6 neighbour, brought to `state` at NOW by what brings one there."""
    entry = Neighbour(0xFE80 << 48, 1, Timing(Chance(1)))
    if state == STATIC:
        entry.make_static(OLD)
        return entry
    if state == INCOMPLETE:
        return entry
    entry.advertise(OLD, state == REACHABLE, True, router, NOW)
    if state in (DELAY, PROBE):
        assert entry.use(NOW) == NOTHING
    if state == PROBE:
        assert entry.expire(NOW + 5 * SECOND) == ASK
        entry.asked(NOW + 5 * SECOND)
    assert entry.state == state
    return entry


def arp() -> Neighbour:
    return Neighbour(0, 0xFFFF_0A00_0001, Timing(None))


# -- RFC 4861 7.2.5 -------------------------------------------------------------------------

ALL = (INCOMPLETE, REACHABLE, STALE, DELAY, PROBE)


@pytest.mark.requirement("RFC 4861 7.2.5")
@pytest.mark.parametrize("mac", [0, OLD, NEW])
@pytest.mark.parametrize(
    ("solicited", "override", "router", "was_router"),
    list(itertools.product([False, True], repeat=4)),
)
@pytest.mark.parametrize("state", ALL)
def test_receipt_of_advertisements(
    state: int, solicited: bool, override: bool, router: bool, was_router: bool, mac: int
) -> None:
    """The table of 7.2.5, written out once more from the text."""
    entry = nd(state, was_router)
    was_router = was_router and state != INCOMPLETE
    entry_mac = entry.mac
    answer = entry.advertise(mac, solicited, override, router, NOW + 6 * SECOND)
    lost = ROUTER_LOST if was_router and not router else NOTHING
    if state == INCOMPLETE:
        if mac == 0:
            expected = (INCOMPLETE, 0, False, NOTHING)
        else:
            expected = (REACHABLE if solicited else STALE, mac, router, SEND_WAITING)
    elif not override and mac not in (0, OLD):
        becomes = STALE if state == REACHABLE else state
        expected = (becomes, OLD, was_router, NOTHING)
    elif solicited:
        expected = (REACHABLE, mac or OLD, router, lost)
    elif mac not in (0, OLD):
        expected = (STALE, NEW, router, lost)
    else:
        expected = (state, entry_mac, router, lost)
    assert (entry.state, entry.mac, entry.is_router, answer) == expected


@pytest.mark.requirement("RFC 4861 7.2.3")
@pytest.mark.parametrize("mac", [OLD, NEW])
@pytest.mark.parametrize("state", ALL)
def test_what_is_heard_otherwise_confirms_nothing(state: int, mac: int) -> None:
    entry = nd(state, router=True)
    answer = entry.hear(mac)
    if state == INCOMPLETE:
        assert (entry.state, entry.mac, answer) == (STALE, mac, SEND_WAITING)
    else:
        assert (entry.state, entry.mac) == (state if mac == OLD else STALE, mac)
        assert entry.is_router, "a solicitation does not say what it is"


def test_a_static_entry_changes_by_nothing() -> None:
    entry = nd(STATIC)
    assert entry.advertise(NEW, True, True, False, NOW) == NOTHING
    assert entry.hear(NEW) == NOTHING
    assert not entry.learn(NEW, NOW)
    entry.doubt(NOW)
    entry.confirm(NOW)
    assert entry.use(NEVER - 1) == NOTHING
    assert (entry.state, entry.mac, entry.fresh_until) == (STATIC, OLD, NEVER)


# -- RFC 4861 7.3 ---------------------------------------------------------------------------


@pytest.mark.requirement("RFC 4861 7.2.2")
def test_resolution_asks_three_times_a_second_apart_then_fails() -> None:
    entry, now, asked = nd(), NOW, []
    assert entry.use(now) == ASK
    entry.asked(now)
    for _ in range(80):
        assert entry.use(now) == NOTHING, "more packets ask for no more requests"
        now += SECOND // 20
        answer = entry.expire(now)
        if answer == ASK:
            asked.append(now)
            entry.asked(now)
        elif answer == FAILED:
            break
    assert asked == [NOW + SECOND, NOW + 2 * SECOND]
    assert (answer, now) == (FAILED, NOW + 3 * SECOND)
    assert (entry.state, entry.due_at) == (INCOMPLETE, NEVER)
    assert entry.use(now) == ASK, "subsequent traffic resolves again"


@pytest.mark.requirement("RFC 4861 7.3.3")
def test_an_entry_ages_is_delayed_probed_and_given_up() -> None:
    entry = nd(REACHABLE)
    until = entry.fresh_until
    assert NOW + 15 * SECOND <= until <= NOW + 45 * SECOND
    assert entry.use(until) == NOTHING
    assert (entry.state, entry.due_at) == (DELAY, until + 5 * SECOND)
    assert entry.fresh_until == NEVER, "using it costs nothing while its timer runs"
    now = until + 5 * SECOND
    for _ in range(3):
        assert entry.expire(now - 1) == NOTHING
        assert entry.expire(now) == ASK
        assert (entry.state, entry.mac) == (PROBE, OLD), "in use while it is asked for"
        entry.asked(now)
        now += SECOND
    assert entry.expire(now) == LAPSED
    assert (entry.state, entry.mac) == (INCOMPLETE, 0)


@pytest.mark.requirement("RFC 4861 7.3.1")
@pytest.mark.parametrize("state", ALL)
def test_progress_of_the_transport_confirms(state: int) -> None:
    entry = nd(state)
    entry.confirm(NOW + 7 * SECOND)
    if state == INCOMPLETE:
        assert (entry.state, entry.in_use) == (INCOMPLETE, False)
    else:
        assert (entry.state, entry.in_use, entry.due_at) == (REACHABLE, True, NEVER)
        assert entry.fresh_until >= NOW + 22 * SECOND


@pytest.mark.requirement("RFC 4861 7.3.3")
def test_a_confirmed_delay_sends_no_probe() -> None:
    entry = nd(DELAY)
    entry.confirm(NOW + SECOND)
    assert entry.expire(NOW + 6 * SECOND) == NOTHING
    assert entry.state == REACHABLE


@pytest.mark.requirement("RFC 4861 6.3.2")
def test_reachable_time_is_drawn_between_half_and_one_and_a_half() -> None:
    timing = Timing(Chance(7))
    drawn = [timing.reachable_ns(i * 3 * 3600 * SECOND) for i in range(2000)]
    assert min(drawn) >= 15 * SECOND and max(drawn) <= 45 * SECOND
    assert min(drawn) < 16 * SECOND and max(drawn) > 44 * SECOND
    assert abs(sum(drawn) / len(drawn) - 30 * SECOND) < SECOND
    now = 2000 * 3 * 3600 * SECOND
    first = timing.reachable_ns(now)
    assert timing.reachable_ns(now + 3600 * SECOND) == first, "not anew each time"


def test_doubt_asks_it_once_and_then_everybody() -> None:
    entry = nd(REACHABLE)
    entry.doubt(NOW + SECOND)
    assert entry.use(NOW + SECOND) == ASK, "no DELAY: there has been enough of it"
    assert entry.state == PROBE
    entry.asked(NOW + SECOND)
    assert entry.expire(NOW + 2 * SECOND) == LAPSED, "then it is resolved anew"


# -- ARP (RFC 1122 2.3.2) -------------------------------------------------------------------


@pytest.mark.requirement("RFC 1122 2.3.2")
def test_an_arp_entry_is_asked_for_as_soon_as_it_is_used_old() -> None:
    entry = arp()
    entry.learn(OLD, NOW)
    assert entry.fresh_until == NOW + 60 * SECOND
    now = NOW + 61 * SECOND
    assert entry.use(now) == ASK
    for i in range(8):
        assert (entry.state, entry.mac, entry.requests) == (PROBE, OLD, i)
        entry.asked(now)
        assert entry.use(now) == NOTHING
        now += SECOND
        assert entry.expire(now) == (ASK if i < 7 else LAPSED)


@pytest.mark.requirement("RFC 1122 2.3.2")
def test_an_arp_request_leaves_once_a_second_at_most() -> None:
    entry = arp()
    assert entry.use(NOW) == ASK
    entry.asked(NOW)
    entry.learn(OLD, NOW + 1000)
    entry.doubt(NOW + 2000)
    assert entry.use(NOW + 3000) == NOTHING
    assert entry.due_at == NOW + SECOND
