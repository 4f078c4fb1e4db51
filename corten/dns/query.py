"""One question to the name servers, until one answers (RFC 1035 4.2, RFC 5452, RFC 6891, RFC 7766).

Strategy. A question goes by UDP to one server after the other, from a port of its own each time; a
truncated reply is asked for again by TCP, one that does not understand EDNS without it. Besides the
port and the number, the letters' cases are drawn by chance (the server repeats them), so that who
does not see the question cannot guess the reply; the last round asks in plain letters, for servers
that do not repeat them.

Rules. A reply counts only from the server's address and port, with our number and exactly our
question (RFC 5452 9.1); anything else is ignored, and the waiting goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from corten.core.chance import Chance
from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.endpoint.loop import Loop, TimerHandle
from corten.wire.dns import (
    FORMAT_ERROR,
    NAME_ERROR,
    NO_ERROR,
    NOT_IMPLEMENTED,
    DnsMalformed,
    Message,
    emit_message,
    parse_message,
)

PORT = 53
UDP_LEN = 1232  # what passes everywhere unfragmented (RFC 9715 3.2)
ROUNDS = 3  # over all servers
FIRST_WAIT_S = 1.0  # for a reply; twice as long in each round
TCP_WAIT_S = 5.0

Done = Callable[[Message | None, str], None]  # the reply, or why there is none


def mixed(name: str, chance: Chance) -> str:
    """The name with the case of each letter drawn by chance."""
    return "".join(c.upper() if chance.below(2) else c.lower() for c in name)


class Query(DatagramHandler):
    """Asks until it has a reply; then, or when nobody answered, calls `done` once."""

    def __init__(
        self, loop: Loop, chance: Chance, servers: list[str], name: str, kind: int, done: Done
    ) -> None:
        self.loop = loop
        self.chance = chance
        self.servers = servers
        self.name, self.kind = name, kind
        self.done: Done | None = done
        self.edns = True
        self.attempt = -1
        self.asked = Message(0)
        self.why = "no name server is known"
        self._endpoint: Endpoint | None = None
        self._timer: TimerHandle | None = None
        self._stream: Stream | None = None

    def start(self) -> None:
        """Ask the first server."""
        self._next()

    def cancel(self) -> None:
        """Ask no more; `done` is not called."""
        self.done = None
        self._let_go()

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._endpoint is not None:
            endpoint, self._endpoint = self._endpoint, None
            endpoint.close()
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.cancel()

    @property
    def server(self) -> str:
        return self.servers[self.attempt % len(self.servers)]

    def _next(self) -> None:
        """The next server; after `ROUNDS` over all of them it is over."""
        self.attempt += 1
        if self.attempt >= ROUNDS * len(self.servers):
            self._finish(None)
            return
        self._ask()

    def _ask(self) -> None:
        self._let_go()
        around = self.attempt // len(self.servers)
        name = self.name if around == ROUNDS - 1 else mixed(self.name, self.chance)
        number = self.chance.below(1 << 16)
        self.asked = Message(number, name=name, type=self.kind, udp_len=UDP_LEN if self.edns else 0)
        wait = FIRST_WAIT_S * (1 << around)
        self._timer = self.loop.call_later(wait, self._silent)
        try:
            self._endpoint = self.loop.bind(0, self, peer=(self.server, PORT))
            self._endpoint.send(emit_message(self.asked))
        except (CortenError, OSError) as error:
            self.why = str(error)
            self.loop.call_soon(self._unable, self.attempt)

    def _unable(self, attempt: int) -> None:
        if attempt == self.attempt and self.done is not None:
            self._next()

    def _silent(self) -> None:
        self.why = f"no answer from {self.server}"
        self._next()

    # -- events -------------------------------------------------------------------------------

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        if endpoint is not self._endpoint:
            return
        reply = self._read(data)
        if reply is None:
            return  # not to our question: perhaps somebody guesses
        if reply.is_truncated:
            self._ask_by_stream()
        else:
            self.take(reply)

    def on_error(self, endpoint: Endpoint, error: OSError, peer: tuple[str, int]) -> None:
        if endpoint is self._endpoint:
            self.why = f"{self.server}: {error}"
            self._next()

    def _read(self, data: bytes) -> Message | None:
        try:
            reply = parse_message(data)
        except DnsMalformed:
            return None  # silent: ignored, see the rules above
        asked = self.asked
        if not reply.is_response or reply.id != asked.id or reply.type != asked.type:
            return None
        return reply if reply.name == asked.name else None

    def take(self, reply: Message) -> None:
        """A reply to exactly our question."""
        if reply.code in (FORMAT_ERROR, NOT_IMPLEMENTED) and self.edns:
            self.edns = False  # RFC 6891 7: a server that has never heard of it
            self._ask()
        elif reply.code in (NO_ERROR, NAME_ERROR):
            self._finish(reply)
        else:
            self.why = f"{self.server} answered with error {reply.code}"
            self._next()

    def failed_stream(self, why: str) -> None:
        self.why = why
        self._stream = None
        self._next()

    def _ask_by_stream(self) -> None:
        self._let_go()
        stream = self._stream = Stream(self, emit_message(self.asked))
        try:
            self.loop.connect(self.server, PORT, lambda: stream, timeout=TCP_WAIT_S)
        except (CortenError, OSError) as error:
            self.loop.call_soon(self.failed_stream, str(error))

    def read_stream(self, data: bytes) -> None:
        """A whole message came by TCP."""
        reply = self._read(data)
        if reply is None:
            self.failed_stream(f"{self.server} answered another question")
        else:
            self.take(reply)

    def _finish(self, reply: Message | None) -> None:
        self._let_go()
        done, self.done = self.done, None
        if done is not None:
            done(reply, self.why)


class Stream(Handler):
    """The same question by TCP: a length of two octets before each message (RFC 7766 8)."""

    def __init__(self, query: Query, question: bytes) -> None:
        self.query: Query | None = query
        self.question = question
        self.received = b""
        self._connection: Connection | None = None

    def on_open(self, connection: Connection) -> None:
        self._connection = connection
        if self.query is None:
            connection.abort()
            return
        connection.send(len(self.question).to_bytes(2, "big") + self.question)
        connection.set_timeout(TCP_WAIT_S)

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.received += data
        length = int.from_bytes(self.received[:2], "big")
        if len(self.received) >= 2 and len(self.received) >= 2 + length:
            query, self.query = self.query, None
            connection.close()
            if query is not None:
                query.read_stream(self.received[2 : 2 + length])

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        query, self.query = self.query, None
        self._connection = None
        if query is not None:
            query.failed_stream(f"{query.server} by TCP: {error or 'closed without an answer'}")

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.query = None
        if self._connection is not None:
            self._connection.abort()
