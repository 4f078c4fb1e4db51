"""The stations around us and whether they still answer: one machine for ARP and for ND.

    INCOMPLETE  address unknown: packets wait, everybody is asked
    REACHABLE   confirmed not long ago
    STALE       known, not confirmed of late: the next use begins to verify it
    DELAY       used while stale: the transport may yet confirm it
    PROBE       asked by unicast, in use meanwhile
    STATIC      set by hand: never ages, never overwritten

These are RFC 4861 7.3; ARP differs by its `Timing`: RFC 1122 2.3.2 wants an aged entry asked for
when it is used, so there is no DELAY, and a minute instead of half; and after the unicast requests
it broadcasts some while the old address stays in use, because an ARP cache has no STALE to fall to.

Strategy. Using an entry costs one comparison, `now >= fresh_until`: that is the instant after which
use has a consequence, and it lies beyond all time while a timer looks after the entry (DELAY and
PROBE) or nothing has to (STATIC). Who asks, and writes frames, is `resolution`; here is only what
follows from what.

Rules. Requests for one address leave at most once in `retrans_ns` (RFC 1122 2.3.2.1, RFC 4861
7.2.2: MUST). What waits is bounded, in frames and octets, and the oldest gives way; there is room
for the resets and SYN-ACKs of a worker that has just taken a dead one's seat.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.limit import (
    DELAY_FIRST_PROBE_NS,
    NEIGHBOUR_FRESH_NS,
    NEIGHBOUR_RETRY_NS,
    REACHABLE_REDRAW_NS,
    REACHABLE_TIME_NS,
)

if not cython.compiled:
    INCOMPLETE = 0
    STATIC = 1
    REACHABLE = 2  # from here on: has an address, may age
    STALE = 3
    DELAY = 4
    PROBE = 5
    WAITING_MAX = 192  # frames that wait for one address: fewer than a batch, where they leave
    WAITING_OCTETS_MAX = 131072  # of them together; a single longer one may wait
    UNICAST_REQUESTS = 3  # RFC 4861 10, MAX_UNICAST_SOLICIT
    MULTICAST_REQUESTS = 3  # MAX_MULTICAST_SOLICIT
    BROADCAST_REQUESTS = 5  # the same of ARP, which names no number
    # what an event asks of who told it
    NOTHING = 0
    SEND_WAITING = 1  # the address is known now
    ROUTER_LOST = 2  # it was a router and is none any more
    ASK = 4  # a request is due
    FAILED = 8  # nobody has answered any of them
    LAPSED = 16  # it answers no more: the next packet resolves it anew


@cython.final
@cython.cclass
class Timing:
    """How one protocol of one link ages and asks. A router may set the first two (6.3.4)."""

    base_reachable_ns: cython.longlong
    retrans_ns: cython.longlong
    delay_ns: cython.longlong  # 0: probe as soon as a stale entry is used
    unicast_max: cython.uint  # requests to the address in use …
    probes_max: cython.uint  # … and with those to everybody, before it is in use no more
    requests_max: cython.uint  # unanswered, before what waits is dropped
    _reachable_ns: cython.longlong
    _redraw_at: cython.longlong
    _chance: Chance | None

    def __init__(self, chance: Chance | None) -> None:
        """`chance`: for ReachableTime, as neighbour discovery has it; None: ARP's."""
        self._chance = chance
        self.retrans_ns = NEIGHBOUR_RETRY_NS
        self.unicast_max = UNICAST_REQUESTS
        self._redraw_at = 0
        if chance is None:
            self.base_reachable_ns = self._reachable_ns = NEIGHBOUR_FRESH_NS
            self.delay_ns = 0
            self.requests_max = BROADCAST_REQUESTS
            self.probes_max = UNICAST_REQUESTS + BROADCAST_REQUESTS
        else:
            self.base_reachable_ns = self._reachable_ns = REACHABLE_TIME_NS
            self.delay_ns = DELAY_FIRST_PROBE_NS
            self.requests_max = MULTICAST_REQUESTS
            self.probes_max = UNICAST_REQUESTS

    @cython.cfunc
    def set_reachable(self, base_ns: cython.longlong) -> cython.void:
        """A router says another BaseReachableTime."""
        if base_ns != self.base_reachable_ns:
            self.base_reachable_ns = base_ns
            self._redraw_at = 0

    @cython.ccall
    @cython.exceptval(check=False)
    def reachable_ns(self, now: cython.longlong) -> cython.longlong:
        """ReachableTime: 0.5 to 1.5 times the base by chance, anew every two hours (6.3.2)."""
        if self._chance is not None and now >= self._redraw_at:
            share: cython.longlong = cython.cast(cython.longlong, self._chance.next32() & 0xFFFF)
            half: cython.longlong = self.base_reachable_ns // 2
            self._reachable_ns = half + half // 0x8000 * share
            self._redraw_at = now + REACHABLE_REDRAW_NS
        return self._reachable_ns


