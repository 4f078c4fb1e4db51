"""Two workers and UDP: whatever queue a datagram or a fragment reaches, its endpoint gets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.udp.bench import Kept
from tests.worker.test_exchange import CLIENT, SERVER, House

DATA = bytes(i * 3 & 255 for i in range(65507))


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


@pytest.mark.parametrize("owner", [0, 1])
@pytest.mark.parametrize("connected", [True, False])
def test_an_answer_reaches_the_worker_that_asked(house: House, owner: int, connected: bool) -> None:
    service, asker = Kept(echo=True), Kept()
    house.client.stack.bind(53, service)
    peer = (CLIENT, 53)
    endpoint = house.workers[owner].stack.bind(0, asker, peer=peer if connected else None)
    house.route = 1 - owner
    assert endpoint.send(b"where?", None if connected else peer)
    house.turn()
    assert asker.got == [(b"where?", peer)]
    assert house.counter(1 - owner, "handed_over") == 1
    assert house.counter(1 - owner, "udp_no_endpoint") == 0
    endpoint.close()
    house.turn()
    house.client.stack.bind(0, service).send(b"late", (SERVER, endpoint.local[1]))
    house.turn()
    assert house.counter(1 - owner, "handed_over") == 1  # nobody has it any more


def test_a_port_that_all_have_is_served_where_it_arrives(house: House) -> None:
    kept = [Kept(echo=True), Kept(echo=True)]
    for worker, handler in zip(house.workers, kept, strict=True):
        worker.stack.bind(7, handler)
    asker = Kept()
    endpoint = house.client.stack.bind(0, asker)
    for route in (0, 1):
        house.route = route
        endpoint.send(b"hello", (SERVER, 7))
        house.turn()
        assert len(kept[route].got) == 1
    assert len(asker.got) == 2
    assert house.counter(0, "handed_over") == house.counter(1, "handed_over") == 0


def test_a_peer_of_another_worker_comes_before_a_port_of_ones_own(house: House) -> None:
    own, connected = Kept(), Kept()
    client = house.client.stack.bind(5000, Kept())
    house.workers[0].stack.bind(7, own)
    house.workers[1].stack.bind(7, connected, peer=(CLIENT, 5000))
    client.send(b"to my peer", (SERVER, 7))
    house.turn()
    assert [data for data, _ in connected.got] == [b"to my peer"] and own.got == []


class Alternating(House):
    """Every other frame of the client's goes to the other queue."""

    def steer(self, frame: bytes) -> None:
        super().steer(frame)
        self.route = 1 - self.route


@pytest.fixture
def split() -> Iterator[House]:
    made = Alternating()
    yield made
    made.close()


@pytest.mark.parametrize("size", [1473, 5000, 65507])
def test_fragments_that_reach_different_workers_meet(split: House, size: int) -> None:
    house = split
    kept = [Kept(echo=True), Kept(echo=True)]
    for worker, handler in zip(house.workers, kept, strict=True):
        worker.stack.bind(7, handler)
    asker = Kept()
    endpoint = house.client.stack.bind(0, asker)
    for number in range(4):
        endpoint.send(bytes([number]) + DATA[1:size], (SERVER, 7))
        house.turn(8)
    assert [data for data, _ in asker.got] == [bytes([n]) + DATA[1:size] for n in range(4)]
    arrived = [house.counter(i, "frames_in") for i in (0, 1)]
    assert min(arrived) > 0
    assert house.counter(0, "handed_over") + house.counter(1, "handed_over") > 0
    done = [house.counter(i, "reassembled") for i in (0, 1)]
    assert sum(done) == 4
    for worker in house.workers:
        assert len(worker.stack.fragments) == 0


def test_an_error_reaches_the_worker_that_is_meant(house: House) -> None:
    asker = Kept()
    endpoint = house.workers[1].stack.bind(0, asker, peer=(CLIENT, 9))
    endpoint.send(b"nobody there")
    house.turn()
    assert [type(error) for error, _ in asker.errors] == [ConnectionRefusedError]


def test_two_workers_never_choose_the_same_port(house: House) -> None:
    ports = [house.workers[i % 2].stack.bind(0, Kept()).local[1] for i in range(400)]
    assert len(set(ports)) == 400
