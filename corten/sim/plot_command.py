"""`corten sim plot`: one bulk transfer over a simulated path, drawn; or a capture's connection."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

from corten.endpoint.error import CortenError
from corten.sim.bulk import Bottleneck
from corten.sim.fault import Weather
from corten.sim.gauge import Gauge
from corten.sim.plot import check_output, draw_path, draw_sequence
from corten.sim.sequence import from_pcapng, from_trace
from corten.sim.trace import PacketTrace

QUEUE_MIN = 48 * 1024
PACKETS_KEPT = 1_000_000
OPEN_MS = 60_000


def congestion_of(name: str) -> Any:
    """ "cubic", "reno", or a class of somebody's, as "module:Class" or "file.py:Class"."""
    module, colon, attribute = name.partition(":")
    if not colon:
        if name not in ("cubic", "reno"):
            raise CortenError(f"congestion {name!r}: cubic, reno or MODULE:CLASS is wanted")
        return name
    path = Path(module)
    if path.suffix == ".py":
        sys.path.insert(0, str(path.resolve().parent))
        module = path.stem
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CortenError(f"congestion {name!r}: {error}") from None


def measure(
    congestion: Any, rate: float, rtt_ms: float, loss: float, queue: int, seconds: float, seed: int
) -> tuple[Bottleneck, Gauge]:
    """One transfer for so long, looked at."""
    link = {
        "delay_ms": rtt_ms / 2,
        "rate": int(rate),
        "queue_len": queue or max(QUEUE_MIN, int(rate * rtt_ms / 8000)),
        "weather": Weather(loss=loss),
    }
    path = Bottleneck(seed, {"congestion": congestion}, link)
    network = path.network
    network.checker.is_on = False
    network.trace = PacketTrace(PACKETS_KEPT)
    flow = path.flow()
    network.run_until(lambda: flow.connection is not None, OPEN_MS)
    gauge = Gauge(network, flow.connection.info, path.wire)
    gauge.start()
    path.run(until_ms=seconds * 1000)
    return path, gauge


def run_plot(
    capture: str | None,
    output: str,
    controls: Many[str],
    sequence: bool,
    **path: Any,
) -> int:
    """Draw; print what was drawn where."""
    where = check_output(output)
    if capture:
        found = from_pcapng(capture)
        draw_sequence(found, where)
        print(f"{where}: {found.title}")
        return 0
    chosen = [congestion_of(name) for name in controls]
    runs = {}
    for name, congestion in zip(controls, chosen, strict=True):
        bottleneck, gauge = measure(congestion, **path)
        runs[name.rpartition(":")[2]] = gauge
        if sequence:
            found = from_trace(bottleneck.network.trace.packets())
            draw_sequence(found, where)
            print(f"{where}: {name}, {found.title}")
            return 0
    title = f"{path['rate'] / 1e6:g} Mbit/s, {path['rtt_ms']:g} ms, loss {path['loss']:.2%}"
    draw_path(runs, where, f"{title}, seed {path['seed']}")
    for name, gauge in runs.items():
        last = gauge.looks[-1]
        span = last.time - gauge.looks[0].time
        rate = (last.delivered - gauge.looks[0].delivered) * 8 / span / 1e6
        print(f"{name:10} {rate:8.2f} Mbit/s  {last.lost:6} packets lost")
    print(f"{where}")
    return 0
