"""What an application implements: a handler of one connection's events.

A handler has two doors. The Python door is the `on_…` methods below: override what you need. The
compiled door is `receive`, for handlers that are themselves compiled: it takes octets where they
lie, with `connection.peek`, `consume` and `read_into`; by default it reads all that is ready and
calls `on_data`.

Rules. A handler is made by its factory when the connection is ESTABLISHED, never on a SYN. Its
events come one at a time, in order, from the worker's own loop; `on_close` comes exactly once
after `on_open`. An exception in a handler resets its own connection, is logged, and harms no other.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.endpoint.connection import Connection
from cython.cimports.corten.endpoint.doors import Doors


@cython.cclass
class Handler:
    """The events of one connection. Subclass it; a handler keeps what it needs between events."""

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        """Data is ready (the compiled door): consume what is wanted, what is left stays queued
        and counts against the receive window."""
        data: bytes = connection.read_all()
        if data:
            cython.cast(Doors, connection.doors).on_data(self, connection, data)

    def on_open(self, connection: Connection) -> None:
        """The connection is established; no data has been delivered yet."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        """`data`: the next octets of the stream, in order, at least one."""

    def on_writable(self, connection: Connection) -> None:
        """After `send` returned False: what is queued fell to the low-water mark."""

    def on_eof(self, connection: Connection) -> None:
        """The peer has finished sending. Sending still works; the default closes."""
        connection.close()

    def on_timeout(self, connection: Connection) -> None:
        """The time of `set_timeout` is over; the default aborts."""
        connection.abort()

    def on_trouble(self, connection: Connection, error: Exception) -> None:
        """The connection lives but nothing gets through: a router says why (OSError: host or
        network unreachable, …), or three transmissions went unanswered (TimeoutError). What ends it
        comes in `on_close`. The kernel's connections do not tell."""

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        """Nothing more will happen. `error` is None after an orderly close of both directions."""


_known: dict = {}


@cython.ccall
def doors_of(handler: object) -> Doors:
    """The doors of a handler's class, looked up once. TypeError when it is no Handler."""
    cls = type(handler)
    doors = _known.get(cls)
    if doors is None:
        if not isinstance(handler, Handler):
            raise TypeError(f"{cls.__name__} is not a corten.Handler: make it a subclass")
        doors = _known[cls] = Doors(cls, Handler)
    return doors


@cython.ccall
def hand_over(connection: Connection, handler: object) -> cython.void:
    """From its next event on, the connection is this handler's. TypeError when it is no Handler."""
    doors: Doors = doors_of(handler)
    connection.handler = handler
    connection.doors = doors
