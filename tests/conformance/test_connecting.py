"""Connections that the loop under test opens itself."""

from __future__ import annotations

from typing import Any

import pytest

from corten.endpoint.error import CortenError
from tests.conformance.backend import Backend
from tests.conformance.probe import Probes


def test_open_send_receive_close(backend: Backend) -> None:
    far = backend.far_listen()
    probes = Probes(open=lambda connection: connection.send(b"hello"))
    connection = backend.loop.connect(backend.far_address, far.port, probes)
    assert connection.handler is probes[0]
    backend.run(lambda: far.peers and far.peers[0].received == b"hello")
    assert connection.peer == (backend.far_address, far.port)
    assert connection.local[0] == backend.address
    far.peers[0].send(b"hello yourself")
    backend.run(lambda: probes[0].received == b"hello yourself")
    connection.close()
    backend.run(lambda: far.peers[0].saw_eof)
    far.peers[0].finish()
    backend.run(lambda: probes[0].is_closed)
    assert probes[0].events == ["open", "data", "eof", "close"]
    assert len(probes.made) == 1


def test_refused(backend: Backend) -> None:
    probes = Probes()
    backend.loop.connect(backend.far_address, 1, probes)
    backend.run(lambda: probes.made and probes[0].is_closed)
    assert probes[0].events == ["close"]
    assert isinstance(probes[0].error, ConnectionRefusedError)


def test_nobody_answers(backend: Backend) -> None:
    probes = Probes()
    address, port = backend.nobody
    backend.loop.connect(address, port, probes, timeout=4 * backend.patience)
    backend.pass_time(2 * backend.patience)
    assert probes[0].events == []
    backend.run(lambda: probes.made and probes[0].is_closed)
    assert probes[0].events == ["close"]
    assert isinstance(probes[0].error, TimeoutError)


def test_what_is_sent_before_it_stands_leaves_then(backend: Backend) -> None:
    far = backend.far_listen()
    probes = Probes()
    connection = backend.loop.connect(backend.far_address, far.port, probes)
    assert connection.send(b"early")
    backend.run(lambda: far.peers and far.peers[0].received == b"early")


@pytest.mark.parametrize("end", ["abort", "close"])
def test_given_up_before_it_stands(backend: Backend, end: str) -> None:
    probes = Probes()
    address, port = backend.nobody
    connection: Any = backend.loop.connect(address, port, probes)
    getattr(connection, end)()
    backend.run(lambda: probes.made and probes[0].is_closed)
    assert probes[0].events == ["close"]
    assert isinstance(probes[0].error, ConnectionAbortedError)


@pytest.mark.parametrize(
    ("address", "port"),
    [("no address", 80), ("10.0.0.256", 80), ("10.0.0.1", 0), ("10.0.0.1", 65536)],
)
def test_a_wrong_call_raises_at_once(backend: Backend, address: str, port: int) -> None:
    with pytest.raises(CortenError):
        backend.loop.connect(address, port, Probes())


def test_a_factory_that_raises_is_the_callers(backend: Backend) -> None:
    with pytest.raises(ZeroDivisionError):
        backend.loop.connect(backend.far_address, 80, lambda: 1 / 0)
    with pytest.raises(TypeError):
        backend.loop.connect(backend.far_address, 80, object)


def test_an_unknown_option_is_named(backend: Backend) -> None:
    with pytest.raises(CortenError, match="colour"):
        backend.loop.connect(backend.far_address, 80, Probes(), colour="red")


def test_many_at_once(backend: Backend) -> None:
    far = backend.far_listen()
    probes = Probes(open=lambda connection: connection.send(b"x"))
    for _ in range(100):
        backend.loop.connect(backend.far_address, far.port, probes)
    backend.run(lambda: len(far.peers) == 100 and all(peer.received for peer in far.peers))
    for peer in far.peers:
        peer.finish()
    backend.run(lambda: all(probe.is_closed for probe in probes.made))
