"""CUBIC (RFC 9438): the window grows as a cubic function of the time since the last reduction.

The arithmetic is in segments and seconds (floats), as the text has it; the window in octets.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.congestion import WINDOW_MAX, CongestionControl
from cython.cimports.corten.tcp.cubic_constant import CUBIC_ALPHA, CUBIC_BETA, CUBIC_C


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
class Cubic(CongestionControl):
    """One connection's CUBIC. Fields are named after RFC 9438, 4.1.2."""

    _w_max: cython.double  # segments, just before the last reduction
    _w_est: cython.double  # segments, what Reno would have by now
    _k: cython.double  # seconds from the epoch's start to w_max
    _cwnd_prior: cython.double
    _epoch_at: cython.longlong  # ns; -1: congestion avoidance has not begun since the reduction
    _exact: cython.double  # the window in segments, with its fraction

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        CongestionControl.start(self, mss, initial_window)
        self._w_max = 0.0
        self._w_est = 0.0
        self._k = 0.0
        self._cwnd_prior = 0.0
        self._epoch_at = -1
        self._exact = 0.0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _begin_epoch(self, now: cython.longlong) -> cython.void:
        """4.2: the first acknowledgement in congestion avoidance fixes K."""
        segments: cython.double = cython.cast(cython.double, self.window) / self.mss
        self._epoch_at = now
        self._exact = segments
        self._w_est = segments
        if segments < self._w_max:
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
    def on_ack(
        self, acked: cython.uint, srtt: cython.longlong, now: cython.longlong
    ) -> cython.void:
        if self.window < self.ssthresh:
            self.slow_start(acked)
            return
        if self._epoch_at < 0:
            self._begin_epoch(now)
        acked_segments: cython.double = cython.cast(cython.double, acked) / self.mss
        elapsed: cython.double = cython.cast(cython.double, now - self._epoch_at) * 1e-9
        ahead: cython.double = elapsed + cython.cast(cython.double, srtt) * 1e-9
        alpha: cython.double = CUBIC_ALPHA if self._w_est < self._cwnd_prior else 1.0
        self._w_est += alpha * acked_segments / self._exact
        now_at: cython.double = self._cubic(elapsed)
        if now_at < self._w_est:  # 4.3: the Reno-friendly region
            self._exact = max(self._exact, self._w_est)
        else:
            target: cython.double = self._cubic(ahead)
            if target < self._exact:
                target = self._exact
            elif target > 1.5 * self._exact:
                target = 1.5 * self._exact
            self._exact += (target - self._exact) / self._exact * acked_segments
        octets: cython.double = self._exact * self.mss
        limit: cython.double = WINDOW_MAX
        self.window = cython.cast(cython.uint, octets if octets < limit else limit)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _reduce(self, in_flight: cython.uint) -> cython.void:
        """4.6 multiplicative decrease and 4.7 fast convergence."""
        segments: cython.double = cython.cast(cython.double, self.window) / self.mss
        self._cwnd_prior = segments
        if segments < self._w_max:
            self._w_max = segments * (1.0 + CUBIC_BETA) / 2.0
        else:
            self._w_max = segments
        self.ssthresh = self.floor(
            cython.cast(cython.uint, cython.cast(cython.double, in_flight) * CUBIC_BETA)
        )
        self._epoch_at = -1

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.void:
        self._reduce(in_flight)
        self.window = self.ssthresh

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.void:
        if first:
            self._reduce(in_flight)
        self.window = self.mss
        # 4.8: after a timeout the cubic starts at once from the new maximum, K = 0
        self._w_max = cython.cast(cython.double, self.ssthresh) / self.mss
        self._epoch_at = -1

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_idle(self, initial_window: cython.uint) -> cython.void:
        self.window = min(self.window, initial_window)
        self._epoch_at = -1  # 4.2: time without sending does not count
