"""What `./dev test` runs: stages, each timed, with one table and one line of counts at the end.

    ./dev test                       every stage
    ./dev test unit plain -k wheel   two stages; the rest goes to pytest
    ./dev test --install             also install the programs the tests call (Debian, root)

Rules. A stage stops at its first failure, the others go on, and all that failed are listed. What
needs the compiled modules gets them. Every skip is counted: a stage that cannot run says why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools import conformance, debian, environment
from tools.environment import ROOT, Missing, Python

SANS_IO = ("core", "wire", "endpoint", "ip", "tcp", "stack")  # what must run plain, and be covered
COVERED_PERCENT = 95
OTHER_PYTHONS = ("python3.14", "python3.13", "python3.12")
UNIT = "not e2e and not sim and not soak"
NO_TESTS = 5  # pytest's exit status
ABSENT, UNCOMPARED = 2, 3  # bench.gate's: a program is missing, nothing kept is of this compiler
NO_COVER = re.compile(r"#\s*pragma: no cover(.*)")


class Skip(Exception):
    """The stage cannot run here. The text says why."""


@dataclass
class Counts:
    """Outcomes of tests, summed over pytest runs."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


@dataclass
class Result:
    """How one stage went."""

    name: str
    outcome: str  # ok, failed, skipped
    seconds: float
    note: str


@dataclass
class Suite:
    """One run of ./dev test."""

    python: str
    arguments: list[str]  # for pytest
    counts: Counts = field(default_factory=Counts)
    results: list[Result] = field(default_factory=list)
    built: bool | None = None  # None: not tried yet

    # -- running ------------------------------------------------------------------------------

    def call(self, *arguments: str, python: str = "", **settings: str) -> bool:
        """Run a Python of ours in the project's root; whether it succeeded."""
        return self.status(*arguments, python=python, **settings) == 0

    def status(self, *arguments: str, python: str = "", **settings: str) -> int:
        """The same, and what it exited with."""
        command = [python or self.python, *arguments]
        known = {**os.environ, **settings}
        return subprocess.call(command, cwd=ROOT, env=known, stdin=subprocess.DEVNULL)

    def pytest(self, stage: str, *options: str, python: str = "", **settings: str) -> str:
        """Run pytest and count; the note for the table. Raises Failure through `require`."""
        part = "-part" if self.arguments else ""  # what ran in part is no record of the stage
        report = ROOT / "build" / "junit" / f"{stage}{part}.xml"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        command = [python or self.python, "-m"]
        command += ["coverage", "run", "-m"] if stage == "plain" else []
        command += ["pytest", "-q", f"--junitxml={report}", *options, *self.arguments]
        known = {**os.environ, **settings}
        status = subprocess.call(command, cwd=ROOT, env=known, stdin=subprocess.DEVNULL)
        counts = read_junit(report.read_text(encoding="utf-8")) if report.exists() else Counts()
        self.counts.add(counts)
        if status == NO_TESTS and self.arguments:
            return "nothing selected"
        require(status != NO_TESTS, "no test was found")
        require(status == 0, str(counts))
        return str(counts)

    def build(self) -> None:
        """Compile once a run; every stage that needs it asks."""
        if self.built is None:
            self.built = self.call("setup.py", "-q", "build_ext", "--inplace")
        require(self.built, "the build failed")

    # -- the stages ---------------------------------------------------------------------------

    def floors(self) -> str:
        require(self.call("-m", "tools.floors"), "imports or sizes")
        return ""

    def format(self) -> str:
        require(self.call("-m", "ruff", "format", "--check", "--quiet", "."), "run: ./dev format")
        return ""

    def lint(self) -> str:
        require(self.call("-m", "ruff", "check", "--quiet", "."), "ruff")
        return ""

    def types(self) -> str:
        require(self.call("-m", "tools.check_types"), "mypy --strict")
        return ""

    def compile(self) -> str:
        self.build()
        return ""

    def quiet(self) -> str:
        self.build()
        require(self.call("-m", "tools.quiet"), "something fails in silence")
        return ""

    def unit(self) -> str:
        self.build()
        return self.pytest("unit", "-m", UNIT, "-n", "2")

    def plain(self) -> str:
        """The same tests on the sources, with branch coverage."""
        excluded = uncovered_lines()
        self.call("-m", "coverage", "erase")
        note = self.pytest("plain", "-m", UNIT, "-n", "2", CORTEN_PURE="1")
        if self.arguments:
            return note
        require(self.call("-m", "coverage", "combine", "--quiet"), "coverage")
        limit = f"--fail-under={COVERED_PERCENT}"
        require(self.call("-m", "coverage", "report", limit), f"under {COVERED_PERCENT} % covered")
        return f"{note}; {excluded} lines excluded"

    def other(self) -> str:
        """Compiled by the newest other CPython of the machine."""
        python = other_python()
        inside = environment.ensure(python)
        version = ".".join(map(str, python.version))
        built = self.call("setup.py", "-q", "build_ext", "--inplace", python=inside)
        require(built, f"the build with {version} failed")
        # what this Python lacks (another user may not even start it) is no gap of the project
        note = self.pytest("other", "-m", UNIT, "-n", "2", python=inside, CORTEN_REQUIRE_ALL="")
        return f"CPython {version}: {note}"

    def sim(self) -> str:
        self.build()
        return self.pytest("sim", "-m", "sim and not soak", "-n", "2")

    def e2e(self) -> str:
        self.build()
        return self.pytest("e2e", "-m", "e2e and not soak", "-p", "no:xdist")

    def instructions(self) -> str:
        """What the pure path costs, where the figures kept are of this compiler and Python."""
        self.build()
        status = self.status("-m", "bench.gate")
        if status == UNCOMPARED:
            return "nothing to compare with, see above"
        if status == ABSENT and not os.environ.get("CORTEN_REQUIRE_ALL"):
            raise Skip("see above")
        require(status == 0, "the pure path became dearer or was not counted, see above")
        return ""

    def conformance(self) -> str:
        """Whether docs/conformance.md says what the stages before have shown."""
        if self.arguments or conformance.missing_stages():
            raise Skip(f"needs the whole of: {', '.join(conformance.STAGES)}")
        require(self.call("-m", "tools.conformance", "--check"), "run: ./dev conformance")
        return ""

    def run(self, stages: list[str]) -> int:
        """Run the stages in their order; the exit status."""
        for name in stages:
            print(f"== {name}", flush=True)
            start = time.monotonic()
            try:
                outcome, note = "ok", STAGES[name](self)
            except Skip as reason:
                outcome, note = "skipped", str(reason)
            except (Failure, Missing) as failure:
                outcome, note = "failed", str(failure)
            self.results.append(Result(name, outcome, time.monotonic() - start, note))
        self.print_table()
        return 1 if any(r.outcome == "failed" for r in self.results) else 0

    def print_table(self) -> None:
        print(f"\n{'stage':12} {'result':8} {'seconds':>8}  note")
        for r in self.results:
            print(f"{r.name:12} {r.outcome:8} {r.seconds:8.1f}  {r.note}".rstrip())
        failed = [r.name for r in self.results if r.outcome == "failed"]
        print(f"\nfailed stages: {', '.join(failed)}" if failed else "\nevery stage passed")
        print(self.counts, flush=True)


