"""A connection as applications see it: an interface, implemented by `tcp/` and by `kernel/`.

Rules. Times at this side are seconds (float), as everywhere in Python. Until `on_close` has been
delivered, `send` and `close` on a dying connection do nothing (`send` returns False); after it
they raise `ConnectionClosed`. All calls come from the worker's own loop.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, Memory, read


@cython.final
@cython.cclass
class Span:
    """Octets that lie somewhere: memory[at : at + length]. A compiled handler keeps one and lets
    `Connection.peek` fill it again and again."""

    memory: Memory
    at: cython.Py_ssize_t
    length: cython.Py_ssize_t

    def __init__(self) -> None:
        self.memory = _NOTHING
        self.at = 0
        self.length = 0

    def octets(self) -> bytes:
        """A copy of them."""
        return read(self.memory, self.at, self.length)


_NOTHING: Memory = Memory(b"")


@cython.cclass
class Connection:
    """One connection: what a handler may do with it."""

    handler: Any  # None after on_close, and before a passive open is ESTABLISHED
    doors: Any  # its class's Doors, as long as there is one
    worker: Any  # the loop it lives in: call_soon, call_later, watch, connect

    # -- receiving, the compiled door -------------------------------------------------------

    @cython.cfunc
    def ready_len(self) -> cython.Py_ssize_t:
        """Octets that are ready to be read, in order."""
        raise NotImplementedError

    @cython.cfunc
    def peek(self, span: Span) -> cython.bint:
        """Point `span` at the first ready octets, where they lie; False when there are none.

        Valid until the next call on this connection or the end of the event, whichever is first.
        """
        raise NotImplementedError

    @cython.cfunc
    def consume(self, length: cython.Py_ssize_t) -> cython.void:
        """The first `length` ready octets are done with. ValueError when there are fewer."""
        raise NotImplementedError

    @cython.cfunc
    def read_into(
        self, target: Arena, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Copy and consume up to `length` ready octets; how many there were."""
        raise NotImplementedError

    @cython.ccall
    def read_all(self) -> bytes:
        """Take everything that is ready, as one bytes object (empty when nothing is)."""
        raise NotImplementedError

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def send(self, data: object) -> cython.bint:
        """Queue `data` (bytes, a Buffer, or any object with the buffer protocol).

        bytes, Buffers and read-only views of bytes are kept, not copied, until acknowledged;
        anything mutable is copied. True while the queue is below the high-water mark; False says
        stop: `on_writable` follows when it has drained. Everything passed is queued either way,
        but nothing once the connection is closing or dying (False).
        """
        raise NotImplementedError

    @cython.cfunc
    def send_slice(
        self, buffer: Buffer, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        """As `send` for a part of a Buffer: the compiled door."""
        raise NotImplementedError

    @cython.ccall
    def queued_len(self) -> cython.Py_ssize_t:
        """Octets given to `send` and not yet acknowledged (kernel: not yet taken by it)."""
        raise NotImplementedError

    # -- control ----------------------------------------------------------------------------

    @cython.ccall
    def close(self) -> cython.void:
        """Finish sending: FIN after what is queued. Data still arriving is still delivered until
        the peer finishes too, or is silent for `fin_wait_ns`. Calling it again does nothing."""
        raise NotImplementedError

    @cython.ccall
    def shutdown(self) -> cython.void:
        """Finish sending and go on reading: as `close`, but the peer may take as long as it likes
        (a half-closed connection, RFC 9293 3.6; SHUT_WR). `close` may follow."""
        self.close()  # where there is no limit to tell them apart

    @cython.ccall
    def abort(self) -> cython.void:
        """Reset: drop what is queued, send RST. `on_close(ConnectionAbortedError)` follows."""
        raise NotImplementedError

    @cython.ccall
    def pause(self) -> cython.void:
        """Deliver no data until `resume`: the receive window closes as the buffer fills."""
        raise NotImplementedError

    @cython.ccall
    def resume(self) -> cython.void:
        """Deliver again; what has queued up comes in this or the next breath."""
        raise NotImplementedError

    @cython.ccall
    def set_timeout(self, seconds: cython.double) -> cython.void:
        """`on_timeout` once, after `seconds` from now; 0 cancels. A later call replaces it."""
        raise NotImplementedError

    @property
    def peer(self) -> tuple[str, int]:
        """The other end's (address, port)."""
        raise NotImplementedError

    @property
    def local(self) -> tuple[str, int]:
        """This end's (address, port)."""
        raise NotImplementedError

    def info(self) -> dict[str, object]:
        """State and figures of the connection, as the field knows them from TCP_INFO: octets and
        seconds. `corten/tcp/info.py` says what each key means; the kernel's sockets have others."""
        raise NotImplementedError
