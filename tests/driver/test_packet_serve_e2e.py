"""Workers on packet sockets, the kernel at the other end: bytes, deaths, other stations."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.namespace import Namespace
from tests.acceptance.wire import lay_veth
from tests.netns import Client, Program, namespace, pattern

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ADDRESS, ADDRESS_V6 = "10.9.0.2", "fd00::2"
LINK = f"packet:wire,address={ADDRESS}/24"


class Served:
    """A server in one namespace, and who calls it from the other."""

    def __init__(self, server: Namespace, client: Namespace, link: str, **options: Any) -> None:
        self.client = client
        text = json.dumps({"links": [link], **options})
        self.program = Program(server, "-m", "tests.worker.server", text)

    def call(self, address: str = ADDRESS) -> Client:
        with self.client.inside():
            return Client(socket.create_connection((address, 80), 10.0))

    def each(self, count: int) -> dict[int, tuple[int, Client]]:
        """A connection to each worker: index -> (pid, client)."""
        found: dict[int, tuple[int, Client]] = {}
        for _ in range(200):
            client = self.call()
            pid, index = map(int, client.ask("/pid").split())
            found.setdefault(index, (pid, client))
            if len(found) == count:
                return found
        raise AssertionError(f"200 connections reached the workers {sorted(found)} only")


@contextmanager
def serving(server: Namespace, client: Namespace, link: str, **options: Any) -> Iterator[Served]:
    served = Served(server, client, link, **options)
    try:
        served.program.wait_for("ready")
        yield served
    finally:
        served.program.close()


@pytest.fixture
def spaces() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace("server") as server, namespace("client") as client:
        lay_veth(server, client, "10.9.0.1/24")
        yield server, client


def check_bytes(client: Client) -> None:
    for length in (0, 1, 1460, 100_000, 2_000_000):
        assert client.ask(f"/{length}") == pattern(length)
    body = pattern(1_000_000)
    assert client.ask("/sum", body).decode() == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_bytes_both_ways(spaces: tuple[Namespace, Namespace], workers: int, offload: str) -> None:
    with serving(*spaces, f"{LINK},offload={offload}", workers=workers) as served:
        for size in ("56", "1400", "4000"):
            words = ["ping", "-c", "3", "-i", "0.05", "-W", "2", "-s", size, ADDRESS]
            assert " 0% packet loss" in spaces[1].command(words)
        for _ in range(workers * 2):
            client = served.call()
            check_bytes(client)
            client.close()
        assert served.program.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("qdisc", ["on", "bypass"])
def test_with_and_without_a_queue(spaces: tuple[Namespace, Namespace], qdisc: str) -> None:
    with serving(*spaces, f"{LINK},qdisc={qdisc},ring=2") as served:
        check_bytes(served.call())


@pytest.mark.parametrize("offload", ["on", "off"])
def test_ipv6(spaces: tuple[Namespace, Namespace], offload: str) -> None:
    server, client = spaces
    try:
        for space in spaces:
            space.speak_ipv6()
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    client.ip("-6", "addr", "add", "fd00::1/64", "dev", "wire", "nodad")
    link = f"{LINK},address={ADDRESS_V6}/64,offload={offload}"
    with serving(server, client, link, workers=2) as served:
        for size in ("56", "1400", "4000"):
            words = ["ping", "-6", "-c", "3", "-i", "0.05", "-W", "2", "-s", size, ADDRESS_V6]
            assert " 0% packet loss" in client.command(words)
        check_bytes(served.call(ADDRESS_V6))
        check_bytes(served.call())


def test_nobody_but_the_stack_answers(spaces: tuple[Namespace, Namespace]) -> None:
    """Not one reset of the kernel's: closed ports are refused once, by the stack."""
    server, client = spaces
    with client.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
        raw.bind(("wire", 3))
        raw.setblocking(False)
        with serving(server, client, LINK) as served:
            for _ in range(20):
                served.call().ask("/5")
            for port in range(1000, 1020):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((ADDRESS, port), 5.0)
            frames = []
            try:
                while True:
                    frames.append(raw.recv(2048))
            except BlockingIOError:  # silent: that was all
                pass
    resets = [f for f in frames if f[12:14] == b"\x08\0" and f[23] == 6 and f[47] & 4]
    assert len([f for f in resets if 1000 <= int.from_bytes(f[34:36], "big") < 1020]) == 20
    assert not [f for f in resets if f[34:36] == b"\0\x50"]
    assert not [f for f in frames if f[12:14] == b"\x08\0" and f[23] == 1]


