"""The UDP of one stack: which endpoint a datagram is for, and what is to be done in this breath.

Endpoints with a peer lie in a table by the keyed hash of their flow; those without by their port,
an exact address before any. Both are known to the other workers by a hash (`exchange`), so that
what reaches the wrong queue is handed to the worker that has the endpoint.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.core.table import FlowTable
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.ip.identification import Identification
from cython.cimports.corten.ip.packet import Outgoing
from cython.cimports.corten.ip.route import RouteTable
from cython.cimports.corten.ip.steering import Steering
from cython.cimports.corten.udp.port import EVENT_ERROR, Port
from cython.cimports.corten.wire.ipv4 import PROTOCOL_UDP
from cython.cimports.corten.wire.udp import Udp

from corten.endpoint.error import CortenError
from corten.wire.address import format_address, parse_address

if not cython.compiled:
    NAMES_MAX = 4096
    PROTOCOL_SHIFT = 32  # in the hash's word of ports: no UDP flow has the hash of a TCP one


@cython.final
@cython.cclass
class UdpHost:
    """What all endpoints of one stack share, and the datagram in hand."""

    now: cython.longlong
    counters: Counters
    routes: RouteTable
    exchange: Exchange
    loop: Any  # what endpoints call their worker
    packet: Outgoing
    udp: Udp  # the datagram in hand …
    remote_high: cython.ulonglong  # … and its addresses
    remote_low: cython.ulonglong
    local_high: cython.ulonglong
    local_low: cython.ulonglong
    live: cython.Py_ssize_t  # endpoints that are open
    active: list  # Ports with events
    sending: list  # Ports with datagrams to send
    send_at: cython.Py_ssize_t  # how far this breath's output pass got
    refused: list  # Ports that are to hear when there is room again
    _table: FlowTable  # Ports with a peer
    _ports: list  # Port by id
    _free_ids: list
    _bound: dict  # port -> list of Ports without a peer
    _key: Siphash
    _secret: Siphash
    _chance: Chance
    _names: dict  # (high, low) -> text
    _anywhere: Steering
    _addresses: dict  # text -> (high, low)

    def __init__(
        self,
        counters: Counters,
        routes: RouteTable,
        exchange: Exchange,
        chance: Chance,
        key: Siphash,
        secret: Siphash,
        identification: Identification,
    ) -> None:
        """`key` hashes flows and is the same for all workers of a group; so is `secret`."""
        self.now = 0
        self.counters = counters
        self.routes = routes
        self.exchange = exchange
        self.loop = None
        self.packet = Outgoing(identification)
        self.udp = Udp()
        self.remote_high = self.remote_low = 0
        self.local_high = self.local_low = 0
        self.live = 0
        self.active = []
        self.sending = []
        self.send_at = 0
        self.refused = []
        self._table = FlowTable()
        self._ports = []
        self._free_ids = []
        self._bound = {}
        self._key = key
        self._secret = secret
        self._chance = chance
        self._names = {}
        self._anywhere = Steering()
        self._addresses = {}

    def start(self, now: int, loop: object) -> None:
        """The loop that endpoints belong to, and the clock's first instant."""
        self.now = now
        self.loop = loop

    # -- finding ----------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(check=False)
    def flow_hash(
        self,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        remote_port: cython.uint,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        local_port: cython.uint,
    ) -> cython.ulonglong:
        """The keyed hash of a flow, the same on every worker of a group."""
        ports: cython.ulonglong = PROTOCOL_UDP
        ports = (ports << PROTOCOL_SHIFT) | (
            (cython.cast(cython.ulonglong, remote_port) << 16) | local_port
        )
        return self._key.flow(remote_high, remote_low, local_high, local_low, ports)

    @cython.cfunc
    @cython.exceptval(check=False)
    def port_hash(self, local_port: cython.uint) -> cython.ulonglong:
        """The hash of a port without a peer."""
        return self.flow_hash(0, 0, 0, 0, 0, local_port)

    @cython.cfunc
    def find_connected(
        self, remote_port: cython.uint, local_port: cython.uint, flow_hash: cython.ulonglong
    ) -> Port | None:
        """The endpoint of the flow in hand whose peer is fixed."""
        position: cython.longlong = self._table.first(flow_hash)
        while position >= 0:
            port: Port = cython.cast(Port, self._ports[self._table.value_at(position)])
            if (
                port.remote_port == remote_port
                and port.local_port == local_port
                and port.remote_low == self.remote_low
                and port.local_low == self.local_low
                and port.remote_high == self.remote_high
                and port.local_high == self.local_high
            ):
                return port
            position = self._table.next(flow_hash, position)
        return None

    @cython.cfunc
    def find_bound(self, local_port: cython.uint) -> Port | None:
        """The endpoint without a peer at a local port: an exact address before any."""
        candidates = self._bound.get(local_port)
        if candidates is None:
            return None
        anybody: Port | None = None
        port: Port
        for port in candidates:
            if port.any_address:
                anybody = port
            elif port.local_low == self.local_low and port.local_high == self.local_high:
                return port
        return anybody

    # -- registering ------------------------------------------------------------------------

    @cython.cfunc
    def register(self, port: Port) -> cython.void:
        """Give an endpoint its place. CortenError where somebody has it."""
        if port.is_connected:
            self._register_connected(port)
        else:
            self._register_bound(port)
        port.is_open = True
        self.live += 1
        self.exchange.opened(port.hash)

    @cython.cfunc
    def _register_connected(self, port: Port) -> cython.void:
        port.hash = self.flow_hash(
            port.remote_high,
            port.remote_low,
            port.remote_port,
            port.local_high,
            port.local_low,
            port.local_port,
        )
        self._take_flow_of(port)
        if self.find_connected(port.remote_port, port.local_port, port.hash) is not None:
            raise CortenError(f"UDP port {port.local_port} is in use towards that peer")
        if self._free_ids:
            port.id = self._free_ids.pop()
            self._ports[port.id] = port
        else:
            port.id = len(self._ports)
            self._ports.append(port)
        self._table.insert(port.hash, port.id)

    @cython.cfunc
    def _register_bound(self, port: Port) -> cython.void:
        port.hash = self.port_hash(port.local_port)
        at_port: list = self._bound.setdefault(port.local_port, [])
        other: Port
        for other in at_port:
            if (port.any_address and other.any_address) or (
                port.any_address == other.any_address
                and port.local_low == other.local_low
                and port.local_high == other.local_high
            ):
                raise CortenError(f"UDP port {port.local_port} is in use by another endpoint")
        at_port.append(port)

    @cython.cfunc
    def remove(self, port: Port) -> cython.void:
        """Take an endpoint off its place; what it queued still leaves."""
        if not port.is_open:
            return
        port.is_open = False
        self.live -= 1
        self.exchange.closed(port.hash)
        if port.is_connected:
            self._table.remove(port.hash, port.id)
            self._ports[port.id] = None
            self._free_ids.append(port.id)
            port.id = -1
            return
        at_port: list = self._bound[port.local_port]
        at_port.remove(port)
        if not at_port:
            del self._bound[port.local_port]

    @cython.cfunc
    def free_port(self, port: Port, steering: Steering) -> cython.void:
        """Give an endpoint a local port by chance (RFC 6056 3.3.1; RFC 5452 9.2: as hard to guess
        as the secret): one that no worker of the group has, and of those one with which `steering`
        brings its peer's answers here."""
        if not self._find_port(port, steering) and not self._find_port(port, self._anywhere):
            raise CortenError("no UDP port is free: close endpoints, or add an address")

    @cython.cfunc
    def _find_port(self, port: Port, steering: Steering) -> cython.bint:
        """Whether one of the ports that `steering` names is free; the endpoint then has it."""
        count: cython.ulonglong = steering.begin(
            PROTOCOL_UDP,
            port.remote_high,
            port.remote_low,
            port.remote_port,
            port.local_high,
            port.local_low,
        )
        drawn: cython.ulonglong = self._secret.words2_4(
            self._chance.next64(), self.live, port.remote_high, port.remote_low, port.remote_port
        )
        start: cython.ulonglong = drawn % count
        self._take_flow_of(port)
        i: cython.ulonglong
        for i in range(count):
            number: cython.uint = steering.port(cython.cast(cython.longlong, (start + i) % count))
            if number == 0 or self._bound.get(number) is not None:
                continue
            if self.exchange.is_elsewhere(self.port_hash(number)):
                continue
            if port.is_connected and self._is_taken(port, number):
                continue
            port.local_port = number
            return True
        return False

    @cython.cfunc
    def _take_flow_of(self, port: Port) -> cython.void:
        """Take an endpoint's addresses in hand."""
        self.remote_high, self.remote_low = port.remote_high, port.remote_low
        self.local_high, self.local_low = port.local_high, port.local_low

    @cython.cfunc
    def _is_taken(self, port: Port, number: cython.uint) -> cython.bint:
        """Whether the flow from this local port has an endpoint, here or on another worker."""
        flow_hash: cython.ulonglong = self.flow_hash(
            port.remote_high,
            port.remote_low,
            port.remote_port,
            port.local_high,
            port.local_low,
            number,
        )
        if self.find_connected(port.remote_port, number, flow_hash) is not None:
            return True
        return self.exchange.is_elsewhere(flow_hash)

    def endpoints(self) -> list[Port]:
        """Every endpoint that is open."""
        bound = [port for at_port in self._bound.values() for port in at_port]
        return bound + [port for port in self._ports if port is not None]

    # -- work of this breath ----------------------------------------------------------------

    @cython.cfunc
    def mark(self, port: Port, event: cython.uint) -> cython.void:
        """The endpoint's handler is to hear of something."""
        port.events |= event
        if not port.active:
            port.active = True
            self.active.append(port)

    @cython.cfunc
    def tell_error(self, port: Port, error: OSError, peer: tuple, most: cython.int) -> cython.bint:
        """Queue an `on_error`; False when `most` wait already."""
        if not port.doors.wants_error:
            return True
        if port.errors is None:
            port.errors = []
        if len(port.errors) >= most:
            return False
        port.errors.append((error, peer))
        self.mark(port, EVENT_ERROR)
        return True

    # -- addresses as text ------------------------------------------------------------------

    @cython.cfunc
    def name_of(self, high: cython.ulonglong, low: cython.ulonglong) -> str:
        """The text of an address; the same peers come again and again."""
        key = (high, low)
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            name = self._names[key] = format_address(high, low)
        return name

    @cython.cfunc
    def address_of(self, text: object) -> tuple:
        """(high, low) of an address's text. CortenError when it is none."""
        known = self._addresses.get(text)
        if known is None:
            try:
                known = parse_address(str(text))
            except ValueError as error:
                raise CortenError(str(error)) from None
            if len(self._addresses) >= NAMES_MAX:
                self._addresses.clear()
            self._addresses[text] = known
        return known
