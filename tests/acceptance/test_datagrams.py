"""UDP and ping against the kernel, over a TAP device in a namespace."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten
from tests.acceptance.serving import ADDRESS, CLIENT_ADDRESS, LINK
from tests.netns import ROOT, pattern

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SIZES = [0, 1, 512, 1471, 1472, 1473, 2952, 2953, 8192, 32768, 65506, 65507]


@pytest.fixture(params=[(1, "on"), (1, "off"), (2, "on"), (2, "off")], ids=str)
def echo(space: Namespace, request: pytest.FixtureRequest) -> Iterator[Process]:
    """`corten echo 7` with so many workers, and offloads on or off."""
    workers, offload = request.param
    words = [*corten(), "echo", "7", "--link", f"{LINK},offload={offload}"]
    process = Process([*words, "--workers", str(workers)], space, None, directory=str(ROOT))
    try:
        process.expect("ready")
        yield process
    finally:
        process.stop()


def caller(space: Namespace) -> socket.socket:
    with space.inside():
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    end.connect((ADDRESS, 7))
    end.settimeout(10)
    return end


def test_every_size_comes_back(space: Namespace, echo: Process) -> None:
    ends = [caller(space) for _ in range(8)]  # of several flows, for several queues
    for size in SIZES:
        for number, end in enumerate(ends):
            data = (bytes([number]) + pattern(size))[:size]
            end.send(data)
            assert end.recv(65536) == data
    for end in ends:
        end.close()


def test_many_at_once(space: Namespace, echo: Process) -> None:
    """Small ones in bursts: nothing is lost on a quiet link, or answered twice."""
    ends = [caller(space) for _ in range(16)]
    for burst in range(20):
        for end in ends:
            end.send(burst.to_bytes(4, "big"))
        for end in ends:
            assert end.recv(100) == burst.to_bytes(4, "big")
    ready, _, _ = select.select(ends, [], [], 0.2)
    assert ready == []
    for end in ends:
        end.close()


def test_the_kernels_ping_in_all_sizes(space: Namespace, echo: Process) -> None:
    for size in ("0", "56", "1472", "1473", "20000", "65507"):
        said = space.command(["ping", "-c", "3", "-i", "0.1", "-W", "5", "-s", size, ADDRESS])
        assert " 0% packet loss" in said, said


def test_a_closed_port_is_refused(space: Namespace, echo: Process) -> None:
    with caller(space) as end:
        end.connect((ADDRESS, 8))
        end.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            end.recv(100)


@pytest.mark.parametrize("size", [56, 65507])
def test_our_ping_to_the_kernel(space: Namespace, size: int) -> None:
    words = [*corten(), "ping", CLIENT_ADDRESS, "-c", "4", "-i", "0.2", "-s", str(size)]
    process = Process([*words, "--link", LINK], space, None, directory=str(ROOT))
    try:
        said = process.wait(30)  # which fails where the exit code is not 0
    finally:
        process.stop()
    lines = said.strip().splitlines()
    assert lines[0].startswith(f"PING {CLIENT_ADDRESS} ({CLIENT_ADDRESS}) {size}({size + 28})")
    assert sum("icmp_seq=" in line and "time=" in line for line in lines) == 4
    assert "4 packets transmitted, 4 received, 0% packet loss" in said
    assert lines[-1].startswith("rtt min/avg/max/mdev = ")


def test_our_ping_to_nobody(space: Namespace) -> None:
    words = [*corten(), "ping", "10.9.0.77", "-c", "1", "-W", "1", "--link", LINK]
    process = Process(words, space, None, directory=str(ROOT))
    try:
        assert process.popen.wait(30) == 1
        assert "100% packet loss" in process.text()
    finally:
        process.stop()
