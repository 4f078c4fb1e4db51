"""The web server: one handler a connection, on the compiled door.

Strategy. A plain GET of a file in memory is the case that counts: a head that came before is known
by its octets (`http_memo`); any other is parsed where it lies and its target looked up as it
stands. Then the entry's ready reply is sent (head and file in one buffer where the file is small,
else head and a slice of the site). The ready reply holds the Date and is made again when the second
changes; a request costs no formatting. Everything else (conditions, ranges, bodies, errors) goes
through `http_reply.decide`.

Rules. The work of one event is bounded: so many requests, so many pieces of a large file, then the
loop goes on and calls again. While `send` says stop, nothing more is read: the receive window
closes. Timers are not re-armed for each request: one is armed at a time, and looks when it
expires what the connection is waiting for. Its limits: a request must be complete
`header_timeout` after its first octet, however slowly its octets come; a connection may be idle
for `idle_timeout`; a reader must take SEND_MIN octets, or all there is, in `send_timeout`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import cython
from cython.cimports.corten.app.http_body import Body
from cython.cimports.corten.app.http_head import Head
from cython.cimports.corten.app.http_memo import Known
from cython.cimports.corten.app.http_name import (
    CONTENT_LENGTH,
    DONE,
    GET,
    HEAD,
    MORE,
    TEXT_FIELDS,
    TRANSFER_ENCODING,
)
from cython.cimports.corten.app.http_reply import Reply
from cython.cimports.corten.app.http_service import Service, Stream
from cython.cimports.corten.app.site import DISK, SLICE_MAX, Entry
from cython.cimports.corten.core.arena import Buffer, read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.handler import Handler

from corten.app.http_reply import CONTINUE, decide, page

if not cython.compiled:
    REQUESTS_AN_EVENT = 64  # pipelined requests answered before other connections have their turn
    PIECES_AN_EVENT = 4  # pieces of a file on disk, or of a large one, likewise
    SEND_MIN = 4096  # octets that a reader must take in a send_timeout, while it leaves some
    LINGER_SECONDS = 30  # for a peer that reads what has all reached it, after our FIN
    PLAIN = (1 << TEXT_FIELDS) - 1 | 1 << CONTENT_LENGTH | 1 << TRANSFER_ENCODING  # fields it lacks


@cython.cclass
class Httpd(Handler):
    """The server's end of one connection."""

    service: Service
    _since: cython.double  # waiting for a request since then, at the latest
    _deadline: cython.double  # a request that has begun must be complete; 0: none has
    _sent: cython.longlong  # octets given to `send`
    _mark_sent: cython.longlong  # what `_sent` was when the timer last looked; -1: nothing queued
    _mark_taken: cython.longlong  # and how many of them the peer had taken
    _blocked: cython.uchar  # `send` said stop
    _closing: cython.uchar  # nothing more is answered; what still arrives is thrown away
    _lingers: cython.uchar  # we have closed, and the timer is the peer's, to do the same
    _scheduled: cython.uchar  # `_again` will be called
    _ended: cython.uchar  # the peer has finished sending
    _served: cython.uchar  # at least one request
    _head: Head | None  # one that came in pieces, or waits for its body
    _body: Body | None
    _stream: Stream | None

    def __init__(self, service: Service) -> None:
        self.service = service
        self._since = 0.0
        self._deadline = 0.0
        self._sent = 0
        self._mark_sent = -1
        self._mark_taken = 0
        self._blocked = False
        self._closing = False
        self._lingers = False
        self._scheduled = False
        self._ended = False
        self._served = False
        self._head = None
        self._body = None
        self._stream = None

    # -- events -----------------------------------------------------------------------------

    def on_open(self, connection: Connection) -> None:
        service: Service = self.service
        if not service.fresh:
            service.refresh(connection.worker)
        self._since = service.late
        connection.set_timeout(service.header_timeout)

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        if not self._blocked and not self._scheduled:
            self._serve(connection)

    def on_writable(self, connection: Connection) -> None:
        self._blocked = False
        self._go_on(connection)

    def on_eof(self, connection: Connection) -> None:
        self._ended = True
        if not self._blocked and not self._scheduled and self._stream is None:
            self._close(connection)

    def on_timeout(self, connection: Connection) -> None:
        """See what the connection is waiting for, and whether it has waited too long."""
        service: Service = self.service
        now: cython.double = connection.worker.time()
        if self._deadline > 0 and now >= self._deadline:
            self._refuse(connection, 408, 0)
        elif self._stream is not None or connection.queued_len() > 0:
            self._check_reader(connection, now)
        elif self._lingers:
            connection.abort()
        elif self._closing:  # the timer was another's; the peer may still be reading what it has
            self._linger(connection, LINGER_SECONDS)
        else:
            self._mark_sent = -1
            until: cython.double = self._deadline
            if until == 0.0:
                until = service.idle_timeout if self._served else service.header_timeout
                until += self._since
            if until > now:
                connection.set_timeout(until - now)
            else:
                self._close(connection)
                self._linger(connection, service.header_timeout)

    @cython.cfunc
    def _check_reader(self, connection: Connection, now: cython.double) -> cython.void:
        """Octets are queued: has the peer taken enough of them since the timer last looked?"""
        taken: cython.longlong = self._sent - connection.queued_len()
        if self._mark_sent >= 0 and taken < self._mark_sent and taken < self._mark_taken + SEND_MIN:
            connection.abort()
            return
        self._lingers = False  # it is for what is queued now
        self._mark_sent = self._sent
        self._mark_taken = taken
        self._since = now
        wait: cython.double = self.service.send_timeout
        if self._deadline > 0 and self._deadline - now < wait:
            wait = self._deadline - now
        connection.set_timeout(wait)

    def _again(self, connection: Connection) -> None:
        """The turn of the others is over (`call_soon`)."""
        self._scheduled = False
        if connection.handler is self:
            self._go_on(connection)

    # -- requests ---------------------------------------------------------------------------

    @cython.cfunc
    def _go_on(self, connection: Connection) -> cython.void:
        if self._stream is not None:
            self._pump(connection)
        if not self._blocked and not self._scheduled and self._stream is None:
            self._serve(connection)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _serve(self, connection: Connection) -> cython.int:
        """Answer what has arrived, until it is used up, `send` says stop, or others wait."""
        service: Service = self.service
        budget: cython.int = REQUESTS_AN_EVENT
        while connection.peek(service.span):
            if self._closing:
                connection.consume(service.span.length)
                continue
            if budget == 0:
                self._yield(connection)
                return 0
            budget -= 1
            self._take(connection, service)
            if self._blocked or self._stream is not None:
                return 0
        if self._ended and not self._closing:
            self._close(connection)
        return 0

    @cython.cfunc
    def _yield(self, connection: Connection) -> cython.void:
        self._scheduled = True
        connection.worker.call_soon(self._again, connection)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _take(self, connection: Connection, service: Service) -> cython.int:
        """Take in what `service.span` shows, up to the end of one request, and answer that."""
        span: Span = service.span
        if self._body is not None:
            self._take_body(connection, span)
            return 0
        head: Head = service.head
        if self._head is not None:
            head = self._head
        else:
            found: object = service.memo.find(span.memory, span.at, span.length)
            if found is not None:
                known: Known = cython.cast(Known, found)
                line: bytes = b"" if service.log is None else known.request_line()
                self._answer_plain(connection, known.entry, known.keep_alive, line, span.length)
                return 0
        taken: cython.Py_ssize_t = head.feed(span.memory, span.at, span.length)
        if head.verdict == DONE:
            if (
                head.method == GET
                and head.seen & PLAIN == 0
                and (head.minor or not head.keep_alive)
            ):
                entry: object = service.site.entries.get(
                    read(head.memory, head.at + head.path_at, head.path_len)
                )
                if entry is not None and cython.cast(Entry, entry).is_ready:
                    self._answer_anew(connection, cython.cast(Entry, entry), head, taken)
                    return 0
            self._answer(connection, head, taken)
        elif head.verdict == MORE:
            connection.consume(taken)
            self._hold(connection, head)
        else:
            self._refuse(connection, head.verdict, taken)
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _answer_anew(
        self, connection: Connection, entry: Entry, head: Head, taken: cython.Py_ssize_t
    ) -> cython.int:
        """A plain GET of a file in memory, whose like may come again."""
        service: Service = self.service
        span: Span = service.span
        line: bytes = b"" if service.log is None else head.request_line()
        if self._head is None and taken == span.length:
            service.memo.note(span.memory, span.at, taken, entry, head.keep_alive)
        return self._answer_plain(connection, entry, head.keep_alive, line, taken)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _answer_plain(
        self,
        connection: Connection,
        entry: Entry,
        keep_alive: cython.bint,
        line: bytes,
        taken: cython.Py_ssize_t,
    ) -> cython.int:
        """The reply to a plain GET of a file in memory is ready."""
        service: Service = self.service
        if not service.fresh:
            service.refresh(connection.worker)
        if entry.second != service.second:
            service.dress(entry)
        if service.log is not None:
            service.note(connection, line, 200, entry.length)
        connection.consume(taken)
        self._begin_anew()
        ready: Buffer = cython.cast(Buffer, entry.keep if keep_alive else entry.close)
        below: cython.bint = connection.send_slice(ready, 0, ready.size)
        if entry.rest > 0:
            below = connection.send_slice(service.site.memory, entry.at, entry.rest)
        self._sent += ready.size + entry.rest
        if not below:
            self._blocked = True
        if not keep_alive:
            self._close(connection)
        return 0

    @cython.cfunc
    @cython.inline
    @cython.exceptval(-1, check=True)
    def _begin_anew(self) -> cython.int:
        """A request has been taken; the next is waited for."""
        self._head = None
        self._body = None
        self._deadline = 0.0
        self._served = True
        self._since = self.service.late
        return 0

    @cython.cfunc
    def _hold(self, connection: Connection, head: Head) -> cython.void:
        """A request has begun and is not complete: keep its head, and set it a deadline."""
        service: Service = self.service
        if self._head is None:
            self._head = head
            service.head = Head()
        if self._deadline == 0.0:
            now: cython.double = connection.worker.time()
            self._deadline = now + service.header_timeout
            connection.set_timeout(service.header_timeout)

    @cython.cfunc
    def _take_body(self, connection: Connection, span: Span) -> cython.void:
        body: Body = cython.cast(Body, self._body)
        taken: cython.Py_ssize_t = body.feed(span.memory, span.at, span.length)
        if body.verdict == DONE:
            self._reply(connection, cython.cast(Head, self._head), taken)
        elif body.verdict == MORE:
            connection.consume(taken)
        else:
            self._refuse(connection, body.verdict, taken)

    @cython.cfunc
    def _answer(self, connection: Connection, head: Head, taken: cython.Py_ssize_t) -> cython.void:
        """Any request: read past its body first, if it has one."""
        if not head.chunked and head.content_length == 0:
            self._reply(connection, head, taken)
            return
        head.keep()
        connection.consume(taken)
        self._hold(connection, head)
        body: Body = Body(head)
        self._body = body
        if body.verdict != MORE:
            self._refuse(connection, body.verdict, 0)
        elif head.continues:
            self._send(connection, CONTINUE)

    @cython.cfunc
    def _reply(self, connection: Connection, head: Head, taken: cython.Py_ssize_t) -> cython.void:
        """Decide on the answer while the head can still be read, then send it."""
        service: Service = self.service
        if not service.fresh:
            service.refresh(connection.worker)
        entry: Any = service.site.resolve(head.path())
        fd: cython.int = -1
        if isinstance(entry, Entry) and entry.kind == DISK:
            try:
                fd = service.site.open_disk(entry)
            except PermissionError:
                entry = 403  # silent: it is the answer
            except OSError:
                entry = 404  # silent: it is the answer
        reply: Reply = decide(head, entry, service.date, service.wall)
        if service.log is not None:
            service.note(connection, head.request_line(), reply.status, reply.body_len)
        connection.consume(taken)
        self._begin_anew()
        self._send_reply(connection, reply, fd)

    # -- replies ----------------------------------------------------------------------------

    @cython.cfunc
    def _send(self, connection: Connection, data: bytes) -> cython.void:
        self._sent += len(data)
        if not connection.send(data):
            self._blocked = True

    @cython.cfunc
    def _send_reply(self, connection: Connection, reply: Reply, fd: cython.int) -> cython.void:
        self._send(connection, reply.octets)
        if reply.body_len > 0:
            at: cython.Py_ssize_t = reply.body_at
            if fd < 0:
                at += cython.cast(Entry, reply.entry).at
            self._stream = Stream(fd, at, reply.body_len, reply.keep_alive)
            self._pump(connection)
            return
        if fd >= 0:
            os.close(fd)
        if not reply.keep_alive:
            self._close(connection)

    @cython.cfunc
    def _pump(self, connection: Connection) -> cython.void:
        """Send a file on: so many pieces at a time, and none while `send` says stop."""
        stream: Stream = cython.cast(Stream, self._stream)
        budget: cython.int = PIECES_AN_EVENT
        while stream.left > 0:
            if self._blocked:
                return
            if budget == 0:
                self._yield(connection)
                return
            budget -= 1
            if stream.fd < 0:
                self._send_slice(connection, stream)
                continue
            data: bytes = stream.next_chunk()
            if not data:
                self._stream = None
                self._closing = True
                connection.abort()  # less than was announced: the peer must not take it for whole
                return
            self._send(connection, data)
        self._stream = None
        if not stream.keep_alive:
            self._close(connection)

    @cython.cfunc
    def _send_slice(self, connection: Connection, stream: Stream) -> cython.void:
        """The next piece of a file in memory: it is not copied, but a queue has its limits."""
        length: cython.Py_ssize_t = min(stream.left, SLICE_MAX)
        at: cython.Py_ssize_t = stream.at
        stream.at += length
        stream.left -= length
        self._sent += length
        if not connection.send_slice(self.service.site.memory, at, length):
            self._blocked = True

    @cython.cfunc
    def _refuse(
        self, connection: Connection, status: cython.int, taken: cython.Py_ssize_t
    ) -> cython.void:
        """Answer what cannot be understood, and close: where the next request begins is unknown."""
        service: Service = self.service
        if not service.fresh:
            service.refresh(connection.worker)
        head: Head = service.head
        if self._head is not None:
            head = self._head
        reply: Reply = page(status, service.date, with_body=head.method != HEAD)
        if service.log is not None:
            service.note(connection, head.request_line(), status, 0)
        connection.consume(taken)
        self._begin_anew()
        self._send(connection, reply.octets)
        self._close(connection)
        self._linger(connection, service.header_timeout)

    @cython.cfunc
    def _close(self, connection: Connection) -> cython.void:
        """Close after what is queued. The timer goes on, for a peer that does not."""
        self._closing = True
        connection.close()

    @cython.cfunc
    def _linger(self, connection: Connection, seconds: cython.double) -> cython.void:
        """We have closed: the peer has so long to do the same."""
        self._lingers = True
        connection.set_timeout(seconds)


@cython.final
@cython.cclass
class LoggedHttpd(Httpd):
    """The same where there is a log: it is written out whenever the last connection ends, so that
    a worker that has drained has lost no line."""

    def on_open(self, connection: Connection) -> None:
        self.service.open_count += 1
        Httpd.on_open(self, connection)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        service: Service = self.service
        service.open_count -= 1
        if service.open_count == 0:
            service.log.flush()


def factory(service: Service) -> Callable[[], Handler]:
    """What to listen with: makes a handler for each new connection."""
    return partial(Httpd if service.log is None else LoggedHttpd, service)
