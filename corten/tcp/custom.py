"""A user's congestion control, between C and Python.

The algorithm is a `corten.Congestion` (or anything with its methods). Its numbers are taken over
after each call and kept within what the stack can stand. If it raises, it is asked no more and its
connection waits in `TcpHost.failed_controls` for the reset at the end of the breath.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.limit import PACING_RATE_MAX
from cython.cimports.corten.tcp.congestion import WINDOW_MAX, CongestionControl
from cython.cimports.corten.tcp.sample import AckSample

from corten.endpoint.congestion import Congestion


@cython.final
@cython.cclass
class CustomControl(CongestionControl):
    """One connection's algorithm, as the stack sees it."""

    algorithm: Any  # None: it raised
    error: Any  # what it raised
    connection_id: cython.int  # in TcpHost.connections
    failures: Any  # TcpHost.failed_controls

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        CongestionControl.start(self, mss, initial_window)
        self.algorithm = None
        self.error = None
        self.connection_id = -1
        self.failures = None

    @cython.cfunc
    def adopt(
        self, factory: object, connection_id: cython.int, failures: list
    ) -> CongestionControl:
        """Make the user's algorithm: what is to control the connection, which is this object
        unless the factory makes a control of the stack's own kind."""
        self.connection_id = connection_id
        self.failures = failures
        try:
            made = factory(self.mss, self.window)  # type: ignore[operator]
            if isinstance(made, CongestionControl):
                if cython.compiled and "on_ack" in vars(type(made)):
                    raise TypeError(f"{type(made).__name__}: make it a subclass of Congestion")
                return cython.cast(CongestionControl, made)
            self.algorithm = made
            self.wants_all = bool(made.wants_all)
            self.wants_rate = True
            self.is_paced = type(made).pacing_rate is not Congestion.pacing_rate
            self._take()
        except Exception as error:
            self._fail(error)
        return self

    @cython.cfunc
    def _take(self) -> cython.int:
        """The algorithm's numbers, within bounds."""
        algorithm = self.algorithm
        self.window = max(self.mss, min(int(algorithm.window), WINDOW_MAX))
        self.ssthresh = max(self.mss, min(int(algorithm.ssthresh), WINDOW_MAX))
        return 0

    @cython.cfunc
    def _fail(self, error: object) -> cython.int:
        self.algorithm = None
        self.is_paced = False
        self.wants_all = False
        self.error = error
        self.failures.append(self)
        return 0

    @cython.cfunc
    def _tell(self, event: str, arguments: tuple) -> cython.int:
        """What happens seldom."""
        if self.algorithm is None:
            return 0
        try:
            getattr(self.algorithm, event)(*arguments)
            self._take()
        except Exception as error:
            self._fail(error)
        return 0

    @cython.cfunc
    def on_ack(self, sample: AckSample) -> cython.int:
        self.app_limited = False
        if self.algorithm is None:
            return 0
        try:
            self.algorithm.on_ack(sample)
            self._take()
        except Exception as error:
            self._fail(error)
        return 0

    @cython.cfunc
    def note_limited(
        self, acked: cython.uint, srtt: cython.longlong, now: cython.longlong
    ) -> cython.int:
        return 0  # what an unused window is worth, its algorithm knows

    @cython.cfunc
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        self.save()
        self._tell("on_loss", (in_flight, now))
        self.ssthresh = min(self.ssthresh, self.window)  # recovery comes down to it (RFC 6937)
        return 0

    @cython.cfunc
    def on_ecn(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        self.forget()
        return self._tell("on_ecn", (in_flight, now))

    @cython.cfunc
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.int:
        if first:
            self.save()
        return self._tell("on_timeout", (in_flight, bool(first), now))

    @cython.cfunc
    def on_recovered(self, now: cython.longlong) -> cython.int:
        return self._tell("on_recovered", (now,))

    @cython.cfunc
    def on_idle(self, initial_window: cython.uint) -> cython.int:
        return self._tell("on_idle", (initial_window,))

    @cython.cfunc
    def undo(self, now: cython.longlong) -> cython.int:
        window: cython.uint = self._undo_window
        self.forget()
        if window == 0:
            return 0
        return self._tell("undo", (window, self._undo_ssthresh, now))

    @cython.cfunc
    def set_mss(self, mss: cython.uint) -> cython.int:
        CongestionControl.set_mss(self, mss)
        if self.algorithm is not None:
            self.algorithm.mss = mss
        return 0

    @cython.cfunc
    def pacing_rate(self, srtt: cython.longlong) -> cython.ulonglong:
        if self.algorithm is None:
            return 0
        try:
            rate: cython.ulonglong = max(
                0, min(int(self.algorithm.pacing_rate(srtt)), PACING_RATE_MAX)
            )
        except Exception as error:
            self._fail(error)
            return 0
        return rate
