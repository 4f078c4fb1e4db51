"""Loss: when to send again, and when not (RFC 6298, RFC 5681, RFC 6582)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace, pattern
from tests.tcp.test_segment_arrives import count
from tests.trace.test_rack import MSS, RTT, at, path


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


@pytest.mark.requirement("RFC 5681 3.2")
def test_acknowledgements_that_come_with_the_loss_make_the_flight_no_smaller() -> None:
    """One breath reads two new acknowledgements and the SACKs beyond a hole: output, which would
    have kept ten segments in flight, runs after it."""
    t = Trace(congestion="reno", timestamps=False).syn_received(mss=MSS, sack_ok=True)
    t.send(10, ".", seq=1, ack=1)
    t.app.send(bytes(60 * MSS))
    for i in range(10):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    with t.breath():
        t.send(10, ".", ack=1 + 2 * MSS)
        for last in (4, 5, 6):
            t.send(0, ".", ack=1 + 2 * MSS, sack=[(1 + 3 * MSS, 1 + last * MSS)])
    assert t.app.connection.info()["ssthresh"] == 5 * MSS  # half of ten, not of eight
    t.heard()
    t.send(100, "R.")
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


@pytest.mark.requirement("RFC 6582 4")
def test_duplicates_after_a_time_out_start_no_recovery() -> None:
    """Everything was late, not lost: what is sent again arrives a second time and is answered by
    duplicate acknowledgements, which tell of no loss."""
    t = flight(4, sack=False)
    t.expect(200, ".", seq=1, data=MSS)
    t.send(10, ".", ack=1 + 4 * MSS)
    t.app.send(bytes(10 * MSS))
    beyond = 4
    for _ in range(4):
        beyond += len(t.heard())
        t.send(1, ".", ack=1 + 4 * MSS)
    begins = [(s.seq - (t.flow.iss or 0) - 1) // MSS for s in t.heard()]
    assert begins == list(range(beyond, beyond + len(begins)))
    assert count(t, "fast_retransmits") == 0
    t.finish()


@pytest.mark.requirement("RFC 6675 5.1")
def test_a_time_out_in_recovery_keeps_what_was_sacked() -> None:
    """The retransmission is lost too. What was SACKed is not sent again, and what is told of the
    flight from before the time-out begins no other recovery."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 10 * MSS))
    assert len(t.heard()) == 10
    t.send(RTT, ".", ack=at(0), sack=[(at(1), at(5))])
    t.expect(0, ".", seq=at(0), data=MSS)
    threshold = t.app.connection.info()["ssthresh"]
    t.expect(300, ".", seq=at(0), data=MSS)
    info = t.app.connection.info()
    assert (info["recovery"], info["cwnd"], info["sacked"]) == ("loss", MSS, 4 * MSS)
    t.send(RTT, ".", ack=at(5))
    t.expect(0, ".", seq=at(5), data=MSS)
    t.expect(0, ".", seq=at(6), data=MSS)
    t.send(RTT, ".", ack=at(7))
    t.heard()
    t.send(RTT, ".", ack=at(10))
    t.expect_nothing(3000)
    assert t.app.connection.info()["ssthresh"] == threshold
    assert count(t, "fast_retransmits") == 1
    t.finish()


@pytest.mark.requirement("RFC 6937 3")
def test_the_window_comes_down_with_what_is_delivered() -> None:
    """One of ten is lost: what goes out is ssthresh / RecoverFS of what is delivered, and the first
    retransmission at once."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 40 * MSS))
    assert len(t.heard()) == 10
    sent = [len(t.heard())]
    for k in range(1, 10):
        t.send(1, ".", ack=at(0), sack=[(at(1), at(k + 1))])
        sent.append(len(t.heard()))
    # two by limited transmit, the retransmission; then none until 12 in flight have become 6
    assert sent[1:] == [1, 1, 1, 0, 0, 0, 1, 1, 1]
    assert t.app.connection.info()["ssthresh"] == t.app.connection.info()["cwnd"] == 6 * MSS
    t.finish()


@pytest.mark.requirement("RFC 6937 3")
def test_below_ssthresh_it_fills_by_one_segment_more_than_was_delivered() -> None:
    """Seven of ten are lost: the network is nearly empty, and the bound keeps a burst out of it."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 40 * MSS))
    assert len(t.heard()) == 10
    for k in (7, 8, 9):
        t.send(1, ".", ack=at(0), sack=[(at(7), at(k + 1))])
    assert [s.seq - (t.flow.iss or 0) for s in t.heard()] == [at(10), at(11), at(0)]
    sent = []
    for k in range(1, 7):
        t.send(RTT if k == 1 else 1, ".", ack=at(k), sack=[(at(7), at(10))])
        sent.append(len(t.heard()))
    assert sent == [1, 2, 2, 2, 2, 2]
    assert t.app.connection.info()["ssthresh"] == t.app.connection.info()["cwnd"] == 6 * MSS
    t.finish()
