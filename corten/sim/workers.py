"""What one core cannot show: 1 to 64 workers, how evenly flows fall, and what is handed over.

    spread      flows and load of the busiest worker over the mean, by kind of steering
    opened      connections that workers open: how many have their answers elsewhere
    moved       frames handed over after one more queue came, until the flows of before have ended
    presence    new flows that another worker's filter takes for its own
    learnt      what a TAP that learns gives to another worker, by how many flows there are

`python -m corten.sim.workers [--flows N] [--workers 1,2,4,…]` prints it; `--write` keeps it in
`workers.json`, as a page and as a chart. Flows, keys and chance come from a seed; what they are
asked of is the real code (`corten.sim.population`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from corten.core.chance import Chance
from corten.core.presence import PRESENCE_LEN
from corten.core.siphash import Siphash
from corten.core.toeplitz import DEFAULT_KEY
from corten.ip.rss import Rss
from corten.ip.spread import SPREAD_KEYS, Spread
from corten.ip.steering import Steering
from corten.sim import chart
from corten.sim.population import (
    Population,
    differing,
    learnt_elsewhere,
    loads_of,
    taken_for_owned,
)

HERE = Path(__file__).parent / "workers.json"
DOCS = Path(__file__).parents[2] / "docs"
PAGE, CHART = DOCS / "workers.md", DOCS / "workers.svg"
SEED = 4
FLOWS, WORKERS = 1_000_000, (1, 2, 4, 8, 16, 32, 64)
SMALL_FLOWS, SMALL_WORKERS = 20_000, (1, 4, 16)
ENTRIES = 128  # of a NIC's table, filled round robin
EVERY_PORT = ["tcp4", "udp4", "tcp6", "udp6"]
EXPONENTS = {"uniform": 0.0, "Zipf": 1.0}  # of flow i's rate: (i + 1) ** -exponent
TRIES = 20_000
LEARNT_FLOWS = (1_000, 4_000, 10_000, 100_000)
LEARNT_WORKERS = 4
LEARNT_SECONDS = 12

Table = dict[str, dict[str, float]]
_HEAD = """# One to 64 workers

Written by `python -m corten.sim.workers --write`: flows, rates and keys from a seed, the queues
from the real steering code (`corten/ip/rss.py`, `corten/ip/spread.py`), the false positives from
the real filters (`corten/core/presence.py`); only the table that a TAP learns is a model, of
`drivers/net/tun.c`. A test holds the code to a small form of these figures.

The flows come from hosts as networks have them: few prefixes have most hosts, many hosts share an
address, a third is IPv6, ports are chosen as systems choose them.

