"""Routes: which link and next hop lead to an address (RFC 1122 3.3.1). The longest prefix wins, of
equal ones the lowest metric.

The stack is a strong host (RFC 1122 3.3.4.2): what is sent from an address leaves on its link, and
what comes for it is taken on its link alone.

The stack's paths come from here: `RouteTable.path(local, remote)` finds or makes the Path of a
pair of addresses. The cache of paths is bounded; one dropped from it lives on in its connections.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.limit import FLOW_LABEL_KEY
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.ip.first_hop import Router
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.wire.address_field import in_prefix, is_loopback, is_v4

from corten.endpoint.error import CortenError
from corten.ip.source_address import choose_source, sort_destinations
from corten.wire.address import format_address, parse_address, parse_network

if not cython.compiled:
    PATHS_MAX = 65536
    RECENT_MASK = 255
    ROUTES_MAX = 1024
    INDEX_MAX = 254  # of a link: a hand-over names it in an octet, and 255 is the loopback's
    V4_PREFIX_LEN = 96  # of an IPv4 network, at the least


@cython.final
@cython.cclass
class Route:
    """A prefix and where it leads: onto a link, straight or to a next hop there."""

    high: cython.ulonglong
    low: cython.ulonglong
    prefix_len: cython.int
    interface: Interface
    has_gateway: cython.bint
    gateway_high: cython.ulonglong
    gateway_low: cython.ulonglong
    metric: cython.int
    _v4: cython.bint

    def __init__(
        self,
        network: tuple[int, int, int],
        interface: Interface,
        gateway: tuple[int, int] | None = None,
        metric: int = 0,
    ) -> None:
        self.high, self.low, self.prefix_len = network
        self.interface = interface
        self.has_gateway = gateway is not None
        self.gateway_high, self.gateway_low = gateway or (0, 0)
        self.metric = metric
        self._v4 = self.prefix_len >= V4_PREFIX_LEN and is_v4(self.high, self.low)

    @cython.ccall
    def contains(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether the route's prefix covers an address; ::/0 covers no IPv4 address."""
        if self._v4 != is_v4(high, low):
            return False
        return in_prefix(high, low, self.high, self.low, self.prefix_len)

    @cython.ccall
    def is_default(self) -> cython.bint:
        """Whether it covers its whole family."""
        return self.prefix_len == (V4_PREFIX_LEN if self._v4 else 0)


