"""A name server that asks others: every question goes through the stack's resolver and its cache.

It answers questions for addresses (A and AAAA) over UDP and TCP (RFC 1035 4.2, RFC 7766), so that
`dig` and every program with a resolv.conf can use the stack's resolver. Whatever else is asked for
is answered with «not implemented».

Rules. Questions come from strangers: what is no question is dropped; questions under way are
bounded, by the resolver over all and by `PIPELINED_MAX` for each connection; an answer by UDP is
never larger than the asker takes, and is marked truncated then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from corten.dns.resolver import Resolver
from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import NoSuchAddress, NoSuchName
from corten.endpoint.handler import Handler
from corten.wire.dns import (
    AAAA,
    NAME_ERROR,
    NOT_IMPLEMENTED,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    RESPONSE,
    SERVER_FAILURE,
    TRUNCATED,
    A,
    DnsMalformed,
    Message,
    Record,
    emit_message,
    parse_message,
)

if TYPE_CHECKING:
    from corten.worker.worker import Worker

TTL_S = 30  # how long what we say may be believed: our own cache knows better
UDP_LEN = 1232
UDP_LEN_PLAIN = 512  # RFC 1035 2.3.4, to who does not speak EDNS
PIPELINED_MAX = 16
IDLE_S = 10.0

Say = Callable[[Message], None]


def answer(resolver: Resolver, data: bytes, say: Say) -> bool:
    """Answer the question in `data` by calling `say` once, perhaps later. False: it is none."""
    try:
        asked = parse_message(data)
    except DnsMalformed:
        return False  # silent: that is the answer
    if asked.is_response or asked.is_truncated:
        return False
    reply = Message(
        asked.id,
        RESPONSE | RECURSION_AVAILABLE | (asked.flags & RECURSION_DESIRED),
        asked.name,
        asked.type,
        udp_len=UDP_LEN if asked.udp_len else 0,
    )
    if asked.flags & 0x7800 or asked.type not in (A, AAAA):
        reply.flags |= NOT_IMPLEMENTED
        say(reply)
        return True
    resolver.lookup(asked.name, asked.type, partial(_found, reply, say))
    return True


def _found(reply: Message, say: Say, addresses: list[str], error: Exception | None) -> None:
    reply.answers = [Record(reply.name, reply.type, TTL_S, address) for address in addresses]
    if isinstance(error, NoSuchName):
        reply.flags |= NAME_ERROR
    elif error is not None and not isinstance(error, NoSuchAddress):
        reply.flags |= SERVER_FAILURE
    say(reply)


class ByDatagram(DatagramHandler):
    """Questions by UDP. One for each worker's endpoint."""

    def __init__(self, resolver: Callable[[], Resolver]) -> None:
        self.resolver = resolver

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        local = endpoint.local[0]  # an answer comes from where the question went
        answer(self.resolver(), data, partial(self._say, endpoint, peer, local))

    def _say(self, endpoint: Endpoint, peer: tuple[str, int], local: str, reply: Message) -> None:
        limit = UDP_LEN if reply.udp_len else UDP_LEN_PLAIN
        octets = emit_message(reply)
        if len(octets) > limit:
            reply.answers = []
            reply.flags |= TRUNCATED
            octets = emit_message(reply)
        endpoint.send(octets, peer, local)


class ByStream(Handler):
    """Questions by TCP: each after its length; answers as they come (RFC 7766 6.2.1.1)."""

    def __init__(self, resolver: Callable[[], Resolver]) -> None:
        self.resolver = resolver
        self.received = b""
        self.pending = 0
        self.ended = False  # the asker asks no more
        self.finished = False

    def on_open(self, connection: Connection) -> None:
        connection.set_timeout(IDLE_S)

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.received += data
        while len(self.received) >= 2:
            length = int.from_bytes(self.received[:2], "big")
            if len(self.received) < 2 + length:
                break
            question, self.received = self.received[2 : 2 + length], self.received[2 + length :]
            self.pending += 1
            if not answer(self.resolver(), question, partial(self._say, connection)):
                connection.abort()
                return
        if self.pending >= PIPELINED_MAX:
            connection.pause()
        connection.set_timeout(IDLE_S)

    def _say(self, connection: Connection, reply: Message) -> None:
        self.pending -= 1
        if self.finished:
            return
        octets = emit_message(reply)
        connection.send(len(octets).to_bytes(2, "big") + octets)
        connection.resume()
        if self.ended and not self.pending:
            connection.close()

    def on_eof(self, connection: Connection) -> None:
        self.ended = True
        if not self.pending:
            connection.close()

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.finished = True


def serve_names(worker: Worker, port: int) -> None:
    """Answer at `port` of every address of a worker, by the worker's own resolver."""

    def resolver() -> Resolver:
        return worker.names.resolver

    worker.bind(port, ByDatagram(resolver))
    worker.listen(port, lambda: ByStream(resolver))
