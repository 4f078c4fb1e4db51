"""Reno: slow start, congestion avoidance, halving (RFC 5681); RFC 8511 for marks."""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.congestion import WINDOW_MAX, CongestionControl
from cython.cimports.corten.tcp.sample import AckSample


@cython.final
@cython.no_gc
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
    def on_ack(self, sample: AckSample) -> cython.int:
        self.note_used()
        if self.window < self.ssthresh:
            self.slow_start(sample.acked)
            return 0
        # one segment a window's worth of octets: acknowledgement division gains nothing (RFC 3465)
        self._acked += sample.acked
        if self._acked >= self.window:
            self._acked -= self.window
            if self.window + self.mss <= WINDOW_MAX:
                self.window += self.mss
        return 0

    @cython.cfunc
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        self.save()
        self.ssthresh = self.floor(self.used(in_flight) // 2)
        self.window = self.ssthresh
        self._acked = 0
        return 0

    @cython.cfunc
    def on_ecn(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        """RFC 8511 3: a mark comes from a short queue, so by 0.8; nobody undoes it."""
        flight: cython.uint = min(self.used(in_flight), self.window)
        self.forget()
        self.take_mark(flight - flight // 5)
        self._acked = 0
        return 0

    @cython.cfunc
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.int:
        if first:
            self.save()
            self.ssthresh = self.floor(self.used(in_flight) // 2)
        self.window = self.mss
        self._acked = 0
        return 0
