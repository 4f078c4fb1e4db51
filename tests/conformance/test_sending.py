"""What may be sent, what happens to it, and back-pressure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from corten.core.arena import Buffer
from tests.conformance.backend import Backend
from tests.conformance.probe import Probe, Probes
from tests.conformance.test_receiving import pattern

LENGTHS = [1, 511, 512, 100_000]


def connected(backend: Backend, **then: Callable[..., object]) -> tuple[Any, Probe]:
    """A peer and the probe it is connected to."""
    probes = Probes(**then)
    peer = backend.dial(backend.listen(probes))
    backend.run(lambda: peer.is_open and probes.made and probes[0].connection)
    return peer, probes[0]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Buffer])
def test_send_takes(backend: Backend, kind: Callable[[bytes], Any], length: int) -> None:
    peer, probe = connected(backend)
    sent = pattern(length)
    probe.connection.send(kind(sent))
    backend.run(lambda: len(peer.received) >= length)
    assert peer.received == sent


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "view",
    [lambda data: data, memoryview, lambda data: memoryview(data).toreadonly()],
    ids=["bytearray", "view", "read-only view"],
)
def test_what_can_change_is_copied(
    backend: Backend, view: Callable[[bytearray], Any], length: int
) -> None:
    peer, probe = connected(backend)
    sent = pattern(length)
    changing = bytearray(sent)
    probe.connection.send(view(changing))
    changing[:] = bytes(length)
    backend.run(lambda: len(peer.received) >= length)
    assert peer.received == sent


def test_a_view_with_gaps_and_one_of_words(backend: Backend) -> None:
    peer, probe = connected(backend)
    sent = pattern(4000)
    probe.connection.send(memoryview(sent)[::2])
    probe.connection.send(memoryview(sent).cast("I"))
    backend.run(lambda: len(peer.received) >= 6000)
    assert peer.received == sent[::2] + sent


def test_nothing_is_nothing(backend: Backend) -> None:
    peer, probe = connected(backend)
    assert probe.connection.send(b"")
    assert probe.connection.queued_len() == 0
    probe.connection.send(b"something")
    backend.run(lambda: peer.received == b"something")


@pytest.mark.parametrize("wrong", ["text", 5, None, ["list"]])
def test_what_has_no_octets_is_refused(backend: Backend, wrong: object) -> None:
    peer, probe = connected(backend)
    with pytest.raises(TypeError):
        probe.connection.send(wrong)
    probe.connection.send(b"well")
    backend.run(lambda: peer.received == b"well")


def test_order_is_kept_whatever_the_sizes(backend: Backend) -> None:
    peer, probe = connected(backend)
    chance = random.Random(1)
    data = pattern(3_000_000)
    at = 0
    while at < len(data):
        length = chance.choice([1, 7, 100, 511, 512, 513, 1460, 20_000])
        piece: object = data[at : at + length]
        if chance.random() < 0.3:
            piece = bytearray(data[at : at + length])
        probe.connection.send(piece)
        at += length
        if chance.random() < 0.01:
            backend.run(lambda: True)
            backend.pass_time(0.001)
    backend.run(lambda: len(peer.received) >= len(data))
    assert peer.received == data


def test_many_small_sends_at_once(backend: Backend) -> None:
    data = pattern(1_000_000)
    peer, probe = connected(backend)
    for at in range(0, len(data), 100):
        probe.connection.send(data[at : at + 100])
    backend.run(lambda: len(peer.received) >= len(data))
    assert peer.received == data


def test_small_sends_while_the_peer_takes_nothing(backend: Backend) -> None:
    """What is copied waits in order behind what is kept, breath after breath, and is not mixed up
    with what other connections copy meanwhile."""
    data = pattern(12_010_000)
    peer, probe = connected(backend)
    other_peer, other = connected(backend)
    peer.stop_reading()
    probe.connection.send(data[:12_000_000])
    backend.pass_time(backend.patience)
    for at in range(12_000_000, len(data), 100):
        probe.connection.send(data[at : at + 60])
        probe.connection.send(bytearray(data[at + 60 : at + 100]))
        other.connection.send(data[at : at + 100])
        if at % 700 == 0:
            backend.pass_time(0.001)
    peer.start_reading()
    backend.run(lambda: len(peer.received) >= len(data))
    assert peer.received == data
    backend.run(lambda: len(other_peer.received) == 10_000)
    assert other_peer.received == data[12_000_000:]


def test_sends_outside_an_event_leave(backend: Backend) -> None:
    peer, probe = connected(backend)
    backend.loop.call_soon(probe.connection.send, b"from call_soon ")
    backend.loop.call_later(backend.patience / 2, probe.connection.send, b"and call_later")
    backend.run(lambda: peer.received == b"from call_soon and call_later")


def test_one_handler_may_send_on_the_connection_of_another(backend: Backend) -> None:
    listener, other = connected(backend)
    talker, _ = connected(backend, data=lambda _, data: other.connection.send(data))
    talker.send(b"passed on")
    backend.run(lambda: listener.received == b"passed on")


def test_back_pressure_bounds_the_queue(backend: Backend) -> None:
    data = pattern(20_000_000)
    chunk = 50_000
    most = 0
    sent = 0

    def fill(connection: Any) -> None:
        nonlocal sent, most
        more = True
        while more and sent < len(data):
            more = connection.send(data[sent : sent + chunk])
            sent += chunk
            most = max(most, connection.queued_len())

    peer, probe = connected(backend, open=fill, writable=fill)
    peer.stop_reading()
    backend.pass_time(2 * backend.patience)
    assert sent < len(data)
    backend.pass_time(backend.patience)
    assert sent < len(data)
    peer.start_reading()
    backend.run(lambda: len(peer.received) >= len(data))
    assert peer.received == data
    assert most < 5_000_000
    assert probe.events.count("writable") > 1


def test_writable_comes_once_and_only_after_a_stop(backend: Backend) -> None:
    peer, probe = connected(backend)
    assert probe.connection.send(b"little")
    backend.run(lambda: peer.received == b"little")
    backend.pass_time(backend.patience)
    assert "writable" not in probe.events
    assert not probe.connection.send(pattern(10_000_000))
    backend.run(lambda: len(peer.received) == 10_000_006)
    backend.run(lambda: "writable" in probe.events)
    backend.pass_time(backend.patience)
    assert probe.events == ["open", "writable"]


def test_queued_len_falls_to_nothing(backend: Backend) -> None:
    peer, probe = connected(backend)
    peer.stop_reading()
    probe.connection.send(pattern(20_000_000))
    backend.pass_time(backend.patience)
    assert 0 < probe.connection.queued_len() <= 20_000_000
    peer.start_reading()
    backend.run(lambda: probe.connection.queued_len() == 0)


def test_a_large_reply_and_a_large_request_cross(backend: Backend) -> None:
    """Neither side waits for the other to be read empty."""
    peer, probe = connected(backend)
    sent = pattern(5_000_000)
    peer.send(sent)
    probe.connection.send(sent)
    backend.run(lambda: len(peer.received) + len(probe.received) >= 2 * len(sent))
    assert peer.received == sent
    assert probe.received == sent
