"""Loss: when to send again, and when not (RFC 6298, RFC 5681, RFC 6582)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

MSS = 1000


def flight(count: int, **options: object) -> Trace:
    """ESTABLISHED with `count` segments of 1000 octets in flight, sent at one instant."""
    t = Trace(congestion="reno", timestamps=False, **options).established(mss=MSS)
    t.app.send(bytes(MSS * count))
    for i in range(count):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    return t


@pytest.mark.requirement("MUST-18", "RFC 6298 5.5")
def test_time_outs_double() -> None:
    t = flight(1)
    for gap in (200, 400, 800, 1600):
        t.expect(gap, ".", seq=1, data=MSS)
    t.send(0, ".", ack=1 + MSS)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 5681 3.2")
def test_the_third_duplicate_ack_repairs() -> None:
    t = flight(8, sack=False)
    t.send(10, ".", ack=1)
    t.send(0, ".", ack=1)
    t.expect_nothing(1)
    t.send(0, ".", ack=1)
    t.expect(0, ".", seq=1, data=MSS)
    t.send(10, ".", ack=1 + 8 * MSS)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 6298 5")
def test_a_segment_just_repaired_has_a_whole_rto_to_arrive() -> None:
    """The timer starts again with the fast retransmission, not with the first transmission."""
    t = flight(8, sack=False)
    for _ in range(3):
        t.send(50, ".", ack=1)
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(200, ".", seq=1, data=MSS)
    t.finish()


@pytest.mark.requirement("RFC 6582 3.2")
def test_a_partial_ack_repairs_the_next_hole() -> None:
    t = flight(8, sack=False)
    for _ in range(3):
        t.send(1, ".", ack=1)
    t.expect(0, ".", seq=1, data=MSS)
    t.send(10, ".", ack=1 + 3 * MSS)
    t.expect(0, ".", seq=1 + 3 * MSS, data=MSS)
    t.send(10, ".", ack=1 + 8 * MSS)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 6675 5")
def test_sack_repairs_each_hole_once() -> None:
    t = Trace(congestion="reno", timestamps=False).syn_received(mss=MSS, sack_ok=True)
    t.send(10, ".", seq=1, ack=1)
    t.app.send(bytes(10 * MSS))
    for i in range(10):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    holes = [(1 + MSS, 1 + 3 * MSS), (1 + 4 * MSS, 1 + 10 * MSS)]
    t.send(10, ".", ack=1, sack=[holes[1], holes[0]])
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(0, ".", seq=1 + 3 * MSS, data=MSS)
    t.send(10, ".", ack=1 + 10 * MSS)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 5681 3.1")
def test_cumulative_acks_out_of_order_do_not_stretch_the_window() -> None:
    """An ACK that moves SND.UNA on a segment older than WL1 still tells the window: were SND.WND to
    stay, the right edge would move beyond what was offered."""
    t = Trace(timestamps=False).established(mss=MSS, win=2000)
    t.app.send(bytes(6 * MSS))
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(0, ".", seq=1 + MSS, data=MSS)
    t.send(1, ".", seq=501, ack=1, data=100)  # out of order: WL1 is now 501
    t.expect(0, ".", ack=1)
    t.send(1, ".", seq=1, ack=1 + 2 * MSS, data=100, win=1000)
    t.expect(0, ".", seq=1 + 2 * MSS, data=MSS)
    t.expect_nothing(100)
    t.finish()


@pytest.mark.requirement("RFC 6675 4")
def test_what_is_written_in_a_recovery_is_not_sent_twice() -> None:
    """The segment at SND.UNA may be short: what lies within an MSS of it is not lost with it."""
    t = Trace(congestion="reno", timestamps=False).syn_received(mss=MSS, sack_ok=True)
    t.send(10, ".", seq=1, ack=1)
    for i in range(6):
        t.app.send(bytes(10))
        t.expect(0, "P.", seq=1 + 10 * i, data=10)
    for i in range(2, 5):
        t.send(10 if i == 2 else 0, ".", ack=1, sack=[(11, 1 + 10 * i)])
    t.expect(0, ".", seq=1, data=10)
    t.app.send(bytes(10))
    t.expect(0, "P.", seq=61, data=10)
    t.app.send(bytes(10))
    t.expect(0, "P.", seq=71, data=10)
    t.finish()
