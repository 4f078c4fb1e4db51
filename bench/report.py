"""The tables: Markdown, printed and written."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scenario import WIRE, Scenario
from bench.summary import Summary

CLIENT_MAX = 1.10  # client's time per request, of that with the ceiling

_HEAD = [
    "server",
    "requests/s",
    "x baseline [95 %]",
    "per busy second",
    "x baseline [95 %]",
    "Gbit/s",
    "p50 ms",
    "p99 ms",
    "server us",
    "client us",
    "errors",
    "runs (void)",
]


def table(rows: list[list[str]]) -> str:
    """A Markdown table whose columns stand in line as plain text too."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_line(rows[0], widths), "|" + "|".join("-" * (w + 2) for w in widths) + "|"]
    return "\n".join(lines + [_line(row, widths) for row in rows[1:]])


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def scenario_table(scenario: Scenario, summary: Summary) -> str:
    """One scenario: a row for each server."""
    ceiling = scenario.ceiling
    shares = [f"x {ceiling} [95 %]", f"per busy second x {ceiling}"] if ceiling else []
    head = [*_HEAD[:-1], *shares, _HEAD[-1]]
    rows = [head]
    remarks = []
    for server in scenario.servers:
        runs = f"{len(summary.valid(server))} ({summary.void_count(server)})"
        rate = summary.median(server, "rate")
        if rate is None:
            rows.append([server] + ["-"] * (len(head) - 2) + [runs])
            if failure := summary.failure(server):
                remarks.append(f"{server}: {failure}")
            continue
        rows.append(
            [
                server,
                f"{rate:,.0f}",
                _ratio(summary, server, scenario.baseline, "rate"),
                _number(summary, server, "per_busy", "{:,.0f}"),
                _ratio(summary, server, scenario.baseline, "per_busy"),
                _number(summary, server, "gigabits", "{:.2f}"),
                _number(summary, server, "p50_us", "{:.2f}", 1e-3),
                _number(summary, server, "p99_us", "{:.2f}", 1e-3),
                _number(summary, server, "server_user_us", "{:.2f}")
                + " + "
                + _number(summary, server, "server_system_us", "{:.2f}"),
                _number(summary, server, "client_us", "{:.2f}"),
                str(summary.errors(server)),
                *(_ratio(summary, server, ceiling, f) for f in ("rate", "per_busy") if ceiling),
                runs,
            ]
        )
    remarks += _client_remark(scenario, summary) + _bound_remark(scenario, summary)
    text = f"### {scenario.name}: {scenario.title}\n\n{table(rows)}\n"
    return text + "".join(f"\n* {remark}" for remark in remarks) + ("\n" if remarks else "")


def _client_remark(scenario: Scenario, summary: Summary) -> list[str]:
    """Whether the client's core worked for the judged server: against the ceiling's run."""
    first = scenario.servers[0]
    ours, bare = summary.median(first, "client_us"), summary.median("ceiling", "client_us")
    if ours is None or bare is None:
        return []
    share = ours / bare
    verdict = "within" if share <= CLIENT_MAX else "ABOVE"
    return [
        f"{first}: the client's core spends {share:.2f} times what it spends with the ceiling, "
        f"{verdict} the {CLIENT_MAX:.2f} allowed"
    ]


def _bound_remark(scenario: Scenario, summary: Summary) -> list[str]:
    names = (scenario.servers[0], scenario.ceiling, WIRE)
    rates = [summary.median(name, "per_busy") for name in names]
    return bound_remarks(names, rates)


def bound_remarks(names: Sequence[str], rates: Sequence[float | None]) -> list[str]:
    """What a wire leaves of a ceiling that has none. Of the server that is judged, the ceiling and
    the wire alone: their names, and requests per busy second."""
    ours, bare, wire = rates
    if not ours or not bare or not wire:
        return []
    most = 1 / (1 / bare + 1 / wire)
    return [
        f"{names[0]}: a request takes the wire {1e6 / wire:.2f} us of the server's core, beside "
        f"the {1e6 / bare:.2f} us of {names[1]}: with it {most / bare:.0%} of {names[1]} is "
        f"the most there can be, and {ours / most:.0%} of that is reached"
    ]


def _number(summary: Summary, server: str, figure: str, form: str, scale: float = 1.0) -> str:
    value = summary.median(server, figure)
    return "-" if value is None else form.format(value * scale)


def _ratio(summary: Summary, server: str, baseline: str, figure: str) -> str:
    if server == baseline:
        return "1"
    ratio = summary.ratio(server, baseline, figure)
    return "-" if ratio is None else ratio.text()


LEGEND = """\
Medians of valid runs; ratios are medians of pairs of the same round, with bootstrap 95 % intervals
("?": fewer than ten pairs). *Per busy second*: requests per second that the server's core was
busy, softirq included. *server us*: user and system microseconds of the server's own processes per
request. *client us*: busy microseconds of the client's core per request. A run is
void when the host took more than 3 % of either core, or other processes used more than 3 % of one.
"""
