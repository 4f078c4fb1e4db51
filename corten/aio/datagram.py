"""A UDP endpoint as asyncio sees it: one object is Corten's handler and asyncio's transport.

Rules. What the stack has no room for waits here, whole, and leaves when `on_writable` says so; the
water marks count it. `connection_lost` comes once, by `call_soon`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from corten.aio.facade import StackSocket, socket_name
from corten.aio.kick import Kick
from corten.aio.limit import water_marks
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError

LOST_WRITES = 5  # of an endpoint that is over, before the log says so

log = logging.getLogger("asyncio")


class DatagramTransport(DatagramHandler):
    """One UDP endpoint. `begin` gives it what it stands on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, kick: Kick) -> None:
        self._loop = loop
        self._kick = kick
        self._endpoint: Any = None
        self._protocol: Any = None
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._size = 0
        self._stopped = False
        self._closing = False
        self._lost_writes = 0
        self._high, self._low = water_marks(None, None)
        self._sockname: tuple[Any, ...] = ()
        self._peername: tuple[Any, ...] | None = None

    def begin(self, endpoint: Endpoint, protocol: Any) -> None:
        """The endpoint is bound, the protocol made: it hears of it now."""
        self._endpoint, self._protocol = endpoint, protocol
        self._sockname = socket_name(endpoint.local)
        self._peername = socket_name(endpoint.peer) if endpoint.peer is not None else None
        self._guard("connection_made", self)

    # -- the stack's events -------------------------------------------------------------------

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        if not self._closing and self._protocol is not None:
            self._guard("datagram_received", data, socket_name(peer))

    def on_error(self, endpoint: Endpoint, error: OSError, peer: tuple[str, int]) -> None:
        if not self._closing and self._protocol is not None:
            self._guard("error_received", error)

    def on_writable(self, endpoint: Endpoint) -> None:
        while self._waiting:
            data, to = self._waiting[0]
            try:
                if not endpoint.send(data, to):
                    break
            except CortenError as error:
                self._guard("error_received", OSError(str(error)))
            self._waiting.popleft()
            self._size -= len(data)
        if self._stopped and self._size <= self._low:
            self._stopped = False
            self._guard("resume_writing")
        if self._closing and not self._waiting:
            endpoint.close()

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        self._endpoint = None
        self._closing = True
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)

    def _guard(self, name: str, *arguments: object) -> None:
        """Call the protocol; what it raises goes to the loop's exception handler."""
        try:
            getattr(self._protocol, name)(*arguments)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {
                    "message": f"Fatal error: protocol.{name}() call failed.",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self.abort()

    # -- asyncio.DatagramTransport ------------------------------------------------------------

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            name = type(data).__name__
            raise TypeError(f"data argument must be a bytes-like object, not {name!r}")
        if self._peername is not None and addr not in (None, self._peername):
            raise ValueError(f"Invalid address: must be None or {self._peername}")
        if self._closing or self._endpoint is None:
            self._lost_writes += 1
            if self._lost_writes == LOST_WRITES:
                log.warning("sendto() to an endpoint that is closed")
            return
        octets = bytes(data)
        to = tuple(addr[:2]) if addr is not None and self._peername is None else None
        if self._waiting:
            self._keep(octets, to)
            return
        try:
            if not self._endpoint.send(octets, to):
                self._keep(octets, to)
        except CortenError as error:  # as asyncio tells what sendto() raised
            self._guard("error_received", OSError(str(error)))
            return
        self._kick.kick()

    def _keep(self, octets: bytes, to: Any) -> None:
        self._waiting.append((octets, to))
        self._size += len(octets)
        if self._size > self._high and not self._stopped:
            self._stopped = True
            self._guard("pause_writing")

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._endpoint is not None and not self._waiting:
            self._endpoint.close()
            self._kick.kick()

    def abort(self) -> None:
        self._closing = True
        self._waiting.clear()
        self._size = 0
        if self._endpoint is not None:
            self._endpoint.close()
            self._kick.kick()

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high, self._low = water_marks(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._size

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sockname":
            return self._sockname
        if name == "peername":
            return self._peername if self._peername is not None else default
        if name == "socket":
            import socket

            return StackSocket(self._sockname, self._peername, socket.SOCK_DGRAM)
        return default