@cython.final
@cython.cclass
class Neighbour:
    """One station on the link."""

    address_high: cython.ulonglong
    address_low: cython.ulonglong
    mac: cython.ulonglong  # 0: unknown
    state: cython.uint
    is_router: cython.bint
    is_first_hop: cython.bint  # writable; a default router: never evicted
    is_retired: cython.bint  # no first hop any more: who uses it looks for another
    in_use: cython.bint  # a transport has made progress through it
    is_asked: cython.bint  # in its interface's list of those with a timer
    fresh_until: cython.longlong  # beyond this, using it has a consequence
    due_at: cython.longlong  # NEVER: no timer
    requested_at: cython.longlong
    requests: cython.uint  # in INCOMPLETE and PROBE; in STALE: how far PROBE begins
    waiting: list | None  # whole frames, their destination address still blank
    waiting_octets: cython.Py_ssize_t
    openers: list | None  # connections that want to hear of a failure
    timing: Timing
    _reachable_ns: cython.longlong

    def __init__(
        self, address_high: cython.ulonglong, address_low: cython.ulonglong, timing: Timing
    ) -> None:
        self.address_high = address_high
        self.address_low = address_low
        self.mac = 0
        self.state = INCOMPLETE
        self.is_router = False
        self.is_first_hop = False
        self.is_retired = False
        self.in_use = False
        self.is_asked = False
        self.fresh_until = 0
        self.due_at = NEVER
        self.requested_at = -NEIGHBOUR_RETRY_NS
        self.requests = 0
        self.waiting = None
        self.waiting_octets = 0
        self.openers = None
        self.timing = timing
        self._reachable_ns = timing.base_reachable_ns

    # -- what is heard ----------------------------------------------------------------------

    @cython.ccall
    @cython.exceptval(check=False)
    def confirm(self, now: cython.longlong) -> cython.int:
        """The transport made progress (RFC 4861 7.3.1, RFC 1122 2.3.2.1); nothing while INCOMPLETE.

        It runs for each acknowledgement.
        """
        if self.state == REACHABLE:
            self.fresh_until = now + self._reachable_ns
            self.in_use = True
        elif self.state > REACHABLE:
            self._reach(now)
            self.in_use = True
        return 0

    @cython.ccall
    @cython.exceptval(check=False)
    def doubt(self, now: cython.longlong) -> cython.void:
        """Nothing comes back (RFC 1122 2.3.2.1 (3), advice from above): ask it once, then all."""
        if self.state == REACHABLE and self.fresh_until > now:
            self._set(STALE, 0, NEVER)
            self.requests = self.timing.unicast_max - 1

    @cython.ccall
    @cython.exceptval(check=False)
    def learn(self, mac: cython.ulonglong, now: cython.longlong) -> cython.bint:
        """An ARP message says where the station is; False for a static entry."""
        if self.state == STATIC:
            return False
        self.mac = mac
        self._reach(now)
        return True

    @cython.ccall
    @cython.exceptval(check=False)
    def hear(self, mac: cython.ulonglong) -> cython.uint:
        """A solicitation, a router or a redirect says where the station is, which confirms nothing
        (RFC 4861 7.2.3, 6.3.4, 8.3)."""
        if self.state == STATIC or mac == self.mac:
            return NOTHING
        answered: cython.uint = SEND_WAITING if self.state == INCOMPLETE else NOTHING
        self.mac = mac
        self._set(STALE, 0, NEVER)
        return answered

    @cython.ccall
    @cython.exceptval(check=False)
    def advertise(
        self,
        mac: cython.ulonglong,
        solicited: cython.bint,
        override: cython.bint,
        router: cython.bint,
        now: cython.longlong,
    ) -> cython.uint:
        """It advertises itself (RFC 4861 7.2.5); `mac` 0: the message says none."""
        if self.state == STATIC:
            return NOTHING
        answer: cython.uint = NOTHING
        if self.state == INCOMPLETE:
            if mac == 0:
                return NOTHING
            answer = SEND_WAITING
        elif mac != 0 and mac != self.mac and not override:
            if self.state == REACHABLE:
                self._set(STALE, 0, NEVER)
            return NOTHING
        differs: cython.bint = mac != 0 and mac != self.mac
        if differs:
            self.mac = mac
        if solicited:
            self._reach(now)
        elif differs:
            self._set(STALE, 0, NEVER)
        if self.is_router and not router:
            answer |= ROUTER_LOST
        self.is_router = router
        return answer

    # -- what follows -----------------------------------------------------------------------

    @cython.ccall
    @cython.exceptval(check=False)
    def use(self, now: cython.longlong) -> cython.uint:
        """A packet went to it beyond `fresh_until` (7.3.3): ASK when a request is due now."""
        if self.state == INCOMPLETE:
            if self.due_at == NEVER:
                self.requests = 0
                self.due_at = self._may_ask_at(now)
                return ASK if self.due_at <= now else NOTHING
            return NOTHING
        if self.state not in (REACHABLE, STALE):
            return NOTHING
        if self.state == REACHABLE:
            self.requests = 0
        if self.timing.delay_ns != 0 and self.requests == 0:
            self._set(DELAY, NEVER, now + self.timing.delay_ns)
            return NOTHING
        self._set(PROBE, NEVER, self._may_ask_at(now))
        return ASK if self.due_at <= now else NOTHING

    @cython.ccall
    @cython.exceptval(check=False)
    def expire(self, now: cython.longlong) -> cython.uint:
        """Its timer may be over: ASK; after the last request LAPSED, or FAILED if it never
        answered."""
        if self.due_at > now:
            return NOTHING
        outcome: cython.uint = LAPSED if self.state == PROBE else FAILED
        if self.state == DELAY:
            self.requests = 0
            self._set(PROBE, NEVER, self._may_ask_at(now))
            return ASK if self.due_at <= now else NOTHING
        if self.state == PROBE:
            if self.requests < self.timing.probes_max:
                return ASK
        elif self.state != INCOMPLETE:
            self.due_at = NEVER
            return NOTHING
        elif self.requests < self.timing.requests_max:
            return ASK
        self.mac = 0
        self.in_use = False
        self._set(INCOMPLETE, 0, NEVER)
        return outcome

    @cython.ccall
    @cython.exceptval(check=False)
    def asked(self, now: cython.longlong) -> cython.void:
        """A request has gone."""
        self.requested_at = now
        self.requests += 1
        self.due_at = now + self.timing.retrans_ns

    @cython.cfunc
    @cython.exceptval(check=False)
    def asks_everybody(self) -> cython.bint:
        """Whether the next request goes to all, not to the address in use."""
        return self.mac == 0 or self.requests >= self.timing.unicast_max

    @cython.cfunc
    @cython.exceptval(check=False)
    def forget(self) -> cython.void:
        """Its place is needed: nobody is asked any more."""
        self.waiting = None
        if self.state in (INCOMPLETE, DELAY, PROBE):
            self.due_at = NEVER

    @cython.ccall
    @cython.exceptval(check=False)
    def make_static(self, mac: cython.ulonglong) -> cython.void:
        """Set by hand: fresh for ever."""
        self.mac = mac
        self._set(STATIC, NEVER, NEVER)

    @cython.cfunc
    @cython.exceptval(check=False)
    def retire(self) -> cython.void:
        """No first hop any more: the next use of whoever holds it finds that out."""
        self.is_retired = True
        self.mac = 0
        self._set(INCOMPLETE, 0, NEVER)

    @cython.cfunc
    @cython.exceptval(check=False)
    def take_over(self, other: Neighbour) -> cython.void:
        """Know what another entry of the same station knows."""
        self.mac = other.mac
        self.is_router = other.is_router
        self.is_first_hop = other.is_first_hop
        self.in_use = other.in_use
        self.requested_at = other.requested_at
        self._reachable_ns = other._reachable_ns
        if other.state == STATIC:
            self.make_static(other.mac)
            return
        fresh: cython.bint = other.state == REACHABLE
        self._set(REACHABLE if fresh else STALE, other.fresh_until if fresh else 0, NEVER)

    @cython.cfunc
    def watch(self, opener: object) -> cython.void:
        """A connection begins whose first segment goes here: it wants to hear of a failure."""
        if self.state not in (STATIC, REACHABLE):
            if self.openers is None:
                self.openers = []
            self.openers.append(opener)

    @cython.cfunc
    def enqueue(self, frame: bytes) -> cython.Py_ssize_t:
        """Let a frame wait for the address; how many older ones had to give way."""
        if self.waiting is None:
            self.waiting = []
            self.waiting_octets = 0
        self.waiting.append(frame)
        self.waiting_octets += len(frame)
        dropped: cython.Py_ssize_t = 0
        while len(self.waiting) > WAITING_MAX or (
            self.waiting_octets > WAITING_OCTETS_MAX and len(self.waiting) > 1
        ):
            oldest: bytes = self.waiting.pop(0)
            self.waiting_octets -= len(oldest)
            dropped += 1
        return dropped

    @cython.cfunc
    @cython.exceptval(check=False)
    def _reach(self, now: cython.longlong) -> cython.void:
        self._reachable_ns = self.timing.reachable_ns(now)
        self._set(REACHABLE, now + self._reachable_ns, NEVER)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _set(
        self, state: cython.uint, fresh_until: cython.longlong, due_at: cython.longlong
    ) -> cython.void:
        if state == STALE:
            self.requests = 0
        self.state = state
        self.fresh_until = fresh_until
        self.due_at = due_at

    @cython.cfunc
    @cython.exceptval(check=False)
    def _may_ask_at(self, now: cython.longlong) -> cython.longlong:
        """The first instant from `now` on at which another request may leave."""
        at: cython.longlong = self.requested_at + self.timing.retrans_ns
        return at if at > now else now
