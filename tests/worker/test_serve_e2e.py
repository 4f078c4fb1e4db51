"""Workers on a real TAP, the kernel as client: bytes, deaths, drains, idleness."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.namespace import Namespace
from tests.netns import Client, Program, namespace, pattern

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TAP = "tap,address=10.9.0.2/24"
ADDRESS = "10.9.0.2"


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("worker") as made:
        yield made


class Served:
    """A running server and its workers, by index."""

    def __init__(self, space: Namespace, links: list[str] | None = None, **options: Any) -> None:
        text = json.dumps({"links": links or [TAP], **options})
        self.program = Program(space, "-m", "tests.worker.server", text)
        try:
            self.ready = self.program.wait_for("ready")
        except BaseException:
            self.program.close()
            raise

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.close()


def call(space: Namespace, address: str = ADDRESS, timeout: float = 10.0) -> Client:
    with space.inside():
        return Client(socket.create_connection((address, 80), timeout))


def workers_of(space: Namespace, count: int) -> dict[int, tuple[int, Client]]:
    """A connection to each worker: index -> (pid, client)."""
    found: dict[int, tuple[int, Client]] = {}
    for _ in range(200):
        client = call(space)
        pid, index = map(int, client.ask("/pid").split())
        if index in found:
            client.close()
        else:
            found[index] = (pid, client)
        if len(found) == count:
            return found
    raise AssertionError(f"200 connections reached the workers {sorted(found)} only")


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_bytes_both_ways(space: Namespace, workers: int, offload: str) -> None:
    with Served(space, [f"{TAP},offload={offload}"], workers=workers) as served:
        assert served.ready == [ADDRESS]
        space.command(["ping", "-c", "3", "-i", "0.05", "-W", "2", "-s", "1400", ADDRESS])
        for _ in range(workers * 2):
            client = call(space)
            for length in (0, 1, 1460, 100_000, 2_000_000):
                assert client.ask(f"/{length}") == pattern(length)
            body = pattern(1_000_000)
            assert client.ask("/sum", body).decode() == hashlib.sha256(body).hexdigest()
            client.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_a_client_of_the_field(space: Namespace) -> None:
    with Served(space):
        url = f"http://{ADDRESS}/[70000-70003]"
        sizes = space.command(["curl", "-sm10", "-o", "/dev/null", "-w%{size_download} ", url])
        assert sizes.split() == ["70000", "70001", "70002", "70003"]


def test_many_connections_find_every_worker(space: Namespace) -> None:
    with Served(space, workers=4):
        assert sorted(workers_of(space, 4)) == [0, 1, 2, 3]


def test_a_killed_worker_is_back_and_harms_no_other(space: Namespace) -> None:
    with Served(space, workers=2) as served:
        for _ in range(3):
            before = workers_of(space, 2)
            (victim, lost), (_, kept) = before[0], before[1]
            os.kill(victim, signal.SIGKILL)
            assert kept.ask("/100000") == pattern(100_000)
            while True:
                pid, index = served.program.wait_for("up", 5.0)
                if index == 0 and pid != victim and pid not in {p for p, _ in before.values()}:
                    break
            assert kept.ask("/pid").split()[1] == b"1"
            after = workers_of(space, 2)
            assert after[0][0] != victim
            assert after[1][0] == before[1][0]
            with pytest.raises(ConnectionError):  # its connections are reset by its successor
                lost.ask("/1")
            for _, client in (*before.values(), *after.values()):
                client.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_sigterm_lets_a_reply_in_flight_finish(space: Namespace) -> None:
    with Served(space, workers=2) as served:
        idle = call(space)
        idle.ask("/1")
        client = call(space)
        client.send("/20000000")
        assert client.socket.recv(1000)[:15] == b"HTTP/1.1 200 OK"
        served.program.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            call(space, ADDRESS, 2.0)
        assert idle.socket.recv(10) == b""
        left = 0
        while data := client.socket.recv(1 << 20):
            left += len(data)
        assert left > 20_000_000 - 1000
        client.close()
        idle.close()
        assert served.program.end() == 0


def test_a_client_that_reads_nothing_does_not_stop_the_drain(space: Namespace) -> None:
    with Served(space, drain_seconds=0.5) as served:
        client = call(space)
        client.send("/20000000")
        time.sleep(0.2)
        begun = time.monotonic()
        assert served.program.end(signal.SIGINT) == 0
        assert time.monotonic() - begun < 30.0
        client.close()


@pytest.mark.parametrize("busy_poll", [False, True])
def test_signals_are_obeyed(space: Namespace, busy_poll: bool) -> None:
    with Served(space, busy_poll=busy_poll) as served:
        assert call(space).ask("/10") == pattern(10)
        assert served.program.end(signal.SIGTERM) == 0


def test_an_idle_worker_sleeps(space: Namespace) -> None:
    with Served(space) as served:
        pid, _ = map(int, call(space).ask("/pid").split())
        time.sleep(0.3)
        pids = (pid, served.program.process.pid)
        before = [cpu_seconds(each) for each in pids]
        time.sleep(3.0)
        spent = [cpu_seconds(each) - was for each, was in zip(pids, before, strict=True)]
        assert max(spent) < 0.03


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fresh_counters(served: Served) -> list[dict[str, int]]:
    """The first report that had to be waited for: it is of what has happened so far."""
    while True:
        begun = time.monotonic()
        counted: list[dict[str, int]] = served.program.wait_for("counters")
        if time.monotonic() - begun > 0.05:
            return counted


@pytest.mark.parametrize("steering", ["program", "learnt"])
def test_a_silent_flow_is_served_by_its_owner(space: Namespace, steering: str) -> None:
    """What it has learnt of a flow the device forgets after 6 s of silence; then the flow's hash
    decides which queue it takes, not where we last wrote, and connections that workers opened lie
    anywhere: they are handed over. With the program all of them arrive where they live."""
    with space.inside():
        listener = socket.create_server(("0.0.0.0", 9000), backlog=64)
    listener.settimeout(10.0)
    links = [f"{TAP},steering={steering}"]
    with Served(space, links, workers=4, callee=["10.9.0.1", 9000], calls=8) as served, listener:
        clients = [Client(listener.accept()[0]) for _ in range(32)]
        clients += [call(space) for _ in range(16)]
        owners = [client.ask("/pid") for client in clients]
        assert len(set(owners)) == 4
        time.sleep(7.0)
        assert [client.ask("/pid") for client in clients] == owners
        for client in clients:
            assert client.ask("/300000") == pattern(300_000)
        counted = fresh_counters(served)
        handed = [each["handed_out"] for each in counted]
        assert sum(handed) == sum(each["handed_in"] for each in counted)
        assert (sum(handed) == 0) == (steering == "program")
        assert all(each["tcp_no_connection"] == 0 for each in counted)
        assert all(each["hand_over_full"] == 0 for each in counted)
        assert served.program.end(signal.SIGTERM) == 0


def test_a_worker_that_dies_moves_nobodys_flows(space: Namespace) -> None:
    """Its queue is the supervisor's too, and stays where it is among the others."""
    with Served(space, [f"{TAP},steering=program"], workers=3) as served:
        found = workers_of(space, 3)
        pid, client = found.pop(1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            client.ask("/pid")
        for index, (owner, other) in found.items():
            assert other.ask("/pid") == f"{owner} {index}".encode()
            assert other.ask("/300000") == pattern(300_000)
        counted = fresh_counters(served)
        assert all(counted[index]["handed_out"] == 0 for index in found)
        assert served.program.end(signal.SIGTERM) == 0


def test_without_its_supervisor_a_worker_ends_and_the_device_goes(space: Namespace) -> None:
    with Served(space, workers=2) as served:
        pid, _ = map(int, call(space).ask("/pid").split())
        assert served.program.end(signal.SIGKILL) == -signal.SIGKILL
        until = time.monotonic() + 3.0
        while os.path.exists(f"/proc/{pid}/stat") and time.monotonic() < until:
            time.sleep(0.02)
        assert "corten0" not in space.ip("link", "show")


def test_the_handler_of_one_connection_harms_no_other(space: Namespace) -> None:
    with Served(space):
        good, bad = call(space), call(space)
        bad.send("/raise")
        with pytest.raises(ConnectionError):
            bad.reply()
        assert good.ask("/5") == pattern(5)


def test_in_process(space: Namespace) -> None:
    with Served(space, supervised=False) as served:
        pid, _ = map(int, call(space).ask("/pid").split())
        assert pid == served.program.process.pid
        assert served.program.end(signal.SIGTERM) == 0


def test_two_links_and_the_kernel_beside_them(space: Namespace) -> None:
    links = [
        "tap:one,address=10.9.1.2/24",
        "tap:two,address=10.9.2.2/24,workers=2",
        "kernel,address=127.0.0.1",
    ]
    with Served(space, links) as served:
        for address in ("10.9.1.2", "10.9.2.2", "127.0.0.1"):
            assert call(space, address).ask("/5000") == pattern(5000)
        assert served.program.end(signal.SIGTERM) == 0


def test_a_device_of_somebody_else_stays(space: Namespace) -> None:
    space.ip("tuntap", "add", "dev", "theirs", "mode", "tap", "multi_queue")
    with Served(space, ["tap:theirs,address=10.9.0.2/24"]) as served:
        assert call(space).ask("/5000") == pattern(5000)
        assert "10.9.0.1/24" in space.ip("address", "show", "dev", "theirs")
        assert served.program.end(signal.SIGTERM) == 0
    assert "10.9.0.1/24" not in space.ip("address", "show", "dev", "theirs")


@pytest.mark.parametrize(
    ("prepare", "links", "says"),
    [
        ([], ["tap:lo,address=10.9.0.2/24"], "no multi-queue TAP"),
        (
            ["address", "add", "10.9.0.2/32", "dev", "lo"],
            ["tap,address=10.9.0.2/24"],
            "10.9.0.2 is in use",
        ),
        (
            ["address", "add", "10.9.0.7/24", "dev", "lo"],
            ["tap,address=10.9.0.2/24"],
            "overlaps 10.9.0.7/24 on lo",
        ),
        ([], ["tap:t,address=10.9.0.2/24", "tap:t,address=10.9.1.2/24"], "two links are named t"),
        ([], ["kernel,address=10.8.8.8"], "10.8.8.8"),
    ],
)
def test_what_the_environment_refuses_is_one_line(
    space: Namespace, prepare: list[str], links: list[str], says: str
) -> None:
    if prepare:
        space.ip(*prepare)
    program = Program(space, "-m", "tests.worker.server", json.dumps({"links": links}))
    try:
        error = program.wait_for("error")
        assert says in error
        assert "\n" not in error
        assert program.end() == 2
    finally:
        program.close()


def test_a_worker_that_cannot_begin_ends_everything(space: Namespace) -> None:
    text = json.dumps({"links": [TAP], "workers": 2, "fails": "no such directory: pages"})
    program = Program(space, "-m", "tests.worker.server", text)
    try:
        assert program.wait_for("error") == "no such directory: pages"
        assert program.end() == 2
    finally:
        program.close()


def test_a_device_in_use_is_not_shared_by_accident(space: Namespace) -> None:
    with Served(space, ["tap:mine,address=10.9.0.2/24"]):
        text = json.dumps({"links": ["tap:mine,address=10.9.3.2/24"]})
        program = Program(space, "-m", "tests.worker.server", text)
        try:
            assert "in use by another program" in program.wait_for("error")
        finally:
            program.close()
        assert call(space).ask("/10") == pattern(10)
