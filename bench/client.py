"""The client: wrk on its own core, inside the client's namespace; curl to compare bytes first."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from typing import Protocol

from bench.machine import Use, Watch, own_times
from bench.namespace import Namespace
from bench.process import Process, ProcessError

# wrk prints rounded figures; this hook prints what it counted.
_REPORT = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"octets":%d,"microseconds":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
    '"p50_us":%d,"p90_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\\n',
    summary.requests, summary.bytes, summary.duration,
    e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency:percentile(99.9), latency.max))
end
"""
_ERRORS = ("connect", "read", "write", "status", "timeout")
_SLACK_S = 30.0


@dataclass
class Load:
    """What to ask for."""

    connections: int
    path: str = "/"
    script: str | None = None  # a wrk script that defines `request`
    close: bool = False  # one request a connection


@dataclass
class Result:
    """What came back, and what the machine did meanwhile."""

    requests: int
    octets: int
    seconds: float
    p50_us: int
    p90_us: int
    p99_us: int
    p999_us: int
    max_us: int
    errors: dict[str, int]
    use: Use
    server_user: float = 0.0  # seconds of the server's own processes
    server_system: float = 0.0

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def gigabits(self) -> float:
        return self.octets * 8 / self.seconds / 1e9

    @property
    def failed(self) -> int:
        return sum(self.errors.values())


def fetch(namespace: Namespace, url: str) -> bytes:
    """The body at `url`, through curl. ProcessError when there is none."""
    with tempfile.NamedTemporaryFile() as body:
        options = ["-sS", "--fail", "--noproxy", "*", "--max-time", "10", "-o", body.name]
        process = Process(["curl", *options, url], namespace, None)
        try:
            process.wait(15)
        finally:
            process.stop()
        return body.read()


class Target(Protocol):
    """What is loaded: where it is, and which processes are it."""

    client: Namespace
    cores: tuple[int, int]  # the server's and the client's

    @property
    def url(self) -> str: ...

    def pids(self) -> list[int]: ...


def drive(target: Target, load: Load, seconds: float) -> Result:
    """wrk against `target` for `seconds`, on the client's core."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if load.script:
            with open(load.script, encoding="utf-8") as source:
                script.write(source.read())
        script.write(_REPORT)
        script.flush()
        words = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds:g}s", "--timeout", "10s"]
        words += ["-s", script.name]
        if load.close:
            words += ["-H", "Connection: close"]
        watch = Watch(target.cores)
        user, system = own_times(target.pids())
        words.append(target.url + load.path.lstrip("/"))
        process = Process(words, target.client, target.cores[1])
        try:
            text = process.wait(seconds + _SLACK_S)
            use = watch.stop([*target.pids(), process.pid])
            user_after, system_after = own_times(target.pids())
        finally:
            process.stop()
    result = _parse(text, use)
    result.server_user = user_after - user
    result.server_system = system_after - system
    return result


def _parse(text: str, use: Use) -> Result:
    for line in text.splitlines():
        if line.startswith("RESULT "):
            found = json.loads(line[7:])
            break
    else:
        raise ProcessError(f"wrk: no result: {text.strip()[-200:]}")
    return Result(
        requests=found["requests"],
        octets=found["octets"],
        seconds=found["microseconds"] / 1e6,
        p50_us=found["p50_us"],
        p90_us=found["p90_us"],
        p99_us=found["p99_us"],
        p999_us=found["p999_us"],
        max_us=found["max_us"],
        errors={name: found[name] for name in _ERRORS},
        use=use,
    )


def site_pages(root: str) -> list[str]:
    """The numbered pages of a sample site, in order of their numbers."""
    names = [name for name in os.listdir(root) if name.endswith(".htm") and name[:-4].isdigit()]
    return sorted(names, key=lambda name: int(name[:-4]))
