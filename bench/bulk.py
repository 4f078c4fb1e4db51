"""Bulk: octets one way on 1, 16 or 256 connections at a time, each compared with a pattern.

The far end is a program on the kernel's TCP, on the client's core, the same for all. `out` is from
the server's core to the client's, `in` the other way. In `in` the time ends when the last octet has
been taken, so that queues do not count.
"""

from __future__ import annotations

import sys

from bench.contender import PLAIN, make
from bench.server import PORT, SERVER_ADDRESS, Setting
from bench.trial import Measured, Trial, client_of

CONNECTIONS = (1, 16, 256)
WAYS = ("out", "in")


def run(name: str, setting: Setting, seconds: float) -> Measured:
    """One contender, each way with each number of connections."""
    figures = {}
    with make(name, "bulk", setting) as server:
        for way in WAYS:
            for count in CONNECTIONS:
                words = [sys.executable, "-m", "bench.bulk_client", SERVER_ADDRESS, str(PORT)]
                found, use = client_of(server, [*words, way, str(count), str(seconds)], seconds)
                key = f"{way}_{count}"
                figures[key] = found["octets"] * 8 / found["seconds"] / 1e9
                figures[f"{key}_server_busy"] = use.cores[0].busy / use.seconds
                figures[f"{key}_client_busy"] = use.cores[1].busy / use.seconds
    return Measured.of(figures, use)


BULK = Trial(
    "bulk",
    "octets one way, each compared, against a kernel's socket; Gbit/s",
    PLAIN,
    run,
    {f"{way}_{count}": (f"{way} {count}", "{:.2f}", 1.0) for way in WAYS for count in CONNECTIONS},
    [f"{way}_{count}" for way in WAYS for count in CONNECTIONS],
)