![Imbalance and hand-overs by the number of workers](workers.svg)
"""


def steering(kind: str, workers: int, place: int = 0) -> Steering:
    """What worker `place` of so many knows of a link."""
    if kind == "program":
        chance = Chance(SEED).fork(1)
        return Spread(place, [chance.next64() for _ in range(SPREAD_KEYS)], workers)
    key = b"\x6d\x5a" * 20 if kind == "RSS, symmetric key" else DEFAULT_KEY
    return Rss(place, key, [i % workers for i in range(ENTRIES)], EVERY_PORT)


KINDS = ("program", "RSS", "RSS, symmetric key")


def measure(flows: int = FLOWS, counts: tuple[int, ...] = WORKERS) -> Table:
    """Everything, by kind and number of workers."""
    table: Table = {}
    people = Population(flows, SEED)
    hashes = people.hashes(Siphash(bytes(range(16))))
    for workers in counts:
        for kind in KINDS:
            row = _row(people, kind, workers)
            table[f"{kind}, {workers}"] = row
        owners = people.owners(steering("program", workers))
        chance = Chance(SEED).fork(2)
        deceived, cost = taken_for_owned(hashes, owners, workers, PRESENCE_LEN, TRIES, chance)
        table[f"presence, {workers}"] = {
            "taken": round(deceived / TRIES, 5),
            "hand-overs": round(cost / TRIES, 5),
        }
    for count in LEARNT_FLOWS:
        if count <= flows:
            table[f"learnt, {count}"] = _learnt(count)
    return table


def _row(people: Population, kind: str, workers: int) -> dict[str, float]:
    here = steering(kind, workers)
    owners = people.owners(here)
    row = {}
    for name, exponent in EXPONENTS.items():
        loads = loads_of(owners, workers, exponent)
        row[name] = round(max(loads) * workers / sum(loads), 4)
    every = [steering(kind, workers, place) for place in range(workers)]
    wrong = people.opened_elsewhere(every, TRIES, Chance(SEED).fork(3))
    row["opened elsewhere"] = round(wrong / TRIES, 5)
    ignorant: list[Steering] = [_Ignorant(each) for each in every]
    wrong = people.opened_elsewhere(ignorant, TRIES, Chance(SEED).fork(3))
    row["opened elsewhere, unasked"] = round(wrong / TRIES, 5)
    moved = differing(owners, people.owners(steering(kind, workers + 1)))
    row["moved"] = round(moved / people.count, 5)
    return row


class _Ignorant(Steering):
    """A link that spreads as another does, and whose workers do not ask."""

    def __init__(self, spreads: Steering) -> None:
        Steering.__init__(self, spreads.place)
        self._spreads = spreads

    def worker_of(self, *flow: int) -> int:
        return self._spreads.worker_of(*flow)


def _learnt(flows: int) -> dict[str, float]:
    row = {}
    for name, exponent in EXPONENTS.items():
        chance = Chance(SEED).fork(4)
        wrong, packets = learnt_elsewhere(
            flows, LEARNT_WORKERS, LEARNT_SECONDS, flows, exponent, chance
        )
        row[name] = round(wrong / packets, 4)
    return row


# -- kept, and as a page ----------------------------------------------------------------------


def small() -> Table:
    """What a test measures again."""
    return measure(SMALL_FLOWS, SMALL_WORKERS)


def kept() -> dict[str, Any]:
    """The figures as they stand in the repository."""
    found: dict[str, Any] = json.loads(HERE.read_text("utf-8"))
    return found


def keep(figures: dict[str, Any]) -> None:
    """Into the repository: figures, page and chart."""
    HERE.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    PAGE.write_text(page(figures), "utf-8")
    CHART.write_text(drawing(figures), "utf-8")


def page(figures: dict[str, Any]) -> str:
    """The document."""
    return f"{_HEAD}\n{text(figures['full'], figures['flows'], tuple(figures['workers']))}"


def drawing(figures: dict[str, Any]) -> str:
    """The chart of it."""
    table, counts = figures["full"], figures["workers"]

    def line(kind: str, figure: str) -> list[tuple[float, float]]:
        return [(float(n), table[f"{kind}, {n}"][figure]) for n in counts]

    busiest = chart.Panel("Busiest worker over the mean", floor=1.0)
    handed = chart.Panel("Handed over", percent=True)
    for kind in KINDS[:2]:
        busiest.lines[f"{kind}, equal rates"] = line(kind, "uniform")
        busiest.lines[f"{kind}, Zipf rates"] = line(kind, "Zipf")
        handed.lines[f"{kind}: one more queue"] = line(kind, "moved")
    handed.lines["opened, steering not asked"] = line("program", "opened elsewhere, unasked")
    handed.lines["opened, asked"] = line("program", "opened elsewhere")
    return chart.draw([busiest, handed])


def text(table: Table, flows: int, counts: tuple[int, ...]) -> str:
    """As Markdown."""
    lines = [
        "## How evenly",
        "",
        f"{flows:,} flows; the busiest worker over the mean: 1 is perfect.",
    ]
    lines += [
        "With Zipf rates the k-th flow has 1/k of the first one's, and the first alone is more"
    ]
    lines += [
        "than a worker's share where there are many: no steering of flows can cut a flow.",
        "",
    ]
    lines += _grid(table, counts, KINDS, {name: name for name in EXPONENTS}, "{:.3f}")
    lines += ["", "## What is handed over", ""]
    lines += [
        "`opened`: answers of connections that workers open, when their port is chosen by the"
    ]
    lines += ["steering, and when it is not. `one more queue`: frames of the flows that were there"]
    lines += [
        "before, until they end. A worker that is replaced keeps its queue and moves none.",
        "",
    ]
    wanted = {
        "opened": "opened elsewhere",
        "opened, unasked": "opened elsewhere, unasked",
        "one more queue": "moved",
    }
    lines += _grid(table, counts, KINDS, wanted, "{:.1%}")
    lines += ["", "## Strangers taken for one's own", ""]
    lines += [f"A new flow is looked up in the filters of the other workers, which hold {flows:,}"]
    lines += ["flows between them. `taken`: another worker is asked, and gives it back; that costs"]
    lines += [
        "so many hand-overs a new flow. `one octet`: what would be taken with one octet a flow"
    ]
    lines += ["instead of three, 1 - exp(-flows / octets).", ""]
    lines += ["| workers | taken | hand-overs a new flow | one octet |", "|---:|---:|---:|---:|"]
    for workers in counts:
        row = table[f"presence, {workers}"]
        before = 1 - 2.718281828 ** (-flows * (workers - 1) / workers / PRESENCE_LEN)
        lines.append(f"| {workers} | {row['taken']:.2%} | {row['hand-overs']:.4f} | {before:.1%} |")
    lines += ["", "## A TAP that learns", ""]
    lines += [
        f"{LEARNT_WORKERS} workers, connections that they opened, a packet a second and flow in"
    ]
    lines += [
        f"the mean, over {LEARNT_SECONDS} s: frames that came out of another worker's queue. The"
    ]
    lines += [
        "device knows 4,096 flows and forgets one after 3 s; the program needs to know none.",
        "",
    ]
    lines += ["| flows | equal rates | Zipf rates |", "|---:|---:|---:|"]
    for count in LEARNT_FLOWS:
        known = table.get(f"learnt, {count}")
        if known is not None:
            lines.append(f"| {count:,} | {known['uniform']:.1%} | {known['Zipf']:.1%} |")
    return "\n".join(lines) + "\n"


def _grid(
    table: Table,
    counts: tuple[int, ...],
    kinds: tuple[str, ...],
    figures: dict[str, str],
    form: str,
) -> list[str]:
    """A row a kind and figure, a column a number of workers."""
    lines = ["| steering | | " + " | ".join(map(str, counts)) + " |"]
    lines.append("|---|---|" + "---:|" * len(counts))
    for kind in kinds:
        for title, figure in figures.items():
            cells = [form.format(table[f"{kind}, {n}"][figure]) for n in counts]
            lines.append(f"| {kind} | {title} | " + " | ".join(cells) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m corten.sim.workers", description=__doc__)
    parser.add_argument("--flows", type=int, default=FLOWS)
    parser.add_argument("--workers", default=",".join(map(str, WORKERS)))
    parser.add_argument("--write", action="store_true", help="keep figures, page and chart")
    options = parser.parse_args()
    counts = tuple(int(word) for word in options.workers.split(","))
    if options.flows < 1 or not all(1 <= count <= 64 for count in counts):
        parser.error("flows: one or more; workers: from 1 to 64")
    started = time.perf_counter()
    table = measure(options.flows, counts)
    print(text(table, options.flows, counts))
    print(f"{time.perf_counter() - started:.1f} s", file=sys.stderr)
    if options.write:
        keep({"flows": options.flows, "workers": counts, "full": table, "small": small()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
