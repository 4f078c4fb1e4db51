"""Starting: import, a cold start until it serves, a killed worker's successor, and an idle server.

Times are from outside: `import` is the whole of `python -c "import corten"` less that of `python -c
pass`; cold and again end with the first whole reply to a client that tries all the time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from bench.contender import PLAIN, make
from bench.machine import Watch
from bench.process import ProcessError
from bench.scenario import SMALL_LEN
from bench.server import PORT, SERVER_ADDRESS, Server, Setting
from bench.trial import Measured, Trial
from bench.waiting import cpu_seconds

_REQUEST = b"GET /small.htm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
_PATIENCE_S = 10.0
_TRY_S = 0.05
_IMPORTS = 5


def _python(code: str) -> float:
    """Seconds that an interpreter takes for it: the least of some tries."""
    times = []
    for _ in range(_IMPORTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    return min(times)


def _served(server: Server) -> None:
    """Come back when a whole reply has come. ProcessError when none does."""
    until = time.monotonic() + _PATIENCE_S
    with server.client.inside():
        while time.monotonic() < until:
            try:
                with socket.create_connection((SERVER_ADDRESS, PORT), _TRY_S) as end:
                    end.settimeout(_TRY_S)
                    end.sendall(_REQUEST)
                    if end.recv(4096).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                time.sleep(0.001)  # silent: it does not serve yet
    raise ProcessError(f"it does not serve after {_PATIENCE_S:.0f} s")


class _Unready:
    """A server whose start is timed by its replies, not by what it prints."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cold = 0.0

    def ready(self) -> None:
        _served(self.server)
        self.cold = time.perf_counter() - self.began

    def __enter__(self) -> _Unready:
        self.server.ready = self.ready  # type: ignore[method-assign]
        self.began = time.perf_counter()
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()


def run(name: str, setting: Setting, seconds: float) -> Measured:
    """One contender."""
    imported = _python("import corten") - _python("pass")
    with _Unready(make(name, "httpd", setting)) as timed:
        server = timed.server
        workers = server.pids()[1:]
        watch = Watch(server.cores)
        spent = sum(cpu_seconds(pid) for pid in server.pids())
        time.sleep(max(1.0, seconds))
        idle = sum(cpu_seconds(pid) for pid in server.pids()) - spent
        use = watch.stop(server.pids())
        os.kill(workers[0], signal.SIGKILL)
        began = time.perf_counter()
        _served(server)
        again = time.perf_counter() - began
    figures = {
        "import_ms": 1e3 * imported,
        "cold_ms": 1e3 * timed.cold,
        "again_ms": 1e3 * again,
        "idle_percent": 100 * idle / use.seconds,
    }
    return Measured.of(figures, use)


START = Trial(
    "start",
    "import, a cold start until it serves, a killed worker's successor, CPU of an idle server",
    PLAIN,
    run,
    {
        "import_ms": ("import ms", "{:.0f}", 1.0),
        "cold_ms": ("cold start ms", "{:.0f}", 1.0),
        "again_ms": ("after a kill ms", "{:.0f}", 1.0),
        "idle_percent": ("idle, % of a core", "{:.2f}", 1.0),
    },
    ["cold_ms", "again_ms"],
    files={"small.htm": b"x" * SMALL_LEN},
)
