"""The loop of a worker over a pipe: calls, timers, descriptors, wake-ups, drains."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from corten.core.clock import NEVER
from corten.driver.pipe import Pipe
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.worker.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(bytes(32))
    yield made
    made.close()


def serve_until(worker: Worker, seconds: float = 5.0) -> None:
    """Serve until somebody stops it; a test that forgot is stopped."""
    worker.call_later(seconds, worker.stop)
    worker.serve(signals=False)


def test_call_soon_runs_in_order_and_once(worker: Worker) -> None:
    got: list[int] = []
    worker.call_soon(got.append, 1)
    worker.call_soon(got.append, 2)
    worker.call_soon(worker.stop)
    serve_until(worker)
    assert got == [1, 2]


def test_call_later_waits_and_can_be_cancelled(worker: Worker) -> None:
    got: list[float] = []
    begun = time.monotonic()
    worker.call_later(0.05, lambda: got.append(time.monotonic() - begun))
    worker.call_later(0.01, got.append, -1.0).cancel()
    worker.call_later(0.08, worker.stop)
    serve_until(worker)
    assert len(got) == 1
    assert got[0] >= 0.045


def test_who_calls_between_turns_counts_from_the_moment_not_from_the_last_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that another loop turns (asyncio) may have been idle for an hour: what was asked of
    it then was over before it began."""
    second = 10**9
    clock = [time.monotonic_ns()]
    monkeypatch.setattr(time, "monotonic_ns", lambda: clock[0])
    worker = Worker(bytes(32))
    link = worker.stack.add_interface("a", "02:00:00:00:00:01", ["10.0.0.1/24"])
    worker.add_link(Pipe(), link)
    worker.turn()
    clock[0] += 3600 * second
    got: list[int] = []
    worker.call_later(10.0, got.append, 1)
    assert worker.time() == clock[0] / 1e9
    link.add_static("10.0.0.2", "02:00:00:00:00:02")
    connection = worker.connect("10.0.0.2", 80, Handler)
    worker.turn()
    clock[0] += 9 * second
    worker.turn()
    assert not got
    assert connection.info()["state"] == "SYN-SENT"
    clock[0] += 2 * second
    worker.turn()
    assert got == [1]
    worker.close()


def test_a_watched_descriptor_calls_until_it_is_let_go(worker: Worker) -> None:
    reader, writer = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        got.append(os.read(reader, 100))
        if len(got) == 2:
            worker.watch(reader, None)
            worker.call_later(0.02, worker.stop)
        os.write(writer, b"again")

    worker.watch(reader, read)
    os.write(writer, b"first")
    serve_until(worker)
    assert got == [b"first", b"again"]
    worker.watch(reader, None)
    os.close(reader)
    os.close(writer)


def test_another_thread_wakes_a_sleeping_worker(worker: Worker) -> None:
    threading.Timer(0.05, worker.call_soon_threadsafe, [worker.stop]).start()
    begun = time.monotonic()
    serve_until(worker)
    assert time.monotonic() - begun < 20.0


