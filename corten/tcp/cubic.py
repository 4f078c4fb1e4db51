"""CUBIC (RFC 9438): the window grows as a cubic function of the time since the last reduction.

The arithmetic is in segments and seconds (floats), as the text has it; the window in octets. Time
in which the application, not the window, held the sender back does not count: the epoch moves on
by it (4.2, 5.8).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.congestion import WINDOW_MAX, CongestionControl
from cython.cimports.corten.tcp.cubic_constant import (
    CUBIC_ALPHA,
    CUBIC_BETA,
    CUBIC_BETA_ECN,
    CUBIC_C,
)
from cython.cimports.corten.tcp.hystart import HyStart
from cython.cimports.corten.tcp.sample import AckSample

if not cython.compiled:
    IDLE_ROUND_TRIPS = 2  # no acknowledgement for longer: nothing was sent in between


@cython.cfunc
@cython.exceptval(check=False)
def _cube_root(x: cython.double) -> cython.double:
    """By Newton: pow() would make a Python object of it (Cython's power of floats)."""
    root: cython.double = x if x > 1.0 else 1.0
    for _ in range(64):
        root -= (root - x / (root * root)) / 3.0
    return root


@cython.final
@cython.cclass
class CubicSaved:
    """What `undo` brings back beside the window (4.9.2)."""

    w_max: cython.double
    w_est: cython.double
    k: cython.double
    cwnd_prior: cython.double
    exact: cython.double
    epoch_at: cython.longlong

    @cython.cfunc
    @cython.exceptval(check=False)
    def take(
        self,
        w_max: cython.double,
        w_est: cython.double,
        k: cython.double,
        cwnd_prior: cython.double,
        exact: cython.double,
        epoch_at: cython.longlong,
    ) -> cython.void:
        self.w_max = w_max
        self.w_est = w_est
        self.k = k
        self.cwnd_prior = cwnd_prior
        self.exact = exact
        self.epoch_at = epoch_at


@cython.final
@cython.no_gc
@cython.cclass
class Cubic(CongestionControl):
    """One connection's CUBIC. Fields are named after RFC 9438, 4.1.2."""

    _w_max: cython.double  # segments, just before the last reduction; 0: not known
    _w_est: cython.double  # segments, what Reno would have by now
    _k: cython.double  # seconds from the epoch's start to w_max; negative: 0, whatever w_max is
    _cwnd_prior: cython.double
    _epoch_at: cython.longlong  # ns; -1: congestion avoidance has not begun since the reduction
    _acked_at: cython.longlong  # ns, the last on_ack of this epoch
    _exact: cython.double  # the window in segments, with its fraction
    _saved: CubicSaved | None
    _hystart: HyStart | None  # of the first slow start

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        CongestionControl.start(self, mss, initial_window)
        self._w_max = 0.0
        self._w_est = 0.0
        self._k = 0.0
        self._cwnd_prior = 0.0
        self._epoch_at = -1
        self._acked_at = 0
        self._exact = 0.0
        self._saved = None
        self._hystart = None

    @cython.cfunc
    def set_mss(self, mss: cython.uint) -> cython.int:
        """What is kept in segments is kept in segments of the new size."""
        self._w_max = self._w_max * self.mss / mss
        self._cwnd_prior = self._cwnd_prior * self.mss / mss
        self._epoch_at = -1
        return CongestionControl.set_mss(self, mss)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _begin_epoch(self, now: cython.longlong) -> cython.void:
        """4.2: the first acknowledgement in congestion avoidance fixes K. After a timeout (4.8),
        or where no loss ended slow start (4.10), the curve begins where it turns: K = 0."""
        segments: cython.double = cython.cast(cython.double, self.window) / self.mss
        self._epoch_at = now
        self._acked_at = now
        self._exact = segments
        self._w_est = segments
        if self._w_max == 0.0:
            self._cwnd_prior = segments
        if self._k >= 0.0 and segments < self._w_max:
            self._k = _cube_root((self._w_max - segments) / CUBIC_C)
        else:
            self._k = 0.0
            self._w_max = segments

    @cython.cfunc
    @cython.exceptval(check=False)
    def _cubic(self, elapsed: cython.double) -> cython.double:
        """W_cubic(t), equation 1."""
        distance: cython.double = elapsed - self._k
        return CUBIC_C * distance * distance * distance + self._w_max

    @cython.cfunc
    @cython.exceptval(check=False)
    def _skip_limited_time(self, srtt: cython.longlong, now: cython.longlong) -> cython.void:
        """4.2: t MUST NOT include what passed while the window was not the limit: between two
        acknowledgements told here others came, or none for longer than a flight takes."""
        gap: cython.longlong = now - self._acked_at
        if self.app_limited or (srtt > 0 and gap > IDLE_ROUND_TRIPS * srtt):
            self._epoch_at += gap
        self._acked_at = now

    @cython.cfunc
    def on_ack(self, sample: AckSample) -> cython.int:
        if self.window < self.ssthresh:
            self.note_used()
            if self.ssthresh == WINDOW_MAX:
                return self._first_slow_start(sample)
            self.slow_start(sample.acked)
            return 0
        now: cython.longlong = sample.now
        if self._epoch_at < 0:
            self._begin_epoch(now)
        self._skip_limited_time(sample.srtt, now)
        self.note_used()
        acked: cython.double = cython.cast(cython.double, sample.acked) / self.mss
        elapsed: cython.double = cython.cast(cython.double, now - self._epoch_at) * 1e-9
        ahead: cython.double = elapsed + cython.cast(cython.double, sample.srtt) * 1e-9
        alpha: cython.double = CUBIC_ALPHA if self._w_est < self._cwnd_prior else 1.0
        self._w_est += alpha * acked / self._exact
        now_at: cython.double = self._cubic(elapsed)
        if now_at < self._w_est:  # 4.3: the Reno-friendly region
            self._exact = max(self._exact, self._w_est)
        else:  # 4.4 concave, 4.5 convex
            target: cython.double = self._cubic(ahead)
            if target < self._exact:
                target = self._exact
            elif target > 1.5 * self._exact:
                target = 1.5 * self._exact
            self._exact += (target - self._exact) / self._exact * acked
        octets: cython.double = self._exact * self.mss
        limit: cython.double = WINDOW_MAX
        self.window = cython.cast(cython.uint, octets if octets < limit else limit)
        return 0

    @cython.cfunc
    def _first_slow_start(self, sample: AckSample) -> cython.int:
        """4.10: with HyStart++ (RFC 9406), which may end it before anything is lost."""
        hystart: HyStart | None = self._hystart
        if hystart is None:
            hystart = self._hystart = HyStart()
        octets: cython.uint = hystart.grows_by(sample, self.opened_by(sample.acked))
        self.window = min(self.window + octets, WINDOW_MAX)
        if hystart.is_over:
            self.ssthresh = self.window
            self._hystart = None
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _reduce(self, in_flight: cython.uint, beta: cython.double) -> cython.uint:
        """4.6 multiplicative decrease and 4.7 fast convergence; flight_size times beta."""
        segments: cython.double = cython.cast(cython.double, self.window) / self.mss
        self._cwnd_prior = segments
        if segments < self._w_max:
            self._w_max = segments * (1.0 + CUBIC_BETA) / 2.0
        else:
            self._w_max = segments
        self._k = 0.0
        self._epoch_at = -1
        self._hystart = None
        return cython.cast(cython.uint, cython.cast(cython.double, in_flight) * beta)

    @cython.cfunc
    def _remember(self) -> cython.int:
        """4.9.2: the variables as they are before a reduction that may be a mistake."""
        self.save()
        if self._saved is None:
            self._saved = CubicSaved.__new__(CubicSaved)
        self._saved.take(
            self._w_max, self._w_est, self._k, self._cwnd_prior, self._exact, self._epoch_at
        )
        return 0

    @cython.cfunc
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        self._remember()
        self.ssthresh = self.floor(self._reduce(self.used(in_flight), CUBIC_BETA))
        self.window = self.ssthresh
        return 0

    @cython.cfunc
    def on_ecn(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        """By 0.85 (RFC 8511 3.1), down to one segment (4.6); nobody undoes it."""
        self.forget()
        self._saved = None
        flight: cython.uint = min(self.used(in_flight), self.window)
        self.take_mark(self._reduce(flight, CUBIC_BETA_ECN))
        return 0

    @cython.cfunc
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.int:
        if first:
            self._remember()
            self.ssthresh = self.floor(self._reduce(self.used(in_flight), CUBIC_BETA))
        self.window = self.mss
        self._k = -1.0  # 4.8: K is 0 when congestion avoidance begins
        self._epoch_at = -1
        return 0

    @cython.cfunc
    def undo(self, now: cython.longlong) -> cython.int:
        """4.9.2: the curve goes on as if nothing had been lost, unless the window has already
        grown beyond where it was."""
        saved: CubicSaved | None = self._saved
        if saved is not None and self._undo_window > self.window:
            self._w_max = saved.w_max
            self._w_est = saved.w_est
            self._k = saved.k
            self._cwnd_prior = saved.cwnd_prior
            self._exact = saved.exact
            self._epoch_at = saved.epoch_at
            self._acked_at = now
        self._saved = None
        return CongestionControl.undo(self, now)

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin_anew(self) -> cython.void:
        self._epoch_at = -1  # 4.2: time without sending does not count
        self._hystart = None
