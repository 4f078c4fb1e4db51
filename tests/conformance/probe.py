"""A handler that writes down what happens to it, and does what a test tells it to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corten.endpoint.handler import Handler


class Probe(Handler):
    """`events` in order (data that comes in a row is one), `received` all together.

    `then[event](connection, ...)` runs after the event is written down.
    """

    def __init__(self, **then: Callable[..., object]) -> None:
        self.then = then
        self.events: list[str] = []
        self.chunks: list[bytes] = []
        self.error: Exception | None = None
        self.connection: Any = None

    def _happened(self, event: str, connection: Any, *arguments: Any) -> None:
        self.connection = connection
        self.events.append(event)
        if event in self.then:
            self.then[event](connection, *arguments)

    def on_open(self, connection: Any) -> None:
        self._happened("open", connection)

    def on_data(self, connection: Any, data: bytes) -> None:
        self.chunks.append(data)
        if self.events and self.events[-1] == "data":
            self.events.pop()
        self._happened("data", connection, data)

    def on_writable(self, connection: Any) -> None:
        self._happened("writable", connection)

    def on_eof(self, connection: Any) -> None:
        self._happened("eof", connection)
        if "eof" not in self.then:
            super().on_eof(connection)

    def on_timeout(self, connection: Any) -> None:
        self._happened("timeout", connection)
        if "timeout" not in self.then:
            super().on_timeout(connection)

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.error = error
        self._happened("close", connection, error)

    @property
    def received(self) -> bytes:
        self.chunks = [b"".join(self.chunks)]
        return self.chunks[0]

    @property
    def is_closed(self) -> bool:
        return "close" in self.events


class Probes:
    """A factory of probes that all do the same, and the probes it made."""

    def __init__(self, **then: Callable[..., object]) -> None:
        self.then = then
        self.made: list[Probe] = []

    def __call__(self) -> Probe:
        probe = Probe(**self.then)
        self.made.append(probe)
        return probe

    def __getitem__(self, i: int) -> Probe:
        return self.made[i]


class Echo(Handler):
    """Sends back what comes; all else by default."""

    def on_data(self, connection: Any, data: bytes) -> None:
        connection.send(data)
