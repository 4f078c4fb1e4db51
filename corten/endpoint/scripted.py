"""A connection without a network, for tests of handlers: what arrives is written by hand, what is
sent is kept, and time goes on when told.

    loop = ScriptedLoop()
    connection = loop.open(EchoHandler())
    connection.deliver(b"hello")
    assert connection.sent() == b"hello"
    loop.advance(60.0)                          # timers and time-outs that are due run, in order

It keeps the contract of `Connection`, without its economies: what is sent is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, Memory, copy, read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.endpoint.handler import Handler, doors_of

from corten.endpoint.error import ConnectionClosed
from corten.endpoint.loop import Loop, TimerHandle


@cython.cclass
class ScriptedConnection(Connection):
    """One end of a connection whose other end is the test."""

    high_water: cython.Py_ssize_t  # writable; `send` says stop when as much is queued
    eof_sent: cython.bint  # `close` was called
    aborted: cython.bint
    closed: cython.bint  # on_close has been delivered
    paused: cython.bint
    timeout_at: cython.double  # on the loop's clock; negative: none
    _peer: tuple
    _local: tuple
    _loop: Any
    _arrived: list  # Memory objects, in order
    _taken: cython.Py_ssize_t  # octets of the first that have been consumed
    _sent: bytearray | None  # None: only count
    _sent_len: cython.longlong
    _queued: cython.Py_ssize_t
    _stopped: cython.bint  # `send` has returned False since the last on_writable

    def __init__(self, loop: Any, handler: Handler) -> None:
        self.worker = loop
        self.handler = handler
        self.doors = doors_of(handler)
        self.high_water = 1 << 20
        self.eof_sent = False
        self.aborted = False
        self.closed = False
        self.paused = False
        self.timeout_at = -1.0
        self._peer = ("192.0.2.1", 40000)
        self._local = ("192.0.2.2", 80)
        self._loop = loop
        self._arrived = []
        self._taken = 0
        self._sent = bytearray()
        self._sent_len = 0
        self._queued = 0
        self._stopped = False

    # -- the test's side --------------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """The peer's next octets arrive, as one piece."""
        if data:
            self._arrived.append(Memory(data))
        self._receive()

    def deliver_eof(self) -> None:
        """The peer has finished sending."""
        if not self.closed:
            cython.cast(Doors, self.doors).on_eof(self.handler, self)

    def acknowledge(self, length: int = -1) -> None:
        """The peer takes `length` octets of what is queued, or everything."""
        self._queued -= self._queued if length < 0 else length
        if self._stopped and self._queued <= self.high_water // 2 and not self.closed:
            self._stopped = False
            cython.cast(Doors, self.doors).on_writable(self.handler, self)

    def finish(self, error: Exception | None = None) -> None:
        """The end: on_close is delivered."""
        self.closed = True
        self.timeout_at = -1.0
        handler = self.handler
        self.handler = None
        cython.cast(Doors, self.doors).on_close(handler, self, error)

    def sent(self) -> bytes:
        """Everything that was sent since this was last asked."""
        data = bytes(self._sent or b"")
        self._sent = bytearray()
        return data

    def repeat(self, data: bytes, times: int) -> int:
        """Deliver the same octets again and again, acknowledge and only count what is sent; how
        many octets that was. For measuring a handler."""
        self._sent = None
        self._sent_len = 0
        memory: Memory = Memory(data)
        handler: Handler = self.handler
        for _ in range(times):
            self._arrived.append(memory)
            handler.receive(self)
            self._queued = 0
        self._sent = bytearray()
        return self._sent_len

    @cython.cfunc
    def _receive(self) -> cython.void:
        if self._arrived and not self.paused and not self.closed:
            handler: Handler = self.handler
            handler.receive(self)

    # -- the handler's side -----------------------------------------------------------------

    @cython.cfunc
    def ready_len(self) -> cython.Py_ssize_t:
        total: cython.Py_ssize_t = -self._taken
        memory: Memory
        for memory in self._arrived:
            total += memory.size
        return total

    @cython.cfunc
    def peek(self, span: Span) -> cython.bint:
        if not self._arrived:
            return False
        memory: Memory = self._arrived[0]
        span.memory = memory
        span.at = self._taken
        span.length = memory.size - self._taken
        return True

    @cython.cfunc
    def consume(self, length: cython.Py_ssize_t) -> cython.void:
        if length > self.ready_len():
            raise ValueError("fewer octets are ready")
        memory: Memory
        self._taken += length
        while self._arrived:
            memory = self._arrived[0]
            if self._taken < memory.size:
                break
            self._taken -= memory.size
            del self._arrived[0]

    @cython.cfunc
    def read_into(
        self, target: Arena, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        span: Span = Span()
        done: cython.Py_ssize_t = 0
        while done < length and self.peek(span):
            part: cython.Py_ssize_t = min(length - done, span.length)
            copy(target, at + done, span.memory, span.at, part)
            self.consume(part)
            done += part
        return done

    @cython.ccall
    def read_all(self) -> bytes:
        span: Span = Span()
        parts: list = []
        while self.peek(span):
            parts.append(span.octets())
            self.consume(span.length)
        return b"".join(parts)

    @cython.ccall
    def send(self, data: object) -> cython.bint:
        if isinstance(data, Memory):
            buffer: Buffer = cython.cast(Buffer, data)
            return self.send_slice(buffer, 0, buffer.size)
        return self._queue(bytes(data), -1)  # type: ignore[call-overload]

    @cython.cfunc
    def send_slice(
        self, buffer: Buffer, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        if self._sent is None:
            return self._queue(b"", length)
        return self._queue(read(buffer, at, length), -1)

    @cython.cfunc
    def _queue(self, data: bytes, length: cython.Py_ssize_t) -> cython.bint:
        if self.closed:
            raise ConnectionClosed
        if self.eof_sent or self.aborted:
            return False
        if length < 0:
            length = len(data)
            if self._sent is not None:
                self._sent += data
        self._sent_len += length
        self._queued += length
        if self._queued >= self.high_water:
            self._stopped = True
            return False
        return True

    @cython.ccall
    def queued_len(self) -> cython.Py_ssize_t:
        return self._queued

    # -- control ----------------------------------------------------------------------------

    @cython.ccall
    def close(self) -> cython.void:
        if self.closed:
            raise ConnectionClosed
        self.eof_sent = True

    @cython.ccall
    def abort(self) -> cython.void:
        if not self.closed and not self.aborted:
            self.aborted = True
            self._arrived.clear()
            self._taken = 0
            self._loop.call_soon(self.finish, ConnectionAbortedError("aborted"))

    @cython.ccall
    def pause(self) -> cython.void:
        self.paused = True

    @cython.ccall
    def resume(self) -> cython.void:
        self.paused = False
        self._loop.call_soon(self.deliver, b"")

    @cython.ccall
    def set_timeout(self, seconds: cython.double) -> cython.void:
        self.timeout_at = self._loop.time() + seconds if seconds > 0 else -1.0

    @property
    def peer(self) -> tuple[str, int]:
        return self._peer

    @property
    def local(self) -> tuple[str, int]:
        return self._local

    def info(self) -> dict[str, object]:
        return {"queued": self._queued}

    def expire(self) -> None:
        """The time of `set_timeout` is over."""
        self.timeout_at = -1.0
        cython.cast(Doors, self.doors).on_timeout(self.handler, self)


class ScriptedTimer(TimerHandle):
    """A call of `ScriptedLoop.call_later`."""

    def __init__(self, at: float, function: Callable[..., object], arguments: tuple) -> None:
        self.at = at
        self.function = function
        self.arguments = arguments
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ScriptedLoop(Loop):
    """A loop whose clock stands still until `advance`."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.connections: list[ScriptedConnection] = []
        self.timers: list[ScriptedTimer] = []
        self.calls: list[tuple[Callable[..., object], tuple]] = []

    def open(self, handler: Handler) -> ScriptedConnection:
        """A new connection with this handler; its on_open is delivered."""
        connection = ScriptedConnection(self, handler)
        self.connections.append(connection)
        cython.cast(Doors, connection.doors).on_open(handler, connection)
        return connection

    def time(self) -> float:
        return self.now

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append((function, arguments))

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        timer = ScriptedTimer(self.now + seconds, function, arguments)
        self.timers.append(timer)
        return timer

    def run_soon(self) -> int:
        """Run what `call_soon` was given, and what that gives it; how many calls there were."""
        count = 0
        while self.calls:
            function, arguments = self.calls.pop(0)
            function(*arguments)
            count += 1
        return count

    def advance(self, seconds: float) -> None:
        """Let time pass: timers and time-outs run at their instant, in order."""
        until = self.now + seconds
        self.run_soon()
        while True:
            self.timers = [timer for timer in self.timers if not timer.is_cancelled]
            waiting = [c for c in self.connections if c.timeout_at >= 0 and not c.closed]
            due: list[tuple[float, int, Any]] = [(timer.at, 0, timer) for timer in self.timers]
            due += [(c.timeout_at, 1, c) for c in waiting]
            if not due or min(due, key=lambda item: item[:2])[0] > until:
                break
            at, kind, what = min(due, key=lambda item: item[:2])
            self.now = max(self.now, at)
            if kind == 0:
                self.timers.remove(what)
                what.function(*what.arguments)
            else:
                what.expire()
            self.run_soon()
        self.now = until
