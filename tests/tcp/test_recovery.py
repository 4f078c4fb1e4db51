"""Loss recovery: what RFC 6675 and RFC 6582 say of single steps, and `pipe` against a model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.sim.script import Trace, pattern
from tests.tcp.test_segment_arrives import count

MSS = 1000
WRAP = 1 << 32


def sending(segments: int = 10, **options: object) -> Trace:
    """An established connection with so many segments in flight."""
    t = Trace(check=False, rto_min_ns=10**9)
    t.established(mss=MSS, **options)
    t.app.send(pattern(1, segments * MSS))
    assert len(t.heard()) == min(segments, 10)
    return t


def on_path(segments: int = 10, rtt: int = 100, **options: object) -> Trace:
    """The same over a path whose round trip is known, with SACK."""
    t = Trace(check=False).syn_received(**{"mss": MSS, "sack_ok": True, **options})
    t.send(rtt, ".", seq=1, ack=1)
    t.app.send(pattern(1, segments * MSS))
    assert len(t.heard()) == min(segments, 10)
    return t


@pytest.mark.requirement("RFC 6582 3.2")
def test_duplicates_of_the_last_recovery_start_no_new_one() -> None:
    t = sending()
    for _ in range(3):
        t.send(0, ".", seq=1, ack=1)
    t.expect(0, ".", seq=1, data=MSS)
    t.send(0, ".", seq=1, ack=10 * MSS + 1)
    t.app.send(pattern(1, 3 * MSS))
    t.heard()
    for _ in range(5):
        t.send(0, ".", seq=1, ack=10 * MSS + 1)
    assert t.app.connection.info()["recovery"] == "disorder"
    assert count(t, "fast_retransmits") == 1
    t.send(0, ".", seq=1, ack=11 * MSS + 1)
    t.heard()
    for _ in range(3):
        t.send(0, ".", seq=1, ack=11 * MSS + 1)
    assert count(t, "fast_retransmits") == 2
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-18")
def test_a_backed_off_rto_stays_until_it_is_measured() -> None:
    """Karn: a path that became slower would else be sent everything twice, for ever."""
    t = sending(1)
    t.expect(1000, ".", seq=1, data=MSS)
    t.send(0, ".", seq=1, ack=MSS + 1)
    assert t.app.connection.info()["rto"] == pytest.approx(2.0)
    t.app.send(b"x")
    t.expect(0, ".", seq=MSS + 1, data=1)
    t.expect(2000, ".", seq=MSS + 1, data=1)
    t.send(0, ".", seq=1, ack=MSS + 2)
    t.app.send(b"x")
    t.expect(0, ".", seq=MSS + 2, data=1)
    t.send(100, ".", seq=1, ack=MSS + 3)
    assert t.app.connection.info()["rto"] == pytest.approx(1.0, rel=0.02)
    t.finish()


def test_timestamps_measure_what_was_sent_twice() -> None:
    t = Trace(check=False, rto_min_ns=10**9).established(mss=MSS, ts=True)
    t.app.send(b"x")
    t.expect(0, ".", seq=1, data=1)
    t.expect(1000, ".", seq=1, data=1)
    assert t.app.connection.info()["rto"] == pytest.approx(2.0)
    t.send(10, ".", seq=1, ack=2)
    assert t.app.connection.info()["rto"] == pytest.approx(1.0, rel=0.02)
    t.finish()


def test_a_window_shut_in_recovery_is_probed_not_filled() -> None:
    t = sending()
    for _ in range(3):
        t.send(0, ".", seq=1, ack=1)
    t.expect(0, ".", seq=1, data=MSS)
    t.send(0, ".", seq=1, ack=MSS + 1, win=0)
    for _ in range(10):
        t.send(0, ".", seq=1, ack=MSS + 1, win=0)
    t.expect_nothing()
    t.expect(None, ".", seq=MSS + 1, data=1)
    t.send(0, ".", seq=1, ack=MSS + 1, win=60_000)
    t.expect(0, ".", seq=MSS + 1, data=MSS)
    t.heard()
    t.finish()


def test_after_a_timeout_the_window_grows_by_a_segment_an_acknowledgement() -> None:
    t = sending()
    t.expect(1000, ".", seq=1, data=MSS)
    assert t.app.connection.info()["cwnd"] == MSS
    t.send(0, ".", seq=1, ack=8 * MSS + 1)
    assert t.app.connection.info()["cwnd"] == 2 * MSS
    t.heard()
    t.finish()


def test_slow_start_ends_at_ssthresh() -> None:
    t = sending()
    t.expect(1000, ".", seq=1, data=MSS)
    at = MSS
    for _ in range(9):
        t.send(0, ".", seq=1, ack=at + 1)
        t.heard()
        at += MSS
        info = t.app.connection.info()
        assert info["cwnd"] <= info["ssthresh"] + MSS
    t.finish()


def test_spoofed_duplicates_inflate_nothing() -> None:
    t = sending(100)
    for _ in range(100):
        t.send(0, ".", seq=1, ack=1)
    sent = t.heard()
    assert sum(len(s.payload) for s in sent) <= 13 * MSS
    t.finish()


@pytest.mark.requirement("RFC 2018 8")
def test_what_was_sacked_is_sent_again_after_a_timeout() -> None:
    """RFC 6675 5.1: what was SACKed is kept as long as nothing speaks against it. An
    acknowledgement that stops below it does."""
    t = on_path(4)
    t.send(100, ".", seq=1, ack=1, sack=[(MSS + 1, 2 * MSS + 1)])
    t.expect(25, ".", seq=1, data=MSS)
    t.advance(1000)
    t.heard()
    assert t.app.connection.info()["sacked"] == MSS
    t.send(0, ".", seq=1, ack=MSS + 1)
    t.expect(0, ".", seq=MSS + 1, data=MSS)
    assert count(t, "sack_renegings") == 1
    t.heard()
    t.finish()


def test_sack_blocks_that_cannot_be_are_ignored() -> None:
    t = sending(sack_ok=True)
    lies = [
        (2 * MSS + 1, MSS + 1),
        (MSS + 1, MSS + 1),
        (9 * MSS + 1, 11 * MSS + 1),
        (0, 1),
        (-5000, -4000),
        (1 << 31, (1 << 31) + 5),
    ]
    for block in lies:
        t.send(0, ".", seq=1, ack=1, sack=[block])
    assert t.app.connection.info()["sacked"] == 0
    assert t.app.connection.info()["pipe"] == 10 * MSS
    t.expect_nothing()
    t.finish()


@settings(max_examples=60)
@given(st.data())
def test_pipe_is_that_of_a_naive_model(data: st.DataObject) -> None:
    t = on_path(30)
    sacked: set[int] = set()
    una, nxt = 0, 10
    for _ in range(data.draw(st.integers(1, 15))):
        if data.draw(st.booleans()) and una < nxt:
            una = data.draw(st.integers(una, nxt))
        first = data.draw(st.integers(una + 1, max(una + 1, nxt - 1)))
        blocks = []
        if first < nxt:
            last = data.draw(st.integers(first + 1, nxt))
            sacked |= set(range(first, last))
            while last in sacked:
                last += 1
            while first - 1 in sacked:
                first -= 1
            blocks = [(first * MSS + 1, last * MSS + 1)]
        while una in sacked:
            una += 1
        sacked = {k for k in sacked if k >= una}
        blocks = [b for b in blocks if b[0] > una * MSS + 1]
        t.send(0, ".", seq=1, ack=una * MSS + 1, sack=blocks)
        for segment in t.heard():
            first_lost = (segment.seq - (t.flow.iss or 0) - 1) % WRAP // MSS
            assert first_lost not in sacked, "sent again what the peer has"
            end = (segment.seq + len(segment.payload) - (t.flow.iss or 0) - 1) % WRAP
            nxt = max(nxt, end // MSS)
        info = t.app.connection.info()
        assert info["sacked"] == len(sacked) * MSS
        assert info["lost"] <= info["in_flight"] - info["sacked"]
        assert info["pipe"] == info["in_flight"] - info["sacked"] - info["lost"]
        assert info["pipe"] <= max(info["cwnd"], info["in_flight"]) + MSS
    t.network.checker.is_on = False
    t.finish()
