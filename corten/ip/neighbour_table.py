"""The neighbours of one link by address: bounded, and not to be emptied by strangers.

Whoever can make us speak to addresses of the link that nobody has (a scan, a flood of segments with
forged sources) fills a table of neighbours (RFC 6583). So what gives way is the entry made longest
ago that nobody needs: never one set by hand, a router, or a station through which a connection has
made progress within `IN_USE_NS`; one that is being asked for only when there is no better.

Rules. A search looks at `LOOKS` entries at most, and moves those it spares to the end, so that it
costs the same whatever the table holds. Where nothing may give way, the new entry lives outside: it
is asked for and serves the paths that hold it, but hears only answers that come while it is asked.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.limit import NEIGHBOUR_IN_USE_NS
from cython.cimports.corten.ip.neighbour import INCOMPLETE, STATIC, Neighbour, Timing
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.reason import ND_TABLE_FULL, NEIGHBOUR_QUEUE_FULL

if not cython.compiled:
    TABLE_MAX = 4096
    LOOKS = 32


@cython.final
@cython.cclass
class NeighbourTable:
    """The neighbours of one link, both families."""

    arp_timing: Timing
    nd_timing: Timing
    _entries: dict
    _counters: Counters

    def __init__(self, counters: Counters, chance: Chance) -> None:
        self.arp_timing = Timing(None)
        self.nd_timing = Timing(chance)
        self._entries = {}
        self._counters = counters

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
        known = self._entries.pop(key, None)  # it goes to the end: the front is the oldest
        if known is not None:
            self._entries[key] = known
            return known
        timing: Timing = self.arp_timing if is_v4(high, low) else self.nd_timing
        entry: Neighbour = Neighbour(high, low, timing)
        if self._make_room(now):
            self._entries[key] = entry
        return entry

    @cython.cfunc
    def adopt(self, neighbour: Neighbour, now: cython.longlong) -> cython.bint:
        """Make sure that answers reach an entry that paths hold, even if it was evicted since.
        True: another entry of the same address knew, and it need not be asked for."""
        key = (neighbour.address_high, neighbour.address_low)
        known: Neighbour | None = self._entries.get(key)
        if known is neighbour:
            return False
        if known is not None and known.state != INCOMPLETE:
            neighbour.take_over(known)
            return True
        if known is not None or self._make_room(now):
            self._entries[key] = neighbour
        return False

    @cython.cfunc
    def retire(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.void:
        """It leads nowhere now: whoever holds the entry looks for another first hop."""
        entry: Neighbour | None = self._entries.pop((high, low), None)
        if entry is not None:
            entry.retire()

    @cython.cfunc
    def renew(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.void:
        """As `retire`, but who still finds it finds all that is known of it."""
        known: Neighbour | None = self.find(high, low)
        if known is None or known.state == INCOMPLETE:
            return  # who waits there asks for it again in a moment
        fresh: Neighbour = Neighbour(high, low, known.timing)
        fresh.take_over(known)
        self._entries[(high, low)] = fresh
        known.retire()

    @cython.cfunc
    def _make_room(self, now: cython.longlong) -> cython.bint:
        """Whether one more may enter, after one that nobody needs has gone if need be."""
        if len(self._entries) < TABLE_MAX:
            return True
        asked: Neighbour | None = None
        spared: list = []
        entry: Neighbour
        for entry in self._entries.values():
            if len(spared) >= LOOKS:
                break
            if not entry.is_asked and not self._is_needed(entry, now):
                self._remove(entry)
                return True
            if asked is None and entry.is_asked and not self._is_needed(entry, now):
                asked = entry
            spared.append(entry)
        if asked is not None:
            if asked.waiting is not None:
                self._counters.add(NEIGHBOUR_QUEUE_FULL, len(asked.waiting))
            asked.forget()
            self._remove(asked)
            return True
        for entry in spared:
            key = (entry.address_high, entry.address_low)
            self._entries[key] = self._entries.pop(key)
        self._counters.add(ND_TABLE_FULL)
        return False

    @cython.cfunc
    def _is_needed(self, entry: Neighbour, now: cython.longlong) -> cython.bint:
        if entry.state == STATIC or entry.is_first_hop:
            return True
        return entry.in_use and entry.fresh_until > now - NEIGHBOUR_IN_USE_NS

    @cython.cfunc
    def _remove(self, entry: Neighbour) -> cython.void:
        del self._entries[(entry.address_high, entry.address_low)]

    def entries(self) -> list[Neighbour]:
        """All of them, for listing."""
        return list(self._entries.values())
