"""The eight checks, where the matrix of `tests/trace` does not look: what they count and how often
they answer."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace


def count(t: Trace, name: str) -> int:
    """One of the stack's counters."""
    return int(t.host.stack.counters.snapshot()[name])


@pytest.mark.requirement("RFC 5961 7")
def test_challenges_have_a_rate() -> None:
    """Two ends that disagree would answer one another for ever."""
    t = Trace(check=False).established()
    for _ in range(30):
        t.send(1, ".", seq=70_000, ack=1)
    assert count(t, "tcp_bad_sequence") == 30
    assert count(t, "challenge_acks") == 10
    assert len(t.heard()) == 10
    t.send(5000, ".", seq=70_000, ack=1)
    t.expect(0, ".", seq=1, ack=1)
    t.finish()


def test_stale_data_is_always_answered() -> None:
    """A lost acknowledgement must not wait for the rate of challenges."""
    t = Trace(check=False).established()
    t.send(0, "P.", seq=1, ack=1, data=10)
    t.expect(40, ".", ack=11)
    for _ in range(20):
        t.send(1, "P.", seq=1, ack=1, data=10)
        t.expect(0, ".", ack=11)
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-66")
def test_the_ack_counts_at_a_shut_window() -> None:
    t = Trace(check=False, receive_buffer=2048, mtu=9000, timestamps=False).established()
    t.app.pause()
    t.send(0, "P.", seq=1, ack=1, data=2048)
    t.expect(None, ".", ack=2049, win=0)
    t.app.send(b"x" * 10)
    t.expect(0, "P.", seq=1, ack=2049, data=10)
    t.send(0, "P.", seq=2049, ack=11, data=1)
    t.expect(0, ".", seq=11, ack=2049, win=0)
    assert t.app.connection.info()["in_flight"] == 0
    assert count(t, "tcp_bad_sequence") == 1
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-10")
def test_a_simultaneous_open_takes_the_syn_acks_window_unscaled() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "S", seq=0, win=1000, mss=1460, wscale=7)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, "S.", seq=0, ack=1, win=1000, mss=1460, wscale=7)
    assert t.app.events == ["open"]
    assert t.app.connection.info()["snd_wnd"] == 1000
    t.send(0, "P.", seq=1, ack=1, data=b"hello")
    t.expect(40, ".", ack=6)
    assert t.app.data == b"hello"
    t.finish()


def test_a_simultaneous_open_that_nobody_completes_is_reported() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "S", seq=0, mss=1460)
    t.advance(200_000)
    assert t.app.events == ["close"]
    assert isinstance(t.app.error, TimeoutError)
    assert {s.flags for s in t.heard()} == {0x12}
    t.finish()


def test_a_simultaneous_open_that_is_refused() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, "R", seq=1)
    assert isinstance(t.app.error, ConnectionRefusedError)
    t.finish()


def test_a_duplicate_syn_brings_the_syn_ack_again() -> None:
    t = Trace().syn_received()
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", seq=0, ack=1)
    t.finish()


def test_what_does_not_fit_in_syn_received_is_answered_by_an_ack() -> None:
    t = Trace(check=False).syn_received()
    t.send(0, ".", seq=70_000, ack=1)
    t.expect(0, ".", seq=1, ack=1)
    t.send(0, ".", seq=1, ack=5)
    t.expect(0, "R", seq=5)
    assert count(t, "tcp_bad_ack") == 1
    t.finish()


def test_paws() -> None:
    t = Trace(check=False).established(ts=True)
    t.send(0, "P.", seq=1, ack=1, data=5, ts=(10, 0))
    t.expect(0, ".", ack=1)
    assert count(t, "tcp_paws") == 1
    t.send(0, "P.", seq=1, ack=1, data=5, ts=False)
    t.expect_nothing()
    assert count(t, "tcp_no_timestamp") == 1
    t.send(0, "P.", seq=1, ack=1, data=5)
    t.expect(40, ".", ack=6)
    t.finish()


def test_a_timestamp_is_believed_again_after_24_days() -> None:
    """RFC 7323 5.5."""
    t = Trace(check=False).established(ts=True)
    t.advance(25 * 24 * 3600 * 1000)
    t.send(0, "P.", seq=1, ack=1, data=5, ts=(10, 0))
    assert t.app.data
    t.expect(40, ".", ack=6)
    assert t.heard() == []
    t.finish()


def test_no_ack_bit() -> None:
    t = Trace(check=False).established()
    t.send(0, "P", seq=1, data=5)
    t.expect_nothing()
    assert count(t, "tcp_no_ack_bit") == 1 and not t.app.data
    t.finish()


def test_an_ack_of_what_was_never_sent() -> None:
    t = Trace(check=False).established()
    t.send(0, "P.", seq=1, ack=2, data=5)
    t.expect(0, ".", seq=1, ack=1)
    assert count(t, "tcp_bad_ack") == 1 and not t.app.data
    t.finish()


def test_syn_in_a_synchronized_state_is_challenged() -> None:
    t = Trace(check=False).established()
    t.send(0, "S", seq=1)
    t.expect(0, ".", seq=1, ack=1)
    assert count(t, "tcp_unexpected_syn") == 1
    t.send(0, "R", seq=2)
    t.expect(0, ".", seq=1, ack=1)
    assert count(t, "tcp_bad_rst") == 1
    t.send(0, "R", seq=1)
    assert isinstance(t.app.error, ConnectionResetError)
    t.finish()


def test_a_reset_half_open_connection_is_quietly_gone() -> None:
    t = Trace(check=False).syn_received()
    t.send(0, "R", seq=1)
    t.expect_nothing()
    assert t.host.stack.connections() == []
    t.finish()
