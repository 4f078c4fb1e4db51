"""The golden table: what this TCP gets out of a path, in virtual time, the same on every machine.

    goodput    one bulk transfer by round trip, loss, reordering and congestion control
    fairness   Jain's index of flows that share a bottleneck
    recovery   how long a flow needs after the end of its data was lost, a burst of losses, a
               black-out, a path that became narrower

`python -m corten.sim golden` prints it; `--write` keeps it in `golden.json` and as a page, to which
a test holds the stack: a change of these numbers is a change of what it does on the wire.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corten.sim.bulk import Bottleneck
from corten.sim.fault import Fault, Weather

HERE = Path(__file__).parent / "golden.json"
PAGE = Path(__file__).parents[2] / "docs" / "goodput.md"
_HEAD = """# What this TCP gets out of a path

Written by `python -m corten.sim golden --write`: the real stack over simulated links in virtual
time, so the figures are the same on every machine. A test holds the stack to them.
"""
RATE = 10_000_000  # bits a second
RTTS_MS = (1, 20, 100, 300)
LOSSES = (0.0, 0.001, 0.01, 0.05)
REORDERINGS = (0.0, 0.02)
CONTROLS = ("cubic", "reno")
QUEUE_MIN = 48 * 1024
FLOWS = (2, 8, 32)
SECOND_MS = 1000
RECOVERIES = ("tail loss", "burst loss", "black-out 5 s", "path MTU, told", "path MTU, black hole")

Table = dict[str, dict[str, float]]


def _link(rtt_ms: float, weather: Weather | None = None, rate: int = RATE) -> dict[str, Any]:
    """A bottleneck whose queue holds a bandwidth-delay product."""
    return {
        "delay_ms": rtt_ms / 2,
        "rate": rate,
        "queue_len": max(QUEUE_MIN, int(rate * rtt_ms / 8000)),
        "weather": weather or Weather(),
    }


def octets_for(rtt_ms: float, loss: float) -> int:
    """Enough for a steady state, few enough to wait for."""
    if loss >= 0.05:
        return 300_000
    return 1_000_000 if loss >= 0.01 else 2_000_000


def goodput(rtt_ms: float, loss: float, reordering: float, control: str, seed: int = 1) -> float:
    """Mbit/s of one transfer, from its opening to the arrival of the FIN."""
    weather = Weather(
        loss=loss, reordering=reordering, reordering_ns=int(max(1.0, rtt_ms / 4) * 1_000_000)
    )
    path = Bottleneck(seed, {"congestion": control}, _link(rtt_ms, weather))
    flow = path.flow(octets_for(rtt_ms, loss))
    return flow.octets * 8 / path.finish(flow) / 1e6


def fairness(count: int, control: str, seed: int = 1) -> tuple[float, float]:
    """(Jain's index, use of the bottleneck) of `count` flows over the second half of 20 s."""
    path = Bottleneck(seed, {"congestion": control}, _link(80))
    flows = [path.flow(after_ms=37.0 * i) for i in range(count)]
    path.run(20 * SECOND_MS)
    start, end = path.network.start + 10 * 10**9, path.network.start + 20 * 10**9
    got = [flow.between(start, end) for flow in flows]
    index = sum(got) ** 2 / (count * sum(octets * octets for octets in got))
    return index, sum(got) * 8 / 10 / RATE


def recovery(kind: str, seed: int = 1) -> float:
    """Seconds that the event cost (`tail loss`), or until 90 % of the rate before it was back."""
    if kind == "tail loss":
        return _tail_loss(seed)
    path = Bottleneck(seed, {}, _link(40))
    flow = path.flow()
    path.run(6 * SECOND_MS)
    now = path.network.now
    before = flow.between(now - 2 * 10**9, now) // 2
    _happen(path, kind)
    return path.wait_for_rate(flow, before * 9 // 50, SECOND_MS / 5, 300 * SECOND_MS)


def _happen(path: Bottleneck, kind: str) -> None:
    """Let it happen; return when it is over."""
    wire = path.wire
    elapsed_ms = (path.network.now - path.network.start) / 1e6
    if kind == "burst loss":
        wire.weather = Weather(loss=0.5, until_ns=path.network.now + 40_000_000)
        path.run(elapsed_ms + 40)
    elif kind == "black-out 5 s":
        wire.is_up = False
        path.run(elapsed_ms + 5 * SECOND_MS)
        wire.is_up = True
    else:
        path.network.checker.excused |= {"retransmission"}  # it does not read ICMP
        wire.narrow_mtu = 1200
        wire.tells = kind.endswith("told")


def _tail_loss(seed: int) -> float:
    """A request of 20 segments whose last three are lost, beside one that loses nothing."""
    times = []
    for lost in ((), (22, 23, 24)):
        faults = [Fault("drop", number) for number in lost]
        path = Bottleneck(seed, {"initial_window": 30}, {**_link(40), "faults": faults})
        times.append(path.finish(path.flow(20 * 1448)))
    return times[1] - times[0]


# -- the whole table ------------------------------------------------------------------------


def goodput_key(rtt_ms: float, loss: float, reordering: float, control: str) -> str:
    return f"{rtt_ms} ms, loss {loss:.1%}, reordering {reordering:.0%}, {control}"


def measure(small: bool = False) -> Table:
    """Everything; `small`: the cells that are quick to run."""
    rtts, flows = ((20, 100), (2, 8)) if small else (RTTS_MS, FLOWS)
    table: Table = {"goodput": {}, "fairness": {}, "use": {}, "recovery": {}}
    for control in CONTROLS:
        for rtt in rtts:
            for reordering in REORDERINGS:
                for loss in LOSSES:
                    if small and (loss == 0.001 or (reordering and control == "reno")):
                        continue
                    key = goodput_key(rtt, loss, reordering, control)
                    table["goodput"][key] = round(goodput(rtt, loss, reordering, control), 3)
        for count in flows:
            index, use = fairness(count, control)
            table["fairness"][f"{count} flows, {control}"] = round(index, 4)
            table["use"][f"{count} flows, {control}"] = round(use, 4)
    for kind in RECOVERIES:
        table["recovery"][kind] = round(recovery(kind), 3)
    return table


def keep(table: Table) -> None:
    """Into the repository: figures and page."""
    HERE.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(table), "utf-8")


def page(table: Table) -> str:
    """The document."""
    return f"{_HEAD}\n{text(table)}"


def kept() -> Table:
    """The table as it stands in the repository."""
    found: Table = json.loads(HERE.read_text("utf-8"))
    return found


def text(table: Table) -> str:
    """As a page."""
    lines = ["## Goodput, Mbit/s", ""]
    lines += [f"One bulk transfer over {RATE // 10**6} Mbit/s, a queue of one bandwidth-delay"]
    lines += ["product; losses and reordering by chance, both ways, from a seed.", ""]
    heads = [f"{loss:.1%}" for loss in LOSSES]
    lines.append("| round trip | reordering | control | " + " | ".join(heads) + " |")
    lines.append("|---:|---:|---|" + "---:|" * len(LOSSES))
    for rtt in RTTS_MS:
        for reordering in REORDERINGS:
            for control in CONTROLS:
                row = [
                    table["goodput"].get(goodput_key(rtt, loss, reordering, control))
                    for loss in LOSSES
                ]
                if any(figure is not None for figure in row):
                    cells = [f"{figure:.2f}" if figure is not None else "" for figure in row]
                    lines.append(
                        f"| {rtt} ms | {reordering:.0%} | {control} | " + " | ".join(cells) + " |"
                    )
    lines += ["", "## Fairness", "", "Over the second half of 20 s, round trip 80 ms.", ""]
    lines += ["| flows | Jain's index | use of the bottleneck |", "|---|---:|---:|"]
    lines += [
        f"| {key} | {index:.3f} | {table['use'][key]:.1%} |"
        for key, index in table["fairness"].items()
    ]
    lines += ["", "## Recovery", ""]
    lines += [
        "Round trip 40 ms, CUBIC. Seconds until 90 % of the rate before is back; of tail loss,"
    ]
    lines += ["what the loss of the last three segments costs.", ""]
    lines += ["| after | seconds |", "|---|---:|"]
    lines += [f"| {key} | {figure:.3f} |" for key, figure in table["recovery"].items()]
    return "\n".join(lines) + "\n"
