"""Closing in every order (RFC 9293 3.6), TIME-WAIT, and connections that nobody ends."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

SECOND = 1000


def test_we_close_first() -> None:
    t = Trace().time_wait()
    assert t.app.events == ["open", "eof", "close"]
    assert t.app.error is None
    t.expect_nothing(100)
    t.finish()


def test_the_peer_closes_first() -> None:
    t = Trace().last_ack()
    t.send(0, ".", seq=2, ack=2)
    assert t.app.events == ["open", "eof", "close"]
    t.expect_nothing(1000)
    t.finish()


def test_both_close_at_once() -> None:
    t = Trace().closing()
    t.send(0, ".", seq=2, ack=2)
    assert t.app.is_closed
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("MAY-1")
def test_half_close_keeps_the_other_half() -> None:
    t = Trace().fin_wait_2()
    t.send(0, "P.", seq=1, ack=2, data=b"still here")
    assert t.app.data == b"still here"
    t.expect(40, ".", seq=2, ack=11)
    t.finish()
    t = Trace(timestamps=False).close_wait()
    t.app.send(b"after eof")
    t.expect(0, "P.", seq=1, ack=2, data=b"after eof")
    t.finish()


def test_fin_after_what_is_queued() -> None:
    t = Trace(timestamps=False).established(mss=1000, win=1000)
    t.app.send(bytes(1500))
    t.expect(0, ".", data=1000)
    t.app.close()
    t.expect_nothing(10)
    t.send(0, ".", ack=1001)
    t.expect(0, "FP.", seq=1001, data=500)
    t.finish()


@pytest.mark.parametrize("state", ["fin_wait_1", "closing", "last_ack"])
def test_a_lost_fin_is_sent_again(state: str) -> None:
    t = Trace(timestamps=False)
    getattr(t, state)()
    ack = 1 if state == "fin_wait_1" else 2
    for gap in (200, 400, 800):
        t.expect(gap, "F.", seq=1, ack=ack)
    t.finish()


@pytest.mark.requirement("MUST-13")
def test_time_wait_lasts_two_msl_from_the_last_fin() -> None:
    t = Trace(time_wait_ns=60_000_000_000).time_wait()
    t.send(50 * SECOND, "F.", seq=1, ack=2)
    t.expect(0, ".", seq=2, ack=2)
    t.send(59 * SECOND, "F.", seq=1, ack=2)
    t.expect(0, ".", seq=2, ack=2)
    t.send(61 * SECOND, "F.", seq=1, ack=2)
    t.expect(0, "R", seq=2)
    t.finish()


@pytest.mark.requirement("MAY-2")
def test_time_wait_gives_way_to_a_later_syn() -> None:
    t = Trace(timestamps=False).time_wait()
    t.flow.isn = t.flow.isn + 10_000
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", ack=1)
    t.send(0, ".", seq=1, ack=1)
    assert len(t.apps) == 2
    t.finish()


@pytest.mark.requirement("SHLD-4", "MAY-2")
def test_time_wait_and_a_syn_with_a_later_timestamp() -> None:
    """RFC 6191: the timestamp alone tells that it is new."""
    t = Trace().time_wait(ts=True)
    t.flow.isn = t.flow.isn - 50_000
    t.send(10, "S", seq=0, mss=1460, ts=(2_000_000, 0))
    t.expect(0, "S.", ack=1)
    t.finish()


def test_fin_wait_2_ends_when_the_peer_is_gone() -> None:
    t = Trace(fin_wait_ns=60_000_000_000).fin_wait_2()
    t.expect_nothing(59 * SECOND)
    assert not t.app.is_closed
    t.advance(2 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def half_closed(**settings: int) -> Trace:
    """FIN-WAIT-2 by `shutdown`: we have finished sending, and want to hear the rest."""
    t = Trace(**settings).established()
    t.app.shutdown()
    t.expect(0, "F.", seq=1, ack=1)
    t.send(0, ".", seq=1, ack=2)
    t.expect_nothing()
    return t


@pytest.mark.requirement("MAY-1")
def test_who_shut_down_only_its_half_waits_for_ever() -> None:
    """The simulator's seed 3532: a peer whose retransmissions had become rarer than `fin_wait_ns`
    was given up, though the application still read."""
    t = half_closed(fin_wait_ns=60_000_000_000)
    t.expect_nothing(3_600 * SECOND)
    t.send(0, "P.", seq=1, ack=2, data=b"at last")
    assert t.app.data == b"at last"
    t.expect(40, ".", seq=2, ack=8)
    t.expect_nothing(3_600 * SECOND)
    t.send(0, "F.", seq=8, ack=2)
    t.expect(0, ".", seq=2, ack=9)
    assert t.app.events == ["open", "data", "eof", "close"]
    t.finish()


def test_a_shutdown_and_then_a_close_waits_no_longer_than_a_close() -> None:
    t = half_closed(fin_wait_ns=60_000_000_000)
    t.expect_nothing(3_600 * SECOND)
    t.app.close()
    t.app.close()
    t.app.shutdown()  # it is too late for that
    t.expect_nothing(59 * SECOND)
    assert not t.app.is_closed
    t.advance(2 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_a_half_that_was_shut_down_and_closed_before_its_fin_is_acknowledged() -> None:
    t = Trace(fin_wait_ns=60_000_000_000).established()
    t.app.shutdown()
    t.app.close()
    t.expect(0, "F.", seq=1, ack=1)
    t.send(0, ".", seq=1, ack=2)
    t.expect_nothing(59 * SECOND)
    t.advance(2 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_shutdown_before_the_connection_is_open_gives_it_up() -> None:
    t = Trace().syn_sent()
    t.app.connection.shutdown()
    t.breathe()
    assert isinstance(t.app.error, ConnectionAbortedError)
    t.finish()


def test_keep_alive_finds_that_the_peer_of_a_half_closed_connection_is_gone() -> None:
    t = half_closed(
        keepalive_ns=60 * SECOND * 10**6, keepalive_interval_ns=10**10, keepalive_count=2
    )
    t.expect_nothing(59 * SECOND)
    t.expect(1 * SECOND, ".", seq=1, ack=1)
    t.send(0, ".", seq=1, ack=2)
    t.expect_nothing(59 * SECOND)
    for _ in range(2):
        t.advance(10 * SECOND)
    assert not t.app.is_closed
    t.advance(10 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-20", "SHLD-10", "SHLD-11")
def test_a_silent_peer_ends_the_connection() -> None:
    t = Trace(timestamps=False, user_timeout_ns=120_000_000_000).established()
    t.app.send(b"anybody?")
    t.advance(115 * SECOND)
    assert not t.app.is_closed
    t.advance(200 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    assert len(t.heard()) >= 4
    t.finish()


@pytest.mark.requirement("MUST-21")
def test_the_application_sets_how_long() -> None:
    t = Trace(timestamps=False, user_timeout_ns=5_000_000_000).established()
    t.app.send(b"anybody?")
    t.advance(15 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()
