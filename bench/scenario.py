"""What is asked of the servers: files, loads, and who takes part."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

from bench.asgi import BODY, JSON_BODY
from bench.client import Load

SMALL_LEN = 100
WIRE = "ceiling"  # the server that is no more than the wire


@dataclass
class Scenario:
    """One question. The first server is the one judged, `nginx` the measure."""

    name: str
    title: str
    servers: list[str]
    load: Load
    files: dict[str, bytes]  # what the served tree holds; empty: the sample site
    baseline: str = "nginx"
    ceiling: str = ""  # a server of which the others can only be a share: told beside the ratios
    application: str = "bench.asgi:application"  # of the ASGI servers
    others: list[str] = field(default_factory=list)  # who takes part only when named
    apart: bool = False  # the client's TCP receives on the client's core, on every wire


def _lines(count: int) -> bytes:
    return (b"0123456789abcdef" * (count // 16 + 1))[: count - 1] + b"\n"


def scenarios(scripts: str = "") -> dict[str, Scenario]:
    """All of them, by name. `scripts`: the directory of the wrk scripts."""
    pages_script = os.path.join(scripts, "pages.lua")
    small = {"small.htm": _lines(SMALL_LEN)}
    hello = {"index.html": BODY}
    found = [
        Scenario(
            "small",
            "100-octet file, 1,000 keep-alive connections",
            ["corten-tap", "corten-kernel", "nginx", "nginx-copy", "nginx-helped", "ceiling"],
            Load(1000, "small.htm"),
            small,
            others=["corten-xdp"],
        ),
        Scenario(
            "pages",
            "random pages of the sample site, 1,000 keep-alive connections",
            ["corten-tap", "corten-kernel", "nginx"],
            Load(1000, "0.htm", script=pages_script),
            {},
            others=["corten-xdp"],
        ),
        Scenario(
            "close",
            "100-octet file, one request a connection, 100 at a time",
            ["corten-tap", "corten-kernel", "nginx", "ceiling"],
            Load(100, "small.htm", close=True),
            small,
        ),
        Scenario(
            "hello",
            "hello from a Python handler, 1,000 keep-alive connections",
            ["hello-tap", "hello-kernel", "nginx", "nginx-return", "uvicorn", "granian"],
            Load(1000, ""),
            hello,
        ),
    ]
    for name, application, said in (
        ("plain", "bench.asgi:application", BODY),
        ("fastapi", "bench.asgi_fastapi:application", JSON_BODY),
    ):
        found.append(
            Scenario(
                f"asgi-{name}",
                f"hello of {_OF_ASGI[name]} under uvicorn's protocol, 1,000 keep-alive connections",
                ["asgi-tap", "uvicorn", "asgi-null", WIRE],
                Load(1000, ""),
                {"index.html": said},
                baseline="uvicorn",
                ceiling="asgi-null",
                application=application,
            )
        )
    for kib in (1, 4, 16, 64, 256, 1024):
        body = {"body.htm": _lines(kib * 1024)}
        found.append(
            Scenario(
                f"size-{kib}k",
                f"{kib} KiB file, 100 keep-alive connections",
                ["corten-tap", "corten-kernel", "nginx"],
                Load(100, "body.htm"),
                body,
            )
        )
    found += _sizes(os.path.join(scripts, "pipeline.lua"))
    found += [_apart(scenario) for scenario in found if scenario.name in _APART]
    return {scenario.name: scenario for scenario in found}


def _apart(scenario: Scenario) -> Scenario:
    """The same where each end receives on its own core, as two machines do."""
    servers = [name for name in scenario.servers if name != "nginx-helped"]
    return replace(
        scenario,
        name=f"{scenario.name}-apart",
        title=f"{scenario.title}, each end receives on its own core",
        servers=servers,
        others=[],
        apart=True,
    )


def _sizes(pipeline_script: str) -> list[Scenario]:
    """Three sizes of a file on 1 to 10,000 connections, and with 16 requests out on each."""
    found = []
    for size, length in (("100b", SMALL_LEN), ("1k", 1024), ("10k", 10240)):
        files = {"body.htm": _lines(length)}
        for count in CONNECTIONS:
            title = f"{length:,}-octet file, {count:,} keep-alive connections"
            load = Load(count, "body.htm")
            found.append(Scenario(f"{size}-{count}", title, list(_OF_SIZES), load, files))
        title = f"{length:,}-octet file, 100 connections, 16 requests out on each"
        load = Load(100, "body.htm", script=pipeline_script)
        found.append(Scenario(f"{size}-pipelined", title, list(_OF_SIZES), load, files))
    return found


_OF_ASGI = {"plain": "a plain ASGI application", "fastapi": "FastAPI"}
CONNECTIONS = (1, 10, 100, 1000, 10_000)
_OF_SIZES = ("corten-tap", "corten-kernel", "nginx")
_EACH = [*CONNECTIONS, "pipelined"]
_APART = ("small", "pages", "close", "hello", "asgi-plain", "asgi-fastapi")
GROUPS = {  # a name for several
    "asgi": ["asgi-plain", "asgi-fastapi"],
    "apart": [f"{name}-apart" for name in _APART],
    "sizes": [f"{size}-{each}" for size in ("100b", "1k", "10k") for each in _EACH],
    "trials": ["latency", "bulk", "bulk-aio", "connections", "overload", "start", "packet"],
}
DEFAULT = ["small", "pages", "close", "hello", "idle"]


def lay_out(name: str, files: dict[str, bytes], directory: str) -> str:
    """Write a scenario's files; the directory they are in."""
    root = os.path.join(directory, name)
    os.makedirs(root, exist_ok=True)
    for path, body in files.items():
        with open(os.path.join(root, path), "wb") as file:
            file.write(body)
    os.chmod(root, 0o755)
    return root
