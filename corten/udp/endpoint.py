"""The endpoint as its handler sees it: `send`, `close`, and what is told of it."""

from __future__ import annotations

import errno
from typing import Any

import cython
from cython.cimports.corten.core.limit import V4_ALL_ONES
from cython.cimports.corten.endpoint.datagram import (
    DatagramHandler,
    datagram_doors_of,
)
from cython.cimports.corten.ip.packet import FRAGMENTS_MAX, fragments_of, may_wait
from cython.cimports.corten.ip.path import DEFAULT_TTL, Path
from cython.cimports.corten.ip.steering import Steering
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import (
    ERRORS_MAX,
    EVENT_CLOSE,
    QUEUED_MAX,
    QUEUED_OCTETS_MAX,
    Port,
    Queued,
    Received,
)
from cython.cimports.corten.wire.address_field import is_loopback, is_v4, low_v4
from cython.cimports.corten.wire.mac_field import BROADCAST_MAC
from cython.cimports.corten.wire.reason import NO_ROUTE, UDP_UNSENT
from cython.cimports.corten.wire.udp import UDP_LEN

from corten.endpoint.error import ConnectionClosed, CortenError
from corten.wire.address import is_host_v4

if not cython.compiled:
    DATAGRAM_MAX_V4 = 65507  # 65,535 less the IP and UDP headers
    DATAGRAM_MAX_V6 = 65527  # 65,535 less the UDP header


