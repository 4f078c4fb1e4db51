"""UDP over a bad link, in the simulator: what arrives is whole, and what is lost is lost whole."""

from __future__ import annotations

import pytest

from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.sim import Network, Weather
from tests.udp.bench import Kept

SERVER, CLIENT = "10.0.0.1", "10.0.0.2"
ROUNDS = 60


def body(number: int, size: int) -> bytes:
    return number.to_bytes(4, "big") + bytes((number + i) & 255 for i in range(size - 4))


class Asker(DatagramHandler):
    """Sends a question every 20 ms; keeps the answers."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.answers: list[bytes] = []

    def begin(self, endpoint: Endpoint) -> None:
        endpoint.send(body(self.sent, self.size), (SERVER, 7))
        self.sent += 1
        if self.sent < ROUNDS:
            endpoint.worker.call_later(0.02, self.begin, endpoint)

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        assert peer == (SERVER, 7)
        self.answers.append(data)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [100, 4000])
def test_a_bad_link(seed: int, size: int) -> None:
    weather = Weather(loss=0.05, duplication=0.02, reordering=0.05, corruption=0.02)
    network = Network(seed=seed)
    wire = network.link(delay_ms=10, weather=weather)
    server, client = network.host("server"), network.host("client")
    server.attach(wire, f"{SERVER}/24")
    client.attach(wire, f"{CLIENT}/24")
    service, asker = Kept(echo=True), Asker(size)
    server.stack.bind(7, service)
    endpoint = client.stack.bind(0, asker)
    client.stack.call_soon(asker.begin, endpoint)
    client.wake(network.now)
    network.run(until_ms=70_000)  # fragments that wait are given up after 60 s
    expected = {body(i, size) for i in range(ROUNDS)}
    assert set(asker.answers) <= expected
    assert len(set(asker.answers)) > (ROUNDS // 2 if size < 1000 else ROUNDS // 6)
    assert len(set(asker.answers)) < ROUNDS  # the link did its worst
    for host in (server, client):
        assert len(host.stack.fragments) == 0 and host.stack.fragments.octets == 0
        assert host.stack.leaks() == []
