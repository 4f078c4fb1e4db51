"""The load client over the kernel's sockets, against good servers and bad ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from corten.app.load_option import Options
from corten.app.load_run import Run, target_of, text_of
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.kernel.worker import KernelWorker

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server(Handler):
    """Answers each request with what `reply` makes of it, in the pieces it makes."""

    def __init__(self, reply: Callable[[bytes, int], list[bytes]]) -> None:
        self.reply = reply
        self.count = 0

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.count += 1
        for piece in self.reply(data, self.count):
            connection.send(piece)
        if b"Connection: close" in data:
            connection.close()


def at_once(_: bytes, __: int) -> list[bytes]:
    return [REPLY]


@contextmanager
def serving(
    reply: Callable[[bytes, int], list[bytes]], kind: type[Server] = Server
) -> Iterator[int]:
    """A server on a port of its own, in a thread of its own."""
    worker = KernelWorker()
    listener = worker.listen(0, lambda: kind(reply))
    thread = threading.Thread(target=worker.serve, kwargs={"signals": False})
    thread.start()
    try:
        yield listener.port
    finally:
        worker.call_soon_threadsafe(worker.stop)
        thread.join()
        worker.close()


def load(port: int, path: str = "/", **settings: Any) -> dict[str, Any]:
    """Run the client in this thread; its result."""
    worker = KernelWorker()
    options = Options([f"http://127.0.0.1:{port}{path}"], **{"seconds": 0.2, **settings})
    run = Run(worker, options, lambda _: worker.stop(), {"timeout": options.timeout})
    worker.call_soon(run.start)
    try:
        worker.serve(signals=False)
    finally:
        worker.close()
    return run.result()


def test_replies_are_counted_and_timed() -> None:
    with serving(at_once) as port:
        found = load(port, connections=4)
    assert found["errors"] == {}
    assert found["requests"] > 10
    assert found["opened"] == 4
    assert 0 < found["p50_us"] <= found["p99_us"] <= found["max_us"]
    assert "requests/s" in text_of(found)


def test_one_request_a_connection() -> None:
    with serving(at_once) as port:
        found = load(port, connections=4, close=True)
    assert found["errors"] == {}
    assert found["opened"] > found["requests"] > 10


def test_connections_are_opened_and_held(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(at_once) as port:
        found = load(port, connections=50, hold=True)
    assert found["errors"] == {}
    assert (found["standing"], found["opened"], found["requests"]) == (50, 50, 50)
    assert "holding 50 connections" in capsys.readouterr().out


def test_a_head_in_pieces_and_a_head_that_changes() -> None:
    def reply(_: bytes, count: int) -> list[bytes]:
        extra = b"X-Count: %d\r\n\r\n" % count
        return [REPLY[:9], REPLY[9:34], b"\r\n" + extra + b"he", b"llo"]

    with serving(reply) as port:
        found = load(port, connections=3, hashes=True)
    assert found["errors"] == {}
    assert found["requests"] > 10


def wrong_status(_: bytes, __: int) -> list[bytes]:
    return [REPLY.replace(b"200", b"404")]


def other_length(_: bytes, count: int) -> list[bytes]:
    return [REPLY] if count < 3 else [REPLY.replace(b"5", b"4")[:-1]]


def other_body(_: bytes, count: int) -> list[bytes]:
    return [REPLY] if count < 3 else [REPLY.replace(b"hello", b"hallo")]


def endless_head(_: bytes, __: int) -> list[bytes]:
    return [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (wrong_status, "status 404"),
        (other_length, "length changed"),
        (other_body, "body differs"),
        (endless_head, "head too long"),
        (lambda _, __: [], "timeout"),
    ],
)
def test_a_wrong_reply_is_an_error_by_name(
    reply: Callable[[bytes, int], list[bytes]], kind: str
) -> None:
    with serving(reply) as port:
        found = load(port, connections=2, hashes=True, timeout=0.1)
    assert kind in found["errors"]


def test_several_source_addresses() -> None:
    peers = set()

    class Witness(Server):
        def on_open(self, connection: Connection) -> None:
            peers.add(connection.peer[0])

    with serving(at_once, Witness) as port:
        found = load(port, connections=6, sources=["127.0.0.2", "127.0.0.3"])
    assert found["errors"] == {}
    assert peers == {"127.0.0.2", "127.0.0.3"}


def test_nobody_listens() -> None:
    with serving(at_once) as port:
        pass
    found = load(port, connections=2)
    assert found["errors"]["connect: ConnectionRefusedError"] > 0
    assert found["requests"] == 0


@pytest.mark.parametrize(
    "urls",
    [
        ["https://10.0.0.1/"],
        ["http:///x"],
        ["http://a/ b"],
        ["http://a/", "http://b/"],
        ["http://a/ü"],
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(urls: list[str]) -> None:
    with pytest.raises(CortenError):
        target_of(Options(urls))


def test_urls_become_requests() -> None:
    target = target_of(Options(["10.0.0.1:8080", "http://10.0.0.1:8080/a?b=1"], close=True))
    assert (target.address, target.port) == ("10.0.0.1", 8080)
    assert target.requests == [
        b"GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nConnection: close\r\n\r\n",
        b"GET /a?b=1 HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nConnection: close\r\n\r\n",
    ]


def test_an_open_loop_keeps_its_rate_and_accounts_for_each_request() -> None:
    with serving(at_once) as port:
        found = load(port, connections=4, rate=500.0, seconds=0.4)
    assert found["errors"] == {}
    assert found["scheduled"] == 200
    assert found["requests"] == found["answered"] == 200
    assert found["offered_per_second"] == found["requests_per_second"]
    assert found["offered_per_second"] == pytest.approx(500.0, rel=0.1)
    assert found["opened"] == 4
    assert "offered/s" in text_of(found)


def test_the_wait_of_all_who_come_while_a_server_stalls_is_seen() -> None:
    """One reply in ten takes long, on the only connection: a closed loop would see that few."""

    def stall(_: bytes, count: int) -> list[bytes]:
        if count % 100 == 0:
            time.sleep(0.1)
        return [REPLY]

    with serving(stall) as port:
        found = load(port, connections=1, rate=1000.0, seconds=0.5, poisson=True)
    assert found["errors"] == {}
    assert found["answered"] == found["scheduled"] == found["requests"]
    assert found["late"] > found["scheduled"] / 10
    assert found["p50_us"] > 20_000
    assert found["overslept"] < found["late"]


def test_what_is_not_sent_or_answered_in_time_is_counted() -> None:
    with serving(lambda _, count: [REPLY] if count <= 5 else []) as port:
        found = load(port, connections=1, rate=100.0, seconds=0.6, timeout=0.2)
    assert found["errors"]
    assert found["scheduled"] == 60
    assert found["lost"] > 0
    assert found["answered"] + found["lost"] + found["abandoned"] == 60


def test_connections_at_a_rate() -> None:
    with serving(at_once) as port:
        found = load(port, connections=50, rate=300.0, seconds=0.3, close=True)
    assert found["errors"] == {}
    assert found["answered"] == found["scheduled"] == 90
    assert found["opened"] == 240  # with the warm-up's


def test_several_requests_are_out_at_a_time() -> None:
    most = []

    def reply(data: bytes, _: int) -> list[bytes]:
        count = data.count(b"GET ")
        most.append(count)
        return [REPLY * count]

    with serving(reply) as port:
        found = load(port, connections=2, pipeline=8, hashes=True)
        paced = load(port, connections=2, pipeline=8, rate=1000.0, seconds=0.1)
    assert found["errors"] == paced["errors"] == {}
    assert max(most) > 1
    assert paced["answered"] == 100
