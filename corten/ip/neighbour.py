"""The link-layer addresses of the stations around us: one cache a link and worker.

Rules (RFC 826, RFC 1122 2.3.2): an entry is fresh for a minute after it was confirmed, by an ARP
message or by TCP's own progress; used after that it stays in use while unicast requests ask again,
then broadcasts; unanswered, it is unresolved. Requests for one address leave at most once a second.
What waits for an answer is bounded, in frames and octets, and the oldest gives way; there is room
for the resets and SYN-ACKs of a worker that has just taken a dead one's seat. The table is bounded:
the entry used longest ago gives way. Static entries never age and are never overwritten.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.limit import NEIGHBOUR_FRESH_NS, NEIGHBOUR_RETRY_NS

if not cython.compiled:
    UNRESOLVED = 0
    REACHABLE = 1
    STATIC = 2
    WAITING_MAX = 192  # frames that wait for one address: fewer than a batch, where they leave
    WAITING_OCTETS_MAX = 131072  # of them together; a single longer one may wait
    REQUESTS_MAX = 5  # unanswered, one a second, before what waits is dropped
    UNICAST_REQUESTS = 3  # for an entry in use, before it is resolved anew
    TABLE_MAX = 4096


@cython.final
@cython.cclass
class Neighbour:
    """One station on the link."""

    address_high: cython.ulonglong
    address_low: cython.ulonglong
    mac: cython.ulonglong
    state: cython.uint
    fresh_until: cython.longlong  # beyond this, using it asks again; 0 while unresolved
    requested_at: cython.longlong
    requests: cython.uint  # sent since the last confirmation
    waiting: list | None  # whole frames, their destination address still blank
    waiting_octets: cython.Py_ssize_t
    waiting_since: cython.longlong
    used_at: cython.longlong

    def __init__(self, address_high: cython.ulonglong, address_low: cython.ulonglong) -> None:
        self.address_high = address_high
        self.address_low = address_low
        self.mac = 0
        self.state = UNRESOLVED
        self.fresh_until = 0
        self.requested_at = -NEIGHBOUR_RETRY_NS
        self.requests = 0
        self.waiting = None
        self.waiting_octets = 0
        self.waiting_since = 0
        self.used_at = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def confirm(self, now: cython.longlong) -> cython.void:
        """The station answered: by ARP, or by acknowledging what we sent (RFC 1122 2.3.2.1)."""
        if self.state == REACHABLE:
            self.fresh_until = now + NEIGHBOUR_FRESH_NS
            self.requests = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def doubt(self, now: cython.longlong) -> cython.void:
        """Nothing comes back (RFC 1122 2.3.2.1 (3), advice from above): ask it once, then all."""
        if self.state == REACHABLE and self.fresh_until > now:
            self.fresh_until = now
            self.requests = UNICAST_REQUESTS - 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def learn(self, mac: cython.ulonglong, now: cython.longlong) -> cython.bint:
        """An ARP message says where the station is; False for a static entry."""
        if self.state == STATIC:
            return False
        self.mac = mac
        self.state = REACHABLE
        self.fresh_until = now + NEIGHBOUR_FRESH_NS
        self.requests = 0
        return True

    @cython.cfunc
    @cython.exceptval(check=False)
    def make_static(self, mac: cython.ulonglong) -> cython.void:
        """Set by hand: fresh for ever."""
        self.mac = mac
        self.state = STATIC
        self.fresh_until = NEVER

    @cython.cfunc
    def enqueue(self, frame: bytes, now: cython.longlong) -> cython.Py_ssize_t:
        """Let a frame wait for the address; how many older ones had to give way."""
        if self.waiting is None:
            self.waiting = []
            self.waiting_octets = 0
            self.waiting_since = now
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
    def should_request(self, now: cython.longlong) -> cython.bint:
        """At most one request a second for each address (RFC 1122 2.3.2.1, MUST)."""
        return now - self.requested_at >= NEIGHBOUR_RETRY_NS


@cython.final
@cython.cclass
class NeighbourTable:
    """The neighbours of one link, by address."""

    _entries: dict

    def __init__(self) -> None:
        self._entries = {}

    def __len__(self) -> int:
        return len(self._entries)

    @cython.cfunc
    def find(self, high: cython.ulonglong, low: cython.ulonglong) -> Neighbour | None:
        return self._entries.get((high, low))

    @cython.cfunc
    def obtain(
        self, high: cython.ulonglong, low: cython.ulonglong, now: cython.longlong
    ) -> Neighbour:
        """The entry of an address, made if need be."""
        key = (high, low)
        entry = self._entries.pop(key, None)  # it goes to the end: the front is the oldest
        if entry is None:
            if len(self._entries) >= TABLE_MAX:
                self._evict()
            entry = Neighbour(high, low)
        self._entries[key] = entry
        neighbour: Neighbour = entry
        neighbour.used_at = now
        return neighbour

    @cython.cfunc
    def adopt(self, neighbour: Neighbour, now: cython.longlong) -> cython.void:
        """Make sure that answers reach an entry that paths hold, even if it was evicted since."""
        known: Neighbour | None = self.find(neighbour.address_high, neighbour.address_low)
        if known is neighbour:
            return
        if known is not None and known.state != UNRESOLVED:
            neighbour.learn(known.mac, now)
            return
        self._entries[(neighbour.address_high, neighbour.address_low)] = neighbour

    @cython.cfunc
    def _evict(self) -> cython.void:
        """Drop the entry used longest ago that is neither static nor has packets waiting."""
        entry: Neighbour
        for entry in self._entries.values():
            if entry.state != STATIC and entry.waiting is None:
                del self._entries[(entry.address_high, entry.address_low)]
                return

    def entries(self) -> list[Neighbour]:
        """All of them, for listing."""
        return list(self._entries.values())
