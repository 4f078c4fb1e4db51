"""What listens, by port, on both sides; here as handlers of ours."""

from __future__ import annotations

from typing import Any

from corten.endpoint.handler import Handler

ECHO, DISCARD, CLOSE, SOURCE, ABORT, HALF, NOBODY = 7, 9, 13, 19, 21, 25, 99
GREETING = b"hello\n"
STREAM = bytes(i * 7 & 0xFF for i in range(20_000))


class Echo(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.send(data)


class Discard(Handler):
    def on_data(self, connection: Any, data: bytes) -> None: ...


class Close(Discard):
    def on_open(self, connection: Any) -> None:
        connection.send(GREETING)
        connection.close()


class Source(Discard):
    def on_open(self, connection: Any) -> None:
        connection.send(STREAM)


class Abort(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.abort()


class Half(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.close()


HANDLERS = {
    ECHO: Echo,
    DISCARD: Discard,
    CLOSE: Close,
    SOURCE: Source,
    ABORT: Abort,
    HALF: Half,
}
