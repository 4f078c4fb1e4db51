"""Opening, data in order, pause and resume, and the end of what the peer sends."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Any

import pytest

from tests.conformance.backend import Backend
from tests.conformance.probe import Echo, Probes


@lru_cache
def _noise() -> bytes:
    return random.Random(1).randbytes(30_000_000)


def pattern(length: int) -> bytes:
    """Octets in which a loss, a repetition or a swap shows."""
    return _noise()[:length]


def test_open_comes_first_and_the_handler_waits_for_it(backend: Backend) -> None:
    probes = Probes()
    peer = backend.dial(backend.listen(probes))
    backend.run(lambda: peer.is_open and probes.made)
    assert probes[0].events == ["open"]
    peer.send(b"hello")
    backend.run(lambda: probes[0].received == b"hello")
    assert probes[0].events == ["open", "data"]


def test_nothing_is_made_before_a_connection_stands(backend: Backend) -> None:
    probes = Probes()
    backend.listen(probes)
    backend.pass_time(backend.patience)
    assert probes.made == []


@pytest.mark.parametrize("length", [1, 100, 1460, 65536, 1_000_000, 10_000_000])
def test_echo(backend: Backend, length: int) -> None:
    sent = pattern(length)
    peer = backend.dial(backend.listen(Echo))
    peer.send(sent)
    backend.run(lambda: len(peer.received) >= length)
    assert peer.received == sent
    peer.finish()
    backend.run(lambda: peer.saw_eof)
    assert not peer.saw_reset


def test_each_connection_has_its_own_handler(backend: Backend) -> None:
    probes = Probes(data=lambda connection, data: connection.send(data))
    port = backend.listen(probes)
    peers = [backend.dial(port) for _ in range(50)]
    for i, peer in enumerate(peers):
        peer.send(b"%d" % i)
    backend.run(lambda: all(peer.received for peer in peers))
    assert [peer.received for peer in peers] == [b"%d" % i for i in range(50)]
    assert len(probes.made) == 50
    assert len({probe.connection.peer for probe in probes.made}) == 50


def test_a_connection_knows_its_ends_and_its_loop(backend: Backend) -> None:
    probes = Probes()
    port = backend.listen(probes)
    backend.dial(port)
    backend.run(lambda: probes.made and probes[0].connection)
    connection = probes[0].connection
    assert connection.local == (backend.address, port)
    assert connection.peer[0] == backend.far_address
    assert connection.worker is backend.loop
    assert connection.handler is probes[0]
    assert isinstance(connection.info(), dict)


def test_pause_holds_data_back_and_resume_brings_it(backend: Backend) -> None:
    probes = Probes(open=lambda connection: connection.pause())
    peer = backend.dial(backend.listen(probes))
    peer.send(b"waits")
    backend.pass_time(backend.patience)
    assert probes[0].events == ["open"]
    probes[0].connection.resume()
    backend.run(lambda: probes[0].received == b"waits")


def test_pause_stops_the_peer_in_the_end(backend: Backend) -> None:
    sent = pattern(30_000_000)
    probes = Probes(data=lambda connection, data: connection.pause())
    peer = backend.dial(backend.listen(probes))
    peer.send(sent)
    backend.pass_time(4 * backend.patience)
    assert peer.unsent_len > 0
    paused_at = len(probes[0].received)
    backend.pass_time(backend.patience)
    assert len(probes[0].received) == paused_at
    probes[0].then.clear()
    probes[0].connection.resume()
    backend.run(lambda: len(probes[0].received) == len(sent))
    assert probes[0].received == sent


def test_data_after_pause_within_an_event_waits(backend: Backend) -> None:
    probes = Probes(data=lambda connection, data: connection.pause())
    peer = backend.dial(backend.listen(probes))
    peer.send(b"one")
    backend.run(lambda: probes.made and probes[0].received == b"one")
    peer.send(b"two")
    peer.finish()
    backend.pass_time(backend.patience)
    assert probes[0].events == ["open", "data"]
    probes[0].then.clear()
    probes[0].connection.resume()
    backend.run(lambda: probes[0].is_closed)
    assert probes[0].received == b"onetwo"
    assert probes[0].events == ["open", "data", "eof", "close"]


def test_resume_without_pause_does_nothing(backend: Backend) -> None:
    probes = Probes(open=lambda connection: connection.resume())
    peer = backend.dial(backend.listen(probes))
    peer.send(b"x")
    backend.run(lambda: probes.made and probes[0].received == b"x")
    probes[0].connection.resume()
    backend.pass_time(backend.patience)
    assert probes[0].events == ["open", "data"]


def test_the_default_end_closes(backend: Backend) -> None:
    probes = Probes(data=lambda connection, data: connection.send(data))
    peer = backend.dial(backend.listen(probes))
    peer.send(b"last words")
    peer.finish()
    backend.run(lambda: peer.saw_eof and probes[0].is_closed)
    assert peer.received == b"last words"
    assert probes[0].events == ["open", "data", "eof", "close"]
    assert probes[0].error is None


def test_sending_goes_on_after_the_peer_has_finished(backend: Backend) -> None:
    probes = Probes(eof=lambda connection: None)
    peer = backend.dial(backend.listen(probes))
    peer.finish()
    backend.run(lambda: probes.made and probes[0].events == ["open", "eof"])
    connection: Any = probes[0].connection
    assert connection.send(b"still here")
    backend.run(lambda: peer.received == b"still here")
    assert not peer.saw_eof
    connection.close()
    backend.run(lambda: peer.saw_eof and probes[0].is_closed)
    assert probes[0].events == ["open", "eof", "close"]
    assert probes[0].error is None


def test_receiving_goes_on_after_close(backend: Backend) -> None:
    probes = Probes(open=lambda connection: connection.close())
    peer = backend.dial(backend.listen(probes))
    backend.run(lambda: peer.saw_eof)
    peer.send(b"late, but heard")
    backend.run(lambda: probes[0].received == b"late, but heard")
    assert not probes[0].is_closed
    peer.finish()
    backend.run(lambda: probes[0].is_closed)
    assert probes[0].events == ["open", "data", "eof", "close"]
    assert probes[0].error is None
