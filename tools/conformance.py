"""docs/conformance.md: every requirement, its state, and the tests that pin it.

    ./dev conformance            write the page from the last `./dev test`
    ./dev conformance --check    whether the page is what would be written

Strategy. tools/requirements/*.toml names the requirements; a test names those it pins by
`@pytest.mark.requirement("MUST-13", "RFC 8985 7.2")`. What is believed is not the mark but the
report of the run (build/junit): a test counts for a requirement if it passed wherever it ran.

A mark may be finer than the data: `RFC 4861 7.2.5.1` or `RFC 768 checksum` pins the nearest section
above it that the data has.

Rules. The states are done (a test pins it), open (none does), deviates and left out (the data says
why). A mark with an unknown id is an error; so is a MUST that deviates, one left out that may not
be, and a MUST that is open without standing in the data's `open` list, or the other way round: so
that list can only become shorter.
"""

from __future__ import annotations

import re
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.environment import ROOT

DATA = ROOT / "tools" / "requirements"
REPORTS = ROOT / "build" / "junit"
PAGE = ROOT / "docs" / "conformance.md"
STAGES = ("unit", "plain", "sim", "e2e")  # what makes a whole record
LEVELS = {"MUST": "MUST", "SHLD": "SHOULD", "MAY": "MAY", "REC": "SHOULD"}
OWN = "rfc9293"  # the file whose ids are numbered
OWN_TABLES = ("open", "may_be_left_out", "requirements", "left_out", "deviates")
NUMBERED = re.compile(r"^RFC 9293 (?=(MUST|SHLD|MAY|REC)-)")  # may stand before such an id


class DataError(Exception):
    """The data or the marks contradict themselves. The text says where."""


@dataclass
class Requirement:
    """One row. `tests` are the names of those that pin it, in order."""

    id: str
    chapter: str  # the RFC
    section: str
    level: str  # MUST, SHOULD, MAY or -
    text: str
    left_out: str = ""
    deviates: str = ""
    tests: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.tests and not self.deviates:
            return "done"
        if self.left_out:
            return "left out"
        return "deviates" if self.deviates else "open"


# -- the data -------------------------------------------------------------------------------


def read_data(folder: Path = DATA) -> tuple[dict[str, Requirement], set[str]]:
    """The requirements by id, in their order; and the MUSTs that are known to be open."""
    rows: dict[str, Requirement] = {}
    opened: set[str] = set()
    for path in sorted(folder.glob("*.toml"), key=lambda path: (path.stem != OWN, path.stem)):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        own = list(_rows(path.stem, data))
        for row in own:
            if row.id in rows:
                raise DataError(f"{path.name}: {row.id} twice")
            rows[row.id] = row
        _reasons(path.name, data, {row.id: row for row in own})
        opened |= set(data.get("open", []))
    if unknown := opened - set(rows):
        raise DataError(f"open: no such requirement: {', '.join(sorted(unknown))}")
    return rows, opened


def _rows(stem: str, data: dict[str, Any]) -> Iterator[Requirement]:
    for name, (section, text) in data.get("requirements", {}).items():
        yield Requirement(name, "RFC 9293", section, LEVELS[name.partition("-")[0]], text)
    for chapter, points in data.items():
        if chapter not in OWN_TABLES:
            for section, (level, text) in points.items():
                name = chapter if section == "-" else f"{chapter} {section}"
                yield Requirement(name, chapter, section, level, text)


def _reasons(name: str, data: dict[str, Any], rows: dict[str, Requirement]) -> None:
    allowed = set(data.get("may_be_left_out", []))
    for id, reason in data.get("left_out", {}).items():
        if id not in rows:
            raise DataError(f"{name}: left_out: no such requirement: {id}")
        if id not in allowed:
            raise DataError(f"{name}: {id} applies, it cannot be left out")
        rows[id].left_out = reason
    for id, reason in data.get("deviates", {}).items():
        if id not in rows:
            raise DataError(f"{name}: deviates: no such requirement: {id}")
        if rows[id].level == "MUST":
            raise DataError(f"{name}: {id} is a MUST: done or open, nothing else")
        rows[id].deviates = reason


# -- the record -----------------------------------------------------------------------------


def missing_stages(folder: Path = REPORTS) -> list[str]:
    """The stages that have left no report."""
    return [stage for stage in STAGES if not (folder / f"{stage}.xml").exists()]


def read_record(folder: Path = REPORTS) -> tuple[dict[str, set[str]], list[str]]:
    """Test -> the ids that it pins, for those that passed wherever they ran; and the stages that
    left no report."""
    pins: dict[str, set[str]] = defaultdict(set)
    failed: set[str] = set()
    missing = missing_stages(folder)
    for stage in STAGES:
        if stage in missing:
            continue
        for case in ET.parse(folder / f"{stage}.xml").getroot().iter("testcase"):
            given = [(p.get("name"), p.get("value") or "") for p in case.iter("property")]
            test = next((value for name, value in given if name == "test"), "")
            if case.find("failure") is not None or case.find("error") is not None:
                failed.add(test)
            elif test and case.find("skipped") is None:
                pins[test] |= {value for name, value in given if name == "requirement"}
    return {test: ids for test, ids in pins.items() if test not in failed}, missing


