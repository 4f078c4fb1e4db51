"""What the connections of one worker share, and the files on disk that are on their way out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.app.http_head import Head
from cython.cimports.corten.app.http_memo import Memo
from cython.cimports.corten.app.site import Entry, Site
from cython.cimports.corten.core.arena import Buffer, read
from cython.cimports.corten.endpoint.connection import Connection, Span

from corten.app.access_log import AccessLog
from corten.app.http_date import format_date, format_log_date
from corten.app.http_reply import head_octets

if not cython.compiled:
    CHUNK = 262144  # octets read from disk at once
    JOIN_MAX = 1024  # files up to this long are sent in one buffer with their head


@cython.final
@cython.cclass
class Service:
    """What all connections of one worker share: the site, the Date, the scratch objects."""

    site: Site
    head: Head  # for a request that comes in one piece
    memo: Memo
    span: Span
    date: bytes
    wall: cython.longlong  # the second that `date` stands for
    second: cython.longlong  # counts the changes of `date`: ready replies are good for one
    fresh: cython.bint  # `date` is right; else `refresh` before it is used
    late: cython.double  # while fresh, no instant on the loop's clock is later than this
    header_timeout: cython.double
    idle_timeout: cython.double
    send_timeout: cython.double
    open_count: cython.Py_ssize_t  # connections, while there is a log
    log: Any  # an AccessLog, or None
    _clock: Callable[[], float]

    def __init__(
        self,
        site: Site,
        *,
        header_timeout: cython.double = 10.0,
        idle_timeout: cython.double = 60.0,
        send_timeout: cython.double = 30.0,
        log: AccessLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.site = site
        self.head = Head()
        self.memo = Memo()
        self.span = Span()
        self.date = b""
        self.wall = 0
        self.second = 0
        self.fresh = False
        self.late = 0.0
        self.header_timeout = header_timeout
        self.idle_timeout = idle_timeout
        self.send_timeout = send_timeout
        self.open_count = 0
        self.log = log
        self._clock = clock

    @cython.cfunc
    def refresh(self, worker: Any) -> cython.void:
        """Read the clock, and again when its second is over: an idle worker is not woken for it."""
        now: float = self._clock()
        left: float = int(now) + 1 - now
        self.wall = int(now)
        self.date = format_date(int(now))
        self.second += 1
        self.fresh = True
        self.late = worker.time() + left
        worker.call_later(left, self.expire)

    def expire(self) -> None:
        """The second is over."""
        self.fresh = False
        if self.log is not None:
            self.log.flush()

    @cython.cfunc
    def dress(self, entry: Entry) -> cython.void:
        """Make the replies to a plain GET of a resident file ready for this second."""
        entry.second = self.second
        entry.rest = 0 if entry.length <= JOIN_MAX else entry.length
        body: bytes = b""
        if entry.rest == 0:
            body = read(self.site.memory, entry.at, entry.length)
        fields: bytes = entry.fields
        entry.keep = Buffer(head_octets(200, self.date, fields, entry.length) + body)
        entry.close = Buffer(head_octets(200, self.date, fields, entry.length, b"close") + body)

    @cython.cfunc
    def note(
        self, connection: Connection, request: bytes, status: cython.int, length: cython.Py_ssize_t
    ) -> cython.void:
        """Write a line of the access log."""
        date = format_log_date(int(self.wall))
        self.log.add(connection.peer[0], date, request, status, length)


@cython.final
@cython.cclass
class Stream:
    """A file on its way out: `left` octets from `at`, of a file on disk or of the site's memory."""

    fd: cython.int  # negative: in memory
    at: cython.Py_ssize_t
    left: cython.Py_ssize_t
    keep_alive: cython.bint
    _closer: object  # closes the descriptor when the connection lets go of the stream

    def __init__(
        self,
        fd: cython.int,
        at: cython.Py_ssize_t,
        left: cython.Py_ssize_t,
        keep_alive: cython.bint,
    ) -> None:
        self.fd = fd
        self.at = at
        self.left = left
        self.keep_alive = keep_alive
        self._closer = Descriptor(fd) if fd >= 0 else None

    def next_chunk(self) -> bytes:
        """Read on; empty when the file has become shorter. A cold disk makes the worker wait."""
        try:
            data = os.pread(self.fd, min(self.left, CHUNK), self.at)
        except OSError:
            return b""  # silent: as if it had become shorter
        self.at += len(data)
        self.left -= len(data)
        return data


class Descriptor:
    """An open descriptor, closed with its last reference."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)
