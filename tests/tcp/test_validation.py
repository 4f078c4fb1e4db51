"""Congestion window validation alone (RFC 7661): a window that the application does not use."""

from __future__ import annotations

import pytest

from corten.tcp.congestion import CongestionControl
from corten.tcp.cubic import Cubic
from corten.tcp.reno import Reno

MSS = 1000
SECOND = 10**9
RTT = SECOND // 10


def grown(kind: type[CongestionControl], segments: int = 100) -> CongestionControl:
    """One whose window has grown from ten segments."""
    control = kind(MSS, 10 * MSS)
    control.without_ack_limit()
    control.acked((segments - 10) * MSS, RTT, SECOND)
    assert control.window == segments * MSS
    return control


def use(control: CongestionControl, segments: int, begin: int, end: int) -> int:
    """So many segments a round trip, which the window does not limit; the window after it."""
    for now in range(begin, end, RTT):
        control.limited(segments * MSS, RTT, now)
    return control.window


@pytest.mark.requirement("RFC 7661 4.4")
@pytest.mark.parametrize("kind", [Reno, Cubic])
def test_what_is_not_used_neither_grows_nor_shrinks(kind: type[CongestionControl]) -> None:
    control = grown(kind)
    assert use(control, 20, SECOND, 200 * SECOND) == 100 * MSS


@pytest.mark.requirement("RFC 7661 4.4.3")
@pytest.mark.parametrize("kind", [Reno, Cubic])
def test_after_five_minutes_it_is_halved_and_ssthresh_remembers(
    kind: type[CongestionControl],
) -> None:
    control = grown(kind)
    control.lost(100 * MSS, SECOND)
    before, ssthresh = control.window, control.ssthresh
    control.acked(MSS, RTT, SECOND)
    assert use(control, 5, SECOND, 302 * SECOND) == pytest.approx(before // 2, abs=MSS)
    assert control.ssthresh >= max(ssthresh, 3 * before // 4)
    assert use(control, 2, 302 * SECOND, 3000 * SECOND) == 10 * MSS  # not below the initial one


@pytest.mark.requirement("RFC 7661 4.3")
def test_half_of_it_used_is_valid() -> None:
    control = grown(Reno)
    assert use(control, 50, SECOND, 700 * SECOND) == 100 * MSS


@pytest.mark.requirement("RFC 7661 4.4.1")
def test_a_loss_counts_from_what_was_used_lately() -> None:
    """Twenty segments a round trip, and three in flight when the loss is found."""
    for kind, factor in ((Reno, 0.5), (Cubic, 0.7)):
        control = grown(kind)
        use(control, 20, SECOND, 5 * SECOND)
        assert control.lost(3 * MSS, 5 * SECOND) == int(20 * MSS * factor)
        # pipeACK is undefined after it
        assert control.lost(4 * MSS, 6 * SECOND) == max(2 * MSS, int(4 * MSS * factor))


@pytest.mark.requirement("RFC 7661 4.2")
def test_what_was_used_long_ago_does_not_count() -> None:
    """The sampling period is a second here."""
    control = grown(Reno)
    use(control, 40, SECOND, 2 * SECOND)
    use(control, 8, 2 * SECOND, 4 * SECOND)
    assert control.lost(3 * MSS, 4 * SECOND) == 4 * MSS


@pytest.mark.requirement("RFC 7661 4.4")
def test_a_window_that_is_the_limit_again_is_valid() -> None:
    control = grown(Reno)
    use(control, 5, SECOND, 200 * SECOND)
    control.acked(100 * MSS, RTT, 200 * SECOND)
    after = control.window
    assert use(control, 5, 200 * SECOND, 400 * SECOND) == after
    assert control.lost(100 * MSS, 400 * SECOND) == 50 * MSS


def test_a_window_that_never_grew_is_not_on_probation() -> None:
    control = Reno(MSS, 10 * MSS)
    assert use(control, 1, SECOND, 1000 * SECOND) == 10 * MSS
