"""Connections a second, and what becomes of twice the load that a server can carry.

`connections`: one request a connection for as long as a run lasts; past two TIME-WAITs (`--seconds
130`) what ports and TIME-WAIT cost is in it. Many source addresses, so that the client's ports are
not what is measured. `overload`: a handler that takes 20 microseconds, asked twice as often as it
answers at the most; goodput is what comes back within the client's patience of one second.
"""

from __future__ import annotations

from bench.contender import PLAIN, make
from bench.idle import resident
from bench.scenario import SMALL_LEN
from bench.server import CLIENT_ADDRESS, Server, Setting
from bench.trial import Measured, Trial, load

_SOURCES = 64
_AT_A_TIME = "100"
_PATIENCE = "1"
_FILES = {"small.htm": b"x" * SMALL_LEN}


def _give_addresses(server: Server) -> None:
    """The client's namespace has as many addresses as the load takes in turn."""
    head, _, first = CLIENT_ADDRESS.rpartition(".")
    device = server.client.ip("-br", "link", "show").split("\n")
    name = next(line.split("@")[0].split()[0] for line in device if line.startswith("wire"))
    for i in range(1, _SOURCES + 2):
        address = f"{head}.{int(first) + i}"
        if not server.url.startswith(f"http://{address}:"):
            server.client.ip("address", "add", f"{address}/24", "dev", name)


def connections(name: str, setting: Setting, seconds: float) -> Measured:
    """How many are opened, asked and closed in a second."""
    with make(name, "httpd", setting) as server:
        _give_addresses(server)
        before = resident(server.pids())
        options = ["--close", "-c", _AT_A_TIME, "--sources", str(_SOURCES)]
        found, use = load(server, seconds, *options)
        grown = resident(server.pids()) - before
    rate = found["requests_per_second"]
    figures = {
        "rate": rate,
        "per_busy": rate * use.seconds / max(use.cores[0].busy, 1e-9),
        "p50_us": found["p50_us"],
        "p99_us": found["p99_us"],
        "grown_mib": grown / 2**20,
    }
    return Measured.of(figures, use)


def overload(name: str, setting: Setting, seconds: float) -> Measured:
    """What comes back at twice the most, in percent of the most."""
    with make(name, "slow", setting) as server:
        peak, _ = load(server, max(1.0, seconds / 2), "-c", "256", "--timeout", "5")
        most = peak["requests_per_second"]
        options = ["-c", "1000", "--rate", f"{2 * most:.0f}", "--timeout", _PATIENCE]
        found, use = load(server, seconds, *options, errors_allowed=True)
        after, _ = load(server, max(1.0, seconds / 2), "-c", "256", "--timeout", "5")
    figures = {
        "peak": most,
        "offered": found["offered_per_second"],
        "goodput": found["requests_per_second"],
        "share": 100 * found["requests_per_second"] / most,
        "p50_us": found["p50_us"],
        "p99_us": found["p99_us"],
        "after": 100 * after["requests_per_second"] / most,
    }
    return Measured.of(figures, use, found["late_share"])


CONNECTIONS = Trial(
    "connections",
    "one request a connection, 100 at a time, from 64 addresses",
    ["corten", "kernel", "nginx"],
    connections,
    {
        "rate": ("connections/s", "{:,.0f}", 1.0),
        "per_busy": ("per busy second", "{:,.0f}", 1.0),
        "p50_us": ("p50 ms", "{:.2f}", 1e-3),
        "p99_us": ("p99 ms", "{:.2f}", 1e-3),
        "grown_mib": ("memory grown MiB", "{:.1f}", 1.0),
        "server_busy": ("server core", "{:.0%}", 1.0),
        "client_busy": ("client core", "{:.0%}", 1.0),
    },
    ["rate", "per_busy"],
    files=_FILES,
)
OVERLOAD = Trial(
    "overload",
    "a handler of 20 us asked twice as often as it answers at the most",
    PLAIN,
    overload,
    {
        "peak": ("most/s", "{:,.0f}", 1.0),
        "offered": ("offered/s", "{:,.0f}", 1.0),
        "goodput": ("goodput/s", "{:,.0f}", 1.0),
        "share": ("% of the most", "{:.0f}", 1.0),
        "p50_us": ("p50 ms", "{:.1f}", 1e-3),
        "p99_us": ("p99 ms", "{:.1f}", 1e-3),
        "after": ("% afterwards", "{:.0f}", 1.0),
    },
    ["share"],
    files=_FILES,
)
