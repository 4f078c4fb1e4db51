"""Congestion control: the interface. An algorithm sees numbers, never the connection.

Rules. `window` and `ssthresh` are octets, times nanoseconds, rates octets a second.

    on_ack        an acknowledgement moved SND.UNA outside fast recovery, and the window was what
                  held the sender back (RFC 7661, RFC 9438 5.8); of others `app_limited` is set,
                  unless the algorithm asks for all of them with `wants_all`
    on_loss       fast recovery begins (once a recovery)
    on_ecn        the peer echoed a congestion mark (once a round trip, RFC 3168 6.1.2)
    on_timeout    the retransmission timer expired; `first` unless the same data timed out before
    on_recovered  the recovery that `on_loss` or `on_timeout` began is over
    on_idle       nothing was sent for a retransmission timeout (RFC 5681 4.1)
    undo          what `on_loss` or `on_timeout` did last was a mistake (RFC 9438 4.9, RFC 4015):
                  the loss was none
    pacing_rate   how fast to send within the window; 0: as fast as acknowledgements come

Each answers 0, because a C function that returns nothing makes its caller ask whether it raised;
none of these here does. What a user writes in Python is `corten.Congestion`; `custom` adapts it.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.sample import AckSample
from cython.cimports.corten.tcp.validation import Validation

if not cython.compiled:
    WINDOW_MAX = 0x3FFF_FFFF  # what a scaled window can carry
    UNPACED_SEGMENTS = 8  # RFC 9406 4.2, L: one acknowledgement opens the window by no more
    NANOSECONDS = 1_000_000_000


@cython.no_gc  # what it holds holds nothing; CustomControl, which holds the user's, is collected
@cython.cclass
class CongestionControl:
    """How much a connection may have in flight."""

    window: cython.uint
    ssthresh: cython.uint
    mss: cython.uint
    wants_all: cython.uchar  # on_ack for each acknowledgement
    wants_rate: cython.uchar  # the sample is to say the delivery rate
    app_limited: cython.uchar  # acknowledgements came since on_ack that the window did not limit
    is_paced: cython.uchar  # pacing_rate has an answer
    initial_window: cython.uint
    ack_limit: cython.uint  # in slow start one acknowledgement opens the window by no more
    _ack_owed: cython.uint  # octets that were beyond it: later acknowledgements open by them
    _undo_window: cython.uint  # before the last reduction; 0: nothing to undo
    _undo_ssthresh: cython.uint
    _validation: Validation | None  # while the window is larger than what is used

    def __init__(self, mss: int, initial_window: int) -> None:
        self.start(mss, initial_window)

    @cython.cfunc
    @cython.exceptval(check=False)
    def start(self, mss: cython.uint, initial_window: cython.uint) -> cython.void:
        """Every field's first value: for who makes one with `__new__`, once a connection."""
        self.mss = mss
        self.window = initial_window
        self.ssthresh = WINDOW_MAX
        self.wants_all = False
        self.wants_rate = False
        self.app_limited = False
        self.is_paced = False
        self.initial_window = initial_window
        self.ack_limit = UNPACED_SEGMENTS * mss
        self._ack_owed = 0
        self._undo_window = 0
        self._undo_ssthresh = 0
        self._validation = None

    @cython.cfunc
    @cython.exceptval(check=False)
    def pace(self) -> cython.void:
        """Spread what is sent over the round trip from now on."""
        self.is_paced = True
        self.lift_ack_limit()

    @cython.cfunc
    @cython.exceptval(check=False)
    def lift_ack_limit(self) -> cython.void:
        """What an acknowledgement lets out is no burst beyond what leaves anyhow: it is paced (RFC
        9406 4.3), or the link takes super-segments, and one acknowledgement answers each."""
        self.ack_limit = WINDOW_MAX

    @cython.cfunc
    def set_mss(self, mss: cython.uint) -> cython.int:
        """The path carries segments of another size; the window stays what it is in octets."""
        if self.ack_limit < WINDOW_MAX:
            self.ack_limit = UNPACED_SEGMENTS * mss
        self.mss = mss
        self.window = max(self.window, mss)
        return 0

    @cython.cfunc
    def note_limited(
        self, acked: cython.uint, srtt: cython.longlong, now: cython.longlong
    ) -> cython.int:
        """An acknowledgement that the window did not limit: a window that grew is on probation.
        Whoever calls sets `app_limited`, which is all there is to do about one that did not."""
        if self._validation is None:
            self._validation = Validation()
        if self._validation.measure(acked, self.window, srtt, now):
            self.ssthresh = max(self.ssthresh, self.window - self.window // 4)
            self.window = max(self.window // 2, self.initial_window)
            self.begin_anew()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def note_used(self) -> cython.void:
        """The window was the limit: it is valid (RFC 7661 4.3). Each `on_ack` begins with it."""
        self.app_limited = False
        self._validation = None

    @cython.cfunc
    @cython.exceptval(check=False)
    def used(self, in_flight: cython.uint) -> cython.uint:
        """What a reduction counts from: what is in flight, and of a window that is not validated
        what was in flight lately, if that is more (RFC 7661 4.4.1); pipeACK is then undefined."""
        validation: Validation | None = self._validation
        self._validation = None
        self._ack_owed = 0
        if validation is not None and validation.since != 0:
            return max(in_flight, validation.pipe_ack())
        return in_flight

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin_anew(self) -> cython.void:
        """The window was set from outside: growth begins where it is."""

    @cython.cfunc
    @cython.exceptval(check=False)
    def opened_by(self, acked: cython.uint) -> cython.uint:
        """By how many octets one acknowledgement opens the window in slow start: what it
        acknowledges (RFC 3465), L segments at the most (RFC 9406 4.2), so that it lets out no
        burst. What is beyond L goes with those that follow: a receiver that acknowledges in
        stretches, or a host that wakes late, costs no growth."""
        owed: cython.uint = self._ack_owed + acked
        octets: cython.uint = min(owed, self.ack_limit)
        self._ack_owed = owed - octets
        return octets

    @cython.cfunc
    @cython.exceptval(check=False)
    def slow_start(self, acked: cython.uint) -> cython.void:
        """RFC 5681 3.1 (2), not beyond `ssthresh`."""
        self.window = min(self.window + self.opened_by(acked), self.ssthresh, WINDOW_MAX)

    @cython.cfunc
    def on_ack(self, sample: AckSample) -> cython.int:
        return 0

    @cython.cfunc
    def on_loss(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        return 0

    @cython.cfunc
    def on_ecn(self, in_flight: cython.uint, now: cython.longlong) -> cython.int:
        return 0

    @cython.cfunc
    def on_timeout(
        self, in_flight: cython.uint, first: cython.bint, now: cython.longlong
    ) -> cython.int:
        return 0

    @cython.cfunc
    def on_recovered(self, now: cython.longlong) -> cython.int:
        return 0

    @cython.cfunc
    def on_idle(self, initial_window: cython.uint) -> cython.int:
        """Restart from `initial_window` (RFC 5681 4.1), but remember how far the window had come
        (RFC 7661 4.4.3): slow start is to go there again."""
        self._ack_owed = 0
        if self.window > initial_window:
            self.ssthresh = max(self.ssthresh, self.window - self.window // 4)
            self.window = initial_window
        self._validation = None
        self.begin_anew()
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def save(self) -> cython.void:
        """What `undo` is to bring back: each reduction begins with it."""
        self._undo_window = self.window
        self._undo_ssthresh = self.ssthresh

    @cython.cfunc
    @cython.exceptval(check=False)
    def forget(self) -> cython.void:
        """The last reduction stands."""
        self._undo_window = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def take_mark(self, octets: cython.uint) -> cython.void:
        """After a mark `ssthresh` has two segments at least, the window one (RFC 9438 4.6)."""
        self.ssthresh = self.floor(octets)
        self.window = max(octets, self.mss)

    @cython.cfunc
    def undo(self, now: cython.longlong) -> cython.int:
        """Once for each reduction; the window never shrinks by it."""
        if self._undo_window != 0:
            self.window = max(self.window, self._undo_window)
            self.ssthresh = max(self.ssthresh, self._undo_ssthresh)
            self._undo_window = 0
        return 0

    @cython.cfunc
    def pacing_rate(self, srtt: cython.longlong) -> cython.ulonglong:
        """Twice the window a round trip in slow start, 1.2 of it after: faster than the window
        opens, so that pacing never is the limit."""
        if not self.is_paced or srtt <= 0:
            return 0
        octets: cython.ulonglong = self.window
        octets = 2 * octets if self.window < self.ssthresh else octets + octets // 5
        return octets * NANOSECONDS // cython.cast(cython.ulonglong, srtt)

    @cython.cfunc
    @cython.exceptval(check=False)
    def floor(self, octets: cython.uint) -> cython.uint:
        """At least two segments (RFC 5681, equation 4)."""
        return octets if octets > 2 * self.mss else 2 * self.mss

    # -- the same from Python: for tests, and for who wants to look at an algorithm alone ---------

    def acked(self, octets: int, srtt: int, now: int, in_flight: int = 0, rtt: int = 0) -> int:
        """`on_ack`; the window after it."""
        self.on_ack(AckSample().fill(now, octets, in_flight, rtt, srtt))
        return self.window

    def limited(self, octets: int, srtt: int, now: int) -> int:
        """`note_limited`; the window after it."""
        self.app_limited = True
        if self.window > self.initial_window:
            self.note_limited(octets, srtt, now)
        return self.window

    def lost(self, in_flight: int, now: int) -> int:
        """`on_loss`; the window after it."""
        self.on_loss(in_flight, now)
        return self.window

    def marked(self, in_flight: int, now: int) -> int:
        """`on_ecn`; the window after it."""
        self.on_ecn(in_flight, now)
        return self.window

    def timed_out(self, in_flight: int, first: bool, now: int) -> int:
        """`on_timeout`; the window after it."""
        self.on_timeout(in_flight, first, now)
        return self.window

    def idled(self, initial_window: int) -> int:
        """`on_idle`; the window after it."""
        self.on_idle(initial_window)
        return self.window

    def undone(self, now: int) -> int:
        """`undo`; the window after it."""
        self.undo(now)
        return self.window

    def mss_now(self, mss: int) -> int:
        """`set_mss`; the window after it."""
        self.set_mss(mss)
        return self.window

    def without_ack_limit(self) -> CongestionControl:
        """`lift_ack_limit`; itself."""
        self.lift_ack_limit()
        return self

    def paced_at(self, srtt: int) -> int:
        """`pacing_rate`, of one that is paced."""
        self.pace()
        return self.pacing_rate(srtt)