def test_a_killed_worker_is_back_and_harms_no_other(spaces: tuple[Namespace, Namespace]) -> None:
    with serving(*spaces, LINK, workers=2) as served:
        for turn in range(3):
            before = served.each(2)
            (victim, lost), (_, kept) = before[0], before[1]
            lost.send("/50000000")  # in full flight
            time.sleep(0.02 * turn)
            os.kill(victim, signal.SIGKILL)
            assert kept.ask("/1000000") == pattern(1_000_000)
            with pytest.raises(ConnectionError):  # its connections are reset by its successor
                while True:
                    lost.reply()
            after = served.each(2)
            assert after[0][0] != victim
            assert after[1][0] == before[1][0]
            assert kept.ask("/pid").split()[1] == b"1"
            check_bytes(after[0][1])
        assert served.program.end(signal.SIGTERM) == 0


def test_a_port_of_a_bridge(spaces: tuple[Namespace, Namespace]) -> None:
    """The device stays the bridge's: what is not for us goes through it as before."""
    server, client = spaces
    server.ip("link", "add", "bridge", "type", "bridge")
    server.ip("link", "set", "wire", "master", "bridge")
    server.ip("addr", "add", "10.9.0.3/24", "dev", "bridge")
    server.ip("link", "set", "bridge", "up")
    with serving(server, client, LINK, workers=2) as served:
        check_bytes(served.call())
        assert " 0% packet loss" in client.command(["ping", "-c", "3", "-i", "0.1", "10.9.0.3"])
        assert " 0% packet loss" in client.command(["ping", "-c", "3", "-i", "0.1", ADDRESS])


def test_two_stacks_in_one_vlan(spaces: tuple[Namespace, Namespace]) -> None:
    server, client = spaces
    with serving(server, client, f"{LINK},vlan=42"):
        link = "packet:wire,address=10.9.0.9/24,vlan=42"
        words = {"links": [link], "callee": [ADDRESS, 80], "calls": 3}
        other = Program(client, "-m", "tests.worker.server", json.dumps(words))
        try:
            other.wait_for("ready")
            until = time.monotonic() + 10.0
            while other.wait_for("counters")[0]["segments_in"] < 3:
                assert time.monotonic() < until
        finally:
            other.close()


def test_a_station_of_its_own(spaces: tuple[Namespace, Namespace]) -> None:
    server, client = spaces
    with serving(server, client, f"{LINK},mac=02:00:00:00:00:77") as served:
        check_bytes(served.call())
        assert "lladdr 02:00:00:00:00:77" in client.ip("neigh", "show", ADDRESS)


def test_a_device_that_is_removed_ends_the_server(spaces: tuple[Namespace, Namespace]) -> None:
    server, client = spaces
    with serving(server, client, LINK, workers=2) as served:
        assert served.call().ask("/5") == pattern(5)
        server.ip("link", "delete", "wire")
        assert "giving up" in served.program.wait_for("error")
        assert served.program.end() == 2


def test_an_address_of_the_hosts_is_refused(spaces: tuple[Namespace, Namespace]) -> None:
    server, client = spaces
    server.ip("addr", "add", f"{ADDRESS}/32", "dev", "lo")
    served = Served(server, client, LINK)
    try:
        assert f"{ADDRESS} is in use: it is this host's own" in served.program.wait_for("error")
        assert served.program.end() == 2
    finally:
        served.program.close()
