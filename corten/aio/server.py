"""What `create_server` answers: asyncio's Server over the stack's listeners.

`wait_closed` waits as the Python that runs it has it: for every connection since 3.12, and no
longer than for `close` before.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from corten.aio.facade import StackSocket

WAITS_FOR_CONNECTIONS = sys.version_info >= (3, 12)

Begin = Callable[["Server"], list[tuple[Any, StackSocket]]]


class Server(asyncio.AbstractServer):
    """Listeners that begin and end together, and the connections that came to them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Begin) -> None:
        """`begin(server)` opens the listeners; each with the socket that stands for it. They are
        closed again until `listen_now`, so that the ports are known, and known to be free."""
        self._loop = loop
        self._begin = begin
        self._sockets: list[StackSocket] | None = []
        self._listening: list[Any] = []
        self._transports: dict[int, Any] = {}  # by id: a transport is not hashed by its value
        self._waiters: list[asyncio.Future[None]] | None = []
        self._closed = False
        self._serving_forever: asyncio.Future[None] | None = None

    # -- what the transports tell ---------------------------------------------------------------

    def attach(self, transport: Any) -> None:
        self._transports[id(transport)] = transport

    def detach(self, transport: Any) -> None:
        self._transports.pop(id(transport), None)
        self._may_wake()

    # -- asyncio.Server -------------------------------------------------------------------------

    @property
    def sockets(self) -> tuple[StackSocket, ...]:
        return tuple(self._sockets or ())

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return bool(self._listening)

    def listen_now(self) -> None:
        """Accept from here on. OSError where the port is taken."""
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        if not self._listening:
            opened = self._begin(self)
            self._listening = [listener for listener, _ in opened]
            self._sockets = [bound for _, bound in opened]

    def bind(self) -> None:
        """Choose the ports, and accept nothing yet. OSError where one is taken."""
        self.listen_now()
        self._stop_listening()

    def _stop_listening(self) -> None:
        for listener in self._listening:
            listener.close()
        self._listening = []

    async def start_serving(self) -> None:
        self.listen_now()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        if self._serving_forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._closed:
            raise RuntimeError(f"server {self!r} is closed")
        self.listen_now()
        self._serving_forever = self._loop.create_future()
        try:
            await self._serving_forever
        except asyncio.CancelledError:
            try:
                self.close()
                await self.wait_closed()
            finally:
                raise
        finally:
            self._serving_forever = None

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_listening()
        self._sockets = None
        waiting = self._serving_forever
        if waiting is not None and not waiting.done():
            waiting.cancel()
        self._serving_forever = None
        self._may_wake()

    def close_clients(self) -> None:
        """Close every connection (Python 3.13)."""
        for transport in list(self._transports.values()):
            transport.close()

    def abort_clients(self) -> None:
        """Reset every connection (Python 3.13)."""
        for transport in list(self._transports.values()):
            transport.abort()

    async def wait_closed(self) -> None:
        if self._waiters is None or (self._closed and not WAITS_FOR_CONNECTIONS):
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _may_wake(self) -> None:
        if not self._closed or self._transports or self._waiters is None:
            return
        waiters, self._waiters = self._waiters, None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def __repr__(self) -> str:
        return f"<Server sockets={self.sockets!r}>"
