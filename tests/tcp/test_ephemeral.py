"""Ephemeral ports (RFC 6056): unpredictable from outside, used again as late as can be."""

from __future__ import annotations

from itertools import pairwise

import cython
import pytest

from corten.core.chance import Chance
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.ip.exchange import Exchange
from corten.ip.steering import EPHEMERAL_COUNT, EPHEMERAL_FIRST
from corten.sim.script import Trace
from corten.stack.stack import Stack
from corten.tcp.ephemeral import EphemeralPorts


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
    turns = EPHEMERAL_COUNT if cython.compiled else 2000
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
