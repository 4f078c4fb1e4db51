"""Close, abort, reset, and what a handler may call when."""

from __future__ import annotations

from typing import Any

import pytest

from corten.endpoint.error import ConnectionClosed
from tests.conformance.backend import Backend
from tests.conformance.probe import Probes
from tests.conformance.test_receiving import pattern
from tests.conformance.test_sending import connected


def test_close_delivers_all_that_is_queued(backend: Backend) -> None:
    data = pattern(10_000_000)

    def reply(connection: Any, _: bytes) -> None:
        connection.send(data)
        connection.close()

    peer, probe = connected(backend, data=reply)
    peer.send(b"?")
    backend.run(lambda: peer.saw_eof)
    assert peer.received == data
    peer.finish()
    backend.run(lambda: probe.is_closed)
    assert probe.error is None


def test_close_from_outside_an_event(backend: Backend) -> None:
    peer, probe = connected(backend)
    probe.connection.send(b"bye")
    probe.connection.close()
    probe.connection.close()
    backend.run(lambda: peer.saw_eof)
    assert peer.received == b"bye"
    assert not probe.is_closed
    peer.finish()
    backend.run(lambda: probe.is_closed)


def test_both_close_at_once(backend: Backend) -> None:
    peer, probe = connected(backend)
    probe.connection.close()
    peer.finish()
    backend.run(lambda: peer.saw_eof and probe.is_closed)
    assert probe.error is None
    assert probe.events.count("close") == 1


def test_send_after_close_is_refused_quietly(backend: Backend) -> None:
    peer, probe = connected(backend)
    probe.connection.send(b"this")
    probe.connection.close()
    assert probe.connection.send(b"not that") is False
    backend.run(lambda: peer.saw_eof)
    assert peer.received == b"this"


def test_abort_resets_and_tells(backend: Backend) -> None:
    peer, probe = connected(backend)
    peer.stop_reading()
    probe.connection.send(pattern(20_000_000))
    probe.connection.abort()
    assert probe.connection.send(b"more") is False
    probe.connection.close()
    probe.connection.abort()
    assert not probe.is_closed
    peer.start_reading()
    backend.run(lambda: peer.saw_reset and probe.is_closed)
    assert probe.events == ["open", "close"]
    assert type(probe.error) is ConnectionAbortedError


@pytest.mark.parametrize("event", ["open", "data", "eof"])
def test_abort_within_an_event(backend: Backend, event: str) -> None:
    probes = Probes(**{event: lambda connection, *_: connection.abort()})
    peer = backend.dial(backend.listen(probes))
    backend.run(lambda: probes.made)
    if event != "open":
        peer.send(b"x")
        peer.finish()
    backend.run(lambda: peer.saw_reset and probes[0].is_closed)
    assert probes[0].events[-2:] == [event, "close"]
    assert type(probes[0].error) is ConnectionAbortedError


def test_the_peer_resets(backend: Backend) -> None:
    peer, probe = connected(backend)
    peer.reset()
    backend.run(lambda: probe.is_closed)
    assert probe.events == ["open", "close"]
    assert isinstance(probe.error, ConnectionResetError)


def test_the_peer_resets_while_much_is_queued(backend: Backend) -> None:
    peer, probe = connected(backend)
    peer.stop_reading()
    probe.connection.send(pattern(20_000_000))
    backend.pass_time(backend.patience)
    peer.reset()
    backend.run(lambda: probe.is_closed)
    assert isinstance(probe.error, ConnectionResetError)
    assert probe.events[-1] == "close"


def test_the_peer_resets_a_paused_connection(backend: Backend) -> None:
    peer, probe = connected(backend, open=lambda connection: connection.pause())
    peer.send(b"unread")
    backend.pass_time(backend.patience)
    peer.reset()
    backend.run(lambda: probe.is_closed)
    assert probe.events == ["open", "close"]
    assert isinstance(probe.error, ConnectionResetError)


def test_within_on_close_calls_do_nothing_and_after_it_they_raise(backend: Backend) -> None:
    answers: list[object] = []

    def at_close(connection: Any, _: object) -> None:
        answers.append(connection.send(b"late"))
        answers.append(connection.close())

    peer, probe = connected(backend, close=at_close)
    connection = probe.connection
    peer.finish()
    backend.run(lambda: probe.is_closed)
    assert answers == [False, None]
    with pytest.raises(ConnectionClosed):
        connection.send(b"x")
    with pytest.raises(ConnectionClosed):
        connection.close()
    assert connection.handler is None


def test_what_else_is_called_too_late_does_nothing(backend: Backend) -> None:
    peer, probe = connected(backend)
    connection = probe.connection
    peer.finish()
    backend.run(lambda: probe.is_closed)
    connection.abort()
    connection.pause()
    connection.resume()
    connection.set_timeout(backend.patience)
    assert connection.queued_len() == 0
    assert connection.read_all() == b""
    backend.pass_time(2 * backend.patience)
    assert probe.events == ["open", "eof", "close"]


def test_pending_calls_on_a_connection_that_ends(backend: Backend) -> None:
    """A send from outside, marked for this breath, whose connection ends in it."""
    peer, probe = connected(backend)

    def both() -> None:
        probe.connection.send(b"never")
        probe.connection.abort()

    backend.loop.call_soon(both)
    backend.run(lambda: probe.is_closed and peer.saw_reset)
    assert peer.received == b""


def test_a_thousand_connections_come_and_go(backend: Backend) -> None:
    probes = Probes(data=lambda connection, data: (connection.send(data), connection.close()))
    port = backend.listen(probes)
    for _ in range(10):
        peers = [backend.dial(port) for _ in range(100)]
        for peer in peers:
            peer.send(b"x")
        backend.run(lambda peers=peers: all(peer.saw_eof for peer in peers))  # type: ignore[misc]
        for peer in peers:
            peer.finish()
    backend.run(lambda: all(probe.is_closed for probe in probes.made))
    assert len(probes.made) == 1000
    assert all(probe.events.count("close") == 1 for probe in probes.made)
