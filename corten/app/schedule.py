"""When requests are meant to be sent: an open loop, which the replies do not slow down.

Strategy. A closed loop asks again when it is answered, so a server that stalls is asked less while
it stalls, and the wait is seen once instead of by all who would have come meanwhile (coordinated
omission). Here the instants are fixed beforehand, at equal distances or by chance (exponential
distances: Poisson arrivals), and a latency counts from the instant, whenever the request could
really be sent. The whole schedule is one number, the instant of the next request that has not been
sent: what is due but cannot be sent waits by not being taken, and needs no memory.

Rules. Each request that is counted becomes exactly one of: answered, lost (its connection failed),
abandoned (not sent within `patience_ns` of its instant). Times are nanoseconds of one clock.
"""

from __future__ import annotations

import math

import cython
from cython.cimports.corten.app.histogram import Histogram
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import NEVER

if not cython.compiled:
    LATE_NS = 1_000_000  # a request that is sent so much after its instant is late


@cython.final
@cython.cclass
class Schedule:
    """The instants of one run, and what became of its requests."""

    next_ns: cython.longlong  # the instant of the first request that has not been sent
    counted_from: cython.longlong  # requests before it warm up
    end_ns: cython.longlong  # no request from here on
    patience_ns: cython.longlong  # after which one that could not be sent is abandoned
    by_chance: cython.bint
    interval: cython.double  # nanoseconds, the mean one
    taken: cython.longlong  # sent, of those that count, as are the next five
    answered: cython.longlong
    lost: cython.longlong
    abandoned: cython.longlong
    late: cython.longlong  # sent LATE_NS after their instant, for whatever reason
    overslept: cython.longlong  # late although a connection was free: the client's own fault
    outstanding: cython.longlong  # of all
    delay: Histogram  # from the instant to the sending
    _chance: Chance
    _exact: cython.double  # the next instant before it is rounded, from the start
    _start_ns: cython.longlong

    def __init__(self, rate: float, by_chance: bool, patience_ns: int, seed: int) -> None:
        self.interval = 1e9 / rate
        self.by_chance = by_chance
        self.patience_ns = patience_ns
        self.next_ns = self.counted_from = self.end_ns = NEVER
        self.taken = self.answered = self.lost = self.abandoned = 0
        self.late = self.overslept = self.outstanding = 0
        self.delay = Histogram()
        self._chance = Chance(seed)
        self._exact = 0.0
        self._start_ns = 0

    def start(self, now: int, warm_up_ns: int) -> None:
        """The first request is meant for `now`; those of the warm-up do not count."""
        self._start_ns = self.next_ns = now
        self.counted_from = now + warm_up_ns

    def end(self, at: int) -> None:
        """No request is meant for `at` or later."""
        self.end_ns = at

    @cython.ccall
    def is_due(self, now: cython.longlong) -> cython.bint:
        """Whether a request is to be sent by now; those that waited too long are given up here."""
        while self.next_ns < self.end_ns and self.next_ns < now - self.patience_ns:
            self._abandon()
        return self.next_ns <= now and self.next_ns < self.end_ns

    @cython.ccall
    def take(self, now: cython.longlong, was_free: cython.bint) -> cython.longlong:
        """The next request is sent: its instant. `was_free`: a connection waited for it."""
        instant: cython.longlong = self.next_ns
        self.outstanding += 1
        if instant >= self.counted_from:
            self.taken += 1
            self.delay.record(now - instant)
            if now - instant > LATE_NS:
                self.late += 1
                if was_free:
                    self.overslept += 1
        self._advance()
        return instant

    @cython.ccall
    def finish(self, instant: cython.longlong, whole: cython.bint) -> cython.bint:
        """A request that was sent is answered, or lost; whether it counts."""
        self.outstanding -= 1
        if instant < self.counted_from:
            return False
        if whole:
            self.answered += 1
        else:
            self.lost += 1
        return True

    @cython.cfunc
    def _abandon(self) -> cython.void:
        """The next request will not be sent."""
        if self.next_ns >= self.counted_from:
            self.abandoned += 1
        self._advance()

    @cython.cfunc
    def _advance(self) -> cython.void:
        distance: cython.double = self.interval
        if self.by_chance:
            drawn: cython.double = self._chance.next64() >> 11  # of 2**53: [0, 1) below
            distance = -math.log1p(-drawn / 9007199254740992.0) * self.interval
        self._exact += distance
        self.next_ns = self._start_ns + cython.cast(cython.longlong, self._exact + 0.5)

    def is_over(self) -> bool:
        """Whether every request has been sent and has ended."""
        return self.next_ns >= self.end_ns and self.outstanding == 0

    def give_up(self) -> None:
        """The run is over: what is not sent and not answered by now stays so."""
        while self.next_ns < self.end_ns:
            self._abandon()
        self.lost = self.taken - self.answered
        self.counted_from = NEVER

    def result(self, seconds: float) -> dict[str, object]:
        """The figures by name."""
        scheduled = self.taken + self.abandoned
        return {
            "offered_per_second": round(scheduled / max(seconds, 1e-9), 1),
            "scheduled": scheduled,
            "answered": self.answered,
            "lost": self.lost,
            "abandoned": self.abandoned,
            "late": self.late,
            "overslept": self.overslept,
            "delay_p99_us": round(self.delay.percentile(99) / 1000, 1),
        }
