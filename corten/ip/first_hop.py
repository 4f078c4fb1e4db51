"""What a link's routers have told us: routers, on-link prefixes, redirects (RFC 4861, 5.1 and 5.2).

Next-hop determination asks here: a redirect for the destination comes before the prefixes, and
those before the default routers. Of the routers the one is taken that may be reachable, then the
one of the highest preference (RFC 4191, 3.2); while none is known to be reachable they are tried in
turn (6.3.6), so that each is asked for and whoever is alive is found.

Rules. Everything is bounded, and who came first stays: a stranger who invents routers, prefixes or
destinations pushes nothing out. Redirects alone give way, the oldest first: they save a hop, no
more. A path is never told of a change: the neighbour it leads to is retired (`NeighbourTable`), and
the next packet on it looks for its first hop again.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.ip.neighbour import INCOMPLETE, Neighbour
from cython.cimports.corten.ip.neighbour_table import NeighbourTable
from cython.cimports.corten.wire.address_field import in_prefix
from cython.cimports.corten.wire.reason import ND_TABLE_FULL, ROUTERS_LOST

if not cython.compiled:
    ROUTERS_MAX = 16  # RFC 4861 6.3.4: two at least
    PREFIXES_MAX = 32
    REDIRECTS_MAX = 1024


@cython.final
@cython.cclass
class Router:
    """One default router."""

    high: cython.ulonglong
    low: cython.ulonglong
    until: cython.longlong
    preference: cython.int

    def __init__(self, high: int, low: int) -> None:
        self.high = high
        self.low = low
        self.until = 0
        self.preference = 0


@cython.final
@cython.cclass
class OnLink:
    """A prefix whose addresses are neighbours."""

    high: cython.ulonglong
    low: cython.ulonglong
    prefix_len: cython.int
    until: cython.longlong

    def __init__(self, high: int, low: int, prefix_len: int) -> None:
        self.high = high
        self.low = low
        self.prefix_len = prefix_len
        self.until = 0


@cython.final
@cython.cclass
class FirstHops:
    """The default routers, on-link prefixes and redirects of one link."""

    routers: list
    prefixes: list
    redirects: dict  # destination (high, low) -> first hop (high, low), oldest first
    _neighbours: NeighbourTable
    _counters: Counters
    _turn: cython.Py_ssize_t

    def __init__(self, neighbours: NeighbourTable, counters: Counters) -> None:
        self.routers = []
        self.prefixes = []
        self.redirects = {}
        self._neighbours = neighbours
        self._counters = counters
        self._turn = 0

    # -- next-hop determination --------------------------------------------------------------

    @cython.ccall
    def on_link(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether a router said that the address is a neighbour's."""
        prefix: OnLink
        for prefix in self.prefixes:
            if in_prefix(high, low, prefix.high, prefix.low, prefix.prefix_len):
                return True
        return False

    @cython.ccall
    def redirected(self, high: cython.ulonglong, low: cython.ulonglong) -> Any:
        """The first hop that a redirect named for a destination, (high, low), or None."""
        return self.redirects.get((high, low)) if self.redirects else None

    @cython.ccall
    def router(self) -> Router | None:
        """The default router for a destination that has none yet (6.3.6)."""
        best: Router | None = None
        router: Router
        for router in self.routers:
            if self._may_be_reachable(router) and (
                best is None or router.preference > best.preference
            ):
                best = router
        if best is None and self.routers:
            best = self.routers[self._turn % len(self.routers)]
            self._turn += 1
        return best

    @cython.ccall
    def is_router(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether a station is one of the default routers."""
        router: Router
        for router in self.routers:
            if router.high == high and router.low == low:
                return True
        return False

    @cython.cfunc
    def _may_be_reachable(self, router: Router) -> cython.bint:
        known: Neighbour | None = self._neighbours.find(router.high, router.low)
        return known is not None and known.state != INCOMPLETE

    # -- what routers say --------------------------------------------------------------------

    @cython.ccall
    def hear_router(
        self,
        high: cython.ulonglong,
        low: cython.ulonglong,
        until: cython.longlong,
        preference: cython.int,
        now: cython.longlong,
    ) -> cython.bint:
        """A router is one until then, or from now on none (6.3.4); whether it is one."""
        router: Router
        for router in self.routers:
            if router.high == high and router.low == low:
                if until <= now:
                    self.lose_router(high, low)
                    return False
                router.until = until
                router.preference = preference
                return True
        if until <= now:
            return False
        if len(self.routers) >= ROUTERS_MAX:
            self._counters.add(ND_TABLE_FULL)
            return False
        router = Router(high, low)
        router.until = until
        router.preference = preference
        self.routers.append(router)
        return True

    @cython.ccall
    def lose_router(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.void:
        """It is no router any more, or its time is over: whoever uses it looks for another."""
        kept: list = [r for r in self.routers if r.high != high or r.low != low]
        if len(kept) < len(self.routers):
            self._counters.add(ROUTERS_LOST)
            self.routers = kept
        self._forget_redirects(high, low)
        self._neighbours.retire(high, low)

    @cython.ccall
    def lapse(
        self, high: cython.ulonglong, low: cython.ulonglong, is_router: cython.bint
    ) -> cython.void:
        """A first hop answers no more (7.3.3): next-hop determination anew for all that use it."""
        if self._forget_redirects(high, low) or is_router:
            self._neighbours.retire(high, low)

    @cython.cfunc
    def _forget_redirects(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        hop = (high, low)
        if hop not in self.redirects.values():
            return False
        self.redirects = {to: by for to, by in self.redirects.items() if by != hop}
        return True

    @cython.ccall
    def hear_prefix(
        self,
        high: cython.ulonglong,
        low: cython.ulonglong,
        prefix_len: cython.int,
        until: cython.longlong,
        now: cython.longlong,
    ) -> cython.void:
        """A prefix is on-link until then, or from now on no more (6.3.4)."""
        prefix: OnLink
        for prefix in self.prefixes:
            if prefix.prefix_len == prefix_len and in_prefix(
                high, low, prefix.high, prefix.low, prefix_len
            ):
                prefix.until = until
                if until <= now:
                    self.prefixes.remove(prefix)
                return
        if until <= now:
            return
        if len(self.prefixes) >= PREFIXES_MAX:
            self._counters.add(ND_TABLE_FULL)
            return
        prefix = OnLink(high, low, prefix_len)
        prefix.until = until
        self.prefixes.append(prefix)

    @cython.ccall
    def redirect(
        self,
        high: cython.ulonglong,
        low: cython.ulonglong,
        by_high: cython.ulonglong,
        by_low: cython.ulonglong,
        from_high: cython.ulonglong,
        from_low: cython.ulonglong,
    ) -> cython.void:
        """The current first hop (`from`) says that `by` is a better one for a destination."""
        self.redirects.pop((high, low), None)
        if len(self.redirects) >= REDIRECTS_MAX:
            del self.redirects[next(iter(self.redirects))]
        self.redirects[(high, low)] = (by_high, by_low)
        self._neighbours.renew(from_high, from_low)

    # -- time --------------------------------------------------------------------------------

    @cython.ccall
    def expire(self, now: cython.longlong) -> cython.longlong:
        """Drop what is over (6.3.5); when the next is."""
        router: Router
        prefix: OnLink
        due: cython.longlong = NEVER
        for router in list(self.routers):
            if router.until <= now:
                self.lose_router(router.high, router.low)
            elif router.until < due:
                due = router.until
        for prefix in list(self.prefixes):
            if prefix.until <= now:
                self.prefixes.remove(prefix)
            elif prefix.until < due:
                due = prefix.until
        return due
