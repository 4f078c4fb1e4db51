"""A connection over a kernel socket.

Strategy. The descriptor is registered edge-triggered, so the connection remembers what the kernel
said: `_readable` until a read comes back short, `_blocked` from a short write until the next edge.
All work is done in `work`: read and give to the handler, write what that queued, tell of room and
of the end, and finish. An event, a due timer, and a call from outside an event (through `mark`)
lead there, and nowhere else are the socket or the handler touched.

Rules. A handler is called inside one `try` for each event, and never from within another event of
its connection. Octets that it leaves are kept, up to a limit: then reading stops and the kernel's
window closes. Small sends lie in the breath's scratch only until `work` returns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, copy, out_of_range, read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.endpoint.handler import Handler, doors_of
from cython.cimports.corten.kernel import system
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.epoll import FAILED, FINISHED, HANGUP, READABLE, WRITABLE
from cython.cimports.corten.kernel.limits import HIGH_WATER, LOW_WATER, READS_A_TURN
from cython.cimports.corten.kernel.receiving import ReceiveBuffer
from cython.cimports.corten.kernel.sending import SendQueue
from cython.cimports.corten.kernel.timers import Timer

from corten.endpoint.error import ConnectionClosed
from corten.kernel.address import address_of
from corten.kernel.error import error_of
from corten.kernel.facts import facts, failure, local_address

logger = logging.getLogger("corten")

if not cython.compiled:
    AGAIN = 11  # EAGAIN
    INTERRUPTED = 4  # EINTR


@cython.cfunc
@cython.inline
def _doors(connection: Connection) -> Doors:
    """Of a connection that has a handler."""
    return cython.cast(Doors, connection.doors)


@cython.cclass
class KernelConnection(Connection):
    """One socket and what its handler has not taken or the kernel has not taken yet."""

    _breath: Breath
    _fd: cython.int
    _readable: cython.bint  # the kernel may have something to read
    _hungup: cython.bint  # it will say so at the end: a short read is not the last
    _blocked: cython.bint  # the kernel takes nothing until it says so
    _paused: cython.bint
    _working: cython.bint
    _marked: cython.bint
    _dying: cython.bint  # an error or an abort: nothing goes in or out any more
    _closing: cython.bint  # close() was called
    _owed: cython.bint  # send() said stop: on_writable follows
    _again: cython.bint  # what is ready is to be given again
    _received: ReceiveBuffer
    _sending: SendQueue
    _deadline: cython.longlong  # nanoseconds, 0: none
    _timer: Timer | None
    # cold
    _factory: Callable[[], Handler]
    _error: Exception | None
    _reset: cython.bint  # leave with RST
    _opening: cython.bint  # an active open that is under way
    _eof: cython.bint  # the peer has finished
    _eof_told: cython.bint
    _fin_sent: cython.bint
    _finished: cython.bint  # on_close has been delivered
    _sockaddr: bytes  # the peer's

    def __init__(
        self, breath: Breath, fd: cython.int, factory: Callable[[], Handler], sockaddr: bytes
    ) -> None:
        self.handler = None
        self.doors = None
        self.worker = breath.worker
        self._breath = breath
        self._fd = fd
        self._factory = factory
        self._sockaddr = sockaddr
        self._received = ReceiveBuffer(breath)
        self._sending = SendQueue(breath)
        self._deadline = 0
        self._timer = None
        self._error = None
        self._readable = self._hungup = self._blocked = self._paused = False
        self._working = self._marked = self._dying = self._closing = False
        self._owed = self._again = self._reset = False
        self._opening = self._eof = self._eof_told = self._fin_sent = self._finished = False

    # -- what the worker calls ---------------------------------------------------------------

    @cython.cfunc
    def happened(self, flags: cython.uint) -> cython.void:
        """The kernel reports a change."""
        if flags & (HANGUP | FAILED | FINISHED):
            self._hungup = True
        if flags & (READABLE | HANGUP | FAILED | FINISHED):
            self._readable = True
        if flags & WRITABLE:
            self._blocked = False
        if self._opening:
            if not flags & (WRITABLE | HANGUP | FAILED):
                return
            self._opened()
        if flags & FAILED and self._paused:
            self._take_error()
        self.work()

    @cython.cfunc
    def work(self) -> cython.void:
        """Do all there is to do. Never raises what a handler raised."""
        if self._finished or self._working:
            return
        self._working = True
        self._marked = False
        if not self._opening and not self._dying:
            self._input()
            if self._sending.first is not None or self._owed:
                self._output()
        if self._dying:
            self._finish()
        elif self._closing and self._sending.first is None:
            self._end()
        self._sending.leave_scratch()
        self._working = False

    @cython.cfunc
    def mark(self) -> cython.void:
        """See that `work` is called at the end of this breath, or in the next."""
        if not self._marked and not self._finished:
            self._marked = True
            self._breath.marked.append(self)

    @cython.cfunc
    def establish(self) -> cython.void:
        """The connection stands: make its handler and tell it. `work` follows."""
        made: cython.bint = self.handler is not None or self._make_handler()
        if not made or not _doors(self).wants_open:
            return
        self._working = True
        try:
            _doors(self).on_open(self.handler, self)
        except Exception:
            self._broke("on_open")
        self._working = False

    @cython.cfunc
    def connecting(self, handler: object, doors: Doors) -> cython.void:
        """This is an active open: the kernel says later whether it succeeds."""
        self.handler = handler
        self.doors = doors
        self._opening = True

    @cython.cfunc
    def expire(self, timer: Timer) -> cython.void:
        """The connection's timer is due: too early, or the handler is told."""
        if timer is not self._timer:
            return
        self._timer = None
        if self._deadline == 0 or self._finished or self._dying:
            return
        if self._deadline > self._breath.now:
            self._timer = self._breath.timers.arm(self._deadline, self)
            return
        self._deadline = 0
        if self._opening:
            self.fail(TimeoutError("the peer did not answer in time"), True)
        elif self.handler is not None:
            self._working = True
            try:
                _doors(self).on_timeout(self.handler, self)
            except Exception:
                self._broke("on_timeout")
            self._working = False
        self.work()

    @cython.cfunc
    def fail(self, error: Exception, reset: cython.bint) -> cython.void:
        """Nothing goes in or out any more; `work` tells the handler."""
        if not self._dying and not self._finished:
            self._dying = True
            self._error = error
            self._reset = reset

    @cython.cfunc
    def give_up(self) -> cython.void:
        """The worker ends: reset at once, also out of an event that never came to its end."""
        self._working = False
        self.fail(ConnectionAbortedError("the worker has ended"), True)
        self.work()

    @cython.cfunc
    def is_idle(self) -> cython.bint:
        """Whether nothing is queued and the handler waits for no room."""
        return self._sending.first is None and not self._owed and not self._opening

    # -- input -------------------------------------------------------------------------------

    @cython.cfunc
    def _input(self) -> cython.void:
        """Read and give to the handler until the kernel has no more."""
        if self._again and not self._paused:
            self._again = False
            if self._received.length > 0:
                self._give()
        reads: cython.int = READS_A_TURN
        while self._readable and not self._paused and not self._dying:
            if reads == 0:
                self.mark()
                return
            if not self._read():
                break
            reads -= 1
        if self._eof and not self._eof_told and not self._paused and not self._dying:
            self._eof_told = True
            try:
                _doors(self).on_eof(self.handler, self)
            except Exception:
                self._broke("on_eof")

    @cython.cfunc
    def _read(self) -> cython.bint:
        """One read, given to the handler; False when there is nothing or no room."""
        received: ReceiveBuffer = self._received
        count: cython.Py_ssize_t = received.fill(self._fd)
        if count > 0:
            self._readable = count == received.room or self._hungup
            self._give()
            return True
        if count == 0:
            if received.room > 0:
                self._eof = True
                self._readable = False
        elif count == -AGAIN:
            self._readable = False
        elif count != -INTERRUPTED:
            self.fail(error_of(-count), False)
        return False

    @cython.cfunc
    def _give(self) -> cython.void:
        """Let the handler take what is ready; keep what it leaves."""
        try:
            cython.cast(Handler, self.handler).receive(self)
        except Exception:
            self._broke("receive")
        self._received.keep()

    # -- output and the end ------------------------------------------------------------------

    @cython.cfunc
    def _output(self) -> cython.void:
        """Write what is queued; tell the handler of room, once a turn."""
        self._flush()
        if not self._owed or self._sending.queued_len > LOW_WATER or self._dying or self._closing:
            return
        self._owed = False
        if self.handler is None or not _doors(self).wants_writable:
            return
        try:
            _doors(self).on_writable(self.handler, self)
        except Exception:
            self._broke("on_writable")
        self._flush()
        if self._owed and self._sending.queued_len <= LOW_WATER:
            self.mark()

    @cython.cfunc
    def _flush(self) -> cython.void:
        """Write what is queued, as far as the kernel takes it."""
        if self._blocked or self._dying or self._sending.first is None:
            return
        answer: cython.Py_ssize_t = self._sending.flush(self._fd)
        if answer == -AGAIN:
            self._blocked = True
        elif answer < 0:
            self.fail(error_of(-answer), False)

    @cython.cfunc
    def _end(self) -> cython.void:
        """close() was called and the queue is empty: send FIN, or finish after the peer's."""
        if self._eof:
            self._finish()
        elif not self._fin_sent:
            self._fin_sent = True
            answer: cython.int = system.finish_sending(self._fd)
            if answer < 0:
                self.fail(error_of(-answer), False)
                self._finish()

    @cython.cfunc
    def _finish(self) -> cython.void:
        """Tell the handler that it is over, once, and let go of everything."""
        breath: Breath = self._breath
        self._dying = True
        if self._timer is not None:
            breath.timers.cancel(self._timer)
            self._timer = None
        if self.handler is not None and _doors(self).wants_close:
            try:
                _doors(self).on_close(self.handler, self, self._error)
            except Exception:
                self._log("on_close")
        if self._error is not None:
            breath.failed += 1
        if self._reset:
            system.reset_at_close(self._fd)
        self._sending.clear()
        self._finished = True
        self.handler = None
        self._received.clear()
        breath.release(self._fd)

    @cython.cfunc
    def _opened(self) -> cython.void:
        """An active open has ended, one way or the other."""
        self._take_error()
        if not self._dying:
            self._opening = False
            self._deadline = 0
            self.establish()

    @cython.cfunc
    def _make_handler(self) -> cython.bint:
        """Make the handler; False, and the connection is to be reset, when that fails."""
        try:
            handler = self._factory()
            self.doors = doors_of(handler)
            self.handler = handler
        except Exception:
            self._broke("its factory")
            return False
        return True

    @cython.cfunc
    def _take_error(self) -> cython.void:
        """Ask the kernel whether the connection has failed."""
        number: cython.int = failure(self._fd)
        if number != 0:
            self.fail(error_of(number), False)

    @cython.cfunc
    def _broke(self, where: str) -> cython.void:
        """The handler raised: reset this connection and say why."""
        self._log(where)
        self.fail(ConnectionAbortedError(f"{where} raised an exception"), True)

    @cython.cfunc
    def _log(self, where: str) -> cython.void:
        name = type(self.handler).__name__ if self.handler is not None else "handler"
        logger.exception("%s: %s raised; its connection is reset", name, where)

    # -- what the handler calls: receiving -----------------------------------------------------

    @cython.cfunc
    def ready_len(self) -> cython.Py_ssize_t:
        return self._received.length

    @cython.cfunc
    def peek(self, span: Span) -> cython.bint:
        received: ReceiveBuffer = self._received
        span.memory = received.memory
        span.at = received.at
        span.length = received.length
        return received.length > 0

    @cython.cfunc
    def consume(self, length: cython.Py_ssize_t) -> cython.void:
        if length < 0 or length > self._received.length:
            raise ValueError(f"consume({length}): {self._received.length} octets are ready")
        self._received.consume(length)
        if self._readable and not self._working:
            self.mark()

    @cython.cfunc
    def read_into(
        self, target: Arena, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        received: ReceiveBuffer = self._received
        length = min(length, received.length)
        copy(target, at, received.memory, received.at, length)
        self.consume(length)
        return length

    @cython.ccall
    def read_all(self) -> bytes:
        length: cython.Py_ssize_t = self._received.length
        if length == 0:
            return b""
        data: bytes = read(self._received.memory, self._received.at, length)
        self.consume(length)
        return data

    # -- sending -------------------------------------------------------------------------------

    @cython.ccall
    def send(self, data: object) -> cython.bint:
        if type(data) is bytes:
            return self.send_slice(Buffer(data), 0, len(cython.cast(bytes, data)))
        if type(data) is Buffer:
            return self.send_slice(data, 0, cython.cast(Buffer, data).size)
        view = memoryview(data)  # type: ignore[arg-type]
        kept = view.readonly and view.c_contiguous and type(view.obj) is bytes
        return self.send_slice(Buffer(view if kept else bytes(view)), 0, view.nbytes)

    @cython.cfunc
    def send_slice(
        self, buffer: Buffer, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        if at < 0 or length < 0 or at > buffer.size - length:
            out_of_range(at, length, buffer.size)
        if self._dying or self._closing:
            if self._finished:
                raise ConnectionClosed
            return False
        if length > 0:
            self._sending.append(buffer, at, length)
            if not self._working:
                self.mark()
        if self._sending.queued_len > HIGH_WATER:
            self._owed = True
            return False
        return True

    @cython.ccall
    def queued_len(self) -> cython.Py_ssize_t:
        return self._sending.queued_len

    # -- control -------------------------------------------------------------------------------

    @cython.ccall
    def close(self) -> cython.void:
        if self._finished:
            raise ConnectionClosed
        if self._opening:
            self.abort()
        elif not self._closing and not self._dying:
            self._closing = True
            if not self._working:
                self.mark()

    @cython.ccall
    def abort(self) -> cython.void:
        if not self._dying and not self._finished:
            self.fail(ConnectionAbortedError("aborted by the application"), True)
            if not self._working:
                self.mark()

    @cython.ccall
    def pause(self) -> cython.void:
        self._paused = True

    @cython.ccall
    def resume(self) -> cython.void:
        if self._paused:
            self._paused = False
            self._again = True
            self.mark()

    @cython.ccall
    def set_timeout(self, seconds: cython.double) -> cython.void:
        if self._finished:
            return
        if seconds <= 0:
            self._deadline = 0
            return
        breath: Breath = self._breath
        self._deadline = breath.now + cython.cast(cython.longlong, seconds * 1e9)
        if self._timer is None:
            self._timer = breath.timers.arm(self._deadline, self)
        elif self._deadline < cython.cast(Timer, self._timer).when:
            breath.timers.cancel(self._timer)
            self._timer = breath.timers.arm(self._deadline, self)

    @property
    def peer(self) -> tuple[str, int]:
        return address_of(self._sockaddr)

    @property
    def local(self) -> tuple[str, int]:
        if self._finished:
            raise ConnectionClosed
        return local_address(self._fd)

    def info(self) -> dict[str, object]:
        if self._finished:
            raise ConnectionClosed
        return {"queued_len": self._sending.queued_len, **facts(self._fd)}
