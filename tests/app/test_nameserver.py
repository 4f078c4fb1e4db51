"""The name server that asks others, on a loop without a network."""

from __future__ import annotations

from typing import Any

import pytest

from corten.app.nameserver import UDP_LEN_PLAIN, ByDatagram, ByStream
from corten.core.chance import Chance
from corten.dns.resolver import Resolver
from corten.wire.dns import (
    AAAA,
    NAME_ERROR,
    NOT_IMPLEMENTED,
    SERVER_FAILURE,
    TRUNCATED,
    A,
    Message,
    Record,
    emit_message,
    parse_message,
)
from tests.dns.loop import FakeConnection, FakeEndpoint, FakeLoop
from tests.dns.test_resolver import reply_to

PEER = ("10.0.0.9", 5353)


class Side:
    """An asker's side: what was said to whom."""

    def __init__(self) -> None:
        self.local = ("10.0.0.2", 53)
        self.said: list[tuple[bytes, Any, Any]] = []

    def send(self, data: bytes, to: Any = None, source: Any = None) -> bool:
        self.said.append((data, to, source))
        return True


def upstream(records: list[Record], code: int = 0) -> tuple[FakeLoop, Resolver]:
    loop = FakeLoop()

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        asked = parse_message(data)
        found = [Record(asked.name, r.type, r.ttl, r.data) for r in records if r.type == asked.type]
        endpoint.answer(reply_to(data, found, code))

    loop.on_query = on_query
    return loop, Resolver(loop, ["10.0.0.53"], Chance(1))


def ask(loop: FakeLoop, resolver: Resolver, question: Message) -> Message:
    side = Side()
    ByDatagram(lambda: resolver).on_datagram(side, emit_message(question), PEER)  # type: ignore[arg-type]
    loop.run()
    ((data, to, source),) = side.said
    assert (to, source) == (PEER, "10.0.0.2")
    reply = parse_message(data)
    assert (reply.id, reply.name, reply.type) == (question.id, question.name, question.type)
    assert reply.is_response
    return reply


def test_an_address() -> None:
    loop, resolver = upstream([Record("", A, 60, "192.0.2.1")])
    reply = ask(loop, resolver, Message(7, name="HoSt.test", type=A, udp_len=4096))
    assert [record.data for record in reply.answers] == ["192.0.2.1"]
    assert (reply.code, reply.answers[0].name) == (0, "HoSt.test")


@pytest.mark.parametrize(("code", "said"), [(NAME_ERROR, NAME_ERROR), (2, SERVER_FAILURE), (0, 0)])
def test_what_failed(code: int, said: int) -> None:
    loop, resolver = upstream([], code)
    assert ask(loop, resolver, Message(7, name="host.test", type=AAAA)).code == said


def test_a_name_known_to_be_missing() -> None:
    loop, resolver = upstream([])
    resolver.cache.keep("host.test", A, [], 60, 0.0, True)
    assert ask(loop, resolver, Message(7, name="host.test", type=A)).code == NAME_ERROR


def test_other_questions_are_not_implemented() -> None:
    loop, resolver = upstream([])
    assert ask(loop, resolver, Message(7, name="host.test", type=16)).code == NOT_IMPLEMENTED
    assert not loop.queries


@pytest.mark.parametrize("data", [b"", bytes(12), b"\0" * 11 + b"\1"])
def test_what_is_no_question_is_dropped(data: bytes) -> None:
    loop, resolver = upstream([])
    side = Side()
    ByDatagram(lambda: resolver).on_datagram(side, data, PEER)  # type: ignore[arg-type]
    reply = emit_message(Message(1, 0x8000, "a.test"))
    ByDatagram(lambda: resolver).on_datagram(side, reply, PEER)  # type: ignore[arg-type]
    loop.run()
    assert not side.said


def test_larger_than_the_asker_takes_is_truncated() -> None:
    many = [Record("", A, 60, f"192.0.2.{i}") for i in range(60)]
    loop, resolver = upstream(many)
    plain = ask(loop, resolver, Message(7, name="host.test", type=A))
    assert plain.flags & TRUNCATED
    assert len(emit_message(plain)) <= UDP_LEN_PLAIN
    extended = ask(loop, resolver, Message(7, name="host.test", type=A, udp_len=4096))
    assert not plain.answers
    assert len(extended.answers) in (0, 60)


@pytest.mark.requirement("RFC 7766 6.2.1")
@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_several_questions_by_tcp(piece: int) -> None:
    loop, resolver = upstream([Record("", A, 60, "192.0.2.1")])
    handler = ByStream(lambda: resolver)
    connection = FakeConnection(loop, "10.0.0.9", 1, handler)
    handler.on_open(connection)
    asked = b""
    for i in range(3):
        question = emit_message(Message(i, name=f"h{i}.test", type=A))
        asked += len(question).to_bytes(2, "big") + question
    for at in range(0, len(asked), piece):
        handler.on_data(connection, asked[at : at + piece])
    handler.on_eof(connection)
    loop.run()
    said, found = connection.sent, []
    while said:
        length = int.from_bytes(said[:2], "big")
        found.append(parse_message(said[2 : 2 + length]))
        said = said[2 + length :]
    assert sorted(reply.id for reply in found) == [0, 1, 2]
    assert all(len(reply.answers) == 1 for reply in found)
    assert connection.state == "closed"


def test_nonsense_by_tcp_ends_the_connection() -> None:
    loop, resolver = upstream([])
    connection = FakeConnection(loop, "10.0.0.9", 1, ByStream(lambda: resolver))
    connection.first.on_data(connection, b"\0\4abcd")
    loop.run()
    assert connection.state == "closed"
