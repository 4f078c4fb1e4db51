"""The command: what it prints, its exit codes, expect files, and leniency found by itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corten.drill.command_line import plan_of
from corten.drill.expect import find, parse_entries
from corten.drill.known import KNOWN
from corten.drill.outcome import Plan
from corten.drill.report import lines_of, run, scripts_in
from corten.endpoint.error import CortenError
from tests.cli.command import corten
from tests.drill.script import SERVER, drill

WRONG = SERVER.replace("ack 1 <mss 1460>", "ack 2 <mss 1460>")
ENTRY = "*.pkt | ack 1 instead of * | RFC 9293 3.10.7.2 | for the sake of a test"


def plan(**options: object) -> Plan:
    given: dict[str, object] = {
        "exact": True, "options": "exact", "win": "exact", "psh": "exact", "delack": None,
        "cc": None, "iw": None, "rto_min": None, "expect_file": None, "ip_version": "ipv4",
        "mtu": 1500, "define": (),
    }  # fmt: skip
    return plan_of(**{**given, **options})  # type: ignore[arg-type]


def test_the_command_by_exit_code(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pkt", tmp_path / "bad.pkt"
    good.write_text(SERVER)
    bad.write_text(WRONG)
    done = corten("drill", good)
    assert done.returncode == 0
    assert "1 pass, 0 lenient" in done.stdout
    done = corten("drill", "--json", tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["counts"]["fail"] == found["counts"]["pass"] == 1
    failed = next(item for item in found["files"] if item["result"] == "fail")
    assert failed["line"] == 6
    assert failed["trace"]
    assert corten("drill", tmp_path / "missing.pkt").returncode == 2
    assert corten("drill", "--win=sometimes", good).returncode == 2


def test_a_failure_shows_its_packets() -> None:
    lines = list(lines_of(drill(WRONG)))
    assert lines[0].startswith("fail        test.pkt:6: ack 1 instead of 2")
    assert "> S. 0:0(0) ack 1 win 65535 <mss 1460>" in lines[-1]


def test_an_expect_file_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, expected = tmp_path / "a.pkt", tmp_path / "expect"
    script.write_text(WRONG)
    expected.write_text(f"# known\n\n{ENTRY}\n")
    assert run([str(script)], plan(expect_file=str(expected)), as_json=False) == 0
    assert "deviates" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["a | b | RFC 9293 3.1", "a | b | because | x", "a | | RFC 9293 3.1 | x"]
)
def test_an_entry_needs_a_clause(text: str) -> None:
    with pytest.raises(CortenError, match="f:1: "):
        parse_entries(text, "f")


def test_entries_match_by_path_and_reason() -> None:
    entries = parse_entries(ENTRY, "f")
    assert find(entries, "/x/y.pkt", "ack 1 instead of 2") is entries[0]
    assert find(entries, "/x/y.pkt", "ack 2 instead of 3") is None
    assert find(entries, "/x/y.txt", "ack 1 instead of 2") is None


def test_the_known_deviations_can_be_read() -> None:
    assert len(parse_entries(KNOWN, "known")) > 20


def test_directories_hold_scripts(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.pkt").write_text(SERVER)
    (tmp_path / "a.txt").write_text("")
    assert scripts_in([str(tmp_path)]) == [str(tmp_path / "b" / "x.pkt")]
    with pytest.raises(CortenError, match="no scripts"):
        scripts_in([str((tmp_path / "c").mkdir() or tmp_path / "c")])


@pytest.mark.parametrize("define", ["A", "=1"])
def test_a_definition_needs_both_sides(define: str) -> None:
    with pytest.raises(CortenError, match="NAME=VALUE"):
        plan(define=(define,))
