"""What a user implements to bring a congestion control of his own: numbers in, a window out.

    class Mine(corten.Congestion):
        def on_ack(self, ack):
            self.window += self.mss * ack.acked // self.window

    stack.listen(80, Site, congestion=Mine)

Rules. `window` and `ssthresh` are octets: what a method leaves in them counts, kept between one
segment and 2**30 - 1. Times are integer nanoseconds, rates octets a second. One object a
connection; its methods run in the worker's loop and must not wait. One that raises resets its own
connection, is logged, and harms no other. `docs/congestion.md` says when each method is called.
"""

from __future__ import annotations

from typing import Any

UNLIMITED = 0x3FFF_FFFF


class Congestion:
    """Standard answers (RFC 5681) to everything but `on_ack`: override what is to be different."""

    wants_all = False  # on_ack also for acknowledgements that the window did not limit

    def __init__(self, mss: int, initial_window: int) -> None:
        self.mss = mss
        self.window = initial_window
        self.ssthresh = UNLIMITED

    def on_ack(self, ack: Any) -> None:
        """New data was acknowledged, outside fast recovery. `ack` has now, acked, in_flight, rtt,
        srtt, min_rtt, delivery_rate, app_limited; it is valid during the call."""
        if self.window < self.ssthresh:
            self.window = min(self.window + ack.acked, self.ssthresh)
        else:
            self.window += self.mss * ack.acked // self.window

    def on_loss(self, in_flight: int, now: int) -> None:
        """Fast recovery begins with `in_flight` octets outstanding."""
        self.window = self.ssthresh = max(in_flight // 2, 2 * self.mss)

    def on_ecn(self, in_flight: int, now: int) -> None:
        """The peer echoed a congestion mark; told once a round trip."""
        self.on_loss(in_flight, now)

    def on_timeout(self, in_flight: int, first: bool, now: int) -> None:
        """The retransmission timer expired; `first` unless the same data timed out before."""
        if first:
            self.ssthresh = max(in_flight // 2, 2 * self.mss)
        self.window = self.mss

    def on_recovered(self, now: int) -> None:
        """The recovery that `on_loss` or `on_timeout` began is over."""

    def on_idle(self, initial_window: int) -> None:
        """Nothing was sent for a retransmission timeout."""
        self.window = min(self.window, initial_window)

    def undo(self, window: int, ssthresh: int, now: int) -> None:
        """The last `on_loss` or `on_timeout` was a mistake; the numbers are those before it."""
        self.window = max(self.window, window)
        self.ssthresh = max(self.ssthresh, ssthresh)

    def pacing_rate(self, srtt: int) -> int:
        """Octets a second at which to send within the window; 0: not paced."""
        return 0
