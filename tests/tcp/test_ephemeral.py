"""Ephemeral ports (RFC 6056): unpredictable from outside, used again as late as can be."""

from __future__ import annotations

from itertools import pairwise

import pytest

from corten.core.chance import Chance
from corten.core.toeplitz import DEFAULT_KEY
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.ip.exchange import Exchange
from corten.ip.rss import Rss
from corten.ip.spread import Spread
from corten.ip.steering import EPHEMERAL_COUNT, EPHEMERAL_FIRST, Steering
from corten.sim.script import Trace
from corten.stack.stack import Stack
from corten.tcp.ephemeral import EphemeralPorts
from corten.wire.ipv4 import PROTOCOL_TCP
from tests.plain import IS_PLAIN


def stack(secret: bytes = b"k" * 32, seed: int = 1) -> Stack:
    made = Stack(Chance(seed), secret)
    made.add_interface("t0", "02:00:00:00:00:01", ["10.0.0.1/8"])
    return made


def port_towards(made: Stack, address: str, port: int = 80) -> int:
    connection = made.connect(address, port, Handler)
    local = connection.local[1]
    connection.abort()
    return local


@pytest.mark.requirement("RFC 6056 3.3.4")
def test_towards_one_peer_they_come_in_turn() -> None:
    made = stack()
    ports = [made.connect("10.0.0.2", 80, Handler).local[1] for _ in range(200)]
    steps = {(b - a) % EPHEMERAL_COUNT for a, b in pairwise(ports)}
    assert len(set(ports)) == 200 and steps == {1}
    assert all(EPHEMERAL_FIRST <= port < 65536 for port in ports)


@pytest.mark.requirement("RFC 6056 3.3.4")
def test_towards_others_they_tell_nothing() -> None:
    made = stack()
    first = [port_towards(made, f"10.1.{k // 200}.{k % 200 + 1}") for k in range(1600)]
    seen = [0] * 16
    for port in first:
        seen[(port - EPHEMERAL_FIRST) * 16 // EPHEMERAL_COUNT] += 1
    assert sum((n - 100) ** 2 / 100 for n in seen) < 45  # 15 degrees: one in ten thousand
    others = stack(b"o" * 32, 2)
    assert port_towards(others, "10.1.0.1") != first[0]


@pytest.mark.slow
@pytest.mark.requirement("RFC 6056 3.2")
def test_the_whole_range_is_reached() -> None:
    made = stack()
    path = made.connect("10.0.0.2", 80, Handler, source=(None, 1000)).path
    made.listen(5000, Handler)
    ports = EphemeralPorts(made.host, Chance(3))
    turns = 2000 if IS_PLAIN else EPHEMERAL_COUNT
    found = {ports.choose(path, 80) for _ in range(turns)}
    assert len(found) >= turns - 1
    assert 5000 not in found and 0 not in found


def test_a_port_in_use_is_passed_over_and_the_last_is_missed() -> None:
    made = stack()
    used = made.connect("10.0.0.2", 80, Handler).local[1]
    again = (used + 1 - EPHEMERAL_FIRST) % EPHEMERAL_COUNT + EPHEMERAL_FIRST
    made.connect("10.0.0.2", 80, Handler, source=(None, again))
    assert made.connect("10.0.0.2", 80, Handler).local[1] not in (used, again)


@pytest.mark.requirement("RFC 6056 3.3.4")
def test_a_pair_in_time_wait_is_not_used_again() -> None:
    t = Trace(check=False).established(active=True)
    t.app.close()
    t.expect(0, "F.", seq=1, ack=1)
    t.send(0, "F.", seq=1, ack=2)
    t.expect(None, ".", seq=2, ack=2)
    with pytest.raises(CortenError, match="in use"):
        t.host.connect("10.0.0.2", 80, Handler, source=(None, t.flow.stack_port))
    t.finish()


class Elsewhere(Exchange):
    """Fellow workers that may hold every flow."""

    def is_elsewhere(self, flow_hash: int) -> bool:
        return True


@pytest.mark.slow
def test_what_another_worker_may_hold_is_passed_over() -> None:
    made = Stack(Chance(1), b"k" * 32, exchange=Elsewhere())
    made.add_interface("t0", "02:00:00:00:00:01", ["10.0.0.1/8"])
    with pytest.raises(CortenError, match="no free local port"):
        made.connect("10.0.0.2", 80, Handler)


# -- where the link's steering is known ----------------------------------------------------------

QUEUES = 4


def place_of(steering: Steering, connection: Connection) -> int:
    """Whose queue the answers of a connection come out of."""
    path = connection.path
    return steering.worker_of(
        PROTOCOL_TCP,
        path.remote_high,
        path.remote_low,
        connection.peer[1],
        path.local_high,
        path.local_low,
        connection.local[1],
    )


@pytest.mark.parametrize(
    "steering",
    [
        Rss(2, DEFAULT_KEY, [i % QUEUES for i in range(128)], ["tcp4", "tcp6"]),
        Spread(2, [k * 0x9E37_79B9_7F4A_7C15 & 2**64 - 1 for k in range(1, 11)], QUEUES),
    ],
)
@pytest.mark.requirement("RFC 6056 3.3.4")
def test_answers_come_to_the_worker_that_opened(steering: Steering) -> None:
    made = stack()
    made.interfaces[0].steering = steering
    opened = [made.connect("10.0.0.2", 80, Handler) for _ in range(300)]
    opened += [made.connect(f"10.2.0.{k}", 443, Handler) for k in range(1, 200)]
    assert {place_of(steering, connection) for connection in opened} == {2}
    ports = [connection.local[1] for connection in opened[:300]]
    assert len(set(ports)) == 300
    turns = {(b - a) % EPHEMERAL_COUNT for a, b in pairwise(ports)}
    assert max(turns) < 256  # in turn, still: each is used again as late as can be


def test_where_ones_own_are_taken_any_other_is_better_than_none() -> None:
    """The one port that leads here is ours already."""

    class Narrow(Steering):
        def begin(self, *flow: int) -> int:
            return 1

        def port(self, turn: int) -> int:
            return 4000

    made = stack()
    made.interfaces[0].steering = Narrow(0)
    first, second = (made.connect("10.0.0.2", 80, Handler).local[1] for _ in range(2))
    assert first == 4000 and second not in (0, 4000)
