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
