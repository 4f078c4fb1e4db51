"""UDP endpoints over the kernel's sockets: the same contract as on the stack."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import ConnectionClosed, CortenError
from corten.kernel.worker import KernelWorker
from tests.kernel.test_worker import turn_until
from tests.udp.bench import Kept


@pytest.fixture
def worker() -> Iterator[Any]:
    made = KernelWorker()
    yield made
    made.close()


@pytest.fixture
def caller() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        end.settimeout(10)
        yield end


@pytest.mark.parametrize("size", [0, 1, 1472, 65507])
def test_an_echo(worker: Any, caller: socket.socket, size: int) -> None:
    kept = Kept(echo=True)
    endpoint = worker.bind(0, kept)
    data = bytes(i & 255 for i in range(size))
    caller.sendto(data, ("127.0.0.1", endpoint.local[1]))
    turn_until(worker, lambda: kept.got)
    assert kept.got == [(data, caller.getsockname())]
    assert kept.locals == [endpoint.local]
    assert caller.recv(65536) == data
    info = endpoint.info()
    assert (info["datagrams_in"], info["octets_out"]) == (1, size)


def test_a_fixed_peer_and_its_errors(worker: Any, caller: socket.socket) -> None:
    kept = Kept()
    peer = caller.getsockname()
    endpoint = worker.bind(0, kept, peer=peer)
    assert endpoint.peer == peer
    assert endpoint.send(b"hello")
    assert caller.recvfrom(100) == (b"hello", endpoint.local)
    with pytest.raises(CortenError, match="peer alone"):
        endpoint.send(b"x", ("127.0.0.1", 9))
    caller.close()
    endpoint.send(b"anybody?")
    turn_until(worker, lambda: kept.errors)
    assert isinstance(kept.errors[0][0], ConnectionRefusedError)


class Failing(DatagramHandler):
    def __init__(self) -> None:
        self.closed: list[Exception | None] = []

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        raise RuntimeError("no")

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        self.closed.append(error)


def test_a_handler_that_raises_closes_its_endpoint(worker: Any, caller: socket.socket) -> None:
    failing = Failing()
    endpoint = worker.bind(0, failing)
    caller.sendto(b"x", ("127.0.0.1", endpoint.local[1]))
    turn_until(worker, lambda: failing.closed)
    assert isinstance(failing.closed[0], RuntimeError)
    with pytest.raises(ConnectionClosed):
        endpoint.send(b"x", ("127.0.0.1", 9))


def test_closing_is_told_once(worker: Any) -> None:
    kept = Kept()
    endpoint = worker.bind(0, kept, ttl=3, dscp=8, dont_fragment=True, broadcast=True)
    endpoint.close()
    endpoint.close()
    assert endpoint.send(b"x", ("127.0.0.1", 9)) is False
    turn_until(worker, lambda: kept.closed)
    worker.turn()
    assert kept.closed == [None]


def test_wrong_calls_say_so(worker: Any) -> None:
    for port in (-1, 65536):
        with pytest.raises(CortenError, match="port"):
            worker.bind(port, Kept())
    with pytest.raises(CortenError, match="option"):
        worker.bind(0, Kept(), colour=1)
    with pytest.raises(CortenError):
        worker.bind(0, Kept(), "192.0.2.1")
    with pytest.raises(TypeError):
        worker.bind(0, object())
    endpoint = worker.bind(0, Kept())
    with pytest.raises(CortenError, match="missing"):
        endpoint.send(b"x")
    with pytest.raises(CortenError, match="65507"):
        endpoint.send(bytes(65508), ("127.0.0.1", 9))