def resolve(id: str, rows: dict[str, Requirement]) -> str | None:
    """The row that a mark names, or the nearest one above it; None where there is none."""
    id = NUMBERED.sub("", id)
    while id not in rows:
        above = re.sub(r"[. ][^. ]*$", "", id)
        if above == id or not re.search(r"\d$|^RFC \d+ .*", above):
            return None
        id = above
    return id


def join(rows: dict[str, Requirement], pins: dict[str, set[str]]) -> None:
    """Give each requirement its tests."""
    unknown = []
    for test, ids in sorted(pins.items()):
        for found in sorted({resolve(id, rows) or id for id in ids}):
            if found in rows:
                rows[found].tests.append(test)
            else:
                unknown.append(f"{test}: {found!r} is no requirement: see tools/requirements")
    if unknown:
        raise DataError("\n".join(unknown))


def verify_open(rows: dict[str, Requirement], opened: set[str]) -> None:
    """The MUSTs that are open are exactly those that the data admits."""
    found = {row.id for row in rows.values() if row.level == "MUST" and row.state == "open"}
    texts = []
    if found - opened:
        texts.append(f"no test pins: {', '.join(_in_order(rows, found - opened))}")
    if opened - found:
        done = ", ".join(_in_order(rows, opened - found))
        texts.append(f"no longer open, take it off the list in tools/requirements: {done}")
    if texts:
        raise DataError("\n".join(texts))


def _in_order(rows: dict[str, Requirement], ids: set[str]) -> list[str]:
    return [id for id in rows if id in ids]


# -- the page -------------------------------------------------------------------------------

HEAD = """\
# Conformance

Written by `./dev conformance` from `tools/requirements` and the report of `./dev test`.
A requirement is *done* when a test marked with its id ran and passed, *open* when none did. What is
*left out* or *deviates* says why; a MUST that applies is done or open. The tests run compiled and
on the plain sources, those of devices and other programs end to end.
"""


def page(rows: dict[str, Requirement]) -> str:
    """The whole page."""
    lines = [HEAD]
    numbered = [row for row in rows.values() if row.id.startswith(tuple(LEVELS))]
    others = [row for row in rows.values() if row not in numbered]
    lines += [
        "| | done | open | deviates | left out | all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for level in ("MUST", "SHOULD", "MAY"):
        lines.append(_counts(f"RFC 9293 {level}", [r for r in numbered if r.level == level]))
    lines.append(_counts("points of other RFCs", others))
    musts = [row.id for row in rows.values() if row.level == "MUST" and row.state == "open"]
    lines += ["", f"Open MUSTs: {', '.join(musts) if musts else 'none'}.", ""]
    lines += ["## RFC 9293", "", *_table(numbered, numbered=True)]
    chapter = ""
    for row in others:
        if row.chapter != chapter:
            chapter = row.chapter
            own = [other for other in others if other.chapter == chapter]
            lines += ["", f"## {chapter}" + (", other sections" if chapter == "RFC 9293" else "")]
            lines += ["", *_table(own, numbered=False)]
    return "\n".join(lines) + "\n"


def _counts(title: str, rows: list[Requirement]) -> str:
    states = [sum(row.state == s for row in rows) for s in ("done", "open", "deviates", "left out")]
    return f"| {title} | {' | '.join(map(str, states))} | {len(rows)} |"


def _table(rows: list[Requirement], numbered: bool) -> list[str]:
    first = "id | section" if numbered else "section | level"
    lines = [f"| {first} | requirement | state | pinned by |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        key = f"{row.id} | {row.section}" if numbered else f"{row.section} | {row.level}"
        why = row.deviates or (row.left_out if row.state == "left out" else "")
        state = f"{row.state}: {why}" if why else row.state
        lines.append(f"| {key} | {row.text} | {state} | {_tests(row.tests)} |")
    return lines


def _tests(tests: list[str]) -> str:
    """`file`: names; file after file."""
    files: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        path, _, name = test.partition("::")
        files[path].append(name.removeprefix("test_").replace("_", " "))
    return "<br>".join(
        f"[{path.removeprefix('tests/')}](../{path}): {'; '.join(names)}"
        for path, names in files.items()
    )


def build() -> tuple[str, list[str]]:
    """The page as it should be, and the stages whose report is missing."""
    rows, opened = read_data()
    pins, missing = read_record()
    join(rows, pins)
    verify_open(rows, opened)
    return page(rows), missing


def main(arguments: list[str]) -> int:
    """Write the page, or check it; 0 when all is well."""
    try:
        text, missing = build()
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    if missing:
        print(f"no report of {', '.join(missing)}: run ./dev test {' '.join(missing)}")
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if missing:
        return 1
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/conformance.md is not what would be written: ./dev conformance")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