@cython.final
@cython.cclass
class RouteTable:
    """The routes of a stack: its links' subnets, routes added, and the gateways."""

    loopback: Any  # writable; makes or answers the Interface to ourselves
    interfaces: list
    routes: list  # added by hand
    _table: list | None  # all of them in the order they are tried; None: to be made again
    _paths: dict
    _recent: list  # of Path or None, by the low bits of the addresses
    _label_key: Siphash | None
    _next_index: cython.int

    def __init__(self) -> None:
        self.loopback = _no_loopback
        self.interfaces = []
        self.routes = []
        self._table = None
        self._paths = {}
        self._recent = [None] * (RECENT_MASK + 1)
        self._label_key = None
        self._next_index = INDEX_MAX

    def set_label_key(self, key: Siphash) -> None:
        """Where flow labels come from: the same for all workers of a group (RFC 6437 3)."""
        self._label_key = key

    def add(self, network: str, interface: Interface, gateway: str | None, metric: int = 0) -> None:
        """Send what is for `network` to `gateway` on a link, or straight there without one.

        Of routes of the same length the one with the lowest metric is taken. CortenError when the
        gateway is not on the link, or there are too many.
        """
        try:
            hop = parse_address(gateway) if gateway is not None else None
            route = Route(parse_network(network), interface, hop, metric)
        except (ValueError, OverflowError) as error:
            raise CortenError(f"route to {network}: {error}") from None
        if hop is not None:
            if is_v4(hop[0], hop[1]) != route._v4:
                raise CortenError(f"route to {network}: gateway {gateway} is of the other family")
            if not interface.on_link(hop[0], hop[1]):
                raise CortenError(f"gateway {gateway}: not in a subnet of link {interface.name}")
        if len(self.routes) >= ROUTES_MAX:
            raise CortenError(f"more than {ROUTES_MAX} routes")
        self.routes.append(route)
        self.changed()

    def remove(self, network: str, interface: Interface) -> None:
        """Take back what `add` added for a network on a link. CortenError when there is none."""
        prefix = parse_network(network)
        route: Route
        for route in self.routes:
            if (
                route.high,
                route.low,
                route.prefix_len,
            ) == prefix and route.interface is interface:
                self.routes.remove(route)
                self.changed()
                return
        raise CortenError(f"no route to {network} on link {interface.name}")

    def add_interface(self, interface: Interface) -> None:
        """One more link. CortenError when an address of it is another link's: which link a packet
        leaves on follows from its source (the strong host model)."""
        address: Address
        for address in interface.addresses:
            self._refuse_twice(address)
        self.interfaces.append(interface)
        self.changed()

    def next_index(self) -> int:
        """The number of one more link: none is used again while another is left, as somebody may
        still mean the link that had it."""
        used = {interface.index for interface in self.interfaces}
        if len(used) > INDEX_MAX:
            raise CortenError(f"more than {INDEX_MAX + 1} links")
        while True:
            self._next_index = (self._next_index + 1) % (INDEX_MAX + 1)
            if self._next_index not in used:
                return self._next_index

    def remove_interface(self, interface: Interface) -> None:
        """A link is gone, and the routes on it."""
        self.interfaces.remove(interface)
        self.routes = [route for route in self.routes if route.interface is not interface]
        self.changed()

    def add_address(self, interface: Interface, text: str) -> Address:
        """One more address ("10.0.3.2/24") on a link. CortenError when it cannot be."""
        address = interface.parse_own(text)
        self._refuse_twice(address)
        interface.addresses.append(address)
        self.changed()
        return address

    def add_prefix(self, interface: Interface, text: str) -> Address:
        """Every address of a prefix ("10.9.0.0/16", "fd09::/64") is ours on a link: what comes for
        any of them is taken and answered from it. CortenError when it cannot be."""
        prefix = interface.parse_prefix(text)
        other: Interface
        for other in self.interfaces:
            address: Address
            for address in other.addresses + other.tentative + other.prefixes:
                if prefix.contains(address.high, address.low) or (
                    address in other.prefixes and address.contains(prefix.high, prefix.low)
                ):
                    raise CortenError(f"prefix={text}: link {other.name} has {address.text()}")
        interface.prefixes.append(prefix)
        self.changed()
        return prefix

    def remove_address(self, interface: Interface, high: int, low: int) -> None:
        """An address is ours no more. Nothing happens where it is not."""
        address: Address
        for address in list(interface.addresses):
            if address.high == high and address.low == low:
                interface.addresses.remove(address)
                self.changed()

    def _refuse_twice(self, address: Address) -> None:
        interface: Interface
        for interface in self.interfaces:
            if interface.owns(address.high, address.low):
                text = format_address(address.high, address.low)
                raise CortenError(f"{text}: link {interface.name} has this address already")

    @cython.ccall
    def changed(self) -> cython.void:
        """A link, address or route came or went: paths are made anew. Connections keep theirs."""
        self._table = None
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
        hop = self.next_hop(remote_high, remote_low, self.owner(local_high, local_low))
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
            self._flow_label(local_high, local_low, remote_high, remote_low),
        )

    @cython.cfunc
    @cython.exceptval(check=False)
    def _flow_label(
        self,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
    ) -> cython.uint:
        """One for each pair of addresses: a keyed hash of them, never 0 (RFC 6437 3)."""
        key: Siphash | None = self._label_key
        if key is None or is_v4(remote_high, remote_low):
            return 0
        hashed: cython.ulonglong = key.words2_4(
            remote_high ^ FLOW_LABEL_KEY, remote_low, local_high, local_low, 0
        )
        label: cython.uint = cython.cast(cython.uint, hashed & 0xFFFFF)
        return label if label != 0 else 1

    def owner(self, high: int, low: int) -> Interface | None:
        """The link that has an address."""
        interface: Interface
        for interface in self.interfaces:
            if interface.owns(high, low):
                return interface
        return None

    def owns(self, high: int, low: int) -> bool:
        """Whether an address is one of our own, on any link."""
        return self.owner(high, low) is not None

    @cython.cfunc
    def _route(
        self, high: cython.ulonglong, low: cython.ulonglong, interface: Interface | None
    ) -> Route | None:
        """The best route to an address; where a link is given, on that link."""
        if self._table is None:
            self._table = self._made_table()
        route: Route
        for route in self._table:
            if (interface is None or route.interface is interface) and route.contains(high, low):
                return route
        return None

    def _made_table(self) -> list[Route]:
        """Subnets, routes and gateways: the longest prefix first, then the lowest metric."""
        found: list[Route] = []
        interface: Interface
        for interface in self.interfaces:
            found += [
                Route((address.high, address.low, address.prefix_len), interface)
                for address in interface.addresses
                if not address.is_auto
            ]
            if interface.has_v6():
                found.append(Route(parse_network("fe80::/10"), interface))
        found += self.routes
        found += [
            Route(
                parse_network("0.0.0.0/0" if is_v4(gateway[0], gateway[1]) else "::/0"),
                interface,
                gateway,
            )
            for interface in self.interfaces
            for gateway in interface.gateways
        ]
        return sorted(found, key=_by_preference)

    def next_hop(
        self, high: int, low: int, interface: Interface | None = None
    ) -> tuple[Interface, int, int] | None:
        """(interface, next hop's address halves) towards an address; on one link, where given."""
        if is_loopback(high, low) or self.owns(high, low):
            return self.loopback(), 0, 0
        route: Route | None = self._route(high, low, interface)
        if route is None or route.is_default():
            link: Interface
            for link in self.interfaces if interface is None else [interface]:
                if link.hops.on_link(high, low):
                    return link, high, low
        if route is None:
            return self._told_router(high, low, interface)
        if not route.has_gateway:
            return route.interface, high, low
        better: Any = route.interface.hops.redirected(high, low)
        if better is not None:
            return route.interface, better[0], better[1]
        return route.interface, route.gateway_high, route.gateway_low

    def _told_router(
        self, high: int, low: int, interface: Interface | None
    ) -> tuple[Interface, int, int] | None:
        """Where no route of ours leads: a router that has told a link of itself (RFC 4861 5.2)."""
        link: Interface
        for link in self.interfaces if interface is None else [interface]:
            better: Any = link.hops.redirected(high, low)
            if better is not None:
                return link, better[0], better[1]
            router: Router | None = None if is_v4(high, low) else link.hops.router()
            if router is not None:
                return link, router.high, router.low
        return None

    def source_address(
        self, high: int, low: int, interface: Interface | None = None
    ) -> Address | None:
        """Which of our addresses to send from (RFC 6724 5, RFC 1122 3.3.4.3); None where no route
        leads there, or the link has no address of the family."""
        hop = self.next_hop(high, low, interface)
        if hop is None:
            return None
        if hop[0].is_loopback:
            prefix_len = 32 if is_v4(high, low) else 128
            return Address(f"{format_address(high, low)}/{prefix_len}")
        return choose_source(hop[0].addresses, (high, low), (hop[1], hop[2]))

    def source_for(
        self, high: int, low: int, interface: Interface | None = None
    ) -> tuple[int, int]:
        """`source_address`, as its halves. CortenError where there is none."""
        hop = self.next_hop(high, low, interface)
        if hop is None:
            raise CortenError(f"no route to {format_address(high, low)}: add gateway=… to a link")
        found = self.source_address(high, low, interface)
        if found is None:
            family = "an IPv4" if is_v4(high, low) else "an IPv6"
            raise CortenError(f"link {hop[0].name} has no address to send from: add {family} one")
        return found.high, found.low

    def sort(self, destinations: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """A peer's addresses, the one to try first at the front (RFC 6724 6)."""
        return sort_destinations(destinations, self.source_address)


def _no_loopback() -> Interface:
    raise CortenError("our own address: a stack that is given none has no loopback")


def _by_preference(route: Route) -> tuple[int, int]:
    return -route.prefix_len, route.metric
