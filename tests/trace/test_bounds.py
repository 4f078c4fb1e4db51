"""Bounds in time: of the retransmission timer, an unused window, a timestamp, a path's MTU."""

from __future__ import annotations

import itertools

import pytest

from corten.sim.script import Trace
from tests.malformed import frames

SECOND = 1000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE
MSS = 1000


def times_sent(t: Trace, seq: int, until_ms: float, step_ms: float = 50) -> list[float]:
    """When the segment at `seq` was sent from now on, in milliseconds."""
    found = []
    end = t.now_ms + until_ms
    while t.now_ms < end:
        t.advance(step_ms)
        found += [t.now_ms for s in t.heard() if (s.seq - (t.flow.iss or 0)) % 2**32 == seq]
    return found


@pytest.mark.requirement("RFC 6298 2.4")
@pytest.mark.parametrize("floor_ms", [200, 1000])
def test_the_time_out_has_a_floor_that_can_be_set(floor_ms: int) -> None:
    t = Trace(check=False, timestamps=False, rto_min_ns=floor_ms * 1_000_000).established()
    t.app.send(b"x")
    t.heard()
    first, second = times_sent(t, 1, 4 * floor_ms, step_ms=10)[:2]
    assert floor_ms <= first <= floor_ms + 60
    assert second - first == pytest.approx(2 * floor_ms, abs=30)
    t.finish()


@pytest.mark.requirement("RFC 6298 2.5")
def test_the_time_out_has_a_ceiling_of_a_minute() -> None:
    t = Trace(check=False, timestamps=False, user_timeout_ns=3600 * 10**9).established()
    t.app.send(b"x")
    t.heard()
    sent = times_sent(t, 1, 10 * MINUTE)
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert max(gaps) == pytest.approx(MINUTE, abs=100)
    assert sum(gap > 55 * SECOND for gap in gaps) > 4
    t.finish()


@pytest.mark.requirement("RFC 5681 4.1")
@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_after_an_idle_while_the_window_is_the_initial_one(name: str) -> None:
    t = Trace(check=False, timestamps=False, congestion=name).established(mss=MSS, win=65535)
    t.app.send(bytes(60 * MSS))
    while t.flow.acked < 60 * MSS:
        t.advance(20)
        for segment in t.heard():
            end = (segment.seq - (t.flow.iss or 0) + len(segment.payload)) % 2**32
            t.send(0, ".", ack=end)
            t.flow.acked = end - 1
    t.heard()
    t.advance(30 * SECOND)
    t.app.send(bytes(60 * MSS))
    assert len(t.heard()) == 10
    t.finish()


@pytest.mark.requirement("RFC 7323 5.5")
def test_a_timestamp_is_worth_nothing_after_24_days() -> None:
    t = Trace(check=False).established(ts=True)
    recent = t.flow.stamp_base + 10_000
    t.send(0, "P.", data=b"new", ts=(recent, t.flow.stamp_heard))
    t.send(23 * DAY, "P.", seq=t.flow.next, data=b"old", ts=(recent - 5, t.flow.stamp_heard))
    assert t.app.data == b"new"
    t.send(2 * DAY, "P.", seq=4, data=b"older", ts=(recent - 5, t.flow.stamp_heard))
    assert t.app.data == b"newolder"
    t.heard()
    t.finish()


def too_big(t: Trace, mtu: int) -> None:
    """A router says so of what is outstanding."""
    flow = t.flow
    sent = bytes(frames.tcp(flow.stack_port, flow.port, (flow.iss or 0) + 1, 0, 0x10)[14:])
    length = (1500).to_bytes(2, "big")
    quote = sent[:2] + length + sent[4:12] + frames.HERE_V4 + frames.THERE_V4 + sent[20:28]
    t.inject(bytes(frames.icmp(3, 4, mtu, quote)))


def largest(t: Trace, port: int) -> int:
    """The largest segment of a new connection."""
    t.use(port).stack_port = 80
    t.established(mss=1460)
    t.app.send(bytes(20_000))
    found = max(len(s.payload) for s in t.heard())
    t.send(0, "R", seq=1)
    t.heard()
    return found


@pytest.mark.requirement("RFC 1191 3")
def test_a_path_that_became_narrow_is_not_tried_again_for_five_minutes() -> None:
    t = Trace(check=False, timestamps=False).established(mss=1460)
    t.app.send(bytes(20_000))
    t.heard()
    too_big(t, 1000)
    again = t.heard()
    assert again and max(len(s.payload) for s in again) == 960
    t.send(0, "R", seq=1)
    for minute in range(1, 6):
        t.run(minute * MINUTE - SECOND)
        assert largest(t, 41_000 + minute) == 960
    t.run(11 * MINUTE)
    assert largest(t, 42_000) == 1460
    t.finish()


@pytest.mark.requirement("RFC 1191 3")
@pytest.mark.parametrize("mtu", [0, 1, 67, 68, 296, 551])
def test_a_router_cannot_make_segments_silly(mtu: int) -> None:
    t = Trace(check=False, timestamps=False).established(mss=1460)
    t.app.send(bytes(5000))
    t.heard()
    too_big(t, mtu)
    t.advance(1000)
    assert all(len(s.payload) >= 512 or s.flags & 8 for s in t.heard())
    t.finish()


@pytest.mark.requirement("RFC 5927 5.2", "RFC 5461 4.1")
@pytest.mark.parametrize("code", [0, 1, 2, 3, 9, 10, 13])
def test_no_error_ends_an_established_connection(code: int) -> None:
    """SHLD-26 would have codes 2 to 4 abort; RFC 5927 tells why not."""
    t = Trace(check=False, timestamps=False).established()
    t.app.send(b"x" * 100)
    t.heard()
    flow = t.flow
    sent = bytes(frames.tcp(flow.stack_port, flow.port, (flow.iss or 0) + 1, 0, 0x10)[14:])
    quote = sent[:12] + frames.HERE_V4 + frames.THERE_V4 + sent[20:28]
    t.inject(bytes(frames.icmp(3, code, 0, quote)))
    assert not t.app.is_closed
    t.send(50, ".", ack=101)
    t.send(0, "P.", data=b"still here")
    assert t.app.data == b"still here" and not t.app.is_closed
    t.heard()
    t.finish()
