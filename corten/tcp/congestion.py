"""Congestion control: the interface. An algorithm sees numbers, never the connection.

Rules. `window` and `ssthresh` are octets. `on_ack` is called for each acknowledgement that moves
SND.UNA outside fast recovery, and only while the window was the limit (RFC 7661 4.4 in spirit);
`on_loss` once when fast recovery starts; `on_timeout` once for each retransmission timeout of new
data. Times are nanoseconds.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    WINDOW_MAX = 0x3FFF_FFFF  # what a scaled window can carry


@cython.cclass
class CongestionControl:
    """How much a connection may have in flight."""

    window: cython.uint
    ssthresh: cython.uint
    mss: cython.uint

    def __init__(self, mss: int, initial_window: int) -> None:
        self.start(mss, initial_window)

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        """Every field's first value: for who makes one with `__new__`, once a connection."""
        self.mss = mss
        self.window = initial_window
        self.ssthresh = WINDOW_MAX

    @cython.cfunc
    @cython.exceptval(check=False)
    def slow_start(self, acked: cython.uint) -> cython.void:
        """RFC 5681 3.1 (2), but as many octets as were acknowledged (RFC 3465): one acknowledgement
        may answer a whole super-segment. Not beyond `ssthresh`."""
        self.window = min(self.window + acked, self.ssthresh, WINDOW_MAX)

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_ack(
        self, acked: cython.uint, srtt: cython.longlong, now: cython.longlong
    ) -> cython.void:
        """`acked` octets left the network."""

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.void:
        """Fast recovery begins with `in_flight` octets outstanding."""

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.void:
        """The retransmission timer expired; `first` unless the same data timed out before."""

    @cython.cfunc
    @cython.exceptval(check=False)
    def on_idle(self, initial_window: cython.uint) -> cython.void:
        """Nothing was sent for a retransmission timeout: restart (RFC 5681 4.1)."""
        self.window = min(self.window, initial_window)

    # -- the same from Python: for tests, and for who wants to look at an algorithm alone ---------

    def acked(self, octets: int, srtt: int, now: int) -> int:
        """`on_ack`; the window after it."""
        self.on_ack(octets, srtt, now)
        return self.window

    def lost(self, in_flight: int, now: int) -> int:
        """`on_loss`; the window after it."""
        self.on_loss(in_flight, now)
        return self.window

    def timed_out(self, in_flight: int, first: bool, now: int) -> int:
        """`on_timeout`; the window after it."""
        self.on_timeout(in_flight, first, now)
        return self.window

    def idled(self, initial_window: int) -> int:
        """`on_idle`; the window after it."""
        self.on_idle(initial_window)
        return self.window

    @cython.cfunc
    @cython.exceptval(check=False)
    def floor(self, octets: cython.uint) -> cython.uint:
        """At least two segments (RFC 5681, equation 4)."""
        return octets if octets > 2 * self.mss else 2 * self.mss
