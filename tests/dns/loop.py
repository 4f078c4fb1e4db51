"""A loop under virtual time whose network is a function: what the resolver's tests stand on."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from corten.endpoint.connection import Connection
from corten.endpoint.datagram import Endpoint
from corten.endpoint.loop import Loop, TimerHandle


class Timer(TimerHandle):
    def __init__(self, function: Callable[[], object]) -> None:
        self.function: Callable[[], object] | None = function

    def cancel(self) -> None:
        self.function = None


class FakeEndpoint(Endpoint):
    """A connected endpoint: what it sends goes to `loop.on_query`."""

    def __init__(self, loop: FakeLoop, handler: Any, peer: tuple[str, int], port: int) -> None:
        self.loop, self.owner, self.to, self.port = loop, handler, peer, port
        self.open = True

    def send(self, data: Any, to: Any = None, source: Any = None) -> bool:
        assert self.open
        self.loop.queries.append((self.loop.now, self.to[0], bytes(data)))
        self.loop.on_query(self, bytes(data))
        return True

    def answer(self, data: bytes, after: float = 0.01) -> None:
        """The server says `data`."""
        self.loop.call_later(after, self._arrive, data)

    def refuse(self, error: OSError) -> None:
        self.loop.call_later(0.01, self._fail, error)

    def _arrive(self, data: bytes) -> None:
        if self.open:
            self.owner.on_datagram(self, data, self.to)

    def _fail(self, error: OSError) -> None:
        if self.open:
            self.owner.on_error(self, error, self.to)

    def close(self) -> None:
        assert self.open, "closed twice"
        self.open = False


class FakeConnection(Connection):
    """One end; `loop.on_connect` decides what becomes of it."""

    def __init__(self, loop: FakeLoop, address: str, port: int, handler: Any) -> None:
        self.loop, self.address, self.port = loop, address, port
        self.first = handler
        self.sent = b""
        self.state = "opening"

    def owner(self) -> Any:
        return getattr(self, "handler", None) or self.first

    def open(self) -> None:
        if self.state == "opening":
            self.state = "open"
            self.first.on_open(self)

    def end(self, error: Exception | None) -> None:
        if self.state != "closed":
            self.state = "closed"
            self.owner().on_close(self, error)

    def send(self, data: Any) -> bool:
        self.sent += bytes(data)
        self.loop.on_stream(self)
        return True

    def set_timeout(self, seconds: float) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None:
        self.loop.call_soon(self.end, None)

    def abort(self) -> None:
        self.loop.call_soon(self.end, ConnectionAbortedError("aborted"))


class FakeLoop(Loop):
    def __init__(self) -> None:
        self.now = 0.0
        self.queue: list[tuple[float, int, Timer]] = []
        self.serial = 0
        self.queries: list[tuple[float, str, bytes]] = []
        self.endpoints: list[FakeEndpoint] = []
        self.connections: list[tuple[float, FakeConnection]] = []
        self.on_query: Callable[[FakeEndpoint, bytes], None] = lambda endpoint, data: None
        self.on_connect: Callable[[FakeConnection], None] = lambda connection: None
        self.on_stream: Callable[[FakeConnection], None] = lambda connection: None

    def time(self) -> float:
        return self.now

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        self.call_later(0, function, *arguments)

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> Timer:
        timer = Timer(lambda: function(*arguments))
        self.serial += 1
        heapq.heappush(self.queue, (self.now + seconds, self.serial, timer))
        return timer

    def bind(self, port: int, handler: Any, address: Any = None, **options: Any) -> FakeEndpoint:
        assert port == 0
        peer = options["peer"]
        self.endpoints.append(FakeEndpoint(self, handler, peer, 50_000 + len(self.endpoints)))
        return self.endpoints[-1]

    def connect(self, address: str, port: int, factory: Any, **options: Any) -> FakeConnection:
        connection = FakeConnection(self, address, port, factory())
        self.connections.append((self.now, connection))
        self.on_connect(connection)
        return connection

    def run(self, until: float = 1000.0) -> None:
        """Until nothing is due any more; then nothing may be left open."""
        while self.queue and self.queue[0][0] <= until:
            at, _, timer = heapq.heappop(self.queue)
            function, timer.function = timer.function, None
            if function is not None:
                self.now = max(self.now, at)
                function()
