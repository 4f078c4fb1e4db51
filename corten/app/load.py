"""An HTTP load client: each connection asks again when its reply is whole (a closed loop), or when
a schedule says so (an open one, `schedule`).

Strategy. `Question` is one request and what is known of its reply: the head that came last. A reply
whose head is the same octets again is recognised by one comparison; any other is parsed. So a
request costs little more than its send, and nothing is believed that was not looked at: status and
length of every reply, and the body's hash where asked for.

`Tally` is what all connections of a run share. The handler counts into it and asks it what to do
next; opening, stopping and printing are `load_run`'s.

Rules. One request is outstanding on each connection, or as many as `pipeline` says. Every failure
is counted under one name. The clock is read once a reply: the end of one request is the start of
the next, unless it has an instant of its own: then its time counts from there.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from typing import Any

import cython
from cython.cimports.corten.app.histogram import Histogram
from cython.cimports.corten.app.schedule import Schedule
from cython.cimports.corten.core.arena import Buffer, read
from cython.cimports.corten.core.scan import same_octets
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.endpoint.handler import Handler

from corten.app.load_option import Options
from corten.app.reply import END, HEAD_MAX, ReplyError, parse_reply

if cython.compiled:
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec


@cython.cfunc
def clock_ns() -> cython.longlong:
    """The monotonic clock, in nanoseconds."""
    if cython.compiled:
        told = cython.declare(timespec)
        clock_gettime(CLOCK_MONOTONIC, cython.address(told))
        return cython.cast(cython.longlong, told.tv_sec) * 1_000_000_000 + told.tv_nsec
    return time.monotonic_ns()


@cython.final
@cython.cclass
class Question:
    """One request, and what its replies have been so far."""

    request: Buffer
    request_len: cython.Py_ssize_t
    head: bytes  # of the last reply
    head_len: cython.Py_ssize_t
    body_len: cython.longlong  # that it announced
    keeps: cython.bint  # the connection, that it announced
    first_len: cython.longlong  # of the first reply's body; -1 before it
    first_hash: bytes  # of the first reply's body, where bodies are hashed

    def __init__(self, request: bytes) -> None:
        self.request = Buffer(request)
        self.request_len = len(request)
        self.head = b""
        self.head_len = 0
        self.body_len = 0
        self.keeps = True
        self.first_len = -1
        self.first_hash = b""

    def learn(self, head: bytes) -> None:
        """A head that is not the last one again. ReplyError when it is not what was asked for."""
        status, length, keeps = parse_reply(head)
        if status != 200:
            raise ReplyError(f"status {status}")
        if self.first_len >= 0 and length != self.first_len:
            raise ReplyError("length changed")
        self.head, self.head_len = head, len(head)
        self.first_len = self.body_len = length
        self.keeps = keeps


@cython.final
@cython.cclass
class Tally:
    """What all connections of a run share: questions, counts, and whether to go on."""

    questions: list
    latency: Histogram
    going: cython.bint  # ask again
    measuring: cython.bint  # count
    closes: cython.bint  # one request a connection
    holds: cython.bint  # ask once, then hold the connection
    hashes: cython.bint
    replies: cython.longlong
    octets: cython.longlong  # of replies, heads included
    opened: cython.longlong  # connections, ever
    errors: dict
    timeout: cython.double
    timeout_ns: cython.longlong
    run: Any  # told of each connection that stands, is held, or is over
    pipeline: cython.Py_ssize_t  # requests outstanding on a connection
    schedule: Schedule | None  # of an open loop
    from_ns: cython.longlong  # requests of instants before it do not count
    free: Any  # deque of handlers, one for each request that they could send at once
    _chance: cython.ulonglong

    def __init__(self, requests: list, options: Options, run: Any) -> None:
        self.questions = [Question(request) for request in requests]
        self.latency = Histogram()
        self.going = True
        self.measuring = False
        self.closes = options.close
        self.holds = options.hold
        self.hashes = options.hashes
        self.replies = self.octets = self.opened = 0
        self.errors = {}
        self.timeout = options.timeout
        self.timeout_ns = int(options.timeout * 1e9)
        self.run = run
        self.pipeline = options.pipeline
        self.schedule = None
        if options.rate > 0:
            patience_ns = int(options.timeout * 1e9)
            self.schedule = Schedule(options.rate, options.poisson, patience_ns, options.seed)
        self.from_ns = 0
        self.free = deque()
        self._chance = options.seed % 2147483646 + 1

    @cython.cfunc
    def next_question(self) -> Question:
        """The only one, or one at random (Lehmer's generator: good enough to choose pages)."""
        count: cython.Py_ssize_t = len(self.questions)
        if count == 1:
            return self.questions[0]
        self._chance = (self._chance * 48271) % 2147483647
        return self.questions[cython.cast(cython.Py_ssize_t, self._chance) % count]

    def failed(self, kind: str, count: int = 1) -> None:
        """Count failures of one kind."""
        self.errors[kind] = self.errors.get(kind, 0) + count

    def start(self, from_ns: int = 0) -> None:
        """Forget what was counted so far: the timed part begins. `from_ns`: of an open loop, the
        instant of the first request that counts."""
        self.from_ns = from_ns
        self.latency.clear()
        self.replies = self.octets = 0
        self.measuring = True

    def stop(self) -> None:
        """Nobody asks again; nothing more is counted."""
        self.going = self.measuring = False


@cython.cclass
class LoadHandler(Handler):
    """One connection: asks, takes the reply, asks again."""

    tally: Tally
    slot: cython.Py_ssize_t  # whose place in the run this connection takes
    waiting: cython.bint  # a request is outstanding
    opened: cython.bint
    connection: Connection | None  # while it is open
    _instant: cython.longlong  # of the request that it is opened for; -1: none
    _later: Any  # deque of (question, instant): asked after the one whose reply is being read
    _question: Question
    _span: Span
    _asked_ns: cython.longlong  # from here on its time counts
    _began_ns: cython.longlong  # from here on it is waited for
    _body_left: cython.longlong  # -1: the head has not come
    _keeps: cython.bint  # the server keeps the connection after this reply
    _kept: bytes  # the part of a head that came in pieces
    _hash: Any
    _told: cython.bint  # a failure of this connection has been counted

    def __init__(self, tally: Tally, slot: int, instant: int = -1) -> None:
        self.tally = tally
        self.slot = slot
        self.connection = None
        self._instant = instant
        self._later = deque() if tally.pipeline > 1 else None
        self.waiting = False
        self._question = tally.questions[0]
        self._span = Span()
        self._asked_ns = self._began_ns = 0
        self._body_left = -1
        self._keeps = True
        self.opened = False
        self._kept = b""
        self._hash = None
        self._told = False

    def on_open(self, connection: Connection) -> None:
        tally: Tally = self.tally
        tally.opened += 1
        self.opened = True
        self.connection = connection
        tally.run.opened()
        connection.set_timeout(tally.timeout)
        now: cython.longlong = clock_ns()
        if self._instant >= 0:
            instant: cython.longlong = self._instant
            self._instant = -1
            self._ask(connection, instant, now)
            return
        for _ in range(tally.pipeline):
            self._go_on(connection, now)

    @cython.cfunc
    def _go_on(self, connection: Connection, now: cython.longlong) -> cython.void:
        """One request more may be sent: at once, or when the schedule says."""
        tally: Tally = self.tally
        schedule: Schedule | None = tally.schedule
        if schedule is None:
            self._ask(connection, now, now)
        elif schedule.is_due(now):
            self._ask(connection, schedule.take(now, len(tally.free) > 0), now)
        else:
            tally.free.append(self)

    @cython.cfunc
    def _ask(
        self, connection: Connection, instant: cython.longlong, now: cython.longlong
    ) -> cython.void:
        """Send the next request, whose time counts from `instant`."""
        question: Question = self.tally.next_question()
        if self.waiting:
            self._later.append((question, instant))
        else:
            self._expect(question, instant, now)
        connection.send_slice(question.request, 0, question.request_len)

    @cython.cfunc
    def _expect(
        self, question: Question, instant: cython.longlong, now: cython.longlong
    ) -> cython.void:
        """The next octets are the reply to this; from now on it may take `timeout`."""
        self._began_ns = now
        self._question = question
        self._asked_ns = instant
        self._body_left = -1
        self.waiting = True
        if self.tally.hashes:
            self._hash = hashlib.blake2b(digest_size=16)

    @cython.cfunc
    def receive(self, connection: Connection) -> cython.void:
        span: Span = self._span
        while connection.peek(span):
            if not self.waiting:
                self._fail(connection, "unasked octets")
                return
            if self._body_left < 0:
                self._take_head(connection)
            else:
                self._take_body(connection)
            if self._told:
                return
            if self._body_left == 0:
                self._finish(connection)

    @cython.cfunc
    def _take_head(self, connection: Connection) -> cython.void:
        """Take the head that `_span` begins with, or as much of it as there is."""
        span: Span = self._span
        question: Question = self._question
        if (
            not self._kept
            and question.head_len > 0
            and span.length >= question.head_len
            and same_octets(span.memory, span.at, question.head)
        ):
            connection.consume(question.head_len)
        elif not self._learn_head(connection):
            return
        self._body_left = question.body_len
        self._keeps = question.keeps
        if self.tally.measuring and self._asked_ns >= self.tally.from_ns:
            self.tally.octets += question.head_len

    @cython.cfunc
    def _learn_head(self, connection: Connection) -> cython.bint:
        """A new head, perhaps in pieces: True once it is whole and what was asked for."""
        span: Span = self._span
        kept_len: cython.Py_ssize_t = len(self._kept)
        data: bytes = self._kept + read(span.memory, span.at, span.length)
        end: cython.Py_ssize_t = data.find(END)
        if end < 0:
            connection.consume(span.length)
            self._kept = data
            if len(data) > HEAD_MAX:
                self._fail(connection, "head too long")
            return False
        connection.consume(end + 4 - kept_len)
        self._kept = b""
        try:
            self._question.learn(data[: end + 4])
        except ReplyError as error:
            self._fail(connection, error.kind)
            return False
        return True

    @cython.cfunc
    def _take_body(self, connection: Connection) -> cython.void:
        span: Span = self._span
        length: cython.Py_ssize_t = span.length
        if length > self._body_left:
            length = cython.cast(cython.Py_ssize_t, self._body_left)
        if self._hash is not None:
            self._hash.update(read(span.memory, span.at, length))
        connection.consume(length)
        self._body_left -= length
        if self.tally.measuring and self._asked_ns >= self.tally.from_ns:
            self.tally.octets += length

    @cython.cfunc
    def _finish(self, connection: Connection) -> cython.void:
        """The reply is whole: count it and go on."""
        tally: Tally = self.tally
        now: cython.longlong = clock_ns()
        if self._hash is not None and not self._same_hash():
            self._fail(connection, "body differs")
            return
        counts: cython.bint = tally.measuring or tally.holds
        schedule: Schedule | None = tally.schedule
        if schedule is not None:
            counts = schedule.finish(self._asked_ns, True)
        if counts:
            tally.replies += 1
            tally.latency.record(now - self._asked_ns)
        self.waiting = False
        if self._later:
            question, instant = self._later.popleft()
            self._expect(question, instant, now)
        if tally.holds:
            tally.run.held()
        elif tally.closes or not self._keeps:
            return  # the server closes; on_eof answers
        elif tally.going:
            self._go_on(connection, now)

    def _same_hash(self) -> bool:
        """Whether the body is that of the first reply to the same request."""
        found: bytes = self._hash.digest()
        if not self._question.first_hash:
            self._question.first_hash = found
        return found == self._question.first_hash

    def _fail(self, connection: Connection, kind: str) -> None:
        """Count one failure of this connection and end it."""
        if not self._told:
            self._told = True
            self.tally.failed(kind)
        connection.abort()

    def on_timeout(self, connection: Connection) -> None:
        left = self._began_ns + self.tally.timeout_ns - clock_ns()
        if not self.waiting:
            connection.set_timeout(self.tally.timeout)
        elif left <= 0:
            self._fail(connection, "timeout")
        else:
            connection.set_timeout(left / 1e9)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.connection = None
        if self.tally.schedule is not None:
            self._lose(self.tally.schedule)
        if self.tally.going and not self._told:
            if not self.opened:
                self.tally.failed(f"connect: {type(error).__name__}")
            elif self.waiting:
                self.tally.failed("closed before the reply")
            elif self.tally.holds:
                self.tally.failed("closed while held")
            elif error is not None:
                self.tally.failed(type(error).__name__)
        self.tally.run.ended(self)

    @cython.cfunc
    def _lose(self, schedule: Schedule) -> cython.void:
        """The requests under way end with the connection."""
        if self._instant >= 0:
            schedule.finish(self._instant, False)
        if self.waiting:
            schedule.finish(self._asked_ns, False)
        for _, instant in self._later or ():
            schedule.finish(instant, False)


@cython.ccall
def send_due(tally: Tally) -> cython.void:
    """Send what is due over the connections that are free."""
    schedule: Schedule | None = tally.schedule
    if schedule is None:
        return
    now: cython.longlong = clock_ns()
    handler: LoadHandler
    while schedule.is_due(now) and tally.free:
        handler = tally.free.popleft()
        if handler.connection is not None:
            handler._ask(handler.connection, schedule.take(now, True), now)
