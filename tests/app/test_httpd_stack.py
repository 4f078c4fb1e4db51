"""The server on our own stack, under virtual time: what a kernel's sockets would hide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.app.http_service import Service
from corten.app.httpd import factory
from corten.app.site import load
from tests.app.site_tree import FILES, make
from tests.conformance.stack_backend import StackBackend

LARGE = FILES["large.htm"]


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("site"))


@pytest.fixture
def backend() -> Iterator[StackBackend]:
    made = StackBackend()
    yield made
    made.close()  # asserts that nothing is left


@pytest.fixture(params=[1 << 30, 0], ids=["memory", "disk"])
def port(backend: StackBackend, root: Path, request: pytest.FixtureRequest) -> int:
    site = load(str(root), memory_max=request.param)
    return backend.listen(factory(Service(site, header_timeout=5, idle_timeout=8, send_timeout=6)))


def bodies(data: bytes) -> list[bytes]:
    made = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        made.append(rest[:length])
        data = rest[length:]
    return made


def test_pipelined_requests_then_eof(backend: StackBackend, port: int) -> None:
    peer = backend.dial(port)
    names = ["small.htm", "large.htm", "plain/a.css", "empty.txt"] * 25
    backend.run(lambda: peer.is_open)
    peer.send(b"".join(get("/" + name) for name in names))
    peer.finish()
    backend.run(lambda: peer.saw_eof)
    assert bodies(peer.received) == [FILES[name] for name in names]


def test_a_reader_that_rests_in_between(backend: StackBackend, port: int) -> None:
    peer = backend.dial(port)
    backend.run(lambda: peer.is_open)
    peer.stop_reading()
    peer.send(get("/large.htm") * 60 + get("/small.htm", "Connection: close"))
    for _ in range(3):
        backend.pass_time(3)
        peer.start_reading()
        backend.pass_time(0.001)
        peer.stop_reading()
    peer.start_reading()
    backend.run(lambda: peer.saw_eof)
    assert bodies(peer.received) == [LARGE] * 60 + [FILES["small.htm"]]
    peer.finish()


def test_a_reader_that_never_reads_loses_its_slot(backend: StackBackend, port: int) -> None:
    peer = backend.dial(port)
    backend.run(lambda: peer.is_open)
    peer.stop_reading()
    peer.send(get("/large.htm") * 200)
    backend.run(lambda: not backend.loop.connections(), 40)


def test_a_body_of_many_segments(backend: StackBackend, port: int) -> None:
    peer = backend.dial(port)
    backend.run(lambda: peer.is_open)
    for _ in range(3):
        peer.send(get("/small.htm", "Content-Length: 65536") + b"x" * 65536)
    peer.send(get("/large.htm", "Connection: close"))
    backend.run(lambda: peer.saw_eof)
    assert bodies(peer.received) == [FILES["small.htm"]] * 3 + [LARGE]
    peer.finish()


def test_timeouts(backend: StackBackend, port: int) -> None:
    silent, slow, idle, deaf = (backend.dial(port) for _ in range(4))
    backend.run(lambda: all(peer.is_open for peer in (silent, slow, idle, deaf)))
    idle.send(get("/small.htm"))
    for octet in b"GET / HTTP/1.1\r\nHost: a\r\n":
        slow.send(bytes((octet,)))
        backend.pass_time(0.3)
        if slow.saw_eof:
            break
    assert slow.received.startswith(b"HTTP/1.1 408 ")
    backend.run(lambda: silent.saw_eof and idle.saw_eof, 12)
    assert silent.received == b""
    assert bodies(idle.received) == [FILES["small.htm"]]
    backend.run(lambda: all(peer.saw_reset for peer in (silent, slow, idle)), 30)  # they linger


def test_who_has_got_all_and_reads_it_slowly_keeps_what_it_has(
    backend: StackBackend, port: int
) -> None:
    """All is acknowledged, our FIN too, and the reader rests for longer than any other time-out. A
    reset would throw away what it has not read."""
    peer = backend.dial(port)
    backend.run(lambda: peer.is_open)
    peer.stop_reading()
    peer.send(get("/large.htm", "Connection: close"))
    backend.pass_time(20)
    assert backend.loop.connections()
    peer.start_reading()
    backend.run(lambda: peer.saw_eof)
    assert bodies(peer.received) == [LARGE]
    assert not peer.is_over
    peer.finish()


def test_but_not_for_ever(backend: StackBackend, port: int) -> None:
    peer = backend.dial(port)
    backend.run(lambda: peer.is_open)
    peer.stop_reading()
    peer.send(get("/large.htm", "Connection: close"))
    backend.run(lambda: not backend.loop.connections(), 50)
