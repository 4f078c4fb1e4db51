"""`corten httpd` as users start it, on a TAP device in a namespace, and clients of the kernel's."""

from __future__ import annotations

import json
import os
import random
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.client import Load, drive
from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten
from tests.netns import ROOT, Client

ADDRESS = "10.9.0.2"
CLIENT_ADDRESS = "10.9.0.1"
LINK = f"tap,address={ADDRESS}/24"
URL = f"http://{ADDRESS}:80/"


class Httpd:
    """The server's command, running, as a context; also what `bench.client.drive` loads."""

    url = URL

    def __init__(
        self,
        space: Namespace,
        site: Path,
        *options: str,
        workers: int = 1,
        offload: str = "on",
        command: Sequence[str] = (),
        link: str = LINK,
        client: Namespace | None = None,  # where the clients are, if elsewhere
    ) -> None:
        self.client = client or space
        self.workers = workers
        last = (os.cpu_count() or 1) - 1
        self.cores = (0, last)
        words = [*(command or corten()), "httpd", "80", str(site)]
        words += ["--link", f"{link},offload={offload}", "--workers", str(workers), *options]
        self.process = Process(words, space, None, directory=str(ROOT))
        try:
            self.process.expect("ready")
        except BaseException:
            self.process.stop()
            raise

    def __enter__(self) -> Httpd:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def pids(self) -> list[int]:
        """The supervisor, then its workers."""
        return self.process.pids()

    def worker_pids(self) -> list[int]:
        return self.pids()[1:]


def call(space: Namespace) -> Client:
    with space.inside():
        return Client(socket.create_connection((ADDRESS, 80), 10.0))


def failed_under_load(server: Httpd, connections: int, seconds: float, paths: list[str]) -> int:
    """Requests without a good reply, of random pages asked by wrk (`corten load` without it)."""
    if find("wrk"):
        load = Load(connections, paths[0], script=str(ROOT / "bench" / "pages.lua"))
        result = drive(server, load, seconds)
        assert result.requests > connections
        return result.failed
    words = [*corten(), "load", *(URL + path for path in paths), "--json", "--hashes"]
    words += ["--link", f"kernel,address={CLIENT_ADDRESS}"]
    words += ["-c", str(connections), "-d", str(seconds)]
    process = Process(words, server.client, None, directory=str(ROOT))
    try:
        found = json.loads(process.wait(seconds + 90).strip().splitlines()[-1])
    finally:
        process.stop()
    assert found["requests"] > connections
    failed: int = sum(found["errors"].values())
    return failed


def readable(clients: Iterable[Client], seconds: float) -> list[Client]:
    """Those that something has come for within `seconds`, in the order of its coming."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        found: list[Client] = []
        until = time.monotonic() + seconds
        while selector.get_map() and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                found.append(key.data)
                selector.unregister(key.fileobj)
        return found


def resident(pid: int) -> int:
    """Octets of physical memory of one process that it shares with no other."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * 1024
    return total


def instants(seed: int, count: int) -> list[float]:
    """Random pauses, the same for a seed."""
    chance = random.Random(seed)
    return [chance.uniform(0.05, 0.5) for _ in range(count)]