class Failure(Exception):
    """A stage failed. The text is its note in the table."""


def require(condition: bool, note: str) -> None:
    if not condition:
        raise Failure(note)


STAGES: dict[str, Callable[[Suite], str]] = {
    "floors": Suite.floors,
    "format": Suite.format,
    "lint": Suite.lint,
    "types": Suite.types,
    "build": Suite.compile,
    "quiet": Suite.quiet,
    "unit": Suite.unit,
    "plain": Suite.plain,
    "other": Suite.other,
    "sim": Suite.sim,
    "instructions": Suite.instructions,
    "e2e": Suite.e2e,
    "conformance": Suite.conformance,
}


def read_junit(text: str) -> Counts:
    """The outcomes in a junit report. What is expected to fail and does has passed."""
    counts = Counts()
    for case in ET.fromstring(text).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed += 1
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def uncovered_lines() -> int:
    """How many places are excluded from coverage; each must say why."""
    count = 0
    for package in SANS_IO:
        for path in sorted((ROOT / "corten" / package).rglob("*.py")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if mark := NO_COVER.search(line):
                    count += 1
                    where = f"{path.relative_to(ROOT)}:{number}"
                    reason = mark.group(1).strip(" :-#")
                    require(bool(reason), f"{where}: `# pragma: no cover` without a reason")
    return count


def other_python() -> Python:
    """The newest CPython that is not the one running, starts, and can compile: on PATH, or where
    pyenv keeps its versions (its names on PATH start only what its settings choose)."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    broken = []
    for name in OTHER_PYTHONS:
        places = sorted(pyenv.glob(f"{name.removeprefix('python')}.*/bin/{name}"), reverse=True)
        for place in (name, *map(str, places)):
            python = environment.probe(place)
            if python is not None and python.version != sys.version_info[:2]:
                return python
        broken.append(name)
    raise Skip(f"no other CPython starts (tried {', '.join(broken)})")


def provide(asked: bool, with_programs: bool) -> None:
    """Install what the build needs and the programs the tests call, or say which are missing."""
    missing = environment.missing_for_build(environment.this_python())
    if with_programs:
        missing |= environment.missing_programs()
    if not missing:
        return
    packages = sorted({package for names in missing.values() for package in names})
    if debian.is_wanted(asked) and debian.can_install() and debian.install(packages):
        return
    print(f"not found: {', '.join(sorted(missing))}: apt-get install {' '.join(packages)}")


def main(arguments: list[str]) -> int:
    """`./dev test`: leading names of stages select them, the rest goes to pytest."""
    asked = "--install" in arguments
    arguments = [a for a in arguments if a != "--install"]
    stages: list[str] = []
    while arguments and arguments[0] in STAGES:
        stages.append(arguments.pop(0))
    provide(asked, with_programs=not stages or "e2e" in stages)
    suite = Suite(environment.ensure(environment.this_python()), arguments)
    return suite.run([name for name in STAGES if not stages or name in stages])
