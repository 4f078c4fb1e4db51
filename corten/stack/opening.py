"""Opening: what `listen` and `connect` of a stack are given, checked, and turned into listeners
and connections (RFC 9293 3.9.1, 3.10.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.endpoint.connection import Connection
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.endpoint.handler import doors_of
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.ip.route import RouteTable
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.connection import TcpConnection
from cython.cimports.corten.tcp.ephemeral import EphemeralPorts
from cython.cimports.corten.tcp.handshake import open_active
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.wire.address_field import is_loopback, is_v4, low_v4
from cython.cimports.corten.wire.ipv6 import is_source_v6

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.wire.address import is_host_v4, parse_address

SECONDS = {  # options in seconds, and the settings they make
    "timeout": "syn_timeout_ns",
    "user_timeout": "user_timeout_ns",
    "keepalive": "keepalive_ns",
    "keepalive_interval": "keepalive_interval_ns",
    "linger": "linger_ns",
}
KEEPALIVE_SECONDS = 7200  # keepalive=True (MUST-28)


@cython.final
@cython.cclass
class Opener:
    """Who opens for one stack. Every error is a CortenError that says what to do."""

    host: TcpHost
    routes: RouteTable
    _ports: EphemeralPorts

    def __init__(self, host: TcpHost, chance: Chance) -> None:
        self.host = host
        self.routes = host.routes
        self._ports = EphemeralPorts(host, chance)

    def listen(
        self, port: int, factory: Callable[[], Handler], address: str | None, options: dict
    ) -> Listener:
        """LISTEN on a port, at one local address or at all of them."""
        if not 1 <= port <= 65535:
            raise CortenError(f"port {port}: must be between 1 and 65535")
        try:
            local = parse_address(address) if address is not None else None
        except ValueError as error:
            raise CortenError(str(error)) from None
        config: Config = self.host.config.with_settings(_settings(options))
        at_port: list = self.host.listeners.setdefault(port, [])
        other: Listener
        for other in at_port:
            if (
                local is None
                or other.any_address
                or (other.address_high, other.address_low) == local
            ):
                raise CortenError(f"port {port} is in use by another listener of this stack")
        listener = Listener(self.host, port, factory, local, config)
        at_port.append(listener)
        return listener

    def drain(self, open_ones: list) -> None:
        """Close every listener, and what is open when what it has queued is gone."""
        for at_port in list(self.host.listeners.values()):
            for listener in list(at_port):
                listener.close()
        for connection in open_ones:
            connection.close()

    def connect(
        self, address: str, port: int, factory: Callable[[], Handler], options: dict
    ) -> Connection:
        """SYN-SENT towards `address`, with a handler made at once."""
        if not 1 <= port <= 65535:
            raise CortenError(f"port {port}: must be between 1 and 65535")
        source: Any = options.pop("source", None) or (None, None)
        path: Path = self.path(address, source[0])
        if self.host.live >= self.host.config.connections_max:
            raise CortenError(f"{self.host.live} connections are open: see connections_max")
        config: Config = self.host.config.with_settings(_settings(options))
        local_port, flow_hash = self._local_port(path, port, address, source[1])
        handler = factory()
        doors: Doors = doors_of(handler)
        connection: TcpConnection = open_active(
            self.host, path, config, local_port, port, flow_hash, self.host.moment()
        )
        connection.attach(handler, doors)
        path.neighbour.watch(connection)
        return connection

    def path(self, address: str, source: str | None) -> Path:
        """The way to an address, from `source` or the best of ours. A link-local address may name
        its link: fe80::1%link."""
        text, percent, zone = address.partition("%")
        try:
            high, low = parse_address(text)
        except ValueError as error:
            raise CortenError(str(error)) from None
        link = self._zone(zone, address) if percent else None
        if not _is_host(high, low) and not is_loopback(high, low):
            raise CortenError(f"{address}: not the address of a single host")  # MUST-46
        local = self._source(source, high, low, link)
        path: Path | None = self.routes.path(local[0], local[1], high, low, self.host.moment())
        if path is None:
            raise CortenError(f"no route to {address}: add gateway=… to a link")
        if is_v4(high, low) and path.interface.is_broadcast(low):
            raise CortenError(f"{address}: not the address of a single host")
        return path

    def _zone(self, zone: str, address: str) -> Interface:
        """The link that a link-local address names, by name or by number (RFC 4007 11.2)."""
        interface: Interface
        for interface in self.routes.interfaces:
            if zone in (interface.name, str(interface.index)):
                return interface
        names = ", ".join(interface.name for interface in self.routes.interfaces)
        raise CortenError(f"{address}: no link {zone!r}; there are {names}")

    def _source(
        self, address: str | None, high: int, low: int, link: Interface | None
    ) -> tuple[int, int]:
        """Our end's address: the one asked for, which must be ours, or the best one."""
        if address is None:
            return self.routes.source_for(high, low, link)
        try:
            own = parse_address(address)
        except ValueError as error:
            raise CortenError(f"source: {error}") from None
        owner = self.routes.owner(own[0], own[1])
        if owner is None and is_loopback(own[0], own[1]) and is_loopback(high, low):
            return own
        if owner is None or (link is not None and owner is not link):
            raise CortenError(f"source {address}: not an address of this stack")
        if is_v4(own[0], own[1]) != is_v4(high, low):
            raise CortenError(f"source {address}: of the other family")
        return own

    def _local_port(
        self, path: Path, port: int, address: str, wanted: int | None
    ) -> tuple[int, int]:
        """Our end's port, the one asked for or an ephemeral one, and the hash of the flow."""
        if not wanted:
            free: int = self._ports.choose(path, port)
            if free == 0:
                raise CortenError(f"no free local port towards {address}:{port}: add an address")
            return free, self.host.hash_path(path, free, port)
        if not 1 <= wanted <= 65535:
            raise CortenError(f"source port {wanted}: must be between 1 and 65535")
        flow_hash = self.host.hash_path(path, wanted, port)
        if self.host.in_use(path, wanted, port, flow_hash):
            raise CortenError(f"source port {wanted} is in use towards {address}:{port}")
        return wanted, flow_hash


def _is_host(high: int, low: int) -> bool:
    """Whether an address can be a single other host's: no group, not unspecified, no loopback."""
    if is_v4(high, low):
        return is_host_v4(low_v4(low))
    return is_source_v6(high, low) and not high == low == 0


def _settings(options: dict) -> dict:
    """Config's settings from the options of a call: those in seconds become nanoseconds."""
    settings = dict(options)
    for name, setting in SECONDS.items():
        value = settings.pop(name, None)
        if value is None:
            continue
        if name == "keepalive" and value is True:
            value = KEEPALIVE_SECONDS
        try:
            settings[setting] = int(float(value) * 1e9)
        except (TypeError, ValueError, OverflowError):
            raise CortenError(f"{name}={value!r}: a number of seconds") from None
    return settings
