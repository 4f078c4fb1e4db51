"""`python -m bench.packet SCENARIO COUNT`: nanoseconds of one request or segment, without a device.

Two stacks joined by a pipe in one process (`bench.path`, `bench.segments`); the time is that of the
server's breaths, the pipe's copy among it. COUNT and then three times as many are played, and the
difference is divided: setting up costs nothing. What the same costs in instructions is
`bench.callgrind`'s.
"""

from __future__ import annotations

import json
import sys

from bench.machine import Watch
from bench.path import SCENARIOS, play
from bench.process import Process
from bench.segments import stream
from bench.server import Setting
from bench.trial import Measured, Trial

COUNT = 6400
_SLACK_S = 60.0


def cost(scenario: str, count: int) -> float:
    """Nanoseconds of one."""
    run = stream if SCENARIOS[scenario] < 0 else play
    few, few_ns = run(scenario, count)
    many, many_ns = run(scenario, 3 * count)
    return (many_ns - few_ns) / (many - few)


def measure(_: str, setting: Setting, seconds: float) -> Measured:
    """All of them, in a process of their own on the server's core."""
    watch = Watch(setting.cores)
    figures = {}
    count = COUNT * max(1, int(seconds))
    for scenario in SCENARIOS:
        words = [sys.executable, "-m", "bench.packet", scenario, str(count // _SHARE[scenario])]
        process = Process(words, None, setting.cores[0])
        try:
            figures[f"{scenario}_ns"] = float(json.loads(process.wait(seconds + _SLACK_S)))
        finally:
            process.stop()
    return Measured.of(figures, watch.stop([]))


_SHARE = {**dict.fromkeys(SCENARIOS, 1), "bulk": 16, "close": 4}  # of the count: they take longer
PACKET = Trial(
    "packet",
    "one request or one segment on the path without a device; nanoseconds",
    ["corten"],
    measure,
    {f"{scenario}_ns": (scenario, "{:,.0f}", 1.0) for scenario in SCENARIOS},
    [],
    baseline="",
)


if __name__ == "__main__":
    print(json.dumps(cost(sys.argv[1], int(sys.argv[2]))))
