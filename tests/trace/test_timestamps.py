"""Timestamps, PAWS and round-trip times (RFC 7323, RFC 6298)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

MSS = 1000


@pytest.mark.requirement("RFC 7323 5.3")
def test_paws_acknowledges_and_drops() -> None:
    t = Trace().established(ts=True)
    t.send(0, "P.", seq=1, data=b"ab", ts=(9000, t.flow.stamp_heard))
    t.expect(None, ".", ack=3)
    t.send(0, "P.", seq=3, data=b"old", ts=(8999, t.flow.stamp_heard))
    t.expect(0, ".", ack=3)
    assert t.app.data == b"ab"
    t.send(0, "R", seq=3, ts=(1, 0))
    assert t.app.is_closed
    t.finish()


@pytest.mark.requirement("RFC 7323 3.2")
def test_a_segment_without_the_agreed_timestamps_is_dropped() -> None:
    t = Trace().established(ts=True)
    t.flow.stamping = False
    t.send(0, "P.", seq=1, data=b"bare")
    t.advance(500)
    assert t.app.data == b""
    assert not t.app.is_closed
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 7323 4.3")
def test_a_delayed_ack_echoes_the_earliest() -> None:
    t = Trace(delayed_ack_ns=100_000_000).established(mss=MSS, ts=True)
    t.send(0, ".", seq=1, data=100, ts=(5000, t.flow.stamp_heard))
    t.send(1, ".", seq=101, data=100, ts=(5001, t.flow.stamp_heard))
    found = t.expect(None, ".", ack=201).options.timestamps
    assert found is not None
    assert found[1] == 5000
    t.finish()


@pytest.mark.requirement("RFC 7323 4.3")
def test_a_hole_echoes_the_last_in_order_and_its_filler_itself() -> None:
    t = Trace().established(mss=MSS, ts=True)
    t.send(0, ".", seq=1, data=100, ts=(5000, t.flow.stamp_heard))
    t.expect(40, ".", ack=101)
    t.send(0, ".", seq=201, data=100, ts=(5002, t.flow.stamp_heard))
    hole = t.expect(0, ".", ack=101).options.timestamps
    t.send(0, ".", seq=101, data=100, ts=(5001, t.flow.stamp_heard))
    filled = t.expect(0, ".", ack=301).options.timestamps
    assert hole is not None
    assert filled is not None
    assert (hole[1], filled[1]) == (5000, 5001)
    t.finish()


@pytest.mark.requirement("RFC 6298 2.2", "RFC 6298 2.3")
def test_rto_vectors() -> None:
    """R = 100 ms: SRTT 100, RTTVAR 50, RTO 300; then RTTVAR falls by a quarter a sample."""
    t = Trace(listen=None, timestamps=False, rto_min_ns=1_000_000).syn_sent()
    t.send(100, "S.", seq=0, ack=1, mss=MSS)
    t.expect(0, ".", seq=1)
    info = t.app.connection.info()
    assert (info["srtt"], info["rttvar"], info["rto"]) == (0.1, 0.05, 0.3)
    variation = 50.0
    for i in range(3):
        t.app.send(bytes(MSS))
        t.expect(0, "P.", data=MSS)
        t.send(100, ".", ack=1 + (i + 1) * MSS)
        variation *= 0.75
        info = t.app.connection.info()
        assert info["srtt"] == pytest.approx(0.1)
        assert info["rttvar"] == pytest.approx(variation / 1000)
        assert info["rto"] == pytest.approx(0.1 + 4 * variation / 1000)
    t.finish()


@pytest.mark.requirement("MUST-18", "RFC 6298 3")
def test_karn_takes_no_sample_from_what_was_sent_twice() -> None:
    t = Trace(timestamps=False).established(mss=MSS)
    before = t.app.connection.info()["srtt"]
    t.app.send(bytes(MSS))
    t.expect(0, "P.", data=MSS)
    t.expect(200, "P.", data=MSS)
    t.send(150, ".", ack=1 + MSS)
    assert t.app.connection.info()["srtt"] == before
    t.finish()
