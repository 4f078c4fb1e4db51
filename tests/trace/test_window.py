"""The peer's window: probes, silly windows, Nagle (RFC 9293 3.8.6)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

MSS = 1000


@pytest.mark.requirement("MUST-36", "MUST-37", "SHLD-29", "SHLD-30")
def test_a_shut_window_is_probed_ever_more_rarely_and_for_ever() -> None:
    t = Trace(timestamps=False).established(mss=MSS, win=0)
    t.app.send(bytes(3000))
    gap = 0.0
    for i in range(12):
        before = t.now_ms
        found = t.expect(None, ".", seq=1, data=1)
        spent = t.now_ms - before
        assert found.window
        if i:
            assert min(2 * gap, 60_000) - 1 <= spent <= 60_001
        else:
            assert spent >= 200
        gap = spent
        t.send(0, ".", ack=1)
    assert not t.app.is_closed
    t.send(0, ".", ack=1, win=65535)
    t.advance(1000)
    assert sum(len(s.payload) for s in t.heard() if s.payload) >= 3000
    t.finish()


@pytest.mark.requirement("MUST-38")
def test_no_silly_segment_into_a_small_window() -> None:
    t = Trace(timestamps=False).established(mss=MSS, win=4000)
    t.app.send(bytes(10_000))
    for i in range(4):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    t.send(10, ".", ack=1 + 4 * MSS, win=100)
    t.expect_nothing(100)
    t.send(0, ".", ack=1 + 4 * MSS, win=2000)
    t.expect(0, ".", seq=1 + 4 * MSS, data=MSS)
    t.expect(0, ".", seq=1 + 5 * MSS, data=MSS)
    t.finish()


@pytest.mark.requirement("SHLD-7", "MAY-16")
def test_nagle_holds_a_small_segment_back() -> None:
    t = Trace(timestamps=False, nagle=True).established(mss=MSS)
    t.app.send(b"a")
    t.expect(0, "P.", seq=1, data=b"a")
    t.app.send(b"b")
    t.app.send(b"c")
    t.expect_nothing(10)
    t.send(0, ".", ack=2)
    t.expect(0, "P.", seq=2, data=b"bc")
    t.finish()


@pytest.mark.requirement("MUST-17")
def test_nagle_can_be_off() -> None:
    t = Trace(timestamps=False, nagle=False).established(mss=MSS)
    for i, octet in enumerate((b"a", b"b", b"c")):
        t.app.send(octet)
        t.expect(0, "P.", seq=1 + i, data=octet)
    t.finish()


@pytest.mark.requirement("MUST-34", "SHLD-15")
def test_a_window_that_shrinks_below_what_is_in_flight() -> None:
    t = Trace(timestamps=False).established(mss=MSS, win=4000)
    t.app.send(bytes(6000))
    for i in range(4):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    t.send(1, ".", ack=1 + MSS, win=1000)
    t.expect_nothing(100)
    t.send(1, ".", ack=1 + 4 * MSS, win=4000)
    t.expect(0, ".", seq=1 + 4 * MSS, data=MSS)
    t.expect(0, "P.", seq=1 + 5 * MSS, data=MSS)
    t.finish()


@pytest.mark.requirement("MUST-1")
def test_a_window_is_unsigned() -> None:
    t = Trace(timestamps=False).established(mss=MSS, win=0x8000)
    t.app.send(bytes(5000))
    t.expect(0, ".", seq=1, data=MSS)
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-60", "MUST-61")
def test_push_on_the_last_segment() -> None:
    t = Trace(timestamps=False).established(mss=MSS)
    t.app.send(bytes(2500))
    assert not t.expect(0, ".", data=MSS).flags & 8
    assert not t.expect(0, ".", data=MSS).flags & 8
    t.expect(0, "P.", data=500)
    t.finish()


def test_a_reset_at_a_shut_window_is_one_that_the_peer_believes() -> None:
    t = Trace(timestamps=False).established(mss=MSS, win=MSS)
    t.app.send(bytes(2 * MSS))
    t.expect(0, ".", seq=1, data=MSS)
    t.send(0, ".", ack=1 + MSS, win=0)
    t.advance(300)
    (probe,) = t.heard()
    assert len(probe.payload) == 1
    t.network.checker.allow_reset("stack")
    with t.breath():
        t.app.connection.abort()
    t.expect(0, "R.", seq=1 + MSS)
    t.finish()


def test_acknowledgements_stay_inside_a_shut_window() -> None:
    """After a probe of a shut window SND.NXT lies beyond it: an acknowledgement there would be
    dropped, and with it all that it acknowledges."""
    t = Trace(timestamps=False).established(mss=MSS, win=10)
    t.app.send(b"x" * 20)
    t.expect(0, ".", seq=1, data=b"x" * 10)
    t.send(0, ".", ack=11, win=0)
    t.expect(200, ".", seq=11, data=b"x")
    t.send(0, "P.", ack=11, win=0, data=b"hello")
    t.expect(40, ".", seq=11, ack=6)
    t.finish()
