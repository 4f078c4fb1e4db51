"""Pacing: when data leaves, under virtual time."""

from __future__ import annotations

from typing import Any

import pytest

import corten
from corten.sim.script import Trace

MSS = 1000


class Even(corten.Congestion):
    """A hundred segments, at a million octets a second: a segment a millisecond."""

    rate = 1_000_000

    def __init__(self, mss: int, initial_window: int) -> None:
        super().__init__(mss, 100 * mss)

    def on_ack(self, ack: Any) -> None:
        """The window is wide enough."""

    def pacing_rate(self, srtt: int) -> int:
        return self.rate


class Fast(Even):
    rate = 10_000_000


def paced(kind: object = Even, **options: Any) -> Trace:
    return Trace(congestion=kind, timestamps=False, start_ms=5, **options).established(mss=MSS)


def spans(t: Trace, count: int) -> list[tuple[float, int]]:
    """(milliseconds since the first, octets) of so many frames, as they left."""
    out = []
    first = 0.0
    for _ in range(count):
        when, segment = t._next(None)
        first = first or when
        t.last_ns = when
        out.append(((when - first) / 1e6, len(segment.payload)))
    return out


def test_segments_leave_one_after_the_other_at_the_rate() -> None:
    t = paced()
    t.app.send(bytes(40 * MSS))
    sent = spans(t, 40)
    assert {octets for _, octets in sent} == {MSS}
    for i, (ms, _) in enumerate(sent):
        assert abs(ms - i) <= 3.0, (i, ms)  # two segments a frame, and the wheel's tick
    assert sent[-1][0] >= 36
    t.send(0, ".", ack=1 + 40 * MSS)
    t.finish()


def test_a_super_segment_shrinks_to_a_millisecond_of_the_rate() -> None:
    t = paced(Fast, offload=True)
    t.app.send(bytes(60 * MSS))
    sent = spans(t, 60)
    by_instant: dict[float, int] = {}
    for ms, octets in sent:
        by_instant[ms] = by_instant.get(ms, 0) + octets
    assert max(by_instant.values()) <= 20 * MSS  # a millisecond, and one made up for
    assert 4.0 <= sent[-1][0] <= 7.0
    t.send(0, ".", ack=1 + 60 * MSS)
    t.finish()


def test_acknowledgements_and_fins_do_not_wait() -> None:
    t = paced()
    t.app.send(bytes(4 * MSS))
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(0, ".", seq=1 + MSS, data=MSS)
    t.send(0, ".", seq=1, ack=1, data=600)
    t.send(0, ".", seq=601, ack=1, data=600)
    t.expect(0, ".", ack=1201)  # at once, although data waits
    t.expect(2, ".", seq=1 + 2 * MSS, data=MSS)
    t.expect(0, "P.", seq=1 + 3 * MSS, data=MSS)
    t.app.close()
    t.expect(0, "F.", seq=1 + 4 * MSS)
    t.send(0, ".", ack=2 + 4 * MSS)
    t.finish()


def test_retransmissions_do_not_wait() -> None:
    t = paced()
    t.app.send(bytes(2 * MSS))
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(0, "P.", seq=1 + MSS, data=MSS)
    t.app.send(bytes(30 * MSS))
    for _ in range(30):
        spans(t, 1)
    t.advance(60)
    for _ in range(3):
        t.send(0, ".", ack=1)
    again = t.heard()
    assert again
    assert again[0].seq == (t.flow.iss or 0) + 1
    t.finish()


def test_what_was_not_used_is_not_saved_up() -> None:
    t = paced()
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS)
    t.send(0, ".", ack=1 + MSS)
    t.advance(150)
    t.app.send(bytes(20 * MSS))
    sent = spans(t, 20)
    assert sum(octets for ms, octets in sent if ms < 1) <= 4 * MSS
    assert sent[-1][0] >= 15
    t.send(0, ".", ack=1 + 21 * MSS)
    t.finish()


@pytest.mark.parametrize("control", ["cubic", "reno"])
def test_cubic_and_reno_are_paced_on_request(control: str) -> None:
    """Twice the window a round trip: ten segments in half of 100 ms."""
    t = Trace(congestion=control, pacing=True, timestamps=False, start_ms=5)
    t.send(0, "S", seq=0, mss=MSS)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(100, ".", seq=1, ack=1)
    t.app.send(bytes(10 * MSS))
    sent = spans(t, 10)
    assert 35 <= sent[-1][0] <= 50
    rate = t.app.connection.info()["pacing_rate"]
    assert rate == pytest.approx(2 * 10 * MSS / 0.1, rel=0.01)
    t.send(0, ".", ack=1 + 10 * MSS)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.2")
def test_a_mark_to_a_window_of_one_segment_waits_for_the_timer() -> None:
    t = Trace(congestion="reno", timestamps=False, initial_window=1, start_ms=5)
    t.send(0, "SEW", seq=0, mss=MSS)
    t.expect(0, "S.E", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    t.app.send(bytes(3 * MSS))
    t.expect(0, ".", seq=1, data=MSS, ecn=2)
    t.send(10, ".E", ack=1 + MSS)
    t.expect(200, ".W", seq=1 + MSS, data=MSS, ecn=2)
    t.finish()
