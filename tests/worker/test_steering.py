"""A queue's values become what a stack asks, at once and when they are renewed."""

from __future__ import annotations

import json
import os
import socket

import pytest

from corten.core.toeplitz import DEFAULT_KEY
from corten.driver.pipe import Pipe
from corten.ip.rss import Rss
from corten.ip.spread import SPREAD_KEYS, Spread
from corten.ip.steering import Steering
from corten.wire.ipv4 import PROTOCOL_UDP
from corten.worker.steering import steering_of
from corten.worker.worker import Worker
from tests.udp.bench import Kept

KEYS = [k * 0x9E37_79B9_7F4A_7C15 & 2**64 - 1 for k in range(1, SPREAD_KEYS + 1)]
SPREAD = {"kind": "spread", "place": 3, "keys": KEYS, "queues": 4}
RSS = {
    "kind": "rss",
    "place": 1,
    "key": DEFAULT_KEY.hex(),
    "workers": [0, 1, -1, 1],
    "ports": ["tcp4", "udp4"],
}


@pytest.mark.parametrize(("said", "kind"), [(SPREAD, Spread), (RSS, Rss)])
def test_what_json_says_is_understood(said: dict[str, object], kind: type[Steering]) -> None:
    made = steering_of(json.loads(json.dumps({"offload": True, "steering": said})))
    assert isinstance(made, kind) and made.place == said["place"]


def test_nothing_said_is_nothing_known() -> None:
    assert type(steering_of({"offload": True})) is Steering
    assert type(steering_of({"steering": {**RSS, "key": "00"}})) is Steering


class Renewable(Pipe):
    def renew(self, values: dict[str, object], fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)


def test_a_queue_that_is_renewed_brings_its_steering() -> None:
    worker = Worker(bytes(32))
    interface = worker.stack.add_interface("t", "02:00:00:00:00:01", ["10.0.0.1/24"])
    worker.add_link(Renewable(), interface)
    worker.renew(0, {"steering": RSS}, [])
    assert isinstance(interface.steering, Rss)
    worker.renew(0, {}, [])
    assert type(interface.steering) is Steering
    worker.close()


@pytest.mark.parametrize("said", [SPREAD, RSS])
def test_an_endpoint_with_a_peer_hears_it_at_home(said: dict[str, object]) -> None:
    worker = Worker(bytes(32))
    interface = worker.stack.add_interface("t", "02:00:00:00:00:01", ["10.0.0.1/24"])
    worker.add_link(Pipe(), interface)
    steering = interface.steering = steering_of({"steering": said})
    ends = [(0, 0xFFFF_0000_0000 | int.from_bytes(socket.inet_aton(t), "big")) for t in _ENDS]
    ports = [worker.stack.bind(0, Kept(), peer=(_ENDS[0], 53)).local[1] for _ in range(100)]
    places = {steering.worker_of(PROTOCOL_UDP, *ends[0], 53, *ends[1], port) for port in ports}
    assert places == {said["place"]} and len(set(ports)) == 100
    assert worker.stack.bind(0, Kept()).local[1]
    worker.close()


_ENDS = ("10.0.0.2", "10.0.0.1")
