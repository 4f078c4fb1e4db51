"""What became of a script, and how it is found: exactly first, then with the switches that may
help.

pass as written lenient with the switches that the result names deviates differs in a way that an
expect file explains by a clause of an RFC unsupported needs calls, options or protocols outside TCP
sockets, which the result names fail differs; with the reason and the packets
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from corten.drill.error import Differs, ScriptError, Unsupported
from corten.drill.expect import Entry, find
from corten.drill.leniency import COMPARISONS, EVERYTHING, EXACT, Leniency
from corten.drill.nodes import Packet, Script
from corten.drill.parameters import Parameters
from corten.drill.parser import parse_script
from corten.drill.runner import Runner

PASS, LENIENT, DEVIATES, UNSUPPORTED, FAIL = "pass", "lenient", "deviates", "unsupported", "fail"
KINDS = (PASS, LENIENT, DEVIATES, UNSUPPORTED, FAIL)


@dataclass
class Outcome:
    """The result of one file."""

    file: str
    result: str
    switches: list[str] = field(default_factory=list)
    reason: str = ""
    line: int = 0
    clause: str = ""
    events: int = 0  # that were run to their end
    trace: list[str] = field(default_factory=list)
    virtual_seconds: float = 0.0
    requirements: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class Plan:
    """How scripts are to be run."""

    parameters: Parameters = field(default_factory=Parameters)
    defines: dict[str, str] = field(default_factory=dict)
    fixed: Leniency = EXACT  # switches given by the caller
    is_exact: bool = False  # nothing else may be tried
    entries: list[Entry] = field(default_factory=list)


def run_file(path: str, plan: Plan) -> Outcome:
    """Run the script in a file."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return Outcome(path, FAIL, reason=f"cannot be read: {error.strerror}")
    return run_text(path, text, plan)


def run_text(path: str, text: str, plan: Plan) -> Outcome:
    """Run a script; `path` is its name."""
    outcome = Outcome(path, FAIL)
    try:
        script = parse_script(text, plan.defines)
        outcome.requirements = script.marks
        parameters = replace(plan.parameters)
        if _changes_ipv6(script):
            parameters.ip_version = "ipv6"
        parameters.take(script.options)
    except ScriptError as error:
        outcome.reason, outcome.line = str(error), error.line
        return outcome
    except Unsupported as error:
        outcome.result, outcome.reason = UNSUPPORTED, str(error)
        return outcome
    first = _attempt(outcome, script, parameters, EXACT)
    if first.result == FAIL and plan.fixed != EXACT:
        first = _attempt(outcome, script, parameters, plan.fixed)
    if first.result == FAIL and not plan.is_exact:
        first = _with_switches(outcome, script, parameters, plan.fixed)
    if first.result == FAIL:
        entry = find(plan.entries, path, first.reason)
        if entry is not None:
            first = replace(first, result=DEVIATES, clause=entry.clause)
    return first


def _changes_ipv6(script: Script) -> bool:
    """Whether a packet's IPv6 header is changed by hand: such a script is about IPv6."""
    packets = [event.action for event in script.events if isinstance(event.action, Packet)]
    return any(change.header == "ipv6" for packet in packets for change in packet.mutations)


def _with_switches(
    outcome: Outcome, script: Script, parameters: Parameters, fixed: Leniency
) -> Outcome:
    """Try what may help, all comparisons first, then settings. Where nothing does, the failure is
    the one that remains with all comparisons as free as they can be."""
    tried = []
    for changes in _ladder():
        leniency = replace(EVERYTHING, **{**_given(fixed), **changes})
        tried.append(_attempt(outcome, script, parameters, leniency))
        if tried[-1].result == LENIENT:
            return _fewest(outcome, script, parameters, leniency)
    return tried[0]


def _given(fixed: Leniency) -> dict[str, Any]:
    """The settings that the caller has fixed."""
    names = ("delack", "cc", "iw", "rto_min")
    return {name: value for name in names if (value := getattr(fixed, name)) is not None}


def _ladder() -> list[dict[str, Any]]:
    """Changes of settings to try, the smallest first."""
    return [
        {},
        {"delack": 0},
        {"cc": "reno"},
        {"rto_min": 1000},
        {"iw": 4},
        {"delack": 0, "cc": "reno"},
    ]


def _fewest(
    outcome: Outcome, script: Script, parameters: Parameters, leniency: Leniency
) -> Outcome:
    """The same result with every switch taken away that is not needed."""
    best = _attempt(outcome, script, parameters, leniency)
    for name in ("options", "psh", "delack", "cc", "iw", "rto_min"):
        smaller = leniency.without(name)
        if smaller == leniency:
            continue
        result = _attempt(outcome, script, parameters, smaller)
        if result.result in (PASS, LENIENT):
            leniency, best = smaller, result
    for win in ("exact", "zero-nonzero"):
        smaller = replace(leniency, win=win)
        result = _attempt(outcome, script, parameters, smaller)
        if result.result in (PASS, LENIENT):
            return result
    return best


def _attempt(
    outcome: Outcome, script: Script, parameters: Parameters, leniency: Leniency
) -> Outcome:
    """One run with these switches."""
    leniency = leniency.fresh()
    runner = Runner(script, parameters, leniency)
    found = replace(outcome, result=PASS)
    try:
        runner.run()
    except Unsupported as error:
        found.result, found.reason = UNSUPPORTED, str(error)
    except (Differs, ScriptError) as error:
        found.result, found.reason, found.line = FAIL, str(error), error.line
        found.trace = runner.trace
    found.events = runner.events_run
    found.virtual_seconds = round(runner.world.elapsed_ns() / 1e9, 6)
    if found.result == PASS and leniency.named():
        found.result, found.switches = LENIENT, leniency.named()
    return found


__all__ = ["COMPARISONS", "KINDS", "Outcome", "Plan", "run_file", "run_text"]
