"""`python -m bench [NAME…]`: measure Corten beside what people use today.

Each round runs every server of every chosen scenario once, in random order. Before a run is timed,
curl compares the bytes and wrk warms up for a second; a run that the machine disturbed is repeated
a few times and then reported void. What comes out: tables on the terminal, and under
`bench/results/` the tables, every run as JSON, and a chart.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
from typing import Any

from bench import chart, client, idle, machine, report
from bench.namespace import SETTINGS, NamespaceError, cubic_allowed
from bench.process import Process, ProcessError
from bench.record import Record
from bench.scenario import DEFAULT, GROUPS, Scenario, lay_out, scenarios
from bench.server import Server, Setting
from bench.servers import SERVERS, required
from bench.summary import Summary
from bench.trial import Measured, Trial, TrialRecord, trial_table
from bench.trials import TRIALS

_HERE = os.path.dirname(os.path.abspath(__file__))
_WARM_UP_S = 1.0


class Bench:
    """One invocation: its options, its work directory, and what it has measured."""

    def __init__(self, options: argparse.Namespace, work: str) -> None:
        self.options = options
        self.work = work
        self.chance = random.Random(options.seed)
        self.records: list[Record] = []
        self.absent: dict[str, str] = {}  # servers that could not even start, and why

    def run(self, chosen: list[Scenario | Trial]) -> None:
        """Every round of every scenario."""
        roots = {scenario.name: self._root(scenario) for scenario in chosen}
        for number in range(self.options.rounds):
            order = [(scenario, server) for scenario in chosen for server in scenario.servers]
            self.chance.shuffle(order)
            for scenario, server in order:
                if server not in self.absent:
                    self._slot(scenario, server, number, roots[scenario.name])

    def _root(self, scenario: Scenario | Trial) -> str:
        if scenario.files or isinstance(scenario, Trial):
            return lay_out(scenario.name, scenario.files, self.work)
        root = self.options.site or os.path.join(self.work, "pages")
        if not self.options.site:
            process = Process([sys.executable, "-m", "corten.app.sample", root], None, None)
            try:
                process.wait(120)
            finally:
                process.stop()
        return root

    def _slot(self, scenario: Scenario | Trial, server: str, number: int, root: str) -> None:
        """One server in one round, repeated while the machine disturbs it."""
        kind = TrialRecord if isinstance(scenario, Trial) else Record
        for attempt in range(self.options.attempts):
            try:
                if isinstance(scenario, Trial):
                    found: Any = self._try(scenario, server, root)
                else:
                    found = self._once(scenario, server, root)
                record = kind(scenario.name, server, number, attempt, found)
            except (NamespaceError, ProcessError, OSError) as error:
                record = kind(scenario.name, server, number, attempt, None, str(error))
                if number == 0 and attempt == 0 and not isinstance(scenario, Trial):
                    self.absent[server] = str(error)
            self.records.append(record)
            self._say(record)
            if record.void is None or record.failure:
                return

    def _try(self, trial: Trial, server: str, root: str) -> Measured:
        cores = (self.options.server_core, self.options.client_core)
        watch = machine.Watch(cores)
        found = trial.run(server, Setting(root, self.work, cores), self.options.seconds)
        found.whole = watch.stop([])
        return found

    def _once(self, scenario: Scenario, server: str, root: str) -> client.Result:
        cores = (self.options.server_core, self.options.client_core)
        body = os.path.join(root, next(iter(scenario.files), ""))
        load = scenario.load
        setting = Setting(
            root,
            self.work,
            cores,
            load.close,
            body,
            scenario.application,
            load.connections,
            scenario.apart,
        )
        with SERVERS[server](setting) as running:
            self._verify(running, scenario, root)
            running.drive(load, _WARM_UP_S)
            result = running.drive(load, self.options.seconds)
        if result.failed:
            raise ProcessError(f"{result.failed} errors: {result.errors}")
        return result

    def _verify(self, running: Server, scenario: Scenario, root: str) -> None:
        """The bytes are right before anything is timed."""
        paths = {scenario.load.path: next(iter(scenario.files), scenario.load.path)}
        if not scenario.files:
            paths |= {name: name for name in self.chance.sample(client.site_pages(root), 5)}
        for path, file in paths.items():
            with open(os.path.join(root, file), "rb") as source:
                expected = hashlib.sha256(source.read()).hexdigest()
            got = hashlib.sha256(running.fetch(path)).hexdigest()
            if got != expected:
                raise ProcessError(f"/{path}: not the bytes of the file")

    def _say(self, record: Record) -> None:
        head = f"{record.round + 1:3} {record.scenario:8} {record.server:14}"
        if record.result is None:
            print(f"{head} {record.failure}", flush=True)
            return
        figures = record.figures()
        if isinstance(record, TrialRecord):
            told = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
            print(f"{head} {told}" + (f"  void: {record.void}" if record.void else ""), flush=True)
            return
        mark = f"  void: {record.void}" if record.void else ""
        if "p99_us" in figures:
            mark = f"  p99 {figures['p99_us'] / 1000:.2f} ms{mark}"
        print(
            f"{head} {figures['rate']:9,.0f}/s {figures['per_busy']:9,.0f} per busy s "
            f"{figures['gigabits']:6.2f} Gbit/s{mark}",
            flush=True,
        )


def main() -> int:
    options = _options()
    known: dict[str, Scenario | Trial] = {**scenarios(_HERE), **TRIALS}
    names = [each for name in options.names or DEFAULT for each in GROUPS.get(name, [name])]
    unknown = [name for name in names if name not in known and name != "idle"]
    if unknown:
        print(f"unknown scenario {unknown[0]!r}: one of {', '.join([*known, *GROUPS, 'idle'])}")
        return 2
    chosen = [known[name] for name in names if name in known]
    if options.servers:
        for scenario in chosen:
            all_of_them = [*scenario.servers, *scenario.others]
            scenario.servers = [name for name in all_of_them if name in options.servers]
    if reason := _obstacle(chosen, options):
        print(reason)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="corten-bench-") as work, cubic_allowed():
        os.chmod(work, 0o755)
        bench = Bench(options, work)
        found: dict[str, Any] = {}
        try:
            bench.run(chosen)
            if "idle" in names:
                found = idle.measure(options, work)
        except KeyboardInterrupt:
            print("\ninterrupted: what follows is incomplete")
        _publish(bench, chosen, found)
    return 0


def _obstacle(chosen: list[Scenario | Trial], options: argparse.Namespace) -> str | None:
    """Why it cannot run here, in one line."""
    if os.geteuid() != 0:
        return "bench needs root: it pins kernel threads and makes network namespaces"
    if (os.cpu_count() or 1) < 2:
        return "bench needs two cores: one for the server, one for the client"
    servers = [name for scenario in chosen for name in scenario.servers]
    return machine.missing(required(servers))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="scenarios (default: small pages close hello idle)"
    )
    parser.add_argument("--rounds", type=int, default=10, help="runs of each server (default 10)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a run (default 5)")
    parser.add_argument(
        "--attempts", type=int, default=4, help="tries of a disturbed run (default 4)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order of runs (default 1)")
    parser.add_argument("--servers", nargs="+", metavar="SERVER", help="only these")
    parser.add_argument("--site", metavar="DIRECTORY", help="a sample site that exists")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument(
        "--connections",
        type=int,
        nargs="+",
        default=[1000, 10_000, 100_000],
        metavar="N",
        help="held by `idle`, one number after the other (default 1000 10000 100000)",
    )
    parser.add_argument("--output", default=os.path.join(_HERE, "results"), metavar="DIRECTORY")
    return parser.parse_args()


def _summary(scenario: Scenario | Trial, records: list[Record]) -> Summary:
    if isinstance(scenario, Trial):
        return Summary(scenario.name, scenario.servers, records, scenario.judged)
    return Summary(scenario.name, scenario.servers, records)


def _table(scenario: Scenario | Trial, summary: Summary) -> str:
    make = trial_table if isinstance(scenario, Trial) else report.scenario_table
    return make(scenario, summary)  # type: ignore[arg-type]  # each takes its own kind


def _publish(bench: Bench, chosen: list[Scenario | Trial], found: dict[str, Any]) -> None:
    """Tables to the terminal; tables, runs and chart to files."""
    summaries = {s.name: _summary(s, bench.records) for s in chosen}
    about = machine.describe()
    parts = [_table(scenario, summaries[scenario.name]) for scenario in chosen]
    if found:
        parts.append(idle.text(found))
    head = (
        f"Commit {about['commit']}, Linux {about['kernel']}, {about['cpu']}, "
        f"{about['cores']} cores{', profiled build' if about['profiled'] else ''}; "
        f"`{_command(bench.options)}`.\n"
    )
    text = "\n".join([head, *parts, report.LEGEND])
    print("\n" + text)
    os.makedirs(bench.options.output, exist_ok=True)
    stem = os.path.join(bench.options.output, datetime.datetime.now().strftime("%Y%m%d-%H%M%S"))
    with open(f"{stem}.md", "w", encoding="utf-8") as file:
        file.write(text)
    sums = {name: summary.as_json() for name, summary in summaries.items()}
    record = {
        "machine": about,
        "options": vars(bench.options),
        "settings": {
            "namespace": SETTINGS,
            "mtu": 1500,
            "offloads": "TAP: checksum and TSO both ways; veth: the kernel's defaults",
            "loads": {s.name: vars(s.load) for s in chosen if isinstance(s, Scenario)},
        },
        "command": _command(bench.options),
        "titles": {s.name: s.title for s in chosen},
        "summary": sums,
        "idle": found,
        "runs": [record.as_json() for record in bench.records],
    }
    here = os.path.dirname(_HERE) + os.sep  # a record names no place of the machine it is from
    with open(f"{stem}.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=1).replace(here, ""))
    titles = {scenario.name: f"{scenario.name}: {scenario.title}" for scenario in chosen}
    written = [f"{stem}.md", f"{stem}.json", *chart.draw(sums, titles, stem)]
    print("written: " + " ".join(os.path.relpath(path) for path in written))


def _command(options: argparse.Namespace) -> str:
    """What makes these figures again."""
    words = ["./dev", "bench", *options.names, "--rounds", str(options.rounds)]
    words += ["--seconds", f"{options.seconds:g}"]
    if options.servers:
        words += ["--servers", *options.servers]
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main())