@cython.final
@cython.cclass
class UdpEndpoint(Port):
    """One endpoint of a stack. Made by `bind_endpoint`."""

    host: UdpHost
    path: Path | None  # to the fixed peer

    def __init__(self, host: UdpHost, handler: DatagramHandler) -> None:
        Port.__init__(self)
        self.host = host
        self.worker = host.loop
        self.handler = handler
        self.doors = datagram_doors_of(handler)
        self.ttl = DEFAULT_TTL
        self.path = None

    def send(self, data: object, to: object = None, source: object = None) -> bool:
        if self.is_over:
            raise ConnectionClosed
        octets: bytes = cython.cast(bytes, data) if type(data) is bytes else bytes(data)  # type: ignore[call-overload]
        if not self.is_open:
            return False
        host: UdpHost = self.host
        path: Path | None = self.path
        port: cython.uint = self.remote_port
        if path is None or source is not None or to is not None:
            peer: tuple = self._peer_of(to)
            port = peer[2]
            path = self._path_to(peer, source)
        if path is None or port == 0:
            host.counters.add(NO_ROUTE if path is None else UDP_UNSENT)
            self.refused += 1
            return False
        length: cython.Py_ssize_t = len(octets)
        most: cython.Py_ssize_t = DATAGRAM_MAX_V6
        if is_v4(path.remote_high, path.remote_low):
            most = DATAGRAM_MAX_V4
        if length > most:
            raise CortenError(f"a datagram of {length} octets: {most} are the most")
        frames: cython.int = fragments_of(path, length + UDP_LEN, host.now)
        if frames > 1 and not self._may_cut(path, frames, port):
            return False
        if not self._has_room(length) or not may_wait(path, frames, length):
            return self._refuse(path)
        if self.queued is None:
            self.queued = []
        self.queued.append(Queued(octets, path, port))
        self.queued_octets += length
        self.datagrams_out += 1
        self.octets_out += length
        if not self.sending:
            self.sending = True
            host.sending.append(self)
        return True

    @cython.cfunc
    def _has_room(self, length: cython.Py_ssize_t) -> cython.bint:
        if self.queued is None:
            return True
        return len(self.queued) < QUEUED_MAX and self.queued_octets + length <= QUEUED_OCTETS_MAX

    @cython.cfunc
    def _refuse(self, path: Path) -> cython.bint:
        """There is no room: `on_writable` when there is."""
        self.refused += 1
        if not self.is_refused:
            self.is_refused = True
            neighbour = path.neighbour if path.neighbour.mac == 0 else None
            self.host.refused.append((self, neighbour))
        return False

    @cython.cfunc
    def _may_cut(self, path: Path, frames: cython.int, port: cython.uint) -> cython.bint:
        """Whether a datagram larger than the path takes may leave in so many fragments."""
        if self.dont_fragment:
            self.refused += 1
            peer = (self.host.name_of(path.remote_high, path.remote_low), port)
            error = OSError(errno.EMSGSIZE, f"the path takes packets of {path.mtu} octets")
            self.host.tell_error(self, error, peer, ERRORS_MAX)
            return False
        if frames > FRAGMENTS_MAX:
            raise CortenError(
                f"a datagram in {frames} fragments: {FRAGMENTS_MAX} are the most, send less at once"
            )
        return True

    @cython.cfunc
    def _peer_of(self, to: object) -> tuple:
        """(high, low, port) of where a datagram is to go."""
        if to is None:
            if not self.is_connected:
                raise CortenError("to=(address, port) is missing: this endpoint has no peer")
            return self.remote_high, self.remote_low, self.remote_port
        if not isinstance(to, tuple) or len(to) < 2:
            raise CortenError(f"to={to!r}: an (address, port) is wanted")
        text, number = to[0], to[1]
        if not isinstance(number, int) or not 0 <= number <= 65535:
            raise CortenError(f"port {number}: must be between 1 and 65535")
        address: tuple = self.host.address_of(text)
        peer = (address[0], address[1], number)
        if self.is_connected and peer != (self.remote_high, self.remote_low, self.remote_port):
            raise CortenError(f"to={text}:{number}: this endpoint speaks to its peer alone")
        return peer

    @cython.cfunc
    def _path_to(self, peer: tuple, source: object) -> Path | None:
        """The way to a peer; None when there is no route. CortenError for what is no host."""
        high: cython.ulonglong = peer[0]
        low: cython.ulonglong = peer[1]
        check_host(self.host, high, low)
        local = self._source_of(peer, source)
        if local is None:
            return None
        if is_v4(local[0], local[1]) != is_v4(high, low):
            name = self.host.name_of(local[0], local[1])
            raise CortenError(f"to={self.host.name_of(high, low)}: {name} is of the other family")
        path: Path | None = self.host.routes.path(local[0], local[1], high, low, self.host.now)
        if path is not None and is_v4(high, low) and path.interface.is_broadcast(low):
            if not self.broadcast:
                name = self.host.name_of(high, low)
                raise CortenError(f"{name}: bind with broadcast=True to send there")
            path.neighbour.make_static(BROADCAST_MAC)
        return path

    @cython.cfunc
    def _source_of(self, peer: tuple, source: object) -> tuple | None:
        """Our address to send from: the endpoint's, the one asked for, the one that the datagram
        came to which is being answered, or the best (RFC 1122 4.1.3.5)."""
        host: UdpHost = self.host
        if source is not None:
            own: tuple = host.address_of(source)
            bound = (self.local_high, self.local_low)
            if not self.any_address and own != bound:
                raise CortenError(f"source {source}: this endpoint has another address")
            if not host.routes.owns(own[0], own[1]):
                raise CortenError(f"source {source}: not an address of this stack")
            return own
        if not self.any_address:
            return self.local_high, self.local_low
        current: Received | None = self.current
        if (
            current is not None
            and current.remote_low == peer[1]
            and current.remote_high == peer[0]
            and host.routes.owns(current.local_high, current.local_low)
        ):
            return current.local_high, current.local_low
        if host.routes.next_hop(peer[0], peer[1]) is None:
            return None
        return host.routes.source_for(peer[0], peer[1])

    @cython.ccall
    def close(self) -> cython.void:
        if self.is_open:
            self.host.remove(self)
            self.host.mark(self, EVENT_CLOSE)

    @property
    def local(self) -> tuple[str, int]:
        current = self.current
        if current is not None:
            return self.host.name_of(current.local_high, current.local_low), self.local_port
        if self.any_address:
            return "0.0.0.0", self.local_port
        return self.host.name_of(self.local_high, self.local_low), self.local_port

    @property
    def peer(self) -> tuple[str, int] | None:
        if not self.is_connected:
            return None
        return self.host.name_of(self.remote_high, self.remote_low), self.remote_port

    def info(self) -> dict[str, object]:
        """Figures of the endpoint; `path_mtu`, octets of an IP packet, where the peer is fixed."""
        figures: dict[str, object] = {
            "datagrams_in": self.datagrams_in,
            "octets_in": self.octets_in,
            "datagrams_out": self.datagrams_out,
            "octets_out": self.octets_out,
            "dropped": self.dropped,
            "refused": self.refused,
            "received": len(self.received or ()),
            "queued": len(self.queued or ()),
        }
        if self.path is not None:
            figures["path_mtu"] = self.path.send_mtu(self.host.now)
        return figures


