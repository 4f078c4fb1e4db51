"""Congestion control alone: numbers in, the window out (RFC 5681, RFC 9438, RFC 6928)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.tcp.congestion import CongestionControl
from corten.tcp.cubic import Cubic
from corten.tcp.reno import Reno

MSS = 1000
SECOND = 10**9
RTT = SECOND // 5


def reduced(control: CongestionControl, segments: int) -> CongestionControl:
    """One that lost something with so many segments in flight."""
    control.lost(segments * MSS, 0)
    return control


def test_slow_start_doubles_and_stops_at_ssthresh() -> None:
    for control in (Reno(MSS, 10 * MSS), Cubic(MSS, 10 * MSS)):
        assert control.acked(8 * MSS, RTT, 0) == 18 * MSS
        assert control.acked(9 * MSS, RTT, 0) == 26 * MSS  # L = 8 (RFC 9406 4.2)
        control.without_ack_limit()
        assert control.acked(20 * MSS, RTT, 0) == 47 * MSS  # and one that was beyond it
        control.timed_out(20 * MSS, True, 0)
        assert control.window == MSS
        assert control.acked(50 * MSS, RTT, 0) == control.ssthresh


def test_reno_halves_and_adds_one_segment_a_window() -> None:
    control = Reno(MSS, 20 * MSS)
    assert control.lost(20 * MSS, 0) == 10 * MSS == control.ssthresh
    for _ in range(9):
        assert control.acked(MSS, RTT, 0) == 10 * MSS
    assert control.acked(MSS, RTT, 0) == 11 * MSS
    for _ in range(1100):
        control.acked(10, RTT, 0)  # division of acknowledgements gains nothing
    assert control.window == 12 * MSS


def test_ssthresh_is_two_segments_at_least_and_stays_over_repeated_timeouts() -> None:
    for control in (Reno(MSS, 10 * MSS), Cubic(MSS, 10 * MSS)):
        control.timed_out(40 * MSS, True, 0)
        first = control.ssthresh
        assert control.timed_out(MSS, False, 0) == MSS
        assert control.ssthresh == first
        control.timed_out(MSS, True, 0)
        assert control.ssthresh == 2 * MSS


def test_restart_after_idle() -> None:
    for control in (Reno(MSS, 100 * MSS), Cubic(MSS, 100 * MSS)):
        assert control.idled(10 * MSS) == 10 * MSS
        assert control.idled(20 * MSS) == 10 * MSS


def grow(control: CongestionControl, begin: int, end: int) -> int:
    """Acknowledge a window an RTT, a segment at a time."""
    now = begin
    while now < end:
        for _ in range(control.window // MSS):
            control.acked(MSS, RTT, now)
        now += RTT
    return control.window


@pytest.mark.requirement("RFC 9438 4.2", "RFC 9438 4.6", "RFC 9438 4.4", "RFC 9438 4.5")
def test_cubic_returns_to_w_max_at_k_and_goes_beyond() -> None:
    """W_max = 100, cwnd = 70: K is 4.217 s."""
    control = Cubic(MSS, 100 * MSS)
    assert control.lost(100 * MSS, 0) == 70 * MSS
    k = int(4.217 * SECOND)
    assert 84 * MSS < grow(control, 0, k // 4) < 90 * MSS
    assert 97 * MSS < grow(control, k // 4 // RTT * RTT + RTT, k) < 101 * MSS
    assert 122 * MSS < grow(control, k // RTT * RTT + RTT, 2 * k) < 136 * MSS


@pytest.mark.requirement("RFC 9438 4.7")
def test_cubic_fast_convergence() -> None:
    """A second loss below W_max gives up some of it: W_max = 70 * 0.85."""
    control = Cubic(MSS, 100 * MSS)
    control.lost(100 * MSS, 0)
    assert control.lost(70 * MSS, 0) == 49 * MSS
    k = int((0.4**-1 * (59.5 - 49)) ** (1 / 3) * SECOND)
    assert 57 * MSS < grow(control, 0, k) < 62 * MSS


@pytest.mark.requirement("RFC 9438 4.3")
def test_cubic_is_no_slower_than_reno() -> None:
    """In a short RTT the Reno-friendly region rules."""
    control = Cubic(MSS, 20 * MSS)
    control.lost(20 * MSS, 0)
    rtt = SECOND // 100
    for i in range(100):
        for _ in range(control.window // MSS):
            control.acked(MSS, rtt, i * rtt)
    assert control.window >= 14 * MSS + int(0.52 * 11 * MSS) + 80 * MSS


@pytest.mark.requirement("RFC 9438 4.8")
def test_cubic_after_a_timeout_starts_at_the_bottom_of_its_curve() -> None:
    control = Cubic(MSS, 100 * MSS)
    control.timed_out(100 * MSS, True, 0)
    control.without_ack_limit()
    control.acked(69 * MSS, RTT, 0)
    assert control.window == 70 * MSS
    assert grow(control, 0, SECOND) < 75 * MSS
    assert grow(control, SECOND, 4 * SECOND) > 75 * MSS


events = st.lists(
    st.one_of(
        st.tuples(st.just("acked"), st.integers(1, 64_000)),
        st.tuples(st.just("lost"), st.integers(0, 1 << 24)),
        st.tuples(st.just("timed_out"), st.integers(0, 1 << 24)),
        st.tuples(st.just("idled"), st.integers(1, 1 << 20)),
    ),
    max_size=60,
)


@given(st.sampled_from([Reno, Cubic]), events, st.integers(16, 9000))
def test_a_window_is_never_under_one_segment_nor_grows_on_loss(
    kind: type[CongestionControl], what: list[tuple[str, int]], mss: int
) -> None:
    control = kind(mss, 10 * mss)
    now = owed = 0  # what an acknowledgement opened less by than it might, the next ones may
    for name, octets in what:
        now += RTT
        before = control.window
        if name == "acked":
            after = control.acked(octets, RTT, now)
            owed += octets
            assert before <= after <= max(before + owed + mss, before * 3 // 2 + mss)
            owed = max(0, owed - (after - before))
        elif name == "lost":
            after = control.lost(min(octets, before), now)
            assert after <= max(before, 2 * mss)
        elif name == "timed_out":
            after = control.timed_out(min(octets, before), True, now)
            assert after == mss
        else:
            after = control.idled(max(octets, mss))
            assert after <= before
        assert mss <= after == control.window
        assert control.ssthresh >= 2 * mss


def test_the_interface_alone_does_nothing() -> None:
    control = CongestionControl(MSS, 10 * MSS)
    assert control.acked(MSS, RTT, 0) == 10 * MSS
    assert control.lost(MSS, 0) == 10 * MSS
    assert control.timed_out(MSS, True, 0) == 10 * MSS
    assert control.idled(5 * MSS) == 5 * MSS


def test_windows_have_an_upper_bound() -> None:
    for control in (Reno(MSS, 1 << 29), Cubic(MSS, 1 << 29)):
        control.without_ack_limit()
        control.acked(0x3FFF_FFFF, RTT, 0)
        assert control.window == 0x3FFF_FFFF
        control.lost(0x3FFF_FFFF, 0)
        for i in range(200):
            control.acked(control.window, RTT, i * SECOND)
        assert control.window <= 0x3FFF_FFFF


@pytest.mark.requirement("RFC 9438 4.9", "RFC 4015 3.2")
def test_a_mistaken_reduction_is_undone_once() -> None:
    for control in (Reno(MSS, 100 * MSS), Cubic(MSS, 100 * MSS)):
        control.lost(100 * MSS, 0)  # congestion avoidance
        control.acked(MSS, RTT, RTT)
        before, ssthresh = control.window, control.ssthresh
        assert control.lost(before, 2 * RTT) < before
        assert control.undone(3 * RTT) == before
        assert control.ssthresh == ssthresh
        assert control.undone(4 * RTT) == before
        control.timed_out(before, True, 5 * RTT)
        assert control.timed_out(MSS, False, 6 * RTT) == MSS
        assert control.undone(7 * RTT) == before


@pytest.mark.requirement("RFC 9438 4.9")
def test_cubic_goes_on_with_its_curve_after_a_mistake() -> None:
    """The second curve is the first one: W_max = 100, 30 segments of way to go."""
    control = Cubic(MSS, 100 * MSS)
    control.lost(100 * MSS, 0)
    middle = grow(control, 0, 2 * SECOND)
    control.lost(middle, 2 * SECOND)
    control.undone(2 * SECOND + RTT)
    assert 97 * MSS < grow(control, 2 * SECOND + RTT, int(4.217 * SECOND)) < 101 * MSS


def test_an_undo_never_shrinks_a_window() -> None:
    control = Reno(MSS, 10 * MSS)
    control.lost(10 * MSS, 0)
    for _ in range(100):
        control.acked(control.window, RTT, 0)
    grown = control.window
    assert control.undone(0) == grown > 10 * MSS


@pytest.mark.requirement("RFC 8511 3", "RFC 8511 3.1")
def test_a_mark_reduces_by_less_than_a_loss_and_is_not_undone() -> None:
    assert Reno(MSS, 100 * MSS).marked(100 * MSS, 0) == 80 * MSS
    assert Cubic(MSS, 100 * MSS).marked(100 * MSS, 0) == 85 * MSS
    for control in (Reno(MSS, 100 * MSS), Cubic(MSS, 100 * MSS)):
        control.lost(100 * MSS, 0)
        after = control.marked(control.window, 1)
        assert control.undone(2) == after


@pytest.mark.requirement("RFC 9438 4.6", "RFC 3168 6.1.2")
def test_marks_bring_the_window_to_one_segment_and_ssthresh_to_two() -> None:
    for control in (Reno(MSS, 10 * MSS), Cubic(MSS, 10 * MSS)):
        for i in range(40):
            control.marked(control.window, i)
        assert control.window == MSS
        assert control.ssthresh == 2 * MSS


@pytest.mark.requirement("RFC 9438 4.2", "RFC 9438 5.8")
def test_time_without_need_of_the_window_does_not_count() -> None:
    """Ten minutes of an application that asks for little: the curve goes on where it was."""
    for quiet in (False, True):
        control = Cubic(MSS, 100 * MSS)
        control.lost(100 * MSS, 0)
        before = grow(control, 0, SECOND)
        if not quiet:
            control.limited(MSS, RTT, 300 * SECOND)
        later = 600 * SECOND
        assert control.acked(MSS, RTT, later) - before < MSS
        assert 97 * MSS < grow(control, later, later + int(3.3 * SECOND)) < 102 * MSS


def test_segments_of_another_size() -> None:
    control = Cubic(MSS, 100 * MSS)
    control.lost(100 * MSS, 0)
    control.mss_now(MSS // 2)
    assert control.window == 70 * MSS
    now = 0
    while now < int(4.217 * SECOND * 2 ** (1 / 3)):
        for _ in range(control.window // (MSS // 2)):
            control.acked(MSS // 2, RTT, now)
        now += RTT
    assert 97 * MSS < control.window < 103 * MSS
    assert Reno(MSS, MSS).mss_now(2 * MSS) == 2 * MSS


def test_pacing_is_faster_than_the_window_opens() -> None:
    control = Reno(MSS, 10 * MSS)
    assert control.paced_at(0) == 0
    assert control.paced_at(RTT) == 2 * 10 * MSS * 5
    control.lost(10 * MSS, 0)
    assert control.paced_at(RTT) == 5 * MSS * 5 * 12 // 10
