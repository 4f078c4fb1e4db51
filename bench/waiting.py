"""What waiting costs: CPU of an idle worker, and the latency of lone requests, by how it waits.

One client on the other core, one connection, the small file. `apart` sends a request every 5 ms,
`in turn` the next one as soon as the last is answered. CPU is the worker's own, user and system,
as a share of a core, while nothing comes and during each kind of load.

    python -m bench.waiting
"""

from __future__ import annotations

import os
import socket
import statistics
import tempfile
import time
from pathlib import Path

from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten

ADDRESS = "10.98.0.2"
LINKS = {"tap": f"tap,address={ADDRESS}/24", "kernel": "kernel,address=127.0.0.1"}
WAYS = {
    "sleep": [],
    "spin 50": ["--spin", "50"],
    "spin 200": ["--spin", "200"],
    "busy-poll": ["--busy-poll"],
}
IDLE_S = 4.0
APART_S = 0.005
APART = 600
IN_TURN = 10_000
REQUEST = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(end: socket.socket) -> float:
    """Microseconds that one request takes."""
    begun = time.perf_counter()
    end.sendall(REQUEST)
    end.recv(4096)
    return 1e6 * (time.perf_counter() - begun)


class Usage:
    """The CPU of a process during a block, as a share of a core."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.share = 0.0

    def __enter__(self) -> Usage:
        self._began = time.monotonic()
        self._before = cpu_seconds(self.pid)
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._began
        self.share = 100 * (cpu_seconds(self.pid) - self._before) / seconds


def measure(space: Namespace, link: str, way: str, root: str) -> str:
    """One row."""
    everywhere = os.sched_getaffinity(0)
    words = [*corten(), "httpd", "80", root, "--link", LINKS[link], "--cpus", "0", *WAYS[way]]
    server = Process([*words, "--control", "none"], space, None)
    try:
        server.expect("ready")
        with space.inside():
            address = ADDRESS if link == "tap" else "127.0.0.1"
            end = socket.create_connection((address, 80), 5.0)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        worker = server.pids()[1]
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        for _ in range(200):
            one(end)
        with Usage(worker) as in_turn:
            turns = [one(end) for _ in range(IN_TURN)]
        with Usage(worker) as apart:
            lone = []
            for _ in range(APART):
                time.sleep(APART_S)
                lone.append(one(end))
        with Usage(worker) as idle:
            time.sleep(IDLE_S)
        end.close()
    finally:
        os.sched_setaffinity(0, everywhere)
        server.stop()
    cells = [f"{idle.share:.1f} %"]
    for found, usage in ((lone, apart), (turns, in_turn)):
        cuts = statistics.quantiles(found, n=100)
        cells += [f"{cuts[49]:.0f}", f"{cuts[98]:.0f}", f"{usage.share:.0f} %"]
    return f"| {link} | {way} | " + " | ".join(cells) + " |"


def main() -> None:
    print("| link | waiting | idle | apart, p50 µs | p99 | CPU | in turn, p50 µs | p99 | CPU |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    space = Namespace("waiting")
    with tempfile.TemporaryDirectory(prefix="corten-") as root:
        Path(root, "small").write_bytes(b"x" * 100)
        for link in LINKS:
            for way in WAYS:
                print(measure(space, link, way, root), flush=True)
    space.close()


if __name__ == "__main__":
    main()
