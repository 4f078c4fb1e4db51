"""Congestion marked instead of lost (RFC 3168 6.1, RFC 8511)."""

from __future__ import annotations

from typing import Any

import pytest

from corten.sim.script import Trace

MSS = 1000
CE, ECT0, NONE = 3, 2, 0


def agreed(active: bool = False, **options: Any) -> Trace:
    """ESTABLISHED, and both ends know of ECN."""
    options = {"congestion": "reno", "timestamps": False, **options}
    if active:
        t = Trace(listen=None, ecn="on", **options)
        opening(t, "SEW")
        t.send(0, "S.E", seq=0, ack=1, mss=MSS)
        t.expect(0, ".", seq=1, ack=1, ecn=NONE)
        return t
    t = Trace(**options)
    t.send(0, "SEW", seq=0, mss=MSS)
    t.expect(0, "S.E", seq=0, ack=1, ecn=NONE)
    t.send(0, ".", seq=1, ack=1)
    t.expect_nothing()
    return t


def opening(t: Trace, flags: str) -> None:
    """The application connects; the SYN says so much of ECN."""
    from corten.sim.script import App, Flow

    t.apps.append(App(t))
    app = t.apps[-1]
    app.connection = t.host.connect(t.there, 80, lambda: app)
    t.breathe()
    segment = t.peer.heard[0][1]
    t.flow = t.flows[80] = Flow(80, t.isn)
    t.flow.stack_port = segment.source_port
    t.note(segment)
    t.expect(0, flags, seq=0, ecn=NONE)


def data(t: Trace, first: int, count: int, **fields: Any) -> None:
    """So many whole segments are expected, from the one that is number `first`."""
    for i in range(first, first + count):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS, **fields)


# -- 6.1.1 -----------------------------------------------------------------------------------


@pytest.mark.requirement("RFC 3168 6.1.1", "SHLD-8")
def test_it_is_agreed_when_the_peer_asks() -> None:
    t = agreed()
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS, ecn=ECT0)
    assert t.app.connection.info()["ecn"] is True
    t.send(0, ".", ack=1 + MSS)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1")
@pytest.mark.parametrize("asked", ["S", "SE", "SW"])
def test_half_a_question_is_none(asked: str) -> None:
    t = Trace()
    t.send(0, asked, seq=0, mss=MSS)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    t.app.send(b"x")
    t.expect(0, "P.", seq=1, data=b"x", ecn=NONE)
    t.send(0, ".E", ack=2)  # nobody agreed to that
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1")
def test_off_is_off() -> None:
    t = Trace(ecn="off")
    t.send(0, "SEW", seq=0, mss=MSS)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, "P.", seq=1, ack=1, data=b"x", ecn=CE)
    t.expect(40, ".", ack=2, ecn=NONE)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1")
def test_passive_does_not_ask_and_on_does() -> None:
    t = Trace(listen=None)
    opening(t, "S")
    t.send(0, "S.E", seq=0, ack=1, mss=MSS)
    t.expect(0, ".", seq=1, ack=1)
    t.app.send(b"x")
    t.expect(0, "P.", seq=1, data=b"x", ecn=NONE)
    t.finish()
    t = agreed(active=True)
    t.app.send(b"x")
    t.expect(0, "P.", seq=1, data=b"x", ecn=ECT0)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1.2")
@pytest.mark.parametrize("answer", ["S.", "S.EW", "S.W"])
def test_a_reflected_question_is_no_consent(answer: str) -> None:
    t = Trace(listen=None, ecn="on", timestamps=False)
    opening(t, "SEW")
    t.send(0, answer, seq=0, ack=1, mss=MSS)
    t.expect(0, ".", seq=1, ack=1)
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS, ecn=NONE)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1.1", "RFC 3168 6.1.1")
def test_a_repeated_syn_does_not_ask_and_then_nothing_is_marked() -> None:
    """The answer to the first one may still come: then we echo, but send nothing as capable."""
    t = Trace(listen=None, ecn="on", timestamps=False)
    opening(t, "SEW")
    t.expect(1000, "S", seq=0)
    t.send(0, "S.E", seq=0, ack=1, mss=MSS)
    t.expect(0, ".", seq=1, ack=1)
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS, ecn=NONE)
    t.send(0, "P.", seq=1, ack=1 + MSS, data=b"x", ecn=CE)
    t.expect(0, ".E", ack=2)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1.1")
def test_a_syn_that_comes_again_without_the_question_is_answered_without() -> None:
    t = Trace(timestamps=False)
    t.send(0, "SEW", seq=0, mss=MSS)
    t.expect(0, "S.E", seq=0, ack=1)
    t.send(100, "S", seq=0, ack=0, mss=MSS)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS, ecn=NONE)
    t.finish()


# -- 6.1.2: the sender -----------------------------------------------------------------------


