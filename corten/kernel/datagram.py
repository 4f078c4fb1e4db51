"""UDP endpoints over the kernel's sockets: one for each address, non-blocking, no queue of ours.

Rules. As on the stack: an exception in a handler closes its own endpoint and is logged. A socket
that is full says False; `on_writable` follows in the next breath. ICMP errors are told of a fixed
peer only: of others the kernel says nothing.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from corten.endpoint.datagram import DatagramDoors, DatagramHandler, Endpoint, datagram_doors_of
from corten.endpoint.error import ConnectionClosed, CortenError

if TYPE_CHECKING:
    from corten.kernel.worker import KernelWorker

log = logging.getLogger("corten")

DATAGRAM_MAX = 65535
RECEIVES_A_TURN = 64
UDP_OPTIONS = ("ttl", "dscp", "dont_fragment", "broadcast")
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.EMSGSIZE)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)
_IP_MTU_DISCOVER = 10
_DISCOVER_DO, _DISCOVER_WANT = 2, 1


class KernelEndpoint(Endpoint):
    """One endpoint of one worker."""

    def __init__(
        self,
        worker: KernelWorker,
        port: int,
        handler: DatagramHandler,
        addresses: Sequence[str],
        peer: tuple[str, int] | None,
        options: dict[str, Any],
    ) -> None:
        self.worker = worker
        self.handler = handler
        self._doors: DatagramDoors = datagram_doors_of(handler)
        self._handler: DatagramHandler | None = handler
        self._loop = worker
        self._peer = peer
        self._sockets: dict[str, socket.socket] = {}
        self._current: str | None = None  # the address of the datagram that is being told
        self._figures = dict.fromkeys(
            ("datagrams_in", "octets_in", "datagrams_out", "octets_out"), 0
        )
        self._refused = 0
        self._waits = False
        try:
            for address in addresses:
                self._sockets[address] = _open(address, port, peer, options)
                port = self._sockets[address].getsockname()[1]
        except OSError as error:
            self._shut()
            raise CortenError(f"UDP {address}:{port}: {error.strerror or error}") from None
        self._port = port
        for address, end in self._sockets.items():
            worker.watch(end.fileno(), self._reader(address, end))

    def _reader(self, address: str, end: socket.socket) -> Callable[[], None]:
        return lambda: self._receive(address, end)

    def _receive(self, address: str, end: socket.socket) -> None:
        """Take what has come, a bounded number a breath."""
        for _ in range(RECEIVES_A_TURN):
            if end.fileno() < 0:
                return
            try:
                data, peer = end.recvfrom(DATAGRAM_MAX)[:2]
            except BlockingIOError:  # silent: that was all
                return
            except OSError as error:
                if self._peer is not None:
                    self._tell(self._doors.on_error, error, self._peer)
                continue
            self._figures["datagrams_in"] += 1
            self._figures["octets_in"] += len(data)
            self._current = address
            self._tell(self._doors.on_datagram, data, peer[:2])
            self._current = None

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        if self._handler is None:
            return
        try:
            function(self._handler, self, *arguments)
        except Exception as error:
            log.error("handler of UDP port %d failed: closed", self._port, exc_info=error)
            self._end(error)

    def send(self, data: object, to: object = None, source: object = None) -> bool:
        if self._handler is None:
            raise ConnectionClosed
        if not self._sockets:
            return False
        if to is None and self._peer is None:
            raise CortenError("to=(address, port) is missing: this endpoint has no peer")
        if to is not None and self._peer is not None and to != self._peer:
            raise CortenError(f"to={to}: this endpoint speaks to its peer alone")
        address = source or self._current or next(iter(self._sockets))
        if address not in self._sockets:
            raise CortenError(f"source {address}: this endpoint has another address")
        end = self._sockets[str(address)]
        octets = bytes(data)  # type: ignore[call-overload]
        try:
            if self._peer is None:
                end.sendto(octets, to)  # type: ignore[call-overload]
            else:
                end.send(octets)
        except OSError as error:
            return self._failed(error, len(octets))
        self._figures["datagrams_out"] += 1
        self._figures["octets_out"] += len(octets)
        return True

    def _failed(self, error: OSError, length: int) -> bool:
        """A send that the kernel did not take."""
        self._refused += 1
        if error.errno == errno.EMSGSIZE and length > 65507:
            raise CortenError(f"a datagram of {length} octets: 65507 are the most") from None
        if error.errno == errno.ECONNREFUSED:
            self._loop.call_soon(self._tell, self._doors.on_error, error, self._peer)
            return False
        if error.errno in _FULL and not self._waits:
            self._waits = True
            self._loop.call_soon(self._writable)
        if error.errno in _FULL or error.errno in _NO_WAY:
            return False
        raise CortenError(f"UDP port {self._port}: {error.strerror}") from None

    def _writable(self) -> None:
        self._waits = False
        if self._sockets:
            self._tell(self._doors.on_writable)

    def close(self) -> None:
        if self._sockets:
            self._shut()
            self._loop.call_soon(self._end, None)

    def _shut(self) -> None:
        for end in self._sockets.values():
            if self._handler is not None and end.fileno() >= 0:
                self._loop.watch(end.fileno(), None)
            end.close()
        self._sockets = {}

    def _end(self, error: Exception | None) -> None:
        """The last event, once."""
        self._shut()
        handler, self._handler = self._handler, None
        self.handler = None
        self._loop.endpoints.discard(self)
        if handler is None:
            return
        try:
            self._doors.on_close(handler, self, error)
        except Exception as failure:
            log.error("on_close of UDP port %d failed", self._port, exc_info=failure)

    @property
    def local(self) -> tuple[str, int]:
        if self._current is not None:
            return self._current, self._port
        address = next(iter(self._sockets)) if len(self._sockets) == 1 else "0.0.0.0"
        return address, self._port

    @property
    def peer(self) -> tuple[str, int] | None:
        return self._peer

    def info(self) -> dict[str, object]:
        return {**self._figures, "dropped": 0, "refused": self._refused}


def _open(
    address: str, port: int, peer: tuple[str, int] | None, options: dict[str, Any]
) -> socket.socket:
    """A socket bound to an address of this machine, shared with the other workers."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    end = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if port:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if options.get("broadcast"):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        v6 = family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        if "ttl" in options:
            name = socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL
            end.setsockopt(level, name, options["ttl"])
        if "dscp" in options:
            name = socket.IPV6_TCLASS if v6 else socket.IP_TOS
            end.setsockopt(level, name, options["dscp"] << 2)
        if not v6:
            discover = _DISCOVER_DO if options.get("dont_fragment") else _DISCOVER_WANT
            end.setsockopt(level, _IP_MTU_DISCOVER, discover)
        end.bind((address, port))
        if peer is not None:
            end.connect(peer)
    except OSError:
        end.close()
        raise
    return end
