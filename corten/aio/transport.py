"""A connection as asyncio sees it: one object is Corten's handler and asyncio's transport.

Strategy. Events of the stack become calls of the protocol within the node's turn, with no Handle
between: `receive`, the compiled door, takes what is ready and calls `data_received`, or reads into
the buffer of a BufferedProtocol. What a protocol writes there leaves at the end of the same turn;
what a task writes later leaves with the next one, which `Kick` asks for once.

The stack's send queue stands where a kernel's socket buffer would: what `send` takes while it says
yes is out of our hands, what it takes afterwards is the transport's buffer, and the water marks
count that alone. So `connection_lost` follows `close` at once when nothing but the stack's own
queue is left, and the stack finishes by itself; until then, as in asyncio, writing goes on.

Rules. `connection_lost` comes once, by `call_soon`. What a protocol raises goes to the loop's
exception handler and aborts its connection. After `close` what still arrives is thrown away, up to
DISCARD_MAX octets; then the connection is reset. Like uvloop's, it is no subclass of
asyncio.Transport: two layouts do not go into one object.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.aio.kick import Kick
from cython.cimports.corten.core.arena import Arena, read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.handler import Handler

from corten.aio.facade import StackSocket, socket_name
from corten.aio.limit import HIGH_WATER, water_marks

log = logging.getLogger("asyncio")
_BufferedProtocol = asyncio.BufferedProtocol

if not cython.compiled:
    LOST_WRITES = 5  # writes to a connection that is over, before the log says so
    PIECE_LEN = 1 << 16  # octets of one `data_received` at the most
    DISCARD_MAX = 1 << 20  # octets that a peer may go on sending after `close`


@cython.final
@cython.cclass
class StreamTransport(Handler):
    """One TCP connection. Made before it is established, by a listener or `Network`."""

    _connection: Connection | None  # None before it is established, and after on_close
    _protocol: Any
    _loop: Any
    _kick: Kick
    _factory: Any  # of the protocol, when the connection has come to a listener; else None
    _waiter: Any  # the future of whoever opens it; None once it is open
    _server: Any
    _peername: Any
    _sockname: Any
    _is_buffered: cython.bint  # the protocol has a buffer of its own
    _closing: cython.bint  # nothing more is read or written
    _lost: cython.bint  # connection_lost has been called, or will be
    _paused: cython.bint  # reading
    _stopped: cython.bint  # the protocol was asked to stop writing
    _blocked: cython.bint  # the stack's queue is full: what follows is the transport's buffer
    _eof_sent: cython.bint
    _mark: cython.Py_ssize_t  # octets queued where the transport's buffer begins
    _high: cython.Py_ssize_t
    _low: cython.Py_ssize_t
    _discarded: cython.Py_ssize_t
    _lost_writes: cython.int

    def __init__(
        self,
        loop: object,
        kick: Kick,
        factory: Callable[[], Any] | None = None,
        server: object = None,
        waiter: object = None,
    ) -> None:
        """With `factory` the protocol is made when the connection is there. Without, `waiter`'s
        result is set then, and nothing is read until `begin`."""
        self._connection = None
        self._protocol = None
        self._loop = loop
        self._kick = kick
        self._factory = factory
        self._waiter = waiter
        self._server = server
        self._peername = self._sockname = None
        self._is_buffered = self._closing = self._lost = self._paused = False
        self._stopped = self._blocked = self._eof_sent = False
        self._mark = 0
        self._high = HIGH_WATER
        self._low = HIGH_WATER // 4
        self._discarded = 0
        self._lost_writes = 0

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return f"<StreamTransport {state} {self._sockname} -> {self._peername}>"

    @property
    def _start_tls_compatible(self) -> bool:
        """What asyncio's `start_tls` asks for."""
        return True

    @property
    def _protocol_paused(self) -> bool:
        """Whether the protocol has been told to stop writing: what `sendfile` asks for."""
        return self._stopped

    # -- the stack's events -------------------------------------------------------------------

    def on_open(self, connection: Connection) -> None:
        self._connection = connection
        self._peername = socket_name(connection.peer)
        self._sockname = socket_name(connection.local)
        if self._factory is None:
            self._paused = True
            connection.pause()
            waiter: Any = self._waiter
            self._waiter = None
            if waiter is None or waiter.done():  # nobody waits any more
                self.abort()
            else:
                waiter.set_result(None)
            return
        if self._server is not None:
            self._server.attach(self)
        try:
            protocol: Any = self._factory()
            self.set_protocol(protocol)
            protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "protocol.connection_made()")

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        if self._closing or self._protocol is None:
            self._discard(connection)
            return
        try:
            if self._is_buffered:
                self._fill_buffers(connection)
            elif connection.ready_len() <= PIECE_LEN:
                self._protocol.data_received(connection.read_all())
            else:
                self._tell_in_pieces(connection)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "protocol.data_received()")

    @cython.cfunc
    def _tell_in_pieces(self, connection: Connection) -> cython.void:
        """What came at once, as reads of a socket would bring it: a protocol that has enough, or
        hands over to another, can say so between two."""
        span: Span = Span()
        while connection.ready_len() > 0 and not self._paused:
            if self._closing:
                self._discard(connection)
            elif self._is_buffered:
                self._fill_buffers(connection)
            else:
                self._protocol.data_received(_read_piece(connection, span))

    @cython.cfunc
    def _fill_buffers(self, connection: Connection) -> cython.void:
        """Read into the protocol's buffer as long as it wants more."""
        while connection.ready_len() > 0 and not self._paused and not self._closing:
            protocol: Any = self._protocol
            if not self._is_buffered:  # start_tls and its like change the protocol between
                protocol.data_received(connection.read_all())
                return
            buffer: Any = protocol.get_buffer(connection.ready_len())
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
            length: cython.Py_ssize_t = _read_into(connection, buffer)
            buffer = None
            protocol.buffer_updated(length)

    @cython.cfunc
    def _discard(self, connection: Connection) -> cython.void:
        """What comes after `close` is nobody's."""
        length: cython.Py_ssize_t = connection.ready_len()
        self._discarded += length
        connection.consume(length)
        if self._discarded > DISCARD_MAX:
            connection.abort()

    def on_eof(self, connection: Connection) -> None:
        if self._closing or self._protocol is None:
            return
        try:
            keeps: bool = bool(self._protocol.eof_received())
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "protocol.eof_received()")
            return
        if not keeps:
            self.close()

    def on_writable(self, connection: Connection) -> None:
        self._blocked = False
        if self._stopped:
            self._go_on()  # it may write, even after close: TLS has its last word to say
        if self._closing and not self._blocked and not self._lost:
            connection.close()
            self._lose(None)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        """Both directions are over. In good order that is the end only of one that was closed:
        otherwise its owner has still to say so."""
        self._connection = None
        waiter: Any = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_exception(error or ConnectionAbortedError("closed while it was opened"))
            return
        if error is not None or self._closing:
            self._lose(error)

    # -- reading ------------------------------------------------------------------------------

    def begin(self, protocol: object) -> None:
        """The protocol of a connection that was opened: it hears of it now."""
        self.set_protocol(protocol)
        try:
            self._protocol.connection_made(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fail(error, "protocol.connection_made()")
            return
        if self._paused:
            self.resume_reading()

    def set_protocol(self, protocol: object) -> None:
        self._protocol = protocol
        self._is_buffered = isinstance(protocol, _BufferedProtocol)

    def get_protocol(self) -> object:
        return self._protocol

    def is_reading(self) -> bool:
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        if self._closing or self._paused:
            return
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume_reading(self) -> None:
        if self._closing or not self._paused:
            return
        self._paused = False
        self._resume()

    @cython.cfunc
    def _resume(self) -> cython.void:
        if self._connection is not None:
            self._connection.resume()
            self._kick.kick()

    # -- writing ------------------------------------------------------------------------------

    @cython.ccall
    def write(self, data: object) -> cython.void:
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            name = type(data).__name__
            raise TypeError(f"data argument must be a bytes-like object, not {name!r}")
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        connection: Connection | None = self._connection
        if self._lost or connection is None:
            self._lost_writes += 1
            if self._lost_writes == LOST_WRITES:
                log.warning("write() to a connection that is closed")
            return
        if not data:
            return
        if not connection.send(data):
            self._full(connection, memoryview(data).nbytes)
        if not self._kick.is_due:
            self._kick.kick()

    @cython.cfunc
    def _full(self, connection: Connection, length: cython.Py_ssize_t) -> cython.void:
        """The stack's queue is full since these `length` octets, or since an earlier write."""
        if not self._blocked:
            self._blocked = True
            self._mark = connection.queued_len() - length
        self._mind_high_water()

    @cython.cfunc
    def _mind_high_water(self) -> cython.void:
        if self._stopped or not self._blocked or self._buffered() <= self._high:
            return
        self._stopped = True
        try:
            self._protocol.pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._report(error, "protocol.pause_writing()")

    @cython.cfunc
    def _go_on(self) -> cython.void:
        self._stopped = False
        try:
            self._protocol.resume_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._report(error, "protocol.resume_writing()")

    @cython.cfunc
    def _buffered(self) -> cython.Py_ssize_t:
        if not self._blocked or self._connection is None:
            return 0
        return max(0, self._connection.queued_len() - self._mark)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        if self._closing or self._eof_sent:
            return
        self._eof_sent = True
        if self._connection is not None:
            self._connection.shutdown()
            self._kick.kick()

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high, self._low = water_marks(high, low)
        self._mind_high_water()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._buffered()

    # -- the end ------------------------------------------------------------------------------

    @cython.ccall
    def is_closing(self) -> cython.bint:
        return self._closing

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        connection: Connection | None = self._connection
        if connection is None:
            self._lose(None)
            return
        connection.resume()  # what still comes is read, and thrown away
        if not self._blocked:  # else when it is not any more
            connection.close()
            self._lose(None)
        self._kick.kick()

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, exc: object) -> None:
        """What asyncio's SSLProtocol calls: over at once, and `connection_lost(exc)`. The peer is
        told as a kernel's `close` tells it: by a reset where octets are lost, else by a FIN."""
        connection: Connection | None = self._connection
        if self._lost:
            return
        if connection is not None:
            if connection.queued_len() > 0 or connection.ready_len() > 0:
                connection.abort()
            else:
                connection.resume()
                connection.close()
            self._kick.kick()
        self._lose(exc)

    @cython.cfunc
    def _lose(self, error: object) -> cython.void:
        self._closing = True
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: object) -> None:
        protocol: Any = self._protocol
        self._protocol = None
        server: Any = self._server
        self._server = None
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            if server is not None:
                server.detach(self)

    @cython.cfunc
    def _fail(self, error: BaseException, where: str) -> cython.void:
        self._report(error, where)
        self._force_close(error)

    @cython.cfunc
    def _report(self, error: BaseException, where: str) -> cython.void:
        self._loop.call_exception_handler(
            {
                "message": f"Fatal error: {where} call failed.",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    # -- what is known of it ------------------------------------------------------------------

    def get_extra_info(self, name: str, default: object = None) -> object:
        """`peername`, `sockname`, `socket` (names and options alone), and `tcp_info`: the figures
        of `Connection.info`."""
        if name == "peername":
            return self._peername
        if name == "sockname":
            return self._sockname
        if name == "socket":
            return StackSocket(self._sockname, self._peername)
        if name == "tcp_info":
            return self._connection.info() if self._connection is not None else default
        return default


@cython.cfunc
def _read_piece(connection: Connection, span: Span) -> bytes:
    """Take the first of what is ready, PIECE_LEN octets at the most."""
    parts: list = []
    taken: cython.Py_ssize_t = 0
    while taken < PIECE_LEN and connection.peek(span):
        part: cython.Py_ssize_t = min(span.length, PIECE_LEN - taken)
        if taken > 0 and part < span.length:
            break  # the next piece begins where a frame does
        parts.append(read(span.memory, span.at, part))
        connection.consume(part)
        taken += part
    return parts[0] if len(parts) == 1 else b"".join(parts)


@cython.cfunc
def _read_into(connection: Connection, buffer: object) -> cython.Py_ssize_t:
    """Its own frame, so that nothing holds the protocol's buffer afterwards."""
    arena: Arena = Arena(0, buffer)
    return connection.read_into(arena, 0, arena.size)
