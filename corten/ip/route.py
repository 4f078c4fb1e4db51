"""Routes: which link and next hop lead to an address (RFC 1122 3.3.1). Longest prefix wins.

The stack's paths come from here: `RouteTable.path(local, remote)` finds or makes the Path of a
pair of addresses. The cache of paths is bounded; one dropped from it lives on in its connections.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.wire.address_field import in_prefix, is_v4

from corten.endpoint.error import CortenError
from corten.wire.address import format_address, parse_address, parse_network

if not cython.compiled:
    PATHS_MAX = 65536
    RECENT_MASK = 255
    ROUTES_MAX = 1024


@cython.final
@cython.cclass
class Route:
    """A prefix and where it leads: a next hop on an interface."""

    high: cython.ulonglong
    low: cython.ulonglong
    prefix_len: cython.int
    interface: Interface
    gateway_high: cython.ulonglong
    gateway_low: cython.ulonglong

    def __init__(self, network: str, interface: Interface, gateway: str) -> None:
        self.high, self.low, self.prefix_len = parse_network(network)
        self.gateway_high, self.gateway_low = parse_address(gateway)
        self.interface = interface

    @cython.ccall
    def contains(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether the route's prefix covers an address."""
        return in_prefix(high, low, self.high, self.low, self.prefix_len)


@cython.final
@cython.cclass
class RouteTable:
    """The routes of a stack: its links' subnets, routes added, and the gateways."""

    interfaces: list
    routes: list
    _paths: dict
    _recent: list  # of Path or None, by the low bits of the addresses

    def __init__(self) -> None:
        self.interfaces = []
        self.routes = []
        self._paths = {}
        self._recent = [None] * (RECENT_MASK + 1)

    def add(self, network: str, interface: Interface, gateway: str) -> None:
        """Send what is for `network` to `gateway` on a link. CortenError when it is not on it."""
        route = Route(network, interface, gateway)
        if not interface.on_link(route.gateway_high, route.gateway_low):
            raise CortenError(f"gateway {gateway}: not in a subnet of link {interface.name}")
        if len(self.routes) >= ROUTES_MAX:
            raise CortenError(f"more than {ROUTES_MAX} routes")
        self.routes.append(route)
        self.routes.sort(key=_by_prefix, reverse=True)
        self._paths.clear()
        self._recent = [None] * (RECENT_MASK + 1)

    @cython.cfunc
    def path(
        self,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        now: cython.longlong,
    ) -> Path | None:
        """The path of a pair of addresses; None when there is no route.

        Who opened a connection opens the next one soon: the pair's place among the recent ones
        spares the key and its lookup.
        """
        place: cython.Py_ssize_t = cython.cast(
            cython.Py_ssize_t, (remote_low ^ (remote_low >> 8) ^ local_low) & RECENT_MASK
        )
        recent: Path | None = self._recent[place]
        if (
            recent is not None
            and recent.remote_low == remote_low
            and recent.local_low == local_low
            and recent.remote_high == remote_high
            and recent.local_high == local_high
        ):
            return recent
        found: Path | None = self._look_up(local_high, local_low, remote_high, remote_low, now)
        self._recent[place] = found
        return found

    @cython.cfunc
    def _look_up(
        self,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        now: cython.longlong,
    ) -> Path | None:
        key = (local_low, remote_low, local_high, remote_high)
        found = self._paths.get(key)
        if found is not None:
            return found
        path: Path | None = self._make(local_high, local_low, remote_high, remote_low, now)
        if path is not None:
            if len(self._paths) >= PATHS_MAX:
                self._paths.clear()
            self._paths[key] = path
        return path

    @cython.cfunc
    def _make(
        self,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        now: cython.longlong,
    ) -> Path | None:
        hop = self.next_hop(remote_high, remote_low)
        if hop is None:
            return None
        interface: Interface = hop[0]
        neighbour: Neighbour | None = interface.other_end
        if neighbour is None:
            neighbour = interface.neighbours.obtain(hop[1], hop[2], now)
        return Path(
            interface,
            neighbour,
            (local_high, local_low),
            (remote_high, remote_low),
        )

    def owns(self, high: int, low: int) -> bool:
        """Whether an address is one of our own, on any link."""
        interface: Interface
        for interface in self.interfaces:
            if interface.owns(high, low):
                return True
        return False

    def next_hop(self, high: int, low: int) -> tuple[Interface, int, int] | None:
        """(interface, next hop's address halves) towards an address."""
        interface: Interface
        for interface in self.interfaces:
            if interface.on_link(high, low):
                return interface, high, low
        route: Route
        for route in self.routes:
            if route.contains(high, low):
                return route.interface, route.gateway_high, route.gateway_low
        for interface in self.interfaces:
            if interface.has_gateway and interface.gateway_is_v4() == is_v4(high, low):
                return interface, interface.gateway_high, interface.gateway_low
        return None

    def source_for(self, high: int, low: int) -> tuple[int, int]:
        """Which of our addresses to send from towards an address (RFC 1122 3.3.4.3).

        CortenError without a route.
        """
        hop = self.next_hop(high, low)
        if hop is None:
            raise CortenError(f"no route to {format_address(high, low)}: add gateway=… to a link")
        interface: Interface = hop[0]
        address: Address
        for address in interface.addresses:
            if address.contains(hop[1], hop[2]):
                return address.high, address.low
        first: Address = interface.addresses[0]
        return first.high, first.low


def _by_prefix(route: Route) -> int:
    return route.prefix_len
