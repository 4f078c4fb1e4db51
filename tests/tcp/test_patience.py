"""Keep-alive, linger, the user timeout, FIN-WAIT-2: how long a connection waits (RFC 9293 3.8.3,
3.8.4; RFC 5482)."""

from __future__ import annotations

from typing import Any

import pytest

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.sim.script import Trace

SECOND = 1000
NS = 10**9


def kept(**config: Any) -> Trace:
    settings = {"keepalive_ns": 60 * NS, "keepalive_interval_ns": 10 * NS, "keepalive_count": 3}
    return Trace(check=False, **{**settings, **config}).established()


@pytest.mark.requirement("MUST-24", "MUST-25", "MAY-5")
def test_it_is_off_unless_asked_for() -> None:
    t = Trace(check=False).established()
    t.expect_nothing(24 * 3600 * SECOND)
    t.finish()


@pytest.mark.requirement("MUST-28", "SHLD-12")
def test_by_default_it_waits_two_hours_and_sends_no_data() -> None:
    t = Trace(check=False, listen=None)
    t.syn_sent(keepalive=True)
    t.send(0, "S.", seq=0, ack=1, mss=1460)
    t.expect(0, ".", seq=1, ack=1)
    t.expect_nothing(7199 * SECOND)
    t.expect(SECOND, ".", seq=0, ack=1, data=0)
    t.send(0, ".", seq=1, ack=1)
    t.expect(7200 * SECOND, ".", seq=0, ack=1, data=0)
    t.finish()


