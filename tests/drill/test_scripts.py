"""Our scripts, one test each, with the requirements that the script says it pins.

Scripts in `mutants/` (`*.mutant`) must fail, for the reason in their line `// fails: …`; all others
must pass exactly as written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from corten.drill.outcome import Plan, run_file
from corten.drill.parser import marks_of

HERE = Path(__file__).parent
MUTANTS = HERE / "mutants"
SCRIPTS = sorted(HERE.rglob("*.pkt"))


def _case(path: Path) -> Any:
    """The test of one script; the marks of its requirements lead the conformance document to it."""
    marks = marks_of(path.read_text(encoding="utf-8"))
    name = str(path.relative_to(HERE).with_suffix(""))
    return pytest.param(path, id=name, marks=[pytest.mark.requirement(*marks)] if marks else [])


@pytest.mark.parametrize("path", [_case(path) for path in SCRIPTS])
def test_script(path: Path) -> None:
    outcome = run_file(str(path), Plan(is_exact=True))
    said = [f"{path.name}:{outcome.line}: {outcome.reason}", *outcome.trace]
    assert outcome.result == "pass", "\n".join(said)


@pytest.mark.parametrize("path", sorted(MUTANTS.glob("*.mutant")), ids=lambda path: path.stem)
def test_mutant(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted = re.search(r"^// fails: (.+)$", text, re.MULTILINE)
    assert wanted is not None, "a mutant says why it fails"
    outcome = run_file(str(path), Plan(is_exact=True))
    assert outcome.result == "fail", outcome
    assert wanted.group(1) in outcome.reason


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_says_what_it_pins(path: Path) -> None:
    """Each begins with a comment, and names the section of an RFC."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// ")
    assert re.search(r"^// requirement: ", text, re.MULTILINE)
