"""docs/conformance.md claims nothing that no test has shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import conformance
from tools.conformance import DataError

DATA = """
open = ["MUST-2"]
may_be_left_out = ["MUST-3"]

[requirements]
MUST-1 = ["3.1", "one"]
MUST-2 = ["3.2", "two"]
MUST-3 = ["3.3", "three"]
SHLD-1 = ["3.4", "four"]
MAY-1 = ["3.5", "five"]

[left_out]
MUST-3 = "nobody wants it"

[deviates]
MAY-1 = "we know better"

["RFC 1"]
"2.1" = ["MUST", "six"]
"-" = ["-", "all of it"]
"""

PASSED = """<testcase><properties><property name="test" value="tests/test_a.py::test_x"/>
<property name="requirement" value="RFC 9293 MUST-1"/>
<property name="requirement" value="RFC 1 2.1"/></properties></testcase>"""
FAILED = PASSED.replace("</testcase>", "<failure/></testcase>")
SKIPPED = PASSED.replace("</testcase>", "<skipped/></testcase>")


def lay_out(folder: Path, data: str = DATA, **reports: str) -> None:
    (folder / "rfc9293.toml").write_text(data, encoding="utf-8")
    for stage, cases in reports.items():
        text = f"<testsuites><testsuite>{cases}</testsuite></testsuites>"
        (folder / f"{stage}.xml").write_text(text, encoding="utf-8")


def states(folder: Path) -> dict[str, str]:
    rows, _ = conformance.read_data(folder)
    pins, _ = conformance.read_record(folder)
    conformance.join(rows, pins)
    return {row.id: row.state for row in rows.values()}


def test_states(tmp_path: Path) -> None:
    lay_out(tmp_path, unit=PASSED)
    assert states(tmp_path) == {
        "MUST-1": "done",
        "MUST-2": "open",
        "MUST-3": "left out",
        "SHLD-1": "open",
        "MAY-1": "deviates",
        "RFC 1 2.1": "done",
        "RFC 1": "open",
    }


@pytest.mark.parametrize("cases", [SKIPPED, FAILED, FAILED + PASSED, ""])
def test_a_test_that_did_not_pass_pins_nothing(tmp_path: Path, cases: str) -> None:
    lay_out(tmp_path, unit=cases)
    assert states(tmp_path)["MUST-1"] == "open"


def test_a_test_that_failed_in_another_stage_pins_nothing(tmp_path: Path) -> None:
    lay_out(tmp_path, unit=PASSED, plain=FAILED)
    assert states(tmp_path)["MUST-1"] == "open"


def test_missing_stages_are_told(tmp_path: Path) -> None:
    lay_out(tmp_path, unit=PASSED, sim="")
    assert conformance.read_record(tmp_path)[1] == ["plain", "e2e"]


def test_an_unknown_id_is_an_error(tmp_path: Path) -> None:
    for unknown in ("RFC 2 2.1", "MUST-4", "RFC", "what"):
        lay_out(tmp_path, unit=PASSED.replace("RFC 1 2.1", unknown))
        with pytest.raises(DataError, match=rf"tests/test_a.py::test_x: '{unknown}' is no req"):
            states(tmp_path)


@pytest.mark.parametrize(
    ("mark", "pinned"),
    [("RFC 1 2.1", "RFC 1 2.1"), ("RFC 1 2.1.7", "RFC 1 2.1"), ("RFC 1 2.1 at the edge",
     "RFC 1 2.1"), ("RFC 1 2.2", "RFC 1"), ("RFC 1 in all", "RFC 1"), ("RFC 1", "RFC 1"),
     ("RFC 11", None), ("RFC 9293 MAY-1", "MAY-1"), ("MAY-11", None)],
)  # fmt: skip
def test_a_finer_mark_pins_what_is_above_it(tmp_path: Path, mark: str, pinned: str | None) -> None:
    lay_out(tmp_path)
    assert conformance.resolve(mark, conformance.read_data(tmp_path)[0]) == pinned


def verify(folder: Path) -> None:
    rows, opened = conformance.read_data(folder)
    conformance.join(rows, conformance.read_record(folder)[0])
    conformance.verify_open(rows, opened)


def test_the_list_of_open_musts_can_only_become_shorter(tmp_path: Path) -> None:
    lay_out(tmp_path, unit=PASSED)
    verify(tmp_path)
    lay_out(tmp_path, unit="")
    with pytest.raises(DataError, match=r"no test pins: MUST-1, RFC 1 2\.1"):
        verify(tmp_path)
    lay_out(tmp_path, unit=PASSED + PASSED.replace("MUST-1", "MUST-2"))
    with pytest.raises(DataError, match=r"no longer open, .*: MUST-2"):
        verify(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('MUST-3 = "nobody', 'MUST-1 = "nobody', "MUST-1 applies"),
        ('MAY-1 = "we know', 'MUST-1 = "we know', "MUST-1 is a MUST"),
        ('MAY-1 = "we know', 'MAY-2 = "we know', "no such requirement: MAY-2"),
        ('open = ["MUST-2"]', 'open = ["MUST-9"]', "no such requirement: MUST-9"),
    ],
)
def test_the_data_cannot_excuse_itself(tmp_path: Path, old: str, new: str, message: str) -> None:
    lay_out(tmp_path, DATA.replace(old, new))
    with pytest.raises(DataError, match=message):
        conformance.read_data(tmp_path)


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    more = PASSED.replace("test_x", "test_b")
    lay_out(tmp_path, unit=PASSED + more)
    rows, _ = conformance.read_data(tmp_path)
    conformance.join(rows, conformance.read_record(tmp_path)[0])
    text = conformance.page(rows)
    assert "| MUST-1 | 3.1 | one | done | [test_a.py](../tests/test_a.py): b; x |" in text
    lay_out(tmp_path, unit=more + PASSED)
    rows, _ = conformance.read_data(tmp_path)
    conformance.join(rows, conformance.read_record(tmp_path)[0])
    assert conformance.page(rows) == text


def test_our_own_data() -> None:
    rows, _ = conformance.read_data()
    numbered = [row for row in rows if row.startswith(tuple(conformance.LEVELS))]
    assert len(numbered) == 119
    kinds = {kind: sum(id.startswith(kind) for id in numbered) for kind in conformance.LEVELS}
    assert kinds == {"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}
