"""`./dev performance [--check]`: write docs/performance.md and its charts from the results kept.

Kept are the JSON files under `bench/results/` that git knows (all of them where there is no git):
what a bench has just written joins the page by `git add`. Of each scenario the newest file counts
in which the one that is judged has a valid run. Nothing on the page is written by hand but the
words in this file; `--check` answers 1 when the page says something else than the results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import gate, idle
from bench.bars import Bar, Panel, draw
from bench.memory import CONTENDERS, Memory
from bench.report import bound_remarks, table
from bench.scenario import WIRE, Scenario, scenarios
from bench.summary import PAIRS_MIN
from bench.trial import Trial
from bench.trials import TRIALS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = Path("docs") / "performance.md"
CHARTS = Path("docs") / "performance"

_INTRODUCTION = """\
# What was measured

Written by `./dev performance` from the results kept in `bench/results`; each section names the
command that made it, and the commit. Figures of different sections may come from different machines
and days: only what stands in one table may be compared.

* One server core, the client on the other core of a machine that has two; each contender in
  network namespaces of its own; CUBIC on both sides. `corten` is the program on Corten's own stack
  over a TAP device, `kernel` the same program on the kernel's sockets over veth, `-tuned` and
  `-poll` with a worker that never sleeps, and for the kernel quick acknowledgements.
* Runs are interleaved in random order. Figures are medians of valid runs, ratios medians of pairs
  of the same round with bootstrap 95 % intervals ("?": fewer than ten pairs). Bars show medians,
  lines the least and the most.
* A run is void when the host took more than 3 % of a core, when other processes used more than 3 %
  of one, or when the load client was late by its own fault for more than 1 % of its requests.
  Wrong octets and errors fail a run.
* *Per busy second*: per second in which the server's core was busy with anything, softirq included.
* Latencies under load are those of an open loop: they count from the instant at which a request was
  meant to leave (`corten load --rate`).
"""


@dataclass
class Kept:
    """One file of results."""

    name: str
    data: dict[str, Any]

    def origin(self) -> str:
        """What made it, and of which commit, on what."""
        machine, options = self.data["machine"], self.data["options"]
        command = self.data.get("command") or _command(self.name, options)
        return (
            f"`{command}`; commit {machine['commit']}, Linux {machine['kernel']}, "
            f"{machine['cpu']}, {machine['cores']} cores"
            f"{', profiled build' if machine.get('profiled') else ''} "
            f"([results](../bench/results/{self.name}))"
        )


def _command(name: str, options: dict[str, Any]) -> str:
    """The command of a file from before commands were kept."""
    if name.startswith("memory-"):
        return (
            f"python -m bench.memory --rounds {options['rounds']} --seconds {options['seconds']:g}"
        )
    words = ["./dev bench", *options["names"], f"--rounds {options['rounds']}"]
    words.append(f"--seconds {options['seconds']:g}")
    if options["servers"]:
        words += ["--servers", *options["servers"]]
    return " ".join(words)


def results() -> list[Kept]:
    """What is kept, the newest first."""
    try:
        words = ["git", "-C", str(ROOT), "ls-files", "bench/results/*.json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        names = [Path(line).name for line in done.stdout.splitlines()]
    except OSError:  # silent: without git, what is there is kept
        names = []
    names = names or [path.name for path in RESULTS.glob("*.json")]
    newest = sorted(names, key=lambda name: name.rpartition("-")[0][-8:] + name[-11:], reverse=True)
    return [Kept(name, json.loads((RESULTS / name).read_text("utf-8"))) for name in newest]


def _ratio(found: dict[str, Any], baseline: str, figure: str) -> str:
    ratio = found.get("ratios", {}).get(baseline, {}).get(figure)
    if ratio is None:
        return "-"
    mark = "" if ratio["pairs"] >= PAIRS_MIN else "?"
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]{mark}"


def _value(found: dict[str, Any], figure: str, form: str, scale: float) -> str:
    return form.format(found[figure]["median"] * scale) if figure in found else "-"


_WRK = {  # as a trial's columns
    "rate": ("requests/s", "{:,.0f}", 1.0),
    "per_busy": ("per busy second", "{:,.0f}", 1.0),
    "gigabits": ("Gbit/s", "{:.2f}", 1.0),
    "p50_us": ("p50 ms", "{:.2f}", 1e-3),
    "p99_us": ("p99 ms", "{:.2f}", 1e-3),
    "server_us": ("server core, us", "{:.2f}", 1.0),
    "client_us": ("client core, us", "{:.2f}", 1.0),
}


@dataclass
class Section:
    """One scenario or trial with the file that it is told from."""

    name: str
    title: str
    baseline: str
    columns: dict[str, tuple[str, str, float]]
    judged: list[str]
    kept: Kept
    ceiling: str = ""

    def text(self) -> str:
        summary = self.kept.data["summary"][self.name]
        heads = [heading for heading, _, _ in self.columns.values()]
        ratios = [f"{self.columns[each][0]} / {self.baseline}" for each in self.judged]
        shares = [f"{self.columns[each][0]} / {self.ceiling}" for each in self._shared()]
        rows = [["", *heads, *ratios, *shares, "runs (void)"]]
        for server, found in summary.items():
            cells = [_value(found, name, *rest[1:]) for name, rest in self.columns.items()]
            for other, figures in ((self.baseline, self.judged), (self.ceiling, self._shared())):
                ours = server == other
                cells += ["1" if ours else _ratio(found, other, each) for each in figures]
            rows.append([server, *cells, f"{found['valid']} ({found['void']})"])
        names = (next(iter(summary), ""), self.ceiling, WIRE)
        rates = [summary.get(name, {}).get("per_busy", {}).get("median") for name in names]
        remarks = "".join(f"* {each}\n\n" for each in bound_remarks(names, rates))
        chart = f"![{self.name}]({CHARTS.name}/{self.name}.svg)"
        head = f"## {self.name}: {self.title}"
        return f"{head}\n\n{self.kept.origin()}\n\n{table(rows)}\n\n{remarks}{chart}\n"

    def _shared(self) -> list[str]:
        """Figures that are told as a share of the ceiling's."""
        return self.judged if self.ceiling else []

    def chart(self) -> str:
        summary = self.kept.data["summary"][self.name]
        panels = []
        for figure in self.judged or self.columns:
            heading, form, scale = self.columns[figure]
            bars = [
                Bar(server, *(found[figure][each] * scale for each in ("median", "min", "max")))
                for server, found in summary.items()
                if figure in found
            ]
            panels.append(Panel(heading, bars, form))
        return draw([panel for panel in panels if panel.bars])