@pytest.mark.requirement("RFC 3168 6.1.2", "RFC 8511 3")
def test_an_echo_reduces_once_a_round_trip_and_cwr_goes_once() -> None:
    t = agreed()
    t.app.send(bytes(40 * MSS))
    data(t, 0, 10, ecn=ECT0)
    t.send(50, ".E", ack=1 + MSS)
    assert t.app.connection.info()["cwnd"] == 8 * MSS
    for i in range(2, 10):  # the same round: no more reductions, and no growth
        t.send(0, ".E", ack=1 + i * MSS)
    assert t.app.connection.info()["cwnd"] == 8 * MSS
    first, *others = t.heard()
    assert (first.flags, first.ecn, len(first.payload)) == (0x90, ECT0, MSS)  # CWR, ACK
    assert {(segment.flags, segment.ecn) for segment in others} == {(0x10, ECT0)}
    t.send(0, ".", ack=1 + 10 * MSS)
    t.send(0, ".", ack=1 + 11 * MSS)  # beyond the round: growth again
    t.heard()
    t.send(0, ".E", ack=1 + 12 * MSS)
    assert t.app.connection.info()["cwnd"] < 8 * MSS
    assert len(others) >= 5
    assert t.app.connection.info()["ssthresh"] == t.app.connection.info()["cwnd"]
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.2")
def test_an_echo_before_anything_is_lost_leaves_the_loss_no_reduction() -> None:
    t = agreed()
    t.app.send(bytes(40 * MSS))
    data(t, 0, 10, ecn=ECT0)
    t.send(50, ".E", ack=1)
    window = t.app.connection.info()["cwnd"]
    assert window == 8 * MSS
    for _ in range(3):
        t.send(0, ".E", ack=1)
    again = t.heard()[0]
    assert (again.flags, again.ecn) == (0x10, NONE)  # 6.1.5: no codepoint, and no CWR
    assert t.app.connection.info()["recovery"] == "fast"
    assert t.app.connection.info()["ssthresh"] == window
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.2")
def test_a_time_out_is_told_with_cwr_on_the_next_new_data() -> None:
    t = agreed()
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS, ecn=ECT0)
    t.expect(200, "P.", seq=1, data=MSS, ecn=NONE)
    t.send(10, ".", ack=1 + MSS)
    t.app.send(bytes(2 * MSS))
    t.expect(0, ".W", seq=1 + MSS, data=MSS, ecn=ECT0)
    t.expect(0, "P.", seq=1 + 2 * MSS, data=MSS, ecn=ECT0)
    t.send(0, ".", ack=1 + 3 * MSS)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.2")
def test_cwr_is_in_one_segment_of_a_super_segment() -> None:
    t = agreed(offload=True)
    t.app.send(bytes(20 * MSS))
    assert len(t.heard()) == 10
    t.send(50, ".E", ack=1 + 10 * MSS)
    flags = [(segment.flags & ~8, segment.ecn) for segment in t.heard()]
    assert flags == [(0x90, ECT0)] + [(0x10, ECT0)] * (len(flags) - 1)
    assert len(flags) > 2
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.4", "RFC 3168 6.1.6")
def test_window_probes_and_fins_and_acknowledgements_are_not_capable() -> None:
    t = agreed()
    t.send(0, ".", ack=1, win=0)
    t.app.send(bytes(MSS))
    t.expect(200, ".", seq=1, data=1, ecn=NONE)
    t.send(0, "P.", seq=1, ack=1, data=b"x", win=0)
    t.expect(40, ".", ack=2, ecn=NONE)
    t.send(0, ".", ack=2, win=65535)
    t.expect(0, "P.", seq=2, data=MSS - 1, ecn=ECT0)
    t.send(0, ".", ack=1 + MSS)
    t.app.close()
    t.expect(0, "F.", seq=1 + MSS, ecn=NONE)
    t.finish()


# -- 6.1.3: the receiver ---------------------------------------------------------------------


@pytest.mark.requirement("RFC 3168 6.1.3")
def test_marks_are_echoed_until_cwr() -> None:
    t = agreed()
    t.send(0, "P.", seq=1, ack=1, data=b"a", ecn=ECT0)
    t.expect(40, ".", ack=2)
    t.send(0, "P.", seq=2, ack=1, data=b"b", ecn=CE)
    t.expect(0, ".E", ack=3, ecn=NONE)  # at once
    t.send(0, "P.", seq=3, ack=1, data=b"c", ecn=ECT0)
    t.expect(40, ".E", ack=4)
    t.app.send(b"x")
    t.expect(0, "P.E", seq=1, data=b"x", ecn=ECT0)  # and on data
    t.send(0, "P.W", seq=4, ack=2, data=b"d", ecn=ECT0)
    t.expect(40, ".", ack=5)
    t.send(0, "P.W", seq=5, ack=2, data=b"e", ecn=CE)  # CWR, and marked again
    t.expect(0, ".E", ack=6)
    assert t.app.data == b"abcde"
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.3")
def test_one_marked_segment_of_those_acknowledged_together_is_enough() -> None:
    t = agreed()
    with t.breath():
        t.send(0, ".", seq=1, ack=1, data=b"a", ecn=ECT0)
        t.send(0, ".", seq=2, ack=1, data=b"b", ecn=CE)
        t.send(0, ".", seq=3, ack=1, data=b"c", ecn=ECT0)
    t.expect(0, ".E", ack=4)
    t.expect_nothing(100)
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.5")
def test_a_mark_outside_the_window_is_ignored() -> None:
    t = agreed()
    t.send(0, ".", seq=1_000_000, ack=1, data=b"a", ecn=CE)
    t.expect(0, ".", ack=1)
    t.send(0, "P.", seq=1, ack=1, data=b"a", ecn=ECT0)
    t.expect(40, ".", ack=2)
    t.finish()


def test_marks_mean_nothing_to_who_agreed_to_nothing() -> None:
    t = Trace().established()
    t.send(0, "P.", seq=1, ack=1, data=b"a", ecn=CE)
    t.expect(40, ".", ack=2)
    t.app.send(bytes(5))
    t.expect(0, "P.", seq=1, data=5, ecn=NONE)
    t.send(0, ".E", ack=6)
    assert t.app.connection.info()["ecn"] is False
    t.finish()
