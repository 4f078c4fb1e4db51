"""RACK: what is lost is told by time (RFC 8985 6, 9.1)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace, pattern

MSS = 1000
RTT = 100


def path(rtt: float = RTT, **options: object) -> Trace:
    """ESTABLISHED with SACK; the round trip has been measured."""
    settings = {"timestamps": False, "delayed_ack_ns": 10**6, **options}
    t = Trace(**settings).syn_received(mss=MSS, sack_ok=True)  # type: ignore[arg-type]
    t.send(rtt, ".", seq=1, ack=1)
    return t


def at(k: int) -> int:
    """Where segment k begins; the first is 0."""
    return 1 + k * MSS


def flight(t: Trace, count: int, gap: float = 0.0) -> None:
    """The application writes segment by segment."""
    for k in range(count):
        if gap and k:
            t.advance(gap)
        t.app.send(pattern(at(k), MSS))
        t.expect(0, "P.", seq=at(k), data=MSS)


def sacked(*segments: int) -> list[tuple[int, int]]:
    return [(at(k), at(k + 1)) for k in segments]


def state(t: Trace) -> str:
    return str(t.app.connection.info()["recovery"])


@pytest.mark.requirement("RFC 8985 9.1")
def test_drops_at_the_end_of_a_flight() -> None:
    """P1 and P3 of three are lost, the segments are 30 ms apart: no timeout."""
    t = path()
    flight(t, 3, gap=30)
    t.send(70, ".", ack=at(0), sack=sacked(1))  # 100 ms after P2
    t.expect(0, ".", seq=at(0), data=MSS)
    t.send(100, ".", ack=at(2))
    t.expect(0, "P.", seq=at(2), data=MSS)
    t.send(100, ".", ack=at(3))
    t.expect_nothing(2000)
    t.finish()


@pytest.mark.requirement("RFC 8985 9.1", "RFC 8985 5.1")
def test_a_lost_retransmission() -> None:
    """P1 and P2 of three are lost, and P1's retransmission too: it is sent a third time."""
    t = path()
    flight(t, 3, gap=30)
    t.send(100, ".", ack=at(0), sack=sacked(2))
    t.expect(0, ".", seq=at(0), data=MSS)
    t.advance(1)
    t.heard()
    t.send(99, ".", ack=at(0), sack=[(at(1), at(3))])
    t.expect(None, ".", seq=at(0), data=MSS)
    t.send(100, ".", ack=at(3))
    t.expect_nothing(2000)
    assert t.app.connection.info()["retries"] == 0
    t.finish()


@pytest.mark.requirement("RFC 8985 6.2 step 5")
def test_it_waits_a_quarter_of_a_round_trip() -> None:
    t = path()
    flight(t, 3)
    t.send(RTT, ".", ack=at(0), sack=sacked(1))
    t.expect_nothing(24)
    t.expect(1, ".", seq=at(0), data=MSS)
    t.expect_nothing(20)  # P3 was sent after RACK.segment
    t.finish()


@pytest.mark.requirement("RFC 8985 6.2 step 4")
def test_three_sacked_segments_are_enough() -> None:
    t = path()
    flight(t, 4)
    t.send(RTT, ".", ack=at(0), sack=sacked(1))
    t.send(0, ".", ack=at(0), sack=[(at(1), at(3))])
    t.expect_nothing()
    t.send(0, ".", ack=at(0), sack=[(at(1), at(4))])
    t.expect(0, ".", seq=at(0), data=MSS)
    assert state(t) == "fast"
    t.finish()


@pytest.mark.requirement("RFC 8985 6.2 step 5")
def test_reordering_within_the_window_costs_nothing() -> None:
    t = path()
    flight(t, 3)
    window = t.app.connection.info()["cwnd"]
    t.send(RTT, ".", ack=at(0), sack=sacked(2))
    t.send(20, ".", ack=at(3))
    t.expect_nothing(2000)
    info = t.app.connection.info()
    assert info["recovery"] == "open" and info["cwnd"] >= window and info["reordering_seen"]
    t.finish()


@pytest.mark.requirement("RFC 8985 6.2 step 4", "RFC 8985 3.3.1")
def test_once_reordering_was_seen_three_are_not_enough() -> None:
    t = path()
    flight(t, 3)
    t.send(RTT, ".", ack=at(0), sack=sacked(2))
    t.send(1, ".", ack=at(3))
    t.app.send(pattern(at(3), 5 * MSS))
    assert len(t.heard()) == 5
    t.send(RTT, ".", ack=at(3), sack=[(at(4), at(8))])
    t.expect_nothing(24)
    t.expect(1, ".", seq=at(3), data=MSS)
    t.send(RTT, ".", ack=at(8))
    t.finish()


@pytest.mark.requirement("RFC 8985 6.2 step 4", "RFC 8985 3.3.1")
def test_a_dsack_widens_the_window_once_a_round_trip() -> None:
    """Two round trips that saw some: three quarters."""
    t = path()
    for k in (0, 2):
        t.app.send(pattern(at(k), 2 * MSS))
        assert len(t.heard()) == 2
        t.send(RTT, ".", ack=at(k + 1), sack=sacked(k))
        t.send(0, ".", ack=at(k + 1), sack=sacked(k))
        t.send(0, ".", ack=at(k + 2))
    t.app.send(pattern(at(4), 2 * MSS))
    assert len(t.heard()) == 2
    t.send(RTT, ".", ack=at(4), sack=sacked(5))
    t.expect_nothing(74)
    t.expect(1, ".", seq=at(4), data=MSS)
    t.finish()


@pytest.mark.requirement("RFC 8985 6.3", "RFC 8985 6.1")
def test_a_timeout_takes_the_first_and_what_is_as_old() -> None:
    """What was sent just before it is left alone (3.5)."""
    t = path()
    flight(t, 1)
    t.expect(300, "P.", seq=at(0), data=MSS)  # a probe
    t.advance(299)
    for k in (1, 2):
        t.app.send(pattern(at(k), 100))
        t.expect(0, "P.", seq=at(1) + 100 * (k - 1), data=100)
    t.expect(1, ".", seq=at(0), data=MSS)
    t.expect_nothing(30)
    t.send(0, ".", ack=at(1) + 200)
    t.expect_nothing(2000)
    t.finish()
