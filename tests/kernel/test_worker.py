"""The kernel's worker: listening, running, draining; what only it has."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from corten.endpoint.error import ConnectionClosed, CortenError
from corten.kernel import listener as listening
from corten.kernel.address import address_of, sockaddr_of
from corten.kernel.error import error_of
from corten.kernel.listener import claim
from corten.kernel.worker import KernelWorker, lift_limits, run
from tests.conformance.probe import Echo, Probes
from tests.conformance.test_receiving import pattern


@pytest.fixture
def worker() -> Iterator[Any]:
    made = KernelWorker()
    yield made
    made.close()
    made.close()


def turn_until(worker: Any, done: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        worker.turn()


def dial(port: int, address: str = "127.0.0.1") -> socket.socket:
    end = socket.create_connection((address, port), 10)
    end.setblocking(False)
    return end


# -- listening --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "port", "text"),
    [
        ("127.0.0.1", 65536, "out of range"),
        ("127.0.0.1", -1, "out of range"),
        ("192.0.2.1", 8080, "no address of this machine"),
        ("no address", 8080, "not an IP address"),
    ],
)
def test_what_cannot_be_listened_on(worker: Any, address: str, port: int, text: str) -> None:
    with pytest.raises(CortenError, match=text):
        worker.listen(port, Echo, address)


@pytest.mark.parametrize(
    ("number", "text"), [(errno.EACCES, "not permitted"), (errno.ENOBUFS, "buffer")]
)
def test_what_the_kernel_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int, text: str
) -> None:
    monkeypatch.setattr(listening.socket, "socket", _Refusing)
    _Refusing.number = number
    with pytest.raises(CortenError, match=text):
        claim("127.0.0.1", 80)


class _Refusing(socket.socket):
    number = 0

    def bind(self, address: object) -> None:
        raise OSError(self.number, os.strerror(self.number))


def test_a_port_that_another_process_shares_is_claimed_by_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        with pytest.raises(CortenError, match="in use"):
            claim(*other.getsockname())
        address = other.getsockname()
    claim(*address)


def test_several_workers_share_a_port(worker: Any) -> None:
    second = KernelWorker(["127.0.0.1"], 1)
    port = worker.listen(0, Echo).port
    second.listen(port, Echo)
    ends = [dial(port) for _ in range(40)]
    turn_until(
        worker,
        lambda: second.turn() and sum(w.counters()["accepted"] for w in (worker, second)) == 40,
    )
    assert 0 < worker.counters()["accepted"] < 40
    second.close()
    for end in ends:
        end.close()


def test_listening_ends_and_what_was_accepted_lives_on(worker: Any) -> None:
    listening = worker.listen(0, Echo)
    end = dial(listening.port)
    turn_until(worker, lambda: worker.counters()["open"] == 1)
    listening.close()
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        dial(listening.port)
    end.send(b"still")
    turn_until(worker, lambda: worker.counters()["sent_octets"] == 5)
    assert end.recv(10) == b"still"
    end.close()


def test_an_unknown_option(worker: Any) -> None:
    with pytest.raises(CortenError, match="colour"):
        worker.listen(0, Echo, colour="red")
    assert worker.listen(0, Echo, backlog=1).port > 0


def test_ipv6(worker: Any) -> None:
    probes = Probes()
    try:
        port = worker.listen(0, probes, "::1").port
    except CortenError:
        pytest.skip("this machine has no IPv6")
    end = dial(port, "::1")
    turn_until(worker, lambda: probes.made)
    turn_until(worker, lambda: probes[0].connection)
    assert probes[0].connection.peer == end.getsockname()[:2]
    assert probes[0].connection.local == ("::1", port)
    end.close()


def test_out_of_descriptors_it_rests_and_goes_on(
    worker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    port = worker.listen(0, Echo).port
    ends = [dial(port) for _ in range(3)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = os.open("/dev/null", os.O_RDONLY)
    os.close(taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken, limits[1]))
    try:
        turn_until(worker, lambda: "cannot accept" in caplog.text)
        for _ in range(50):
            worker.turn()
        assert caplog.text.count("cannot accept") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    turn_until(worker, lambda: worker.counters()["accepted"] == 3)
    for end in ends:
        end.close()


def test_limits_are_lifted() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lift_limits()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


# -- running ----------------------------------------------------------------------------------


def in_thread(worker: Any) -> threading.Thread:
    thread = threading.Thread(target=worker.serve, kwargs={"signals": False})
    thread.start()
    return thread


def test_another_thread_wakes_it(worker: Any) -> None:
    ran = threading.Event()
    thread = in_thread(worker)
    worker.call_soon_threadsafe(ran.set)
    assert ran.wait(5)
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_the_waker_may_be_full(worker: Any) -> None:
    ran: list[int] = []
    for i in range(70_000):
        worker.call_soon_threadsafe(ran.append, i)
    turn_until(worker, lambda: len(ran) == 70_000)


def test_an_idle_worker_sleeps(worker: Any) -> None:
    worker.listen(0, Echo)
    worker.call_later(100, print)
    thread = in_thread(worker)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.25  # awake it would be 0.5
    worker.stop()
    thread.join(5)


def test_busy_poll_does_not_but_ends(worker: Any) -> None:
    worker.call_later(0.05, worker.stop)
    worker.serve(busy_poll=True, signals=False)


def test_draining_lets_replies_finish(worker: Any) -> None:
    data = pattern(8_000_000)
    probes = Probes(open=lambda connection: connection.send(data))
    port = worker.listen(0, probes).port
    end = dial(port)
    idle = dial(port)
    turn_until(worker, lambda: len(probes.made) == 2)
    worker.drain(20)
    thread = in_thread(worker)
    for each in (end, idle):
        each.setblocking(True)
        assert b"".join(iter(lambda each=each: each.recv(1 << 20), b"")) == data  # type: ignore[misc]
        each.close()
    thread.join(10)
    assert not thread.is_alive()
    assert [probe.error for probe in probes.made] == [None, None]


def test_draining_ends_in_time(worker: Any) -> None:
    probes = Probes()
    end = dial(worker.listen(0, probes).port)
    turn_until(worker, lambda: probes.made)
    worker.drain(0.1)
    worker.serve(signals=False)
    worker.close()
    assert isinstance(probes[0].error, ConnectionAbortedError)
    end.close()


def test_draining_twice_is_stopping(worker: Any) -> None:
    end = dial(worker.listen(0, Probes()).port)
    turn_until(worker, lambda: worker.counters()["open"] == 1)
    worker.drain(100)
    worker.drain(100)
    worker.serve(signals=False)
    end.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_until_a_signal(number: int) -> None:
    handlers = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    workers: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    try:
        run(
            {port: Echo},
            setup=workers.append,
            ready=lambda: workers[0].call_later(0.01, os.kill, os.getpid(), number),
        )
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    assert workers[0].counters()["open"] == 0


# -- what the kernel says -----------------------------------------------------------------------


@pytest.mark.parametrize("address", [("10.1.2.3", 80), ("2001:db8::1", 65535)])
def test_sockaddr(address: tuple[str, int]) -> None:
    assert address_of(sockaddr_of(address)) == address


def test_errors_have_the_types_that_handlers_are_promised() -> None:
    assert type(error_of(errno.EPIPE)) is ConnectionResetError
    assert type(error_of(errno.ECONNRESET)) is ConnectionResetError
    assert type(error_of(errno.ETIMEDOUT)) is TimeoutError
    assert type(error_of(errno.EHOSTUNREACH)) is TimeoutError
    assert type(error_of(errno.ECONNREFUSED)) is ConnectionRefusedError
    assert type(error_of(errno.ENETUNREACH)) is OSError


def test_info_is_what_tcp_info_says(worker: Any) -> None:
    probes = Probes()
    end = dial(worker.listen(0, probes).port)
    turn_until(worker, lambda: probes.made and probes[0].connection)
    connection = probes[0].connection
    info = connection.info()
    assert info["state"] == "ESTABLISHED"
    assert 0 < info["rtt"] < 10
    assert info["snd_cwnd"] > 0
    end.close()
    turn_until(worker, lambda: probes[0].is_closed)
    with pytest.raises(ConnectionClosed):
        connection.info()
    with pytest.raises(ConnectionClosed):
        _ = connection.local
    assert connection.peer[0] == "127.0.0.1"


def test_no_route_is_told_to_the_handler(worker: Any) -> None:
    """Broadcast addresses are refused by connect() itself, before anything is sent."""
    probes = Probes()
    worker.connect("255.255.255.255", 80, probes)
    turn_until(worker, lambda: probes[0].is_closed)
    assert probes[0].events == ["close"]
    assert isinstance(probes[0].error, OSError)