def sections(kept: list[Kept]) -> list[Section]:
    """In the order of the scenarios and trials; those without a valid run are left out."""
    found = []
    known: dict[str, Scenario | Trial] = {**scenarios(), **TRIALS}
    for name, each in known.items():
        for file in kept:
            summary = file.data.get("summary", {}).get(name, {})
            if summary and next(iter(summary.values()))["valid"]:
                columns = each.columns if isinstance(each, Trial) else _WRK
                judged = each.judged if isinstance(each, Trial) else ["rate", "per_busy"]
                ceiling = "" if isinstance(each, Trial) else each.ceiling
                found.append(
                    Section(name, each.title, each.baseline, columns, judged, file, ceiling)
                )
                break
    return found


def _idle(kept: list[Kept]) -> list[str]:
    for file in kept:
        found = file.data.get("idle")
        if found and any("failure" not in size for size in found["sizes"]):
            head, _, rest = idle.text(found).removeprefix("#").partition("\n\n")
            return [f"{head.strip()}\n\n{file.origin()}\n\n{rest}"]
    return []


def _memory(kept: list[Kept]) -> tuple[list[str], dict[str, str]]:
    """Shared memory, from the newest file of `bench.memory`."""
    for file in kept:
        if not file.name.startswith("memory-"):
            continue
        rounds = file.data["rounds"]
        valid = [each for each in rounds if each["void"] is None]
        if not valid:
            continue
        told = Memory(argparse.Namespace(**file.data["options"]), None)  # type: ignore[arg-type]
        told.rounds = rounds
        panels = []
        for connections in file.data["options"]["connections"]:
            bars = []
            for contender in CONTENDERS:
                rates = [
                    each["runs"][contender]["rate"]
                    for each in valid
                    if each["connections"] == connections
                ]
                if rates:
                    bars.append(Bar(contender, statistics.median(rates), min(rates), max(rates)))
            panels.append(Panel(f"requests/s, {connections} connections", bars))
        head = "## memory: both ends Corten over shared memory, against the kernel's loopback"
        chart = f"![memory]({CHARTS.name}/memory.svg)"
        text = f"{head}\n\n{file.origin()}\n\n{told.table()}\n\n{chart}\n"
        return [text], {"memory": draw(panels)}
    return [], {}


def _instructions() -> str:
    rows = [["toolchain", *next(iter(gate.kept().values()), {})]]
    for name, figures in gate.kept().items():
        rows.append([name, *(f"{value:,.0f}" for value in figures.values())])
    return (
        "## instructions: one request or segment on the path without a device\n\n"
        "`python -m bench.gate --write`; `./dev test instructions` fails when one of them grows by "
        f"more than {gate.GROWTH_MAX:.0%}. Requests: a small file, 64 KiB, one a connection, a "
        "Python handler. Segments: taken in order, sent and acknowledged, thrown away for a wrong "
        f"checksum, taken out of order.\n\n{table(rows)}\n"
    )


def written() -> dict[Path, str]:
    """Every file of the page, by its path below the root."""
    kept = results()
    told = sections(kept)
    memory, charts = _memory(kept)
    parts = [_INTRODUCTION, *(each.text() for each in told), *_idle(kept), *memory]
    files = {PAGE: "\n".join([*parts, _instructions()])}
    charts |= {each.name: each.chart() for each in told}
    return files | {CHARTS / f"{name}.svg": text for name, text in charts.items()}


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev performance", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    options = parser.parse_args()
    files = written()
    stale = [path for path, text in files.items() if _read(ROOT / path) != text]
    old = [p for p in (ROOT / CHARTS).glob("*.svg") if p.relative_to(ROOT) not in files]
    if options.check:
        if stale or old:
            print(f"stale: {', '.join(map(str, [*stale, *old]))}: run ./dev performance")
        return 1 if stale or old else 0
    for path in old:
        path.unlink()
    for path in stale:
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(files[path], encoding="utf-8")
    print(f"{len(stale)} of {len(files)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
