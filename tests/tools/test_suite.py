"""How ./dev test counts and selects, and what a skip is worth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.conftest import ROOT
from tools import environment, suite
from tools.suite import STAGES, Counts, Failure, Skip, Suite, read_junit

REPORT = """<testsuites><testsuite>
<testcase name="a"/>
<testcase name="b"><failure/></testcase>
<testcase name="c"><error/></testcase>
<testcase name="d"><skipped type="pytest.skip"/></testcase>
<testcase name="e"><skipped type="pytest.xfail"/></testcase>
</testsuite></testsuites>"""


def test_counts() -> None:
    assert str(read_junit(REPORT)) == "2 passed, 2 failed, 1 skipped"


def test_every_stage_runs_and_the_failed_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(run: Suite) -> str:
        run.counts.add(Counts(1, 2, 3))
        raise Failure("broken")

    def skip(run: Suite) -> str:
        raise Skip("not here")

    monkeypatch.setitem(STAGES, "lint", fail)
    monkeypatch.setitem(STAGES, "other", skip)
    monkeypatch.setitem(STAGES, "sim", lambda run: "fine")
    assert Suite(sys.executable, []).run(["lint", "other", "sim"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[-6:-3]] == [
        ["lint", "failed"],
        ["other", "skipped"],
        ["sim", "ok"],
    ]
    assert lines[-2:] == ["failed stages: lint", "1 passed, 2 failed, 3 skipped"]


def test_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], list[str]]] = []

    def run(self: Suite, stages: list[str]) -> int:
        seen.append((self.arguments, stages))
        return 0

    monkeypatch.setattr(Suite, "run", run)
    monkeypatch.setattr(environment, "ensure", lambda python: python.path)
    assert suite.main(["plain", "unit", "-k", "wheel"]) == 0
    assert seen == [(["-k", "wheel"], ["unit", "plain"])]


def test_a_broken_shim_is_no_python(tmp_path: Path) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert environment.probe(str(shim)) is None
    assert environment.probe(str(tmp_path / "absent")) is None
    found = environment.probe(sys.executable)
    assert found is not None
    assert found.version == sys.version_info[:2]


@pytest.mark.parametrize(("setting", "outcome"), [("", "2 skipped"), ("1", "1 failed, 1 error")])
def test_a_skip_fails_where_all_is_required(tmp_path: Path, setting: str, outcome: str) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\ndef test_a():\n    pytest.skip('no nginx')\n"
        "@pytest.mark.skip(reason='no nginx')\ndef test_b(): ...\n",
        encoding="utf-8",
    )
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"))
    settings = {**os.environ, "CORTEN_REQUIRE_ALL": setting, "PYTHONPATH": str(ROOT)}
    settings.pop("CORTEN_PURE", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-rfE"],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert ("no nginx" in done.stdout) == bool(setting)


def test_each_package_is_named_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may need several; a package's name has no space in it."""
    monkeypatch.setattr("tools.environment.shutil.which", lambda name: None)
    missing = environment.missing_programs()
    assert missing["dpdk-testpmd"] == ["dpdk-dev", "librte-net-memif23"]
    assert not any(" " in package for packages in missing.values() for package in packages)


def test_the_commands_start_where_nothing_is_compiled_or_installed() -> None:
    """A fresh clone has neither: what `./dev` imports is the standard library and tools/."""
    code = (
        "import sys; sys.path.insert(0, '.'); sys.modules['corten'] = None; import tools.command; "
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in ('bench', 'corten') "
        "and sys.modules[m]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
