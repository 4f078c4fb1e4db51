"""Trials: what is measured otherwise than by wrk at its fastest. Same rounds, same rules.

A trial runs one contender once and answers figures by name, with what the machine did meanwhile;
rounds, random order, steal, repeats and medians are the bench's. A wrong octet or an error of any
kind fails a run: that is never a matter of noise. A load client that was late by its own fault
makes it void, as steal does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.machine import Use, Watch, own_times
from bench.process import Process, ProcessError
from bench.record import Record, disturbance
from bench.report import table
from bench.server import PORT, SERVER_ADDRESS, Server, Setting, corten
from bench.summary import Summary

LATE_SHARE_MAX = 0.01
_SLACK_S = 40.0
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclass
class Measured:
    """What one run found; `use` is of its last part, or its only one."""

    figures: dict[str, float]
    use: Use
    late_share: float = 0.0  # of an open loop's requests: late by the client's own fault
    failed: int = 0
    whole: Use | None = None  # of all parts of the run, where there are several

    @staticmethod
    def of(figures: dict[str, float], use: Use, late_share: float = 0.0) -> Measured:
        """With the share of time that each core was busy."""
        busy = {
            f"{name}_busy": core.busy / use.seconds
            for name, core in zip(("server", "client"), use.cores, strict=True)
        }
        return Measured({**figures, **busy}, use, late_share)


class TrialRecord(Record):
    """A run of a trial."""

    @property
    def void(self) -> str | None:
        if isinstance(self.result, Measured):
            if self.result.late_share > LATE_SHARE_MAX:
                return f"the client was late itself: {self.result.late_share:.1%}"
            if self.result.whole is not None and (why := disturbance(self.result.whole)):
                return why
        return super().void

    def figures(self) -> dict[str, float]:
        assert isinstance(self.result, Measured)
        return self.result.figures

    def as_json(self) -> dict[str, Any]:
        found = self.named()
        if not isinstance(self.result, Measured):
            return {**found, "failure": self.failure}
        use = self.result.use
        return {
            **found,
            **{name: round(value, 4) for name, value in self.result.figures.items()},
            "late_share": round(self.result.late_share, 4),
            "steal": round(use.steal_share(), 4),
            "foreign": round(use.foreign_share(), 4),
            "watched_seconds": round(use.seconds, 3),
            "cores": [{k: round(v, 3) for k, v in vars(core).items()} for core in use.cores],
        }


@dataclass
class Trial:
    """One question. The first contender is the one judged."""

    name: str
    title: str
    servers: list[str]
    run: Callable[[str, Setting, float], Measured]  # (contender, setting, seconds)
    columns: dict[str, tuple[str, str, float]]  # figure -> heading, form, scale
    judged: list[str]  # figures whose ratio to the baseline is told
    baseline: str = "kernel"
    files: dict[str, bytes] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def trial_table(trial: Trial, summary: Summary) -> str:
    """A row a contender."""
    judged = [f"{trial.columns[name][0]} / {trial.baseline} [95 %]" for name in trial.judged]
    heads = [heading for heading, _, _ in trial.columns.values()]
    rows = [["", *heads, *judged, "runs (void)"]]
    remarks = []
    for server in trial.servers:
        runs = f"{len(summary.valid(server))} ({summary.void_count(server)})"
        if not summary.valid(server):
            rows.append([server, *["-"] * (len(heads) + len(judged)), runs])
            if failure := summary.failure(server):
                remarks.append(f"\n* {server}: {failure}")
            continue
        cells = [server]
        for name, (_, form, scale) in trial.columns.items():
            value = summary.median(server, name)
            cells.append("-" if value is None else form.format(value * scale))
        for name in trial.judged:
            ratio = summary.ratio(server, trial.baseline, name)
            cells.append("1" if server == trial.baseline else ratio.text() if ratio else "-")
        rows.append([*cells, runs])
    end = "\n" if remarks else ""
    return f"### {trial.name}: {trial.title}\n\n{table(rows)}\n{''.join(remarks)}{end}"


# -- running a client ------------------------------------------------------------------------


def client_of(
    server: Server, words: Sequence[str], seconds: float, may_fail: bool = False
) -> tuple[dict[str, Any], Use]:
    """Run a client on its core, in its namespace: its last line as JSON, and the cores' use."""
    watch = Watch(server.cores)
    before = sum(own_times(server.pids()))
    process = Process(words, server.client, server.cores[1], directory=_ROOT)
    try:
        text = process.wait(seconds + _SLACK_S, may_fail)
        use = watch.stop([*server.pids(), process.pid])
        spent = sum(own_times(server.pids())) - before
    finally:
        process.stop()
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    late = found.get("overslept", 0) / max(1, found.get("scheduled", 1))
    return {**found, "server_cpu": spent, "late_share": late}, use


def load(
    server: Server, seconds: float, *options: str, errors_allowed: bool = False
) -> tuple[dict[str, Any], Use]:
    """`corten load` on the kernel's sockets, as the client of every contender. ProcessError for
    any error."""
    words = [*corten(), "load", f"http://{SERVER_ADDRESS}:{PORT}/small.htm", "--json"]
    words += ["--link", "kernel,address=10.98.0.1", "-d", str(seconds), *options]
    found, use = client_of(server, words, seconds, errors_allowed)
    if found["errors"] and not errors_allowed:
        raise ProcessError(f"errors: {found['errors']}")
    return found, use
