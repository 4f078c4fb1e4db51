"""Windows that the peer takes back, shuts, or makes very large (RFC 9293 3.8.6)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

MSS = 1000
MINUTE = 60_000


def shrunk(win: int) -> Trace:
    """Four segments out; the first acknowledged, with a window below what is out."""
    t = Trace(check=False, timestamps=False).established(mss=MSS, win=4000)
    t.app.send(bytes(8000))
    t.advance(1)
    t.heard()
    t.send(1, ".", ack=1 + MSS, win=win)
    t.expect_nothing()
    return t


@pytest.mark.requirement("SHLD-16", "SHLD-15", "MUST-34", "MAY-7")
def test_what_is_inside_a_shrunk_window_is_sent_again() -> None:
    t = shrunk(1500)
    t.expect(None, ".", seq=1 + MSS, data=MSS)
    t.send(1, ".", ack=1 + 2 * MSS, win=1500)
    t.expect(None, ".", seq=1 + 2 * MSS, data=MSS)
    for old in t.heard():  # what is beyond may be sent again too; nothing new is
        assert old.seq - (t.flow.iss or 0) == 1 + 3 * MSS
    t.send(1, ".", ack=1 + 4 * MSS, win=4000)
    t.expect(0, ".", seq=1 + 4 * MSS, data=MSS)
    t.advance(1)
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-35", "MUST-36", "SHLD-17", "MUST-37")
def test_a_window_shrunk_to_nothing_is_probed_and_ends_nothing() -> None:
    """Ten minutes, far beyond R2: the peer answers each probe and takes nothing."""
    t = shrunk(0)
    probes = 0
    while t.now_ms < 10 * MINUTE:
        t.advance(1000)
        for segment in t.heard():
            probes += 1
            assert segment.seq - (t.flow.iss or 0) <= 1 + 4 * MSS
            t.send(0, ".", ack=1 + MSS, win=0)
    assert probes > 8
    assert not t.app.is_closed
    for _ in range(4):
        t.send(0, ".", ack=t.flow.heard, win=8000)
        t.advance(100)
        t.heard()
    assert t.flow.heard == 8001
    t.finish()


@pytest.mark.requirement("REC-1", "MUST-1", "RFC 7323 2.3")
def test_a_window_of_a_gibibyte_fits() -> None:
    t = Trace(check=False).established(win=65535, wscale=14)
    t.send(0, ".", ack=1, win=65535)
    assert t.app.connection.info()["snd_wnd"] == 65535 << 14
    t.finish()


@pytest.mark.requirement("RFC 7323 2.4", "SHLD-14")
def test_the_announced_edge_never_moves_back_for_scaling() -> None:
    """What the shift cuts off the window must not be taken back by the next odd segment."""
    t = Trace(check=False, receive_buffer=1 << 20, timestamps=False).established(wscale=7)
    shift = int(t.app.connection.info()["window_shift"][1])  # type: ignore[index]
    assert shift > 3
    t.app.pause()
    edge = 0
    for length in (1, 2, 3, 5, 7, 11, 13, 1, 1, 1, 700, 1):
        t.send(0, "P.", data=length)
        t.advance(500)
        for segment in t.heard():
            found = segment.ack - t.flow.isn + (segment.window << shift)
            assert found >= edge
            edge = found
    assert edge
    t.app.resume()
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 7323 4.1", "RFC 6298 3")
def test_a_duplicate_acknowledgement_is_no_sample() -> None:
    t = Trace(check=False).established(ts=True)
    t.app.send(bytes(100))
    t.advance(1)
    t.heard()
    t.send(100, ".", ack=101)
    srtt = t.app.connection.info()["srtt"]
    old = t.flow.stamp_heard
    t.app.send(bytes(100))
    t.advance(1)
    t.heard()
    t.send(3000, ".", ack=101, ts=(5000, old))
    assert t.app.connection.info()["srtt"] == srtt
    t.heard()
    t.finish()
