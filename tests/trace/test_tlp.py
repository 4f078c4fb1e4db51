"""Tail loss probes (RFC 8985 7)."""

from __future__ import annotations

import pytest

from corten.sim.script import pattern
from tests.trace.test_rack import MSS, RTT, at, flight, path, sacked, state

PTO = 2 * RTT + 2


@pytest.mark.requirement("RFC 8985 7.3", "RFC 8985 3.4")
def test_the_tail_is_probed_and_repaired() -> None:
    """P1 to P3 of P0..P3 are lost: figure 1, at the pace that RFC 6937 allows, and no timeout."""
    t = path()
    t.app.send(pattern(at(0), 4 * MSS))
    assert len(t.heard()) == 4
    t.send(RTT, ".", ack=at(1))
    t.expect(PTO, "P.", seq=at(3), data=MSS)
    t.send(RTT, ".", ack=at(1), sack=sacked(3))
    t.expect(0, ".", seq=at(1), data=MSS)
    t.send(RTT, ".", ack=at(2), sack=sacked(3))
    t.expect(0, ".", seq=at(2), data=MSS)
    t.send(RTT, ".", ack=at(4))
    t.expect_nothing(3000)
    assert t.app.connection.info()["retries"] == 0
    t.finish()


@pytest.mark.requirement("RFC 8985 7.3")
def test_the_whole_flight_is_lost() -> None:
    t = path()
    t.app.send(pattern(at(0), 5 * MSS))
    assert len(t.heard()) == 5
    t.expect(PTO, "P.", seq=at(4), data=MSS)
    t.send(RTT, ".", ack=at(0), sack=sacked(4))
    t.expect(0, ".", seq=at(0), data=MSS)
    t.send(RTT, ".", ack=at(1), sack=sacked(4))
    t.expect(0, ".", seq=at(1), data=MSS)
    t.expect(0, ".", seq=at(2), data=MSS)
    t.send(RTT, ".", ack=at(3), sack=sacked(4))
    t.expect(0, ".", seq=at(3), data=MSS)
    t.send(RTT, ".", ack=at(5))
    t.expect_nothing(3000)
    assert t.app.connection.info()["retries"] == 0
    t.finish()


@pytest.mark.requirement("RFC 8985 7.3", "RFC 8985 8")
def test_one_probe_then_the_timeout() -> None:
    t = path()
    t.app.send(pattern(at(0), 2 * MSS))
    assert len(t.heard()) == 2
    t.expect(PTO, "P.", seq=at(1), data=MSS)
    t.expect(300, ".", seq=at(0), data=MSS)  # RTO = 100 + 4 * 50
    t.expect_nothing(500)
    t.finish()


@pytest.mark.requirement("RFC 8985 7.3")
def test_new_data_is_the_better_probe() -> None:
    t = path(initial_window=2)
    t.app.send(pattern(at(0), 3 * MSS))
    assert len(t.heard()) == 2
    t.expect(PTO, "P.", seq=at(2), data=MSS)
    t.send(RTT, ".", ack=at(0), sack=sacked(2))
    t.expect(0, ".", seq=at(0), data=MSS)
    t.send(RTT, ".", ack=at(1), sack=sacked(2))
    t.expect(0, ".", seq=at(1), data=MSS)
    t.send(RTT, ".", ack=at(3))
    t.expect_nothing(3000)
    t.finish()


@pytest.mark.requirement("RFC 8985 7.2")
def test_no_probe_of_a_single_segment_before_the_timer() -> None:
    """Its acknowledgement may be delayed: the probe goes when the timer would have expired."""
    t = path()
    flight(t, 1)
    t.expect(300, "P.", seq=at(0), data=MSS)
    window = t.app.connection.info()["cwnd"]
    assert window == 10 * MSS and state(t) == "disorder"
    t.finish()


@pytest.mark.requirement("RFC 8985 7.2")
def test_no_probe_while_something_is_sacked() -> None:
    t = path()
    t.app.send(pattern(at(0), 4 * MSS))
    assert len(t.heard()) == 4
    t.send(RTT, ".", ack=at(1), sack=sacked(3))
    t.expect(25, ".", seq=at(1), data=MSS)
    t.expect_nothing(200)
    t.send(0, ".", ack=at(4))
    t.finish()


@pytest.mark.requirement("RFC 8985 7.4.2")
def test_a_probe_that_arrived_beside_the_original() -> None:
    """Case 1: the D-SACK says that nothing was lost, so the window stays."""
    t = path()
    t.app.send(pattern(at(0), 2 * MSS))
    assert len(t.heard()) == 2
    t.expect(PTO, "P.", seq=at(1), data=MSS)
    t.send(50, ".", ack=at(2))
    t.send(50, ".", ack=at(2), sack=sacked(1))
    window = t.app.connection.info()["cwnd"]
    t.app.send(pattern(at(2), 2 * MSS))
    t.heard()
    t.send(RTT, ".", ack=at(4))
    assert int(str(t.app.connection.info()["cwnd"])) >= int(str(window)) >= 10 * MSS
    t.finish()


@pytest.mark.requirement("RFC 8985 7.4.2")
def test_a_probe_that_repaired_the_loss() -> None:
    """The acknowledgement looks like any other; the next one, of more, tells."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 2 * MSS))
    assert len(t.heard()) == 2
    t.send(RTT, ".", ack=at(1))
    t.expect(300, "P.", seq=at(1), data=MSS)  # of one segment: when the timer expires
    t.send(RTT, ".", ack=at(2))
    t.app.send(pattern(at(2), 2 * MSS))
    t.heard()
    t.send(RTT, ".", ack=at(4))
    assert int(str(t.app.connection.info()["ssthresh"])) < 10 * MSS
    t.finish()


def test_a_probe_answered_leaves_no_records() -> None:
    """All that was in flight is acknowledged, and nobody has said yet whether the probe was needed:
    an output pass for the peer's data must not make records of nothing."""
    t = path()
    t.app.send(pattern(at(0), 2 * MSS))
    assert len(t.heard()) == 2
    t.expect(PTO, "P.", seq=at(1), data=MSS)
    t.send(1, "P.", ack=at(2), data=b"more")
    t.expect(1, ".", seq=at(2), ack=5)
    assert t.app.connection.info()["recovery"] == "disorder"
    assert t.app.connection.flight is None
    t.send(1, ".", seq=5, ack=at(2), sack=[(at(1), at(2))])  # D-SACK: both arrived
    assert t.app.connection.info()["recovery"] == "open"
    assert t.app.connection.flight is None
    t.finish()
