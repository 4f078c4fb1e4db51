"""Medians, and ratios of paired runs with bootstrap intervals.

A pair is two servers' runs in the same round. The interval is of the median ratio: pairs are drawn
again with replacement, from a fixed seed, so that the same runs always give the same interval.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.record import Record

_DRAWS = 4000
PAIRS_MIN = 10  # fewer than this prove nothing


@dataclass
class Ratio:
    """How much more: the median of pairs and its 95 % interval."""

    median: float
    low: float
    high: float
    pairs: int

    def text(self) -> str:
        mark = "" if self.pairs >= PAIRS_MIN else "?"
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]{mark}"


def ratio_of(pairs: list[tuple[float, float]]) -> Ratio | None:
    """The ratio of first to second over `pairs`, or None when there are none."""
    ratios = [first / second for first, second in pairs if second > 0]
    if not ratios:
        return None
    chance = random.Random(1)
    medians = sorted(
        statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(_DRAWS)
    )
    return Ratio(
        statistics.median(ratios),
        medians[int(0.025 * _DRAWS)],
        medians[int(0.975 * _DRAWS) - 1],
        len(ratios),
    )


class Summary:
    """All records of one scenario, summed up."""

    def __init__(
        self,
        scenario: str,
        servers: list[str],
        records: list[Record],
        judged: Sequence[str] = ("rate", "per_busy"),
    ) -> None:
        self.scenario = scenario
        self.judged = judged  # figures whose ratios are told
        self.servers = servers
        self.records = [record for record in records if record.scenario == scenario]

    def valid(self, server: str) -> list[Record]:
        return [r for r in self.records if r.server == server and r.void is None]

    def void_count(self, server: str) -> int:
        return sum(1 for r in self.records if r.server == server and r.void is not None)

    def failure(self, server: str) -> str:
        """Why this server has no figures at all, if it has none."""
        failures = [r.failure for r in self.records if r.server == server and r.failure]
        return failures[-1] if failures else ""

    def errors(self, server: str) -> int:
        return sum(r.result.failed for r in self.valid(server) if r.result is not None)

    def median(self, server: str, figure: str) -> float | None:
        found = [record.figures() for record in self.valid(server)]
        values = [figures[figure] for figures in found if figure in figures]
        return statistics.median(values) if values else None

    def ratio(self, first: str, second: str, figure: str) -> Ratio | None:
        ours = {record.round: record.figures()[figure] for record in self.valid(first)}
        theirs = {record.round: record.figures()[figure] for record in self.valid(second)}
        return ratio_of([(ours[r], theirs[r]) for r in sorted(ours.keys() & theirs.keys())])

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for server in self.servers:
            runs = self.valid(server)
            entry: dict[str, Any] = {
                "valid": len(runs),
                "void": self.void_count(server),
                "errors": self.errors(server),
                "failure": self.failure(server),
            }
            for figure in runs[0].figures() if runs else ():
                values = [record.figures()[figure] for record in runs]
                entry[figure] = {
                    "median": round(statistics.median(values), 3),
                    "min": round(min(values), 3),
                    "max": round(max(values), 3),
                }
            entry["ratios"] = {
                other: {
                    figure: vars(ratio)
                    for figure in self.judged
                    if figure in entry and (ratio := self.ratio(server, other, figure)) is not None
                }
                for other in self.servers
                if other != server
            }
            found[server] = entry
        return found
