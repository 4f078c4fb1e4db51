"""Round trips: one octet there and back on an idle stack, and small replies under load.

Quiet: `bench.pingpong` against an echo, one octet outstanding. Under load: first what the server
does at the most (64 connections, a closed loop), then an open loop at 50 and at 80 % of that,
Poisson arrivals, latency from the instant at which each request was meant to leave. So each
contender carries a share of its own capacity, which stands beside.
"""

from __future__ import annotations

import sys

from bench.contender import ALL, make
from bench.scenario import SMALL_LEN
from bench.server import PORT, SERVER_ADDRESS, Setting
from bench.trial import Measured, Trial, client_of, load

_CONNECTIONS = "64"
_PEAK_SHARE = 0.5  # of the time, for finding the most


def run(name: str, setting: Setting, seconds: float) -> Measured:
    """One contender: quiet, and under its own half and 80 % load."""
    with make(name, "echo", setting) as server:
        words = [sys.executable, "-m", "bench.pingpong", SERVER_ADDRESS, str(PORT), str(seconds)]
        quiet, use = client_of(server, words, seconds)
    figures = {f"quiet_{key}": float(quiet[key]) for key in ("p50_us", "p99_us", "p999_us")}
    late = 0.0
    with make(name, "httpd", setting) as server:
        peak, _ = load(server, max(1.0, seconds * _PEAK_SHARE), "-c", _CONNECTIONS)
        figures["peak"] = peak["requests_per_second"]
        for percent in (50, 80):
            rate = figures["peak"] * percent / 100
            options = ["-c", _CONNECTIONS, "--rate", f"{rate:.0f}", "--poisson", "--timeout", "5"]
            found, use = load(server, seconds, *options)
            late = max(late, found["late_share"])
            for key in ("p50_us", "p99_us", "p99.9_us"):
                figures[f"load{percent}_{key.replace('.', '')}"] = float(found[key])
    return Measured.of(figures, use, late)


def _column(heading: str) -> tuple[str, str, float]:
    return heading, "{:,.0f}", 1.0


LATENCY = Trial(
    "latency",
    "round trip of one octet, and small replies at 50 and 80 % load; microseconds",
    ALL,
    run,
    {
        "quiet_p50_us": _column("quiet p50"),
        "quiet_p99_us": _column("p99"),
        "quiet_p999_us": _column("p99.9"),
        "peak": _column("most/s"),
        "load50_p50_us": _column("50 % p50"),
        "load50_p99_us": _column("p99"),
        "load50_p999_us": _column("p99.9"),
        "load80_p50_us": _column("80 % p50"),
        "load80_p99_us": _column("p99"),
        "load80_p999_us": _column("p99.9"),
    },
    ["quiet_p50_us", "quiet_p999_us", "load80_p999_us"],
    files={"small.htm": b"x" * SMALL_LEN},
)
