"""What may be compared less strictly, or set differently, than the script and our defaults say.

Strategy. This list is closed. A script is first run exactly; only where that fails may switches
help, and every one that did stands in the result. Switches of comparison note by themselves when
they mattered (`used`); those that change a setting count as used when they are needed at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

CHOICES = {
    "options": ("exact", "set"),
    "win": ("exact", "zero-nonzero", "ignore"),
    "psh": ("exact", "ignore"),
    "cc": ("cubic", "reno"),
}
COMPARISONS = ("options", "win", "psh")


@dataclass(frozen=True)
class Leniency:
    """The switches of one run. None of a setting: what the stack does by default."""

    options: str = "exact"  # set: kinds and values, whatever order, NOPs, wscale and TS val
    win: str = "exact"
    psh: str = "exact"
    delack: int | None = None  # milliseconds; 0: acknowledge at once
    cc: str | None = None
    iw: int | None = None  # segments
    rto_min: int | None = None  # milliseconds
    used: set[str] = field(default_factory=set, compare=False)

    def fresh(self) -> Leniency:
        """The same switches, nothing used yet."""
        return replace(self, used=set())

    def use(self, name: str) -> None:
        """A comparison switch has let something pass."""
        self.used.add(f"{name}={getattr(self, name)}")

    def settings(self) -> dict[str, object]:
        """What the switches change of the stack's Config."""
        changed: dict[str, object] = {}
        if self.delack is not None:
            changed["delayed_ack_ns"] = max(1, self.delack * 1_000_000)
        if self.cc is not None:
            changed["congestion"] = self.cc
        if self.iw is not None:
            changed["initial_window"] = self.iw
        if self.rto_min is not None:
            changed["rto_min_ns"] = self.rto_min * 1_000_000
        return changed

    def setting_names(self) -> list[str]:
        """The switches that change a setting, as the result names them."""
        found = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name not in (*COMPARISONS, "used") and value is not None:
                found.append(f"{item.name.replace('_', '-')}={value}")
        return found

    def without(self, name: str) -> Leniency:
        """The same switches but for one."""
        plain: Any = "exact" if name in COMPARISONS else None
        return replace(self, used=set(), **{name: plain})

    def named(self) -> list[str]:
        """Everything that has to stand in the result of a run that passed with these switches."""
        return sorted(self.used) + self.setting_names()


EXACT = Leniency()
EVERYTHING = Leniency(options="set", win="ignore", psh="ignore")  # of the comparisons
