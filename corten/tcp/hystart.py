"""HyStart++ (RFC 9406): leave slow start when the round trip grows, before anything is lost.

Rounds are told apart by octets acknowledged: a round is over when one is that was sent after it
began, which is what the text says with sequence numbers: windowEnd is SND.NXT, the first octet not
sent, and that octet is acknowledged.

Rules. Only the first slow start of a connection has one (4.3); it is made with the first
acknowledgement that the window limited, and goes when slow start is over. Times in nanoseconds.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import MILLISECOND, NEVER
from cython.cimports.corten.tcp.sample import AckSample

if not cython.compiled:
    # 4.3, recommended
    RTT_THRESHOLD_MIN = 4  # ms
    RTT_THRESHOLD_MAX = 16  # ms
    RTT_DIVISOR = 8
    SAMPLES_MIN = 8  # N_RTT_SAMPLE
    CSS_GROWTH_DIVISOR = 4
    CSS_ROUNDS = 5


@cython.final
@cython.cclass
class HyStart:
    """The rounds of one slow start."""

    css_rounds: cython.uint  # begun in conservative slow start; 0: in slow start
    is_over: cython.bint  # congestion avoidance is to begin
    _round_end: cython.longlong  # of all octets acknowledged: there the round is over; 0: none yet
    _acked: cython.longlong
    _last_min: cython.longlong
    _current_min: cython.longlong
    _baseline: cython.longlong  # cssBaselineMinRtt
    _samples: cython.uint

    def __init__(self) -> None:
        self.css_rounds = 0
        self.is_over = False
        self._round_end = 0
        self._acked = 0
        self._last_min = NEVER
        self._current_min = NEVER
        self._baseline = NEVER
        self._samples = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def grows_by(self, sample: AckSample, octets: cython.uint) -> cython.uint:
        """By how many octets an acknowledgement opens the window; `octets`: in slow start."""
        self._acked += sample.acked
        if self._round_end == 0:
            self._round_end = self._acked + sample.in_flight
        elif self._acked > self._round_end:
            self._end_round(sample.in_flight)
        if sample.rtt > 0:
            self._current_min = min(self._current_min, sample.rtt)
            self._samples += 1
        if self.css_rounds == 0:
            self._look_for_delay()
        else:
            octets //= CSS_GROWTH_DIVISOR
            self._look_for_relief()
        return octets

    @cython.cfunc
    @cython.exceptval(check=False)
    def _look_for_delay(self) -> cython.void:
        """Slow start: has the round trip grown by more than noise?"""
        if self._samples < SAMPLES_MIN or self._last_min == NEVER or self._current_min == NEVER:
            return
        threshold: cython.longlong = self._last_min // RTT_DIVISOR
        threshold = min(threshold, RTT_THRESHOLD_MAX * MILLISECOND)
        threshold = max(threshold, RTT_THRESHOLD_MIN * MILLISECOND)
        if self._current_min >= self._last_min + threshold:
            self._baseline = self._current_min
            self.css_rounds = 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def _look_for_relief(self) -> cython.void:
        """Conservative slow start: if the round trip shrinks again, leaving was a mistake."""
        if self._samples >= SAMPLES_MIN and self._current_min < self._baseline:
            self._baseline = NEVER
            self.css_rounds = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _end_round(self, in_flight: cython.longlong) -> cython.void:
        """windowEnd is acknowledged: a partial round in which CSS began counts too."""
        self._round_end = self._acked + in_flight
        self._last_min = self._current_min
        self._current_min = NEVER
        self._samples = 0
        if self.css_rounds > 0:
            self.css_rounds += 1
            self.is_over = self.css_rounds > CSS_ROUNDS
