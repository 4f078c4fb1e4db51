"""Happy Eyeballs (RFC 8305): who is tried when, who wins, what the handler hears."""

from __future__ import annotations

from typing import Any

import pytest

from corten.core.chance import Chance
from corten.dns.opening import Opening, interleaved
from corten.dns.resolver import Resolver
from corten.endpoint.handler import Handler
from corten.wire.dns import AAAA, A, Record, parse_message
from tests.dns.loop import FakeConnection, FakeEndpoint, FakeLoop
from tests.dns.test_resolver import reply_to

V6, V6B = "2001:db8::1", "2001:db8::2"
V4, V4B = "192.0.2.1", "192.0.2.2"


class Probe(Handler):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_open(self, connection: Any) -> None:
        self.heard.append(connection)

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.heard.append(error)


class Case:
    """A name with addresses, each family answered after so long, and attempts that take so long."""

    def __init__(
        self,
        found: dict[int, tuple[float, list[str]]],
        takes: dict[str, float | Exception],
        **options: Any,
    ) -> None:
        self.loop = loop = FakeLoop()
        loop.on_query = self._query
        loop.on_connect = self._connect
        self.found, self.takes = found, takes
        self.probe = Probe()
        resolver = Resolver(loop, ["10.0.0.53"], Chance(1))
        self.opening = Opening(loop, resolver, "host.test", 80, self.probe, options)

    def _query(self, endpoint: FakeEndpoint, data: bytes) -> None:
        asked = parse_message(data)
        if asked.type in self.found:
            after, addresses = self.found[asked.type]
            records = [Record(asked.name, asked.type, 60, address) for address in addresses]
            endpoint.answer(reply_to(data, records), after)

    def _connect(self, connection: FakeConnection) -> None:
        fate = self.takes.get(connection.address)
        if isinstance(fate, Exception):
            self.loop.call_later(0.01, connection.end, fate)
        elif fate is not None:
            self.loop.call_later(fate, connection.open)

    def run(self) -> Case:
        self.loop.run()
        return self

    def attempts(self) -> list[tuple[float, str]]:
        return [(round(at, 3), c.address) for at, c in self.loop.connections]

    def winner(self) -> str:
        assert len(self.probe.heard) == 1
        connection = self.probe.heard[0]
        assert isinstance(connection, FakeConnection)
        assert connection.owner() is self.probe
        others = [c for _, c in self.loop.connections if c is not connection]
        assert all(c.state == "closed" for c in others), "the losers are aborted"
        return connection.address


BOTH = {AAAA: (0.01, [V6]), A: (0.01, [V4])}


@pytest.mark.requirement("RFC 8305 3")
def test_ipv6_first_when_both_answer() -> None:
    case = Case(BOTH, {V6: 0.02, V4: 0.0}).run()
    assert case.winner() == V6
    assert case.attempts() == [(0.01, V6)]


@pytest.mark.requirement("RFC 8305 5")
def test_ipv4_follows_after_the_attempt_delay() -> None:
    case = Case(BOTH, {V6: 5.0, V4: 0.02}).run()
    assert case.winner() == V4
    assert case.attempts() == [(0.01, V6), (0.26, V4)]


def test_a_failed_attempt_is_followed_at_once() -> None:
    case = Case(BOTH, {V6: ConnectionRefusedError("refused"), V4: 0.02}).run()
    assert case.winner() == V4
    assert case.attempts() == [(0.01, V6), (0.02, V4)]


@pytest.mark.requirement("RFC 8305 3")
def test_ipv4_waits_a_moment_for_ipv6() -> None:
    case = Case({A: (0.01, [V4]), AAAA: (0.04, [V6])}, {V6: 0.02, V4: 0.0}).run()
    assert case.attempts() == [(0.04, V6)]
    late = Case({A: (0.01, [V4]), AAAA: (0.5, [V6])}, {V6: 0.02, V4: 0.1}).run()
    assert late.attempts() == [(0.06, V4)]
    assert late.winner() == V4


def test_late_ipv6_joins_the_race() -> None:
    slow = {V6: 0.01, V4: 9.0, V4B: 9.0}
    case = Case({A: (0.01, [V4, V4B]), AAAA: (0.2, [V6])}, slow).run()
    assert case.attempts() == [(0.06, V4), (0.31, V6)]
    assert case.winner() == V6


def test_families_take_turns() -> None:
    assert interleaved([V6, V6B, V4, V4B]) == [V6, V4, V6B, V4B]
    assert interleaved([V4]) == [V4]
    assert interleaved([]) == []


def test_all_fail_with_the_last_reason() -> None:
    refused = ConnectionRefusedError("refused")
    case = Case(BOTH, {V6: OSError("unreachable"), V4: refused}).run()
    assert case.probe.heard == [refused]


def test_no_such_name() -> None:
    case = Case({AAAA: (0.01, []), A: (0.01, [])}, {}).run()
    assert len(case.probe.heard) == 1
    assert "host.test" in str(case.probe.heard[0])


def test_timeout_covers_everything() -> None:
    case = Case(BOTH, {}, timeout=1.5)
    case.loop.run(1.6)
    assert isinstance(case.probe.heard[0], TimeoutError)
    case.run()
    assert len(case.probe.heard) == 1
    assert all(c.state == "closed" for _, c in case.loop.connections)


def test_abort_gives_up() -> None:
    case = Case(BOTH, {V6: 1.0, V4: 1.0})
    case.loop.run(0.1)
    case.opening.abort()
    case.run()
    assert len(case.probe.heard) == 1
    assert isinstance(case.probe.heard[0], ConnectionAbortedError)
    assert all(c.state == "closed" for _, c in case.loop.connections)


def test_the_order_is_asked_for() -> None:
    """RFC 8305 4: addresses are tried as RFC 6724 orders them, which the stack knows."""
    case = Case({A: (0.01, [V4]), AAAA: (0.02, [V6])}, {V6: 5.0, V4: 0.02})
    case.opening.sort = sorted  # digits first: IPv4 before IPv6
    case.run()
    assert case.attempts() == [(0.02, V4)]
    assert case.winner() == V4
