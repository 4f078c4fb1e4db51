"""The servers of the ASGI scenarios: one application under uvicorn's protocol in all of them.

`asgi-tap` is `corten asgi`, `uvicorn` itself runs on uvloop and the kernel's sockets, and
`asgi-null` is the protocol alone (`bench.null_transport`): the ceiling of both.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from collections.abc import Sequence

from bench.client import Load, Result
from bench.machine import Watch, own_times
from bench.server import PORT, SERVER_ADDRESS, CortenTap, Server, corten

COUNT = struct.Struct("=q")  # of what the null transport's process has answered


class AsgiTap(CortenTap):
    """`corten asgi` with one worker on our own stack."""

    name = "asgi-tap"

    def words(self) -> Sequence[str]:
        options = ["--link", self.link(), "--workers", "1", "--cpus", str(self.cores[0])]
        more = ["--http", "httptools", "--lifespan", "off", "--control", "none"]
        where = ["--host", SERVER_ADDRESS, "--port", str(PORT)]
        return [*corten(), "asgi", self.setting.application, *where, *options, *more]


class AsgiNull(Server):
    """uvicorn's protocol on a null transport: it feeds itself."""

    name = "asgi-null"
    veth = wired = False

    @property
    def path(self) -> str:
        return os.path.join(self.setting.work, "null-transport")

    def words(self) -> Sequence[str]:
        connections = str(self.setting.connections)
        module = "bench.null_transport"
        return [sys.executable, "-m", module, self.setting.application, connections, self.path]

    def _reply(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read()[COUNT.size :]

    def fetch(self, path: str) -> bytes:
        return self._reply().partition(b"\r\n\r\n")[2]

    def drive(self, load: Load, seconds: float) -> Result:
        """Look on for so long."""
        assert self.process is not None
        with open(self.path, "rb") as file:
            counter = mmap.mmap(file.fileno(), COUNT.size, access=mmap.ACCESS_READ)
        watch = Watch(self.cores)
        user, system = own_times(self.pids())
        began, first = time.monotonic(), COUNT.unpack(counter)[0]
        time.sleep(seconds)
        taken, last = time.monotonic() - began, COUNT.unpack(counter)[0]
        self.process.check()
        use = watch.stop(self.pids())
        user_after, system_after = own_times(self.pids())
        counter.close()
        requests = last - first
        octets = requests * len(self._reply())
        found = Result(requests, octets, taken, 0, 0, 0, 0, 0, {}, use)
        found.server_user, found.server_system = user_after - user, system_after - system
        return found
