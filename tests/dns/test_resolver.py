"""The stub resolver: what it asks, whom it believes, what it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from corten.core.chance import Chance
from corten.dns.cache import ENTRIES_MAX, Cache
from corten.dns.resolver import Resolver
from corten.endpoint.error import ResolutionError
from corten.wire.dns import (
    AAAA,
    CNAME,
    NAME_ERROR,
    RECURSION_AVAILABLE,
    RESPONSE,
    SERVER_FAILURE,
    TRUNCATED,
    A,
    Message,
    Record,
    emit_message,
    parse_message,
)
from tests.dns.loop import FakeConnection, FakeEndpoint, FakeLoop

SERVERS = ["10.0.0.53", "10.0.1.53"]


def reply_to(data: bytes, answers: list[Record], code: int = 0, **changes: Any) -> bytes:
    """A reply to the question in `data`."""
    asked = parse_message(data)
    reply = Message(
        changes.get("id", asked.id),
        RESPONSE | RECURSION_AVAILABLE | code | changes.get("flags", 0),
        changes.get("name", asked.name),
        changes.get("type", asked.type),
        answers,
    )
    return emit_message(reply)


class Zone:
    """Answers from a table: (name, type) to records."""

    def __init__(self, table: dict[tuple[str, int], list[Record]]) -> None:
        self.table = table
        self.asked: list[tuple[str, int]] = []

    def __call__(self, endpoint: FakeEndpoint, data: bytes) -> None:
        question = parse_message(data)
        key = (question.name.lower(), question.type)
        self.asked.append(key)
        found = self.table.get(key)
        known = any(name == key[0] for name, _ in self.table)
        endpoint.answer(reply_to(data, found or [], 0 if known else NAME_ERROR))


def a(name: str, address: str, ttl: int = 60) -> Record:
    return Record(name, A if ":" not in address else AAAA, ttl, address)


HOST = {
    ("host.test", A): [a("host.test", "192.0.2.1")],
    ("host.test", AAAA): [a("host.test", "2001:db8::1")],
}


class Answer:
    def __init__(self) -> None:
        self.calls: list[tuple[list[str], Exception | None]] = []

    def __call__(self, addresses: list[str], error: Exception | None) -> None:
        self.calls.append((addresses, error))

    @property
    def addresses(self) -> list[str]:
        assert len(self.calls) == 1
        return self.calls[0][0]

    @property
    def error(self) -> str:
        assert len(self.calls) == 1
        assert isinstance(self.calls[0][1], ResolutionError)
        return str(self.calls[0][1])


def resolver(servers: list[str] | None = None, **options: Any) -> tuple[FakeLoop, Resolver]:
    loop = FakeLoop()
    return loop, Resolver(loop, SERVERS if servers is None else servers, Chance(1), **options)


def ask(loop: FakeLoop, r: Resolver, name: str, family: int = 0) -> Answer:
    answer = Answer()
    r.resolve(name, answer, family)
    assert not answer.calls, "never from inside the call"
    loop.run()
    assert not any(endpoint.open for endpoint in loop.endpoints), "left open"
    return answer


def test_both_families_ipv6_first() -> None:
    loop, r = resolver()
    loop.on_query = Zone(HOST)
    assert ask(loop, r, "host.test").addresses == ["2001:db8::1", "192.0.2.1"]


def test_one_family() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone(HOST)
    assert ask(loop, r, "host.test.", 4).addresses == ["192.0.2.1"]
    assert zone.asked == [("host.test", A)]


def test_kept_as_long_as_its_ttl() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone({("host.test", A): [a("host.test", "192.0.2.1", 60)]})
    ask(loop, r, "host.test", 4)
    assert ask(loop, r, "HOST.test", 4).addresses == ["192.0.2.1"]
    assert len(zone.asked) == 1
    loop.now += 61
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]
    assert len(zone.asked) == 2


def test_ttl_zero_is_not_kept() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone({("host.test", A): [a("host.test", "192.0.2.1", 0)]})
    ask(loop, r, "host.test", 4)
    ask(loop, r, "host.test", 4)
    assert len(zone.asked) == 2


def test_questions_under_way_are_shared() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone(HOST)
    answers = [Answer(), Answer()]
    for answer in answers:
        r.resolve("host.test", answer, 4)
    loop.run()
    assert [answer.addresses for answer in answers] == [["192.0.2.1"]] * 2
    assert len(zone.asked) == 1


def test_no_such_name() -> None:
    loop, r = resolver()
    loop.on_query = Zone(HOST)
    assert ask(loop, r, "other.test").error == "other.test: no such name"


def test_no_address_of_that_family() -> None:
    loop, r = resolver()
    loop.on_query = Zone({("host.test", A): HOST["host.test", A]})
    assert ask(loop, r, "host.test", 6).error == "host.test: no address of this family"
    assert ask(loop, r, "host.test").addresses == ["192.0.2.1"]


@pytest.mark.parametrize("name", ["127.1.2.3", "::1", "localhost", "a.localhost", "Printer"])
def test_known_without_asking(name: str) -> None:
    loop, r = resolver(hosts={"printer": ["10.0.0.9"]})
    assert ask(loop, r, name).addresses
    assert not loop.queries


def test_no_server() -> None:
    loop, r = resolver([])
    assert "no name server is known" in ask(loop, r, "host.test").error


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test", "a." * 130, ""])
def test_not_a_name(name: str) -> None:
    loop, r = resolver()
    assert ask(loop, r, name).error
    assert not loop.queries


def test_silent_servers_are_asked_in_turn() -> None:
    loop, r = resolver()
    answer = ask(loop, r, "host.test", 4)
    assert answer.error == "host.test: no answer from 10.0.1.53"
    assert [server for _, server, _ in loop.queries] == SERVERS * 3
    assert [round(at, 3) for at, _, _ in loop.queries] == [0, 1, 2, 4, 6, 10]


def test_a_refused_port_is_passed_over_at_once() -> None:
    loop, r = resolver()
    zone = Zone(HOST)

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        if endpoint.to[0] == SERVERS[0]:
            endpoint.refuse(ConnectionRefusedError("refused"))
        else:
            zone(endpoint, data)

    loop.on_query = on_query
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]
    assert loop.now < 0.5


def test_a_failing_server_is_passed_over() -> None:
    loop, r = resolver()
    zone = Zone(HOST)

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        if endpoint.to[0] == SERVERS[0]:
            endpoint.answer(reply_to(data, [], SERVER_FAILURE))
        else:
            zone(endpoint, data)

    loop.on_query = on_query
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]


@pytest.mark.requirement("RFC 5452 9.1")
@pytest.mark.parametrize(
    "changes",
    [
        {"id": 0xDEAD},
        {"name": "host.test"},  # the letters were mixed
        {"name": "evil.test"},
        {"type": AAAA},
        {"flags": RESPONSE ^ RESPONSE},
    ],
)
def test_replies_to_other_questions_are_ignored(changes: dict[str, Any]) -> None:
    loop, r = resolver([SERVERS[0]])

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        false = reply_to(data, [a("host.test", "203.0.113.66")], **changes)
        if not changes.get("flags", 1):
            false = false[:2] + b"\x00\x00" + false[4:]  # a query, not a reply
        endpoint.answer(false, 0.01)
        endpoint.answer(reply_to(data, [a("host.test", "192.0.2.1")]), 0.02)

    loop.on_query = on_query
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]


@pytest.mark.requirement("RFC 5452 9.2")
def test_questions_differ_in_number_port_and_letters() -> None:
    loop, r = resolver([SERVERS[0]])
    loop.on_query = Zone({})
    for i in range(20):
        ask(loop, r, f"some-longer-name-{i}.test", 4)
    asked = [parse_message(data) for _, _, data in loop.queries]
    assert len({message.id for message in asked}) == 20
    assert len({endpoint.port for endpoint in loop.endpoints}) == 20
    patterns = {"".join("u" if c.isupper() else "l" for c in m.name[:16]) for m in asked}
    assert len(patterns) >= 19


def test_the_last_round_asks_in_plain_letters() -> None:
    loop, r = resolver([SERVERS[0]])

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        name = parse_message(data).name.lower()
        endpoint.answer(reply_to(data, [a(name, "192.0.2.1")], name=name))

    loop.on_query = on_query
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]
    assert len(loop.queries) == 3


def test_records_off_the_chain_are_ignored() -> None:
    loop, r = resolver()
    loop.on_query = Zone({("host.test", A): [a("evil.test", "203.0.113.66")]})
    assert ask(loop, r, "host.test", 4).error


def test_aliases_within_a_reply_and_beyond_it() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone(
        {
            ("www.test", A): [
                Record("www.test", CNAME, 300, "cdn.test"),
                Record("cdn.test", CNAME, 10, "host.test"),
            ],
            ("host.test", A): [a("host.test", "192.0.2.1", 1000)],
        }
    )
    assert ask(loop, r, "www.test", 4).addresses == ["192.0.2.1"]
    assert zone.asked == [("www.test", A), ("host.test", A)]
    loop.now += 11  # the smallest TTL of the chain
    ask(loop, r, "www.test", 4)
    assert len(zone.asked) == 4


def test_a_circle_of_aliases_ends() -> None:
    loop, r = resolver()
    loop.on_query = zone = Zone(
        {
            ("a.test", A): [Record("a.test", CNAME, 10, "b.test")],
            ("b.test", A): [Record("b.test", CNAME, 10, "a.test")],
        }
    )
    assert ask(loop, r, "a.test", 4).error
    assert len(zone.asked) <= 10


def test_without_edns_where_the_server_does_not_know_it() -> None:
    loop, r = resolver()

    def on_query(endpoint: FakeEndpoint, data: bytes) -> None:
        if parse_message(data).udp_len:
            endpoint.answer(reply_to(data, [], 1))
        else:
            endpoint.answer(reply_to(data, [a(parse_message(data).name, "192.0.2.1")]))

    loop.on_query = on_query
    assert ask(loop, r, "host.test", 4).addresses == ["192.0.2.1"]


@pytest.mark.requirement("RFC 7766 5")
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_truncated_goes_by_tcp(piece: int) -> None:
    loop, r = resolver([SERVERS[0]])
    many = [a("host.test", f"192.0.2.{i}") for i in range(100)]
    loop.on_query = lambda endpoint, data: endpoint.answer(reply_to(data, [], flags=TRUNCATED))
    loop.on_connect = lambda connection: loop.call_soon(connection.open)

    def on_stream(connection: FakeConnection) -> None:
        reply = reply_to(connection.sent[2:], many)
        whole = len(reply).to_bytes(2, "big") + reply
        for at in range(0, len(whole), piece):
            loop.call_soon(connection.owner().on_data, connection, whole[at : at + piece])

    loop.on_stream = on_stream
    assert len(ask(loop, r, "host.test", 4).addresses) == 100


def test_truncated_and_tcp_refused() -> None:
    loop, r = resolver([SERVERS[0]])
    loop.on_query = lambda endpoint, data: endpoint.answer(reply_to(data, [], flags=TRUNCATED))
    loop.on_connect = lambda c: loop.call_soon(c.end, ConnectionRefusedError("refused"))
    assert "by TCP: refused" in ask(loop, r, "host.test", 4).error


def test_close_tells_who_waits() -> None:
    loop, r = resolver()
    answer = Answer()
    r.resolve("host.test", answer, 4)
    loop.run(0.5)
    r.close()
    loop.run()
    assert "the resolver was closed" in answer.error
    assert not any(endpoint.open for endpoint in loop.endpoints)


def test_the_cache_is_bounded() -> None:
    cache = Cache()
    for i in range(2 * ENTRIES_MAX):
        cache.keep(f"h{i}.test", A, ["192.0.2.1"], 60, 0.0, False)
    assert len(cache) == ENTRIES_MAX
    assert cache.find("h0.test", A, 1.0) is None
    assert cache.find(f"h{2 * ENTRIES_MAX - 1}.test", A, 1.0) is not None
