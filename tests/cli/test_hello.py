"""The example that is measured: as much of HTTP as it claims."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.cli.command import ROOT, running
from tests.cli.test_cli import LOCAL, free_port, talk

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"Hello, world!\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    with running(ROOT / "examples" / "hello.py", number, "--link", LOCAL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready: http://127.0.0.1:{number}/\n"
        yield number


def test_a_request(port: int) -> None:
    reply = talk(port, GET)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert b"\r\nContent-Length: %d" % len(BODY) in head
    assert body == BODY


def test_pipelining(port: int) -> None:
    assert talk(port, 50 * GET).count(BODY) == 50


def test_octet_by_octet(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in GET + GET:
            end.sendall(bytes([octet]))
        end.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: end.recv(65536), b""))
    assert reply.count(BODY) == 2


def test_head_has_no_body(port: int) -> None:
    reply = talk(port, GET.replace(b"GET", b"HEAD"))
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.endswith(b"\r\n\r\n")
    assert b"Content-Length: 14" in reply


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nconnection: x, Close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_the_server_closes_where_it_should(port: int, request_head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as end:
        end.sendall(request_head + GET)
        reply = b"".join(iter(lambda: end.recv(65536), b""))
    assert reply.count(BODY) == 1
    assert b"\r\nConnection: close\r\n" in reply


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", b"400"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"501"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 10_000, b"431"),
    ],
)
def test_what_it_does_not_do_it_refuses(port: int, request_head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as end:
        end.sendall(request_head)
        reply = b"".join(iter(lambda: end.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 " + status)
    assert reply.count(b"HTTP/1.1") == 1
