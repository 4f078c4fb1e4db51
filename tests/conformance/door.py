"""Handlers of the compiled door. Compiled where Corten is, run as it stands where it is not."""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.handler import Handler


class Note:
    """What a handler is to do, and what happened to it."""

    def __init__(self, sip: int = 0) -> None:
        self.sip = sip
        self.sips: list[bytes] = []
        self.left = 0  # octets
        self.ready: list[int] = []  # octets that were ready, at each event
        self.events: list[str] = []
        self.connection: Connection | None = None
        self.error: Exception | None = None


@cython.cclass
class Sipper(Handler):
    """Takes at most `note.sip` octets an event and leaves the rest; takes that at the end."""

    note: Any  # what happened, where the test sees it
    _span: Span

    def __init__(self, note: Note) -> None:
        self.note = note
        self._span = Span()

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        self.note.events.append("data")
        self.note.ready.append(connection.ready_len())
        left: cython.Py_ssize_t = self.note.sip
        while left > 0 and connection.peek(self._span):
            length: cython.Py_ssize_t = min(left, self._span.length)
            self.note.sips.append(read(self._span.memory, self._span.at, length))
            connection.consume(length)
            left -= length
        self.note.left = connection.ready_len()

    def on_open(self, connection: Connection) -> None:
        self.note.connection = connection

    def on_eof(self, connection: Connection) -> None:
        self.note.events.append("eof")
        self.note.sips.append(connection.read_all())
        connection.close()

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.note.events.append("close")
        self.note.error = error

    def sip_again(self) -> None:
        """Read outside an event."""
        self.receive(self.note.connection)


@cython.cclass
class Copier(Handler):
    """Echoes through memory of its own: read_into, then a slice of a Buffer."""

    _target: Arena

    def __init__(self) -> None:
        self._target = Arena(1000)

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        length: cython.Py_ssize_t = connection.read_into(self._target, 7, 993)
        while length > 0:
            whole: Buffer = Buffer(b"before" + read(self._target, 7, length) + b"after")
            connection.send_slice(whole, 6, length)
            length = connection.read_into(self._target, 7, 993)


@cython.cclass
class Greedy(Handler):
    """Takes more than there is."""

    note: Any

    def __init__(self, note: Note) -> None:
        self.note = note

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        connection.consume(connection.ready_len() + 1)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.note.error = error
