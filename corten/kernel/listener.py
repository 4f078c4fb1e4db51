"""Accepting connections: one listening socket a worker, the kernel shares them out."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.kernel import system
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.connection import KernelConnection
from cython.cimports.corten.kernel.limits import ACCEPT_RETRY_NS, ACCEPTS_A_TURN
from cython.cimports.corten.kernel.system import ADDRESS_LEN

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler

logger = logging.getLogger("corten")

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def bind(address: str, port: int, shared: bool = True) -> socket.socket:
    """A socket bound to an address of this machine, `shared` with the other workers.

    CortenError where the kernel refuses, in words that say what to do.
    """
    if not 0 <= port <= 65535:
        raise CortenError(f"port {port} is out of range: 0 to 65535")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise CortenError(_reason(error, address, port)) from None
    return bound


def claim(address: str, port: int) -> None:
    """See that nobody listens there yet: workers share a port, so it is asked before they start.

    CortenError where somebody does, or where the kernel refuses.
    """
    bind(address, port, shared=False).close()


def _reason(error: OSError, address: str, port: int) -> str:
    where = f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop what listens there, or take another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is no address of this machine: ip address add {address} dev lo"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"not permitted to listen on {where}: take a port above 1023, or run as root"
    if isinstance(error, socket.gaierror):
        return f"{address!r} is not an IP address"
    return f"cannot listen on {where}: {os.strerror(error.errno or 0)}"


@cython.final
@cython.cclass
class Listener:
    """One listening socket of one worker."""

    _breath: Breath
    _socket: socket.socket
    _fd: cython.int
    _factory: Callable[[], Handler]
    _peer: Arena
    address: str
    port: cython.int
    is_open: cython.bint

    def __init__(
        self, breath: Breath, address: str, port: int, factory: Callable[[], Handler], backlog: int
    ) -> None:
        self._breath = breath
        self._factory = factory
        self._peer = Arena(ADDRESS_LEN)
        self._socket = bind(address, port)
        self._socket.listen(backlog)
        self._fd = self._socket.fileno()
        self.address = address
        self.port = self._socket.getsockname()[1]
        self.is_open = True
        breath.epoll.add(self._fd)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        """Accept no more. Calling it again does nothing."""
        if self.is_open:
            self.is_open = False
            self._breath.epoll.remove(self._fd)
            self._socket.close()

    def accept(self) -> None:
        """Take the connections that wait, a bounded number a breath."""
        breath: Breath = self._breath
        for _ in range(ACCEPTS_A_TURN):
            if not self.is_open:
                return
            fd: cython.int = system.accept(self._fd, self._peer)
            if fd < 0:
                if -fd in _EXHAUSTED:
                    self._rest(-fd)
                if -fd in (errno.ECONNABORTED, errno.EINTR):
                    continue
                return
            breath.accepted += 1
            connection: KernelConnection = KernelConnection(
                breath, fd, self._factory, self._peer.octets()
            )
            breath.adopt(fd, connection)
            connection.establish()
            connection.work()

    def _rest(self, number: int) -> None:
        """Out of descriptors or memory: leave the others in the kernel's queue for a while."""
        logger.warning("cannot accept on port %d: %s", self.port, os.strerror(number))
        self._breath.epoll.remove(self._fd)
        self._breath.timers.arm(self._breath.now + ACCEPT_RETRY_NS, self._resume)

    def _resume(self) -> None:
        if self.is_open:
            self._breath.epoll.add(self._fd)


class Listening:
    """What one `listen` began: a socket for each address."""

    def __init__(self, listeners: list[Listener], stop: Callable[[list[Listener]], object]) -> None:
        self._listeners = listeners
        self._stop = stop
        self.port = int(listeners[0].port)

    def close(self) -> None:
        """Accept no more. Calling it again does nothing."""
        self._stop(self._listeners)
