"""The connection without a network keeps the contract that handlers rely on."""

from __future__ import annotations

import pytest

from corten.core.arena import Buffer
from corten.endpoint.connection import Connection
from corten.endpoint.error import ConnectionClosed
from corten.endpoint.handler import Handler
from corten.endpoint.scripted import ScriptedConnection, ScriptedLoop


class Recorder(Handler):
    """Writes down its events."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def on_open(self, connection: Connection) -> None:
        self.events.append("open")

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.events.append(data)

    def on_writable(self, connection: Connection) -> None:
        self.events.append("writable")

    def on_eof(self, connection: Connection) -> None:
        self.events.append("eof")

    def on_timeout(self, connection: Connection) -> None:
        self.events.append(("timeout", connection.worker.time()))

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.events.append(type(error))


@pytest.fixture
def loop() -> ScriptedLoop:
    return ScriptedLoop()


@pytest.fixture
def handler() -> Recorder:
    return Recorder()


@pytest.fixture
def connection(loop: ScriptedLoop, handler: Recorder) -> ScriptedConnection:
    return loop.open(handler)


def test_a_whole_life(connection: ScriptedConnection, handler: Recorder) -> None:
    connection.deliver(b"one")
    connection.deliver(b"two")
    connection.deliver_eof()
    connection.close()
    connection.finish()
    assert handler.events == ["open", b"one", b"two", "eof", type(None)]
    assert connection.handler is None
    for call in (connection.close, lambda: connection.send(b"x")):
        with pytest.raises(ConnectionClosed):
            call()
    connection.deliver_eof()
    connection.abort()
    assert len(handler.events) == 5


def test_sending(connection: ScriptedConnection, handler: Recorder) -> None:
    connection.high_water = 10
    assert connection.send(b"12345")
    assert connection.send(Buffer(b"6789"))
    assert not connection.send(memoryview(b"0"))
    assert connection.sent() == b"1234567890"
    assert connection.sent() == b""
    assert connection.queued_len() == 10
    connection.acknowledge(4)
    assert handler.events == ["open"]
    connection.acknowledge(1)
    assert handler.events == ["open", "writable"]
    connection.acknowledge()
    assert connection.info() == {"queued": 0}
    connection.close()
    assert not connection.send(b"late")
    assert connection.sent() == b""


def test_pausing(connection: ScriptedConnection, handler: Recorder, loop: ScriptedLoop) -> None:
    connection.pause()
    connection.deliver(b"a")
    connection.deliver(b"b")
    assert handler.events == ["open"]
    connection.resume()
    loop.run_soon()
    assert handler.events == ["open", b"ab"]


def test_aborting(connection: ScriptedConnection, handler: Recorder, loop: ScriptedLoop) -> None:
    connection.abort()
    connection.abort()
    assert not connection.send(b"x")
    assert loop.run_soon() == 1
    assert handler.events == ["open", ConnectionAbortedError]


def test_time(connection: ScriptedConnection, handler: Recorder, loop: ScriptedLoop) -> None:
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, loop.time()))

    loop.call_later(2.0, note, "second")
    loop.call_later(1.0, note, "first")
    loop.call_later(1.5, note, "never").cancel()
    connection.set_timeout(5.0)
    connection.set_timeout(1.25)
    loop.advance(3.0)
    assert seen == [("first", 1.0), ("second", 2.0)]
    assert handler.events == ["open", ("timeout", 1.25)]
    connection.set_timeout(1.0)
    connection.set_timeout(0)
    loop.advance(10.0)
    assert len(handler.events) == 2
    assert loop.time() == 13.0


def test_addresses(connection: ScriptedConnection) -> None:
    assert connection.peer == ("192.0.2.1", 40000)
    assert connection.local == ("192.0.2.2", 80)


def test_repeat_counts_what_is_sent(loop: ScriptedLoop) -> None:
    class Echo(Handler):
        def on_data(self, connection: Connection, data: bytes) -> None:
            connection.send(data)

    connection = loop.open(Echo())
    assert connection.repeat(b"12345", 10) == 50
    assert connection.sent() == b""
    connection.deliver(b"x")
    assert connection.sent() == b"x"