def test_what_a_scheduled_call_raises_ends_there(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong() -> None:
        raise RuntimeError("asked for")

    worker.call_soon(wrong)
    worker.call_later(0.01, worker.stop)
    serve_until(worker)
    assert "asked for" in caplog.text


def test_turn_is_one_breath_for_a_loop_of_somebody_else(worker: Worker) -> None:
    assert worker.turn() == NEVER
    worker.call_later(1.0, lambda: None)
    assert 0 < worker.turn() - time.monotonic_ns() <= 1_000_000_000
    worker.call_soon_threadsafe(lambda: None)
    assert worker.fileno() >= 0


class Kept(Handler):
    """Says something long at once, and keeps what comes."""

    said = b""

    def __init__(self) -> None:
        self.got = b""
        self.closed = False
        self.error: Exception | None = None

    def on_open(self, connection: Connection) -> None:
        if self.said:
            connection.send(self.said)

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.got += data

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.closed = error is None
        self.error = error


class Said(Kept):
    said = bytes(300_000)


def linked() -> tuple[Worker, Worker]:
    """Two workers with a wire between them."""
    ends = Pipe.pair(offload=True)
    made = []
    for i, wire in enumerate(ends):
        worker = Worker(bytes(32), index=i)
        interface = worker.stack.add_interface(
            "p", f"02:00:00:00:00:0{i + 1}", [f"10.0.0.{i + 1}/24"], 1500, None, True, True
        )
        worker.add_link(wire, interface)
        made.append(worker)
    return made[0], made[1]


def test_a_drain_lets_what_is_queued_go_out() -> None:
    server, client = linked()
    handler = Kept()
    server.listen(80, Said)
    client.connect("10.0.0.1", 80, lambda: handler)
    drained: list[float] = []
    server.on_drained = lambda: drained.append(time.monotonic())
    begun = time.monotonic()
    while not drained and time.monotonic() - begun < 5.0:
        client.turn()
        server.turn()
        if 0 < len(handler.got) < 300_000:
            server.drain()
    assert drained
    assert len(handler.got) == 300_000
    refused = Kept()
    client.connect("10.0.0.1", 80, lambda: refused)
    for _ in range(20):
        client.turn()
        server.turn()
    assert client.stack.counters.snapshot()["connections_reset"] == 1
    server.close()
    client.close()
    server.close()


class Changing(Pipe):
    """A wire whose far side comes and goes, and which wakes only those who ask."""

    asked = 0

    def is_ready(self) -> bool:
        self.asked += 1
        return self.asked == 1

    def renew(self, values: dict[str, Any], fds: list[int]) -> None:
        assert fds == []
        Pipe.__init__(self, **values)


def test_a_turn_asks_the_wire_before_its_caller_sleeps(worker: Worker) -> None:
    wire = Changing()
    worker.add_link(wire, worker.stack.add_interface("p", "02:00:00:00:00:02", ["10.0.0.2/24"]))
    now = time.monotonic_ns()
    assert worker.turn(now) == now
    assert worker.turn(now + 1) > now + 1
    assert wire.asked == 2


def test_a_renewed_link_offloads_what_its_far_side_does(worker: Worker) -> None:
    interface = worker.stack.add_interface("p", "02:00:00:00:00:02", ["10.0.0.2/24"])
    worker.add_link(Changing(), interface)
    for offload in (True, False):
        worker.renew(0, {"offload": offload}, [])
        assert interface.offload_checksum == interface.offload_segmentation == offload


# -- links that go while the worker runs ------------------------------------------------------


def turn(*workers: Worker, times: int = 20) -> None:
    for _ in range(times):
        for worker in workers:
            worker.turn()


def test_a_removed_link_is_closed_after_its_last_frame() -> None:
    server, client = linked()
    kept, other = Kept(), Kept()
    server.listen(80, lambda: other)
    client.connect("10.0.0.1", 80, lambda: kept)
    turn(client, server)
    assert not kept.closed
    done: list[int] = []
    server.remove_link("p", "unplugged", lambda: done.append(1))
    with pytest.raises(CortenError, match="no link 'p'"):
        server.remove_link("p")
    turn(server, client)
    assert done == [1]
    assert kept.error is not None and isinstance(kept.error, ConnectionResetError)
    assert "link p was removed: unplugged" in str(other.error)
    assert server.stack.leaks() == []
    assert server.stack.interfaces == []
    one, _ = Pipe.pair()
    interface = server.stack.add_interface("p", "02:00:00:00:00:01", ["10.0.0.1/24"])
    server.add_link(one, interface)
    turn(server)
    server.close()
    client.close()


def test_addresses_by_the_links_name() -> None:
    server, client = linked()
    kept, other = Kept(), Kept()
    server.listen(80, lambda: other)
    server.add_address("p", "10.0.0.77/24")
    client.connect("10.0.0.77", 80, lambda: kept)
    turn(client, server)
    assert server.figures()[0]["addresses"] == ["10.0.0.1", "10.0.0.77"]
    server.remove_address("p", "10.0.0.77", "asked for")
    turn(server, client)
    assert isinstance(kept.error, ConnectionResetError)
    assert "10.0.0.77 given up: asked for" in str(other.error)
    with pytest.raises(CortenError, match="no link 'q': there are p"):
        server.add_address("q", "10.0.0.78/24")
    server.close()
    client.close()


def test_a_drain_does_not_wait_for_a_peer_that_has_yet_to_close() -> None:
    """FIN-WAIT-2: we have said everything, and it is acknowledged."""
    server, client = linked()
    kept = Kept()
    server.listen(80, Handler)
    connection = client.connect("10.0.0.1", 80, lambda: kept)
    turn(client, server)
    connection.pause()  # it does not learn that we have finished
    drained: list[str] = []
    states = lambda: "".join(str(c.info()["state"]) for c in server.stack.connections())  # noqa: E731
    server.on_drained = lambda: drained.append(states())
    server.drain(3600)
    begun = time.monotonic()
    while not drained and time.monotonic() - begun < 20:
        turn(client, server, times=1)
    assert drained == ["FIN-WAIT-2"]
    server.close()
    client.close()


def test_a_worker_that_leaves_ends_when_it_has_nothing_left_to_say() -> None:
    server, client = linked()
    kept = Kept()
    server.listen(80, Said)
    client.connect("10.0.0.1", 80, lambda: kept)
    drained: list[int] = []
    server.on_drained = lambda: drained.append(len(kept.got))
    begun = time.monotonic()
    turn(client, server, times=3)
    server.leave(5.0)
    while not drained and time.monotonic() - begun < 5.0:
        turn(client, server, times=1)
    assert drained == [300_000]
    server.close()
    client.close()


def test_it_spins_only_while_that_pays() -> None:
    """The far end answers at once, from another thread's point of view: by its wake-up."""
    server, client = linked()
    server.listen(80, Kept)
    for worker in (server, client):
        worker.call_later(0.05, worker.stop)
    server.serve(signals=False, spin_us=500)
    assert server._spin is not None
    assert server._spin.score == 0
    server.close()
    client.close()
