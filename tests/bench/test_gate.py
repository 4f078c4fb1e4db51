"""The gate on instructions: what it reads, what it lets pass, and when it compares nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import gate
from bench.path import SCENARIOS

PART = """\
events: Ir
fl=(1) x.c
fn=(1) __pyx_f_6corten_6worker_6breath_6Breath_breathe
10 100
cfn=(2) __pyx_f_6corten_6driver_4pipe_4Pipe_receive
calls=3 20
11 500
cfn=(3) __pyx_f_6corten_5stack_5stack_5Stack_receive
calls=3 30
12 900
fn=(2)
20 500
fn=(3)
30 850
cfn=(2)
calls=1 20
31 50
totals: 1500
"""


def test_a_part_is_read_without_the_pipe() -> None:
    assert gate.without_pipe(PART) == 1500 - 550
    assert gate.without_pipe("events: Ir\ntotals: 7\n") == 7


def test_the_cost_of_one_is_the_difference_of_two_plays() -> None:
    parts = []
    for scenario in SCENARIOS:
        requests = gate.REQUESTS.get(scenario, 320)
        parts += [999, 5000 + 70 * requests, 5000 + 3 * 70 * requests]
    assert gate.divided([*parts, 0]) == dict.fromkeys(SCENARIOS, 70.0)


def test_three_percent_pass_and_more_does_not() -> None:
    lines, grown = gate.compare({"a": 1030.0, "b": 1031.0, "c": 5.0}, {"a": 1000.0, "b": 1000.0})
    assert grown == ["b +3.1%"]
    assert len(lines) == 3
    assert "none kept" in lines[2]


def test_figures_of_another_compiler_are_not_compared_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gate, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(gate, "toolchain", lambda: "gcc 14.2, CPython 3.13, x86_64")
    assert "of nobody: nothing was compared" in (gate.obstacle() or "")
    gate.KEPT.write_text(json.dumps({"gcc 12.2.0, CPython 3.11, x86_64": {"small": 1}}))
    said = gate.obstacle() or ""
    assert said.startswith("built by gcc 14.2, CPython 3.13, x86_64")
    assert "are of gcc 12.2.0, CPython 3.11, x86_64: nothing was compared" in said
    gate.KEPT.write_text(json.dumps({"gcc 14.2, CPython 3.13, x86_64": {"small": 1}}))
    assert gate.obstacle() is None


def test_the_figures_kept_are_of_every_scenario_and_name_their_compiler() -> None:
    for name, figures in gate.kept().items():
        assert set(figures) == set(SCENARIOS)
        compiler, python, machine = name.split(", ")
        assert compiler.split()[0] in ("gcc", "clang")
        assert python.startswith("CPython 3.")
        assert machine
