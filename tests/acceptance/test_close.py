"""One request a connection, very many times: nothing is left of them, in number or in memory."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import pytest

from bench.namespace import Namespace
from tests.acceptance.serving import ADDRESS, Httpd, resident

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PAGE = "size/100.htm"
BATCH = 50
GROWTH_MAX = 512 << 10
SETTLING_MAX = 6 << 20


def ask_and_close(space: Namespace, count: int, body: bytes) -> None:
    """`count` connections, some at a time, each with one request that asks for its end."""
    request = f"GET /{PAGE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    with space.inside():
        for _ in range(count // BATCH):
            ends = [socket.create_connection((ADDRESS, 80), 10.0) for _ in range(BATCH)]
            for end in ends:
                end.sendall(request)
            for end in ends:
                text = b""
                while data := end.recv(65536):
                    text += data
                assert text.startswith(b"HTTP/1.1 200 OK\r\n")
                assert text.endswith(b"\r\n\r\n" + body)
                end.close()


def last_counts(server: Httpd) -> dict[str, int]:
    """The last whole line that the worker printed about its connections."""
    lines = [line for line in server.process.text().split("\n")[:-1] if line.startswith("{")]
    counts: dict[str, int] = json.loads(lines[-1])
    return counts


@pytest.mark.parametrize(
    ("count", "time_wait", "steady"),
    [
        (20_000, 0.2, 1),
        # the queue of TIME-WAIT is full after two tenths, the allocator's pools some time later
        pytest.param(200_000, 60.0, 6, marks=[pytest.mark.soak, pytest.mark.timeout(300)]),
    ],
)
def test_nothing_is_left(
    space: Namespace, site: Path, count: int, time_wait: float, steady: int
) -> None:
    body = (site / PAGE).read_bytes()
    window = [sys.executable, "-m", "tests.acceptance.watched", str(int(time_wait * 1000))]
    with Httpd(space, site, command=window) as server:
        (worker,) = server.worker_pids()
        memory = []
        for _ in range(10):
            ask_and_close(space, count // 10, body)
            memory.append(resident(worker))
        ended = time.monotonic()
        while any((counts := last_counts(server)).values()):
            assert time.monotonic() - ended < time_wait + 20.0, counts
            time.sleep(0.1)
        assert server.worker_pids() == [worker]
    print(f"private memory after each tenth: {memory}")
    assert memory[9] - memory[steady] <= GROWTH_MAX
    assert memory[9] - memory[1] <= SETTLING_MAX
