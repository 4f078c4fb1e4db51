"""Congestion window validation (RFC 7661): what a window is worth that is not used.

While the window is the limit it is valid, and there is no Validation. Otherwise what a round trip
acknowledges is measured (pipeACK, 4.2); where that is less than half of the window, the phase is
non-validated (4.3): a loss then counts from what was used (4.4.1), and after five minutes of it the
window is halved (4.4.3). Nanoseconds and octets.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import SECOND
from cython.cimports.corten.core.limit import NON_VALIDATED_NS

if not cython.compiled:
    PERIOD_ROUND_TRIPS = 3  # 4.2: the sampling period is Max(3*RTT, 1 second)


@cython.final
@cython.cclass
class Validation:
    """pipeACK of one connection: the largest sample of the sampling period, in two halves of it."""

    since: cython.longlong  # the non-validated phase lasts; 0: it is not one
    _sample_at: cython.longlong  # where the sample in hand began
    _sample: cython.uint
    _half_at: cython.longlong
    _this_half: cython.uint
    _last_half: cython.uint

    def __init__(self) -> None:
        self.since = 0
        self._sample_at = 0
        self._sample = 0
        self._half_at = 0
        self._this_half = 0
        self._last_half = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def pipe_ack(self) -> cython.uint:
        """0: undefined."""
        return max(self._this_half, self._last_half)

    @cython.cfunc
    @cython.exceptval(check=False)
    def measure(
        self,
        acked: cython.uint,
        window: cython.uint,
        srtt: cython.longlong,
        now: cython.longlong,
    ) -> cython.bint:
        """`acked` octets more arrived. True: the non-validated period is over, the window is to be
        adjusted, and the next period begins."""
        if self._sample_at == 0:
            self._sample_at = self._half_at = now
        self._sample += acked
        if now - self._sample_at < srtt:
            return False
        half: cython.longlong = max(PERIOD_ROUND_TRIPS * srtt, SECOND) // 2
        passed: cython.longlong = now - self._half_at
        if passed >= half:
            self._last_half = self._this_half if passed < 2 * half else 0
            self._this_half = 0
            self._half_at = now
        self._this_half = max(self._this_half, self._sample)
        self._sample = 0
        self._sample_at = now
        if self.pipe_ack() >= window // 2:
            self.since = 0
        elif self.since == 0:
            self.since = now
        elif now - self.since >= NON_VALIDATED_NS:
            self.since = now
            return True
        return False