@pytest.mark.requirement("MUST-27", "MUST-29")
def test_lost_answers_are_tolerated_and_silence_ends_it() -> None:
    t = kept()
    t.expect(60 * SECOND, ".", seq=0, ack=1)
    t.expect(10 * SECOND, ".", seq=0, ack=1)
    t.send(5 * SECOND, ".", seq=1, ack=1)
    for wait in (60, 10, 10):
        t.expect(wait * SECOND, ".", seq=0, ack=1)
    assert not t.app.is_closed
    t.expect_nothing(9 * SECOND)
    t.advance(2 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.finish()


@pytest.mark.requirement("MUST-26")
def test_only_silence_is_probed() -> None:
    t = kept()
    for k in range(5):
        t.send(50 * SECOND, "P.", data=b"x")
        t.expect(40, ".", ack=2 + k)
    t.expect(60 * SECOND - 40, ".", seq=0)
    t.finish()


@pytest.mark.requirement("MUST-26")
def test_outstanding_data_is_retransmitted_not_probed() -> None:
    t = kept(r2_ns=1000 * NS)
    t.send(50 * SECOND, ".", seq=1, ack=1)
    t.app.send(b"x")
    for segment in [t.expect(0, ".", data=1), *t.heard()]:
        assert segment.payload == b"x"
    t.advance(300 * SECOND)
    assert all(segment.payload == b"x" for segment in t.heard())
    t.finish()


def test_it_goes_on_after_the_peers_fin() -> None:
    t = kept()
    t.send(0, "F.", seq=1, ack=1)
    t.expect(None, ".", ack=2)
    t.expect(None, ".", seq=0, ack=2)
    t.finish()


def test_a_probe_is_answered_where_we_are() -> None:
    t = Trace(check=False).established()
    t.send(0, ".", seq=0, ack=1)
    t.expect(0, ".", seq=1, ack=1)
    t.send(SECOND, ".", seq=0, ack=1, data=b"?")  # a garbage octet
    t.expect(0, ".", seq=1, ack=1)
    assert t.app.data == b""
    t.finish()


@pytest.mark.requirement("MUST-21", "RFC 5482 3", "RFC 5482 3.1")
def test_a_user_timeout_ends_what_nobody_acknowledges() -> None:
    t = Trace(check=False, user_timeout_ns=5 * NS).established()
    t.app.send(b"x")
    t.advance(4990)
    assert not t.app.is_closed
    t.advance(20)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.send(0, ".", seq=1, ack=2)  # late
    t.expect(0, "R", seq=2)
    t.finish()


@pytest.mark.requirement("RFC 5482 3")
def test_a_user_timeout_of_a_fin() -> None:
    t = Trace(check=False, user_timeout_ns=5 * NS).fin_wait_1()
    t.advance(5010)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.send(0, ".", seq=1, ack=2)
    t.expect(0, "R", seq=2)
    t.finish()


@pytest.mark.requirement("RFC 5482 3")
def test_a_user_timeout_at_a_shut_window() -> None:
    t = Trace(check=False, user_timeout_ns=5 * NS).established(win=0)
    t.app.send(b"x" * 100)
    for _ in range(4):
        t.expect(None, ".", seq=1, data=1)
        t.send(0, ".", seq=1, ack=1, win=0)
    t.advance(5000)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_progress_renews_the_user_timeout() -> None:
    t = Trace(check=False, user_timeout_ns=5 * NS).established()
    for k in range(4):
        t.app.send(b"x")
        t.advance(4000)
        t.heard()
        t.send(0, ".", seq=1, ack=2 + k)
    assert not t.app.is_closed
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-37")
def test_who_has_closed_does_not_probe_for_ever() -> None:
    t = Trace(check=False).established(win=0)
    t.app.send(b"x" * 100)
    t.app.close()
    for _ in range(40):
        t.advance(10 * SECOND)
        t.heard()
        if t.app.is_closed:
            break
        t.send(0, ".", seq=1, ack=1, win=0)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_linger_zero_resets() -> None:
    t = Trace(check=False, linger_ns=0).established()
    t.app.send(b"unsent")
    t.expect(0, ".", data=b"unsent")
    t.app.close()
    t.expect(0, "R.", seq=7, ack=1)
    assert isinstance(t.app.error, ConnectionAbortedError)
    t.finish()


def test_without_linger_close_sends_a_fin() -> None:
    t = Trace(check=False).established()
    t.app.send(b"sent")
    t.expect(0, ".", data=b"sent")
    t.app.close()
    t.expect(0, "F.", seq=5)
    t.finish()


def test_linger_waits_then_resets() -> None:
    t = Trace(check=False, linger_ns=3 * NS).established(win=10)
    t.app.send(b"x" * 50)
    t.app.close()
    t.advance(2990)
    assert not t.app.is_closed
    t.heard()
    t.advance(20)
    segment = t.heard()[-1]
    assert segment.flags & 4
    assert isinstance(t.app.error, TimeoutError)
    t.finish()


def test_linger_that_is_not_needed() -> None:
    t = Trace(check=False, linger_ns=3 * NS).fin_wait_1()
    t.send(0, "F.", seq=1, ack=2)
    t.expect(None, ".", seq=2, ack=2)
    t.advance(10_000)
    assert t.app.error is None and t.app.is_closed
    t.finish()


def test_linger_after_the_peer_closed_its_half() -> None:
    t = Trace(check=False, linger_ns=3 * NS).last_ack()
    t.advance(3010)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_fin_wait_2_ends_and_a_late_segment_is_refused() -> None:
    t = Trace(check=False, fin_wait_ns=NS).fin_wait_2()
    t.advance(1010)
    assert isinstance(t.app.error, TimeoutError)
    t.send(0, ".", seq=1, ack=2)
    t.expect(0, "R", seq=2)
    t.finish()


@pytest.mark.requirement("RFC 1337 3")
@pytest.mark.parametrize("rfc1337", [True, False])
def test_a_reset_in_time_wait(rfc1337: bool) -> None:
    t = Trace(check=False, rfc1337=rfc1337).time_wait()
    t.send(0, "R", seq=3)  # not exactly RCV.NXT: never believed
    t.send(0, "R", seq=2)
    t.expect_nothing()
    t.send(0, "F.", seq=1, ack=2)
    t.expect(0, "." if rfc1337 else "R", seq=2)
    t.finish()


@pytest.mark.requirement("MUST-23")
def test_a_syn_ack_is_sent_for_three_minutes() -> None:
    t = Trace(check=False).syn_received()
    last = 0.0
    while t.now_ms < 250_000:
        t.advance(1000)
        if t.heard():
            last = t.now_ms
    assert 100_000 < last < 180_000
    assert t.host.stack.next_deadline() >= 1 << 62
    t.finish()


def test_options_in_seconds() -> None:
    t = Trace()
    for name in ("timeout", "user_timeout", "keepalive", "keepalive_interval", "linger"):
        with pytest.raises(CortenError, match=name):
            t.host.connect("10.0.0.2", 80, Handler, **{name: "soon"})
    with pytest.raises(CortenError, match="keepalive_ns"):
        t.host.listen(81, Handler, keepalive=-1)
    assert t.host.listen(82, Handler, keepalive=1.5).config.keepalive_ns == 1_500_000_000
    t.finish()
