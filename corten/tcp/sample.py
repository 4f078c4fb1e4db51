"""What one acknowledgement says to congestion control, in numbers. Octets and nanoseconds.

A stack has one, filled anew for each acknowledgement that an algorithm is told of: whoever wants
a number for longer copies it.
"""

from __future__ import annotations

import cython


@cython.final
@cython.cclass
class AckSample:
    """The numbers of one acknowledgement that moved SND.UNA."""

    now: cython.longlong  # the instant
    acked: cython.uint  # octets newly acknowledged
    in_flight: cython.uint  # octets sent and not acknowledged, after it
    rtt: cython.longlong  # what it measured of the round trip; 0: nothing
    srtt: cython.longlong  # smoothed (RFC 6298); 0: not measured yet
    min_rtt: cython.longlong  # the smallest measured; 0: not measured yet
    delivery_rate: cython.ulonglong  # octets a second, of the latest flight; 0: unknown
    app_limited: cython.bint  # that flight was held back by the application, not by the network

    def __init__(self) -> None:
        self.now = 0
        self.acked = 0
        self.in_flight = 0
        self.rtt = self.srtt = self.min_rtt = 0
        self.delivery_rate = 0
        self.app_limited = False

    def fill(
        self,
        now: int,
        acked: int,
        in_flight: int = 0,
        rtt: int = 0,
        srtt: int = 0,
        min_rtt: int = 0,
        delivery_rate: int = 0,
        app_limited: bool = False,
    ) -> AckSample:
        """All of it from Python: for tests, and for who looks at an algorithm alone."""
        self.now = now
        self.acked = acked
        self.in_flight = in_flight
        self.rtt, self.srtt, self.min_rtt = rtt, srtt, min_rtt
        self.delivery_rate = delivery_rate
        self.app_limited = app_limited
        return self
