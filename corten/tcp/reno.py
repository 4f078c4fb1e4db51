"""Reno: slow start, congestion avoidance, halving (RFC 5681)."""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.congestion import WINDOW_MAX, CongestionControl


@cython.final
@cython.cclass
class Reno(CongestionControl):
    """Additive increase, multiplicative decrease by a half."""

    _acked: cython.uint  # octets acknowledged since the window last grew

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        CongestionControl.start(self, mss, initial_window)
        self._acked = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_ack(
        self, acked: cython.uint, srtt: cython.longlong, now: cython.longlong
    ) -> cython.void:
        if self.window < self.ssthresh:
            self.slow_start(acked)
            return
        # one segment a window's worth of octets: acknowledgement division gains nothing (RFC 3465)
        self._acked += acked
        if self._acked >= self.window:
            self._acked -= self.window
            if self.window + self.mss <= WINDOW_MAX:
                self.window += self.mss

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.void:
        self.ssthresh = self.floor(in_flight // 2)
        self.window = self.ssthresh
        self._acked = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.void:
        if first:
            self.ssthresh = self.floor(in_flight // 2)
        self.window = self.mss
        self._acked = 0
