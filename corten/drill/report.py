"""What `corten drill` prints, as lines for people or as one JSON document."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from corten.drill.outcome import FAIL, KINDS, Outcome, Plan, run_file
from corten.endpoint.error import CortenError


def scripts_in(names: Iterable[str]) -> list[str]:
    """The files named, and the scripts (*.pkt) under the directories named, in order."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(item) for item in path.rglob("*.pkt"))
            if not inside:
                raise CortenError(f"{name}: no scripts (*.pkt) in this directory")
            found += inside
        elif path.is_file():
            found.append(name)
        else:
            raise CortenError(f"{name}: no such file")
    return found


def lines_of(outcome: Outcome) -> Iterator[str]:
    """One outcome for people; of a failure the packets too."""
    text = f"{outcome.result:<11} {outcome.file}"
    if outcome.result == FAIL and outcome.line:
        text += f":{outcome.line}"
    what = [*outcome.switches, outcome.clause, outcome.reason]
    said = "; ".join(part for part in what if part)
    yield f"{text}: {said}" if said else text
    if outcome.result == FAIL:
        for line in outcome.trace:
            yield f"              {line}"


def run(names: list[str], plan: Plan, as_json: bool) -> int:
    """Run scripts and print the results; 0 when none failed, else 1."""
    outcomes = []
    for name in scripts_in(names):
        outcome = run_file(name, plan)
        outcomes.append(outcome)
        if not as_json:
            for line in lines_of(outcome):
                print(line, flush=True)
    counts = Counter(outcome.result for outcome in outcomes)
    if as_json:
        document = {
            "counts": {kind: counts[kind] for kind in KINDS},
            "files": [outcome.as_dict() for outcome in outcomes],
        }
        json.dump(document, sys.stdout, indent=1)
        print()
    else:
        print(", ".join(f"{counts[kind]} {kind}" for kind in KINDS))
    return 1 if counts[FAIL] else 0
