"""Bulk: octets one way on 1, 16 or 256 connections at a time, each compared with a pattern.

The far end is a program on the kernel's TCP, on the client's core, the same for all. `out` is from
the server's core to the client's, `in` the other way. In `in` the time ends when the last octet has
been taken, so that queues do not count.

`bulk-aio` is the same with the server as an asyncio program on uvloop: an asyncio.Protocol, a
BufferedProtocol or a pair of streams (`bench.bulk_aio`).
"""

from __future__ import annotations

import sys

from bench.contender import PLAIN, make
from bench.server import PORT, SERVER_ADDRESS, Server, Setting
from bench.trial import Measured, Trial, client_of

CONNECTIONS = (1, 16, 256)
FEW = (1, 16)
WAYS = ("out", "in")


def run(name: str, setting: Setting, seconds: float) -> Measured:
    """One contender, each way with each number of connections."""
    return _each_way(make(name, "bulk", setting), CONNECTIONS, seconds)


def run_asyncio(name: str, setting: Setting, seconds: float) -> Measured:
    """The same of an asyncio program, named after its stack and its kind."""
    stack, _, kind = name.partition("-")
    return _each_way(make(stack, f"bulk-{kind}", setting), FEW, seconds)


def _each_way(made: Server, counts: tuple[int, ...], seconds: float) -> Measured:
    figures = {}
    with made as server:
        for way in WAYS:
            for count in counts:
                words = [sys.executable, "-m", "bench.bulk_client", SERVER_ADDRESS, str(PORT)]
                found, use = client_of(server, [*words, way, str(count), str(seconds)], seconds)
                key = f"{way}_{count}"
                figures[key] = found["octets"] * 8 / found["seconds"] / 1e9
                figures[f"{key}_server_busy"] = use.cores[0].busy / use.seconds
                figures[f"{key}_client_busy"] = use.cores[1].busy / use.seconds
    return Measured.of(figures, use)


def _columns(counts: tuple[int, ...]) -> dict[str, tuple[str, str, float]]:
    return {f"{way}_{n}": (f"{way} {n}", "{:.2f}", 1.0) for way in WAYS for n in counts}


BULK = Trial(
    "bulk",
    "octets one way, each compared, against a kernel's socket; Gbit/s",
    PLAIN,
    run,
    _columns(CONNECTIONS),
    list(_columns(CONNECTIONS)),
)

BULK_AIO = Trial(
    "bulk-aio",
    "octets one way through an asyncio transport, each compared, on uvloop; Gbit/s",
    [f"{stack}-{kind}" for stack in PLAIN for kind in ("protocol", "buffered", "streams")],
    run_asyncio,
    _columns(FEW),
    list(_columns(FEW)),
    baseline="kernel-protocol",
)