@cython.cfunc
def check_host(host: UdpHost, high: cython.ulonglong, low: cython.ulonglong) -> cython.void:
    """CortenError for what is no address of one host, or of all of a link."""
    single: cython.bint = is_loopback(high, low)
    if is_v4(high, low):
        single = single or is_host_v4(low_v4(low)) or low_v4(low) == V4_ALL_ONES
    else:
        single = single or (high >> 56 != 0xFF and (high != 0 or low != 0))
    if not single:
        raise CortenError(f"{host.name_of(high, low)}: not the address of a single host")


def bind_endpoint(
    host: UdpHost,
    port: int,
    handler: DatagramHandler,
    address: str | None,
    peer: tuple[str, int] | None,
    options: dict[str, Any],
) -> UdpEndpoint:
    """An endpoint that is registered. CortenError for what cannot be."""
    if not 0 <= port <= 65535:
        raise CortenError(f"port {port}: must be between 0 (any) and 65535")
    endpoint = UdpEndpoint(host, handler)
    _set_options(endpoint, options)
    _set_addresses(endpoint, address, peer)
    endpoint.local_port = port
    if port == 0:
        host.free_port(endpoint, _steering_of(endpoint))
    host.register(endpoint)
    return endpoint


@cython.cfunc
def _steering_of(endpoint: UdpEndpoint) -> Steering:
    """Of the link to the fixed peer; without one, answers come from anywhere to anywhere."""
    path: Path | None = endpoint.path
    return Steering() if path is None else path.interface.steering


@cython.cfunc
def _set_options(endpoint: UdpEndpoint, options: dict) -> cython.void:
    known = {"ttl": (1, 255), "dscp": (0, 63), "dont_fragment": (0, 1), "broadcast": (0, 1)}
    for name, value in options.items():
        if name not in known:
            raise CortenError(f"no option {name!r}: {', '.join(known)}")
        low, high = known[name]
        if not isinstance(value, int) or not low <= value <= high:
            raise CortenError(f"{name}={value!r}: must be between {low} and {high}")
    endpoint.ttl = options.get("ttl", DEFAULT_TTL)
    endpoint.tos = options.get("dscp", 0) << 2
    endpoint.dont_fragment = options.get("dont_fragment", False)
    endpoint.broadcast = options.get("broadcast", False)


@cython.cfunc
def _set_addresses(endpoint: UdpEndpoint, address: object, peer: object) -> cython.void:
    """This end's address, and the fixed peer's with the way to it."""
    host: UdpHost = endpoint.host
    if address is not None:
        own: tuple = host.address_of(address)
        if not host.routes.owns(own[0], own[1]) and not is_loopback(own[0], own[1]):
            raise CortenError(f"address {address}: not an address of this stack")
        endpoint.any_address = False
        endpoint.local_high, endpoint.local_low = own
    if peer is None:
        return
    there: tuple = endpoint._peer_of(peer)
    if there[2] == 0:
        raise CortenError("port 0: must be between 1 and 65535")
    path: Path | None = endpoint._path_to(there, None)
    if path is None:
        raise CortenError(f"no route to {peer[0]}: add gateway=… to a link")  # type: ignore[index]
    endpoint.any_address = False
    endpoint.local_high, endpoint.local_low = path.local_high, path.local_low
    endpoint.remote_high, endpoint.remote_low, endpoint.remote_port = there
    endpoint.is_connected = True
    endpoint.path = path
