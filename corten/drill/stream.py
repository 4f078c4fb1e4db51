"""One connection behind a socket: a handler that keeps everything for whoever reads later.

Strategy. The connection is paused from the first moment, so that what arrives stays in the stack
and counts against the receive window until a `read` takes it. What a connection still held when it
ended is kept here.

Rules. `on_close` says with which errno it ended. After `close(fd)` nobody reads any more: data that
comes is answered by a reset (RFC 9293 3.6, SHLD-3).
"""

from __future__ import annotations

import errno as numbers
from typing import TYPE_CHECKING, Any

from corten.drill.pattern import pattern
from corten.drill.reader import take
from corten.endpoint.handler import Handler

if TYPE_CHECKING:
    from corten.drill.sockets import Socket

STATES = {
    "ESTABLISHED": 1, "SYN-SENT": 2, "SYN-RECEIVED": 3, "FIN-WAIT-1": 4, "FIN-WAIT-2": 5,
    "TIME-WAIT": 6, "CLOSED": 7, "CLOSE-WAIT": 8, "LAST-ACK": 9, "LISTEN": 10, "CLOSING": 11,
}  # fmt: skip


def errno_of(error: Exception | None) -> str:
    """The name of the errno that BSD sockets would report; "" for an orderly end."""
    if error is None:
        return ""
    if isinstance(error, OSError) and error.errno is not None:
        return numbers.errorcode.get(error.errno, "EIO")
    if isinstance(error, ConnectionRefusedError):
        return "ECONNREFUSED"
    if isinstance(error, ConnectionResetError):
        return "ECONNRESET"
    if isinstance(error, TimeoutError):
        return "ETIMEDOUT"
    if isinstance(error, ConnectionAbortedError):
        return "ECONNABORTED"
    return "EIO"


class Stream(Handler):
    """What a socket knows of its connection."""

    def __init__(self, owner: Socket | None = None) -> None:
        self.owner = owner  # of a client; an accepted one gets its socket later
        self.connection: Any = None
        self.is_open = False
        self.is_over = False
        self.error = ""  # errno's name, once it ended badly; taken by whoever reports it
        self.failure = ""  # the same, kept
        self.left = b""  # what was not read when the connection ended
        self.eof_at_end = False
        self.last_state = "CLOSED"
        self.is_detached = False  # close(fd) was called
        self.written = 0  # octets the application wrote
        self.own_octets: dict[int, bytes] = {}  # where it wrote others than the pattern's
        self.read_at = 1  # position of the next octet to be read

    # -- events -----------------------------------------------------------------------------

    def on_open(self, connection: Any) -> None:
        self.connection = connection
        self.is_open = True
        if self.is_detached:
            connection.abort()
        else:
            connection.pause()

    def on_data(self, connection: Any, data: bytes) -> None:
        connection.abort()  # nobody will read it (SHLD-3)

    def on_eof(self, connection: Any) -> None:
        """The application closes when it wants to."""

    def on_timeout(self, connection: Any) -> None:
        """No such timer is set here."""

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.connection = connection
        self.eof_at_end = bool(connection.fin_received)
        self.left = connection.read_all()
        self.is_over = True
        self.error = self.failure = errno_of(error)

    # -- questions --------------------------------------------------------------------------

    def ready_len(self) -> int:
        """Octets that can be read."""
        if self.connection is None:
            return 0
        if self.is_over:
            return len(self.left)
        return int(self.connection.retained_len + self.connection.slices_len)

    def at_eof(self) -> bool:
        """Whether the peer has finished and everything is read."""
        if self.ready_len():
            return False
        if self.is_over:
            return True
        return bool(self.connection is not None and self.connection.fin_received)

    def has_met(self) -> bool:
        """Whether the peer's SYN has come."""
        return self.is_open or (self.connection is not None and self.state() == "SYN-RECEIVED")

    def queued_len(self) -> int:
        """Octets written and not yet acknowledged."""
        return 0 if self.is_over or self.connection is None else int(self.connection.queued_len())

    def state(self) -> str:
        """The connection's state, as RFC 9293 names it."""
        if self.connection is None:
            return "CLOSED"
        return str(self.connection.info()["state"])

    # -- octets -----------------------------------------------------------------------------

    def take(self, length: int) -> bytes:
        """Read up to so many octets."""
        if self.is_over:
            data, self.left = self.left[:length], self.left[length:]
        else:
            data = take(self.connection, length)
        self.read_at += len(data)
        return data

    def look(self, length: int) -> bytes:
        """The same octets, left where they are."""
        if self.is_over:
            return self.left[:length]
        parts = self.connection.retained or []
        return b"".join(parts)[self.connection.retained_at :][:length]

    def write(self, data: bytes | None, length: int) -> None:
        """Send the pattern's next octets, or others."""
        position = 1 + self.written
        if data is not None:
            self.own_octets[position] = data
        self.written += length
        self.connection.send(pattern(position, length) if data is None else data)

    def content(self, position: int, length: int) -> bytes:
        """What the application wrote at a position of the stream."""
        octets = bytearray(pattern(position, length))
        for start, data in self.own_octets.items():
            low, high = max(start, position), min(start + len(data), position + length)
            if low < high:
                octets[low - position : high - position] = data[low - start : high - start]
        return bytes(octets)

    def state_number(self) -> int:
        """The state as Linux counts it in tcpi_state."""
        return STATES.get(self.state(), 7)
