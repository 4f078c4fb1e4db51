"""HyStart++ alone (RFC 9406): rounds of acknowledgements in, the window out."""

from __future__ import annotations

import pytest

from corten.tcp.cubic import Cubic

MSS = 1000
MS = 1_000_000
INFINITE = 0x3FFF_FFFF


class Sender:
    """Everything the window allows is in flight; a round acknowledges it segment by segment."""

    def __init__(self, window: int = 10, paced: bool = False) -> None:
        self.control = Cubic(MSS, window * MSS)
        if paced:
            self.control.without_ack_limit()
        self.now = 0

    @property
    def segments(self) -> float:
        return self.control.window / MSS

    def round(self, rtt_ms: float, count: int | None = None, late_ms: float = 0.0) -> float:
        """One round trip; the first half of its segments took `rtt_ms`, the others `late_ms` more.
        The window after it."""
        flight = int(self.segments) if count is None else count
        self.now += int(rtt_ms * MS)
        for i in range(flight):
            rtt = rtt_ms + (late_ms if i >= flight // 2 else 0)
            in_flight = (flight - 1 - i) * MSS
            self.control.acked(MSS, 50 * MS, self.now, in_flight, int(rtt * MS))
        return self.segments


@pytest.mark.requirement("RFC 9406 4.2")
def test_a_steady_round_trip_is_slow_start() -> None:
    sender = Sender()
    for window in (20, 40, 80, 160):
        assert sender.round(50) == window
    assert sender.control.ssthresh == INFINITE


@pytest.mark.requirement("RFC 9406 4.2", "RFC 9406 4.3")
@pytest.mark.parametrize(
    ("base", "grown", "leaves"),
    [
        (20, 23.9, False),  # MIN_RTT_THRESH: 4 ms
        (20, 24, True),
        (80, 89.9, False),  # an eighth
        (80, 90, True),
        (300, 315.9, False),  # MAX_RTT_THRESH: 16 ms
        (300, 316, True),
    ],
)
def test_how_much_more_delay_ends_it(base: float, grown: float, leaves: bool) -> None:
    sender = Sender()
    sender.round(base)
    before = sender.round(grown)
    sender.round(grown)
    assert (sender.segments < 2 * before) is leaves


@pytest.mark.requirement("RFC 9406 4.2", "RFC 9438 4.10")
def test_conservative_slow_start_lasts_five_rounds_and_then_the_window_is_ssthresh() -> None:
    """The round in which it begins is the first of the five, though only a part of it."""
    sender = Sender()
    sender.round(50)  # 20
    for _ in range(5):
        before = sender.segments
        assert sender.round(60) < 2 * before
        assert sender.control.ssthresh == INFINITE
    after = sender.round(60, 1)  # the first octet of the sixth is acknowledged
    assert sender.control.ssthresh == sender.control.window == int(after * MSS)
    # congestion avoidance: K = 0, and the curve begins flat
    assert sender.round(60) < after + 3


@pytest.mark.requirement("RFC 9406 4.2")
def test_its_growth_is_a_quarter() -> None:
    sender = Sender(16)
    sender.round(50)  # 32
    sender.round(60)  # CSS begins at the eighth sample
    before = sender.segments
    assert sender.round(60) == pytest.approx(1.25 * before, abs=0.5)


@pytest.mark.requirement("RFC 9406 4.2")
def test_a_round_trip_that_shrinks_again_resumes_slow_start() -> None:
    sender = Sender()
    sender.round(50)
    sender.round(60)
    before = sender.segments
    sender.round(55)
    assert sender.round(55) > 1.8 * before
    assert sender.control.ssthresh == INFINITE


@pytest.mark.requirement("RFC 9406 4.2")
def test_too_few_samples_say_nothing() -> None:
    """N_RTT_SAMPLE: seven a round are too few."""
    sender = Sender(7)
    sender.round(50, 7)
    sender.round(90, 7)
    before = sender.segments
    sender.round(90, 7)
    assert sender.segments == before + 7
    assert sender.control.ssthresh == INFINITE


@pytest.mark.requirement("RFC 9406 4.2", "RFC 9406 4.3")
def test_one_acknowledgement_opens_by_eight_segments_unless_paced() -> None:
    for paced, window in ((False, 18), (True, 30)):
        sender = Sender(10, paced)
        sender.control.acked(20 * MSS, 50 * MS, 0, 0, 50 * MS)
        assert sender.segments == window


@pytest.mark.requirement("RFC 9406 4.2")
def test_what_a_long_acknowledgement_was_denied_the_next_ones_bring() -> None:
    """Eight segments at a time, all that was acknowledged in the end."""
    sender = Sender(10)
    windows = []
    for segments in (20, 1, 1, 1, 1):
        sender.control.acked(segments * MSS, 50 * MS, 0, 0, 50 * MS)
        windows.append(sender.segments)
    assert windows == [18, 26, 32, 33, 34]


@pytest.mark.requirement("RFC 9406 4.2")
def test_a_loss_forgets_what_was_denied() -> None:
    sender = Sender(10)
    sender.control.acked(20 * MSS, 50 * MS, 0, 0, 50 * MS)
    sender.control.timed_out(30 * MSS, True, 0)
    sender.control.acked(MSS, 50 * MS, 0, 0, 50 * MS)
    assert sender.segments == 2


@pytest.mark.requirement("RFC 9406 4.3")
def test_only_the_first_slow_start_has_it() -> None:
    sender = Sender()
    sender.control.timed_out(100 * MSS, True, 0)
    while sender.segments < 64:
        before = sender.segments
        sender.round(50 + before)
        assert sender.segments >= min(2 * before, 70)


@pytest.mark.requirement("RFC 9406 4.2")
def test_loss_ends_it() -> None:
    sender = Sender()
    sender.round(50)
    sender.round(60)
    sender.control.lost(30 * MSS, sender.now)
    assert sender.control.ssthresh == 21 * MSS == sender.control.window
    assert sender.round(60) < 23
