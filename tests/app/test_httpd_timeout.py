"""Nobody holds a slot for ever: slow heads, idle connections, readers that do not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from corten.app.http_service import CHUNK, Service
from corten.app.httpd import SEND_MIN, factory
from corten.app.site import load
from corten.endpoint.scripted import ScriptedConnection, ScriptedLoop
from tests.app.site_tree import make

HEADER, IDLE, SEND = 10.0, 60.0, 30.0
GET = b"GET /small.htm HTTP/1.1\r\nHost: a\r\n\r\n"
GET_LARGE = b"GET /large.htm HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def loop() -> ScriptedLoop:
    return ScriptedLoop()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("site"))


@pytest.fixture
def connection(root: Path, loop: ScriptedLoop) -> ScriptedConnection:
    service = Service(
        load(str(root)),
        header_timeout=HEADER,
        idle_timeout=IDLE,
        send_timeout=SEND,
        clock=lambda: 1_800_000_000.0 + loop.now,
    )
    return loop.open(factory(service)())


def test_a_client_that_says_nothing(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    loop.advance(HEADER - 0.1)
    assert not connection.eof_sent
    loop.advance(1.2)
    assert connection.eof_sent
    assert connection.sent() == b""


def test_one_octet_a_second(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    loop.advance(3)
    for octet in GET[:9]:
        connection.deliver(bytes((octet,)))
        loop.advance(1)
        assert connection.sent() == b""
    connection.deliver(b"x")
    loop.advance(1)  # ten seconds after the first octet, however many came since
    assert connection.sent().startswith(b"HTTP/1.1 408 ")
    assert connection.eof_sent
    connection.acknowledge()
    loop.advance(HEADER)
    assert connection.aborted


def test_the_deadline_of_a_body(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    connection.deliver(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    for _ in range(9):
        loop.advance(1)
        connection.deliver(b"x")
    assert connection.sent() == b""
    loop.advance(1)
    assert connection.sent().startswith(b"HTTP/1.1 408 ")


def test_a_slow_head_that_makes_it(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    for _ in range(3):
        connection.deliver(GET[:5])
        loop.advance(HEADER - 1)
        connection.deliver(GET[5:])
        assert connection.sent().startswith(b"HTTP/1.1 200 ")
        connection.acknowledge()
        loop.advance(IDLE - 2)
    assert not connection.eof_sent


def test_idle_between_requests(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    for _ in range(4):
        connection.deliver(GET)
        connection.acknowledge()
        loop.advance(IDLE - 0.1)
        assert not connection.eof_sent
    loop.advance(1.2)
    assert connection.eof_sent
    loop.advance(IDLE)
    assert connection.aborted  # the peer never closed


def test_an_idle_connection_wakes_nobody_often(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    expired = 0
    for _ in range(1000):
        connection.deliver(GET)
        connection.acknowledge()
        before = connection.timeout_at
        loop.advance(0.1)
        expired += connection.timeout_at != before
    assert expired <= 4  # once after HEADER, then once in IDLE


def test_a_reader_that_reads_nothing(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    connection.deliver(GET_LARGE)
    loop.advance(HEADER + SEND + 1)
    assert connection.aborted


def test_a_reader_that_reads_too_little(connection: ScriptedConnection, loop: ScriptedLoop) -> None:
    connection.deliver(GET_LARGE)
    for _ in range(100):
        loop.advance(1)
        if connection.aborted:
            break
        connection.acknowledge(SEND_MIN // 40)
    assert connection.aborted


def test_a_slow_reader_that_reads_enough(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    connection.deliver(GET_LARGE)
    left = connection.queued_len()
    while left > 0:
        loop.advance(SEND / 4)
        part = min(left, SEND_MIN // 3)
        connection.acknowledge(part)
        left -= part
        assert not connection.aborted
    loop.advance(5)
    connection.deliver(GET)
    assert not connection.eof_sent


def test_small_replies_in_flight_at_every_look_are_no_stall(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    for _ in range(50):
        connection.deliver(GET)  # always one reply unacknowledged when the timer looks
        loop.advance(SEND / 3)
        connection.acknowledge()
        connection.deliver(GET)
        loop.advance(0.5)
        assert not connection.aborted
        connection.acknowledge(connection.queued_len() - 100)


def test_a_reader_that_stops_after_close(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    connection.deliver(GET_LARGE.replace(b"Host: a", b"Host: a\r\nConnection: close"))
    assert connection.eof_sent
    loop.advance(HEADER + SEND + 1)
    assert connection.aborted


def test_a_reader_of_a_file_on_disk(tmp_path: Path, loop: ScriptedLoop) -> None:
    (tmp_path / "big").write_bytes(bytes(8 * CHUNK))
    service = Service(load(str(tmp_path), memory_max=0), send_timeout=SEND)
    connection = loop.open(factory(service)())
    connection.high_water = CHUNK
    connection.deliver(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(4):
        loop.advance(SEND - 1)
        connection.acknowledge()
        assert not connection.aborted
    loop.advance(2 * SEND + 1)
    assert connection.aborted
