"""Delivery rate: how fast the network delivers (draft-cheng-iccrg-delivery-rate-estimation).

Each frame is sent with a note of what had been delivered by then, and when (`flight`). When it is
delivered, what was delivered since, over the longer of the times that took to be sent and to be
acknowledged, is a sample: neither a burst of acknowledgements nor a burst of sending makes it
larger than the network is. A sample of frames that were sent while the application had too little
to send says at least so much.

Rules. Only connections with more than one frame in flight have samples. No division before somebody
asks.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import SECOND
from cython.cimports.corten.tcp.flight import News
from cython.cimports.corten.tcp.sample import AckSample


@cython.final
@cython.cclass
class Rate:
    """The samples of one connection: the latest, and the one that counts. Octets, nanoseconds."""

    limited_until: cython.longlong  # of `delivered`: the application is the limit; 0: it is not
    octets: cython.longlong  # the latest sample
    took: cython.longlong
    was_limited: cython.bint
    best_octets: cython.longlong  # the latest one that counts: not limited, or larger than before
    best_took: cython.longlong
    best_limited: cython.bint

    def __init__(self) -> None:
        self.limited_until = 0
        self.octets = self.took = 0
        self.was_limited = False
        self.best_octets = self.best_took = 0
        self.best_limited = False

    @cython.cfunc
    @cython.exceptval(check=False)
    def take(
        self,
        news: News,
        delivered: cython.longlong,
        min_rtt: cython.longlong,
        now: cython.longlong,
    ) -> cython.void:
        """An acknowledgement delivered the frame that `news` tells of; `delivered` is the total."""
        if self.limited_until != 0 and delivered > self.limited_until:
            self.limited_until = 0  # the bubble is over
        took: cython.longlong = max(news.sent_at - news.prior_sent_at, now - news.prior_at)
        if took < min_rtt or took <= 0:
            return  # a transmission that was not needed, acknowledged by another
        octets: cython.longlong = delivered - news.prior_delivered
        self.octets = octets
        self.took = took
        self.was_limited = news.limited
        if not news.limited or _is_faster(octets, took, self.best_octets, self.best_took):
            self.best_octets = octets
            self.best_took = took
            self.best_limited = news.limited

    @cython.cfunc
    @cython.exceptval(check=False)
    def tell(self, sample: AckSample) -> cython.void:
        """The latest sample, for congestion control."""
        sample.app_limited = self.was_limited
        sample.delivery_rate = _per_second(self.octets, self.took)

    def known(self) -> tuple[int, bool]:
        """(octets a second, whether the application was the limit)."""
        return _per_second(self.best_octets, self.best_took), bool(self.best_limited)


@cython.cfunc
@cython.exceptval(check=False)
def _is_faster(
    octets: cython.longlong, took: cython.longlong, than: cython.longlong, in_time: cython.longlong
) -> cython.bint:
    mine: cython.double = cython.cast(cython.double, octets) * in_time
    return mine >= cython.cast(cython.double, than) * took


@cython.cfunc
@cython.exceptval(check=False)
def _per_second(octets: cython.longlong, took: cython.longlong) -> cython.ulonglong:
    if octets <= 0 or took <= 0:
        return 0
    return cython.cast(cython.ulonglong, octets) * SECOND // cython.cast(cython.ulonglong, took)
