"""The application of a trace: it records what happens, and does what the script says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corten.endpoint.handler import Handler

if TYPE_CHECKING:
    from corten.sim.script import Trace


class App(Handler):
    """Records what happens to a connection, and lets a trace act on it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.connection: Any = None
        self.data = bytearray()
        self.events: list[str] = []
        self.error: Exception | None = None
        self.troubles: list[Exception] = []

    def on_open(self, connection: Any) -> None:
        self.connection = connection
        self.events.append("open")

    def on_data(self, connection: Any, data: bytes) -> None:
        self.data += data
        if not self.events or self.events[-1] != "data":
            self.events.append("data")

    def on_writable(self, connection: Any) -> None:
        self.events.append("writable")

    def on_eof(self, connection: Any) -> None:
        self.events.append("eof")

    def on_trouble(self, connection: Any, error: Exception) -> None:
        self.troubles.append(error)

    def on_timeout(self, connection: Any) -> None:
        self.events.append("timeout")

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.events.append("close")
        self.error = error

    @property
    def is_closed(self) -> bool:
        return "close" in self.events

    def send(self, data: bytes) -> bool:
        taken = bool(self.connection.send(data))
        self.trace.breathe()
        return taken

    def close(self) -> None:
        self.connection.close()
        self.trace.breathe()

    def shutdown(self) -> None:
        self.connection.shutdown()
        self.trace.breathe()

    def abort(self) -> None:
        self.trace.network.checker.allow_reset("stack")
        self.connection.abort()
        self.trace.breathe()

    def pause(self) -> None:
        self.connection.pause()
        self.trace.breathe()

    def resume(self) -> None:
        self.connection.resume()
        self.trace.breathe()
