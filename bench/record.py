"""One run as a record: figures, use of the cores, and why it does not count if it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.machine import Use

STEAL_MAX = 0.03  # of either core
FOREIGN_MAX = 0.03  # of one core, used by processes that are not of the run


def disturbance(use: Use) -> str | None:
    """Why a run with this use of the machine does not count."""
    if use.steal_share() > STEAL_MAX:
        return f"steal {use.steal_share():.1%}"
    if use.foreign_share() > FOREIGN_MAX:
        return f"other processes {use.foreign_share():.1%}"
    return None


@dataclass
class Record:
    """A run of one server in one round. `void` says why it does not count; None when it does."""

    scenario: str
    server: str
    round: int
    attempt: int
    result: Any  # a client.Result, or what a trial measured; None when there is nothing
    failure: str = ""  # it did not serve, or served wrong: never a matter of noise

    @property
    def void(self) -> str | None:
        if self.result is None:
            return self.failure or "no result"
        return disturbance(self.result.use)

    def figures(self) -> dict[str, float]:
        """The figures that medians are taken of."""
        assert self.result is not None
        result, use = self.result, self.result.use
        requests = max(1, result.requests)
        latencies = {"p50_us": float(result.p50_us), "p99_us": float(result.p99_us)}
        return {
            "rate": result.rate,
            "per_busy": result.requests / max(use.cores[0].busy, 1e-9),
            "gigabits": result.gigabits,
            **(latencies if result.max_us else {}),  # who feeds himself waits for nothing
            "server_us": 1e6 * use.cores[0].busy / requests,
            "server_user_us": 1e6 * result.server_user / requests,
            "server_system_us": 1e6 * result.server_system / requests,
            "client_us": 1e6 * use.cores[1].busy / requests,
        }

    def named(self) -> dict[str, Any]:
        """Which run it is."""
        names = ("scenario", "server", "round", "attempt", "void")
        return {name: getattr(self, name) for name in names}

    def as_json(self) -> dict[str, Any]:
        """Everything that was read, for the file."""
        found = self.named()
        if self.result is None:
            return {**found, "failure": self.failure}
        result, use = self.result, self.result.use
        found |= {name: round(value, 3) for name, value in self.figures().items()}
        found |= {
            "requests": result.requests,
            "octets": result.octets,
            "seconds": round(result.seconds, 3),
            "p90_us": result.p90_us,
            "p999_us": result.p999_us,
            "max_us": result.max_us,
            "errors": result.errors,
            "steal": round(use.steal_share(), 4),
            "foreign": round(use.foreign_share(), 4),
            "watched_seconds": round(use.seconds, 3),
            "cores": [{k: round(v, 3) for k, v in vars(core).items()} for core in use.cores],
        }
        return found
