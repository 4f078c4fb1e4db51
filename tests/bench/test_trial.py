"""Trials: which runs count, and what the table says of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.machine import CoreUse, Use
from bench.scenario import GROUPS, scenarios
from bench.segments import stream
from bench.summary import Summary
from bench.trial import Measured, Trial, TrialRecord, trial_table
from bench.trials import TRIALS

TRIAL = Trial(
    "sample",
    "a title",
    ["corten", "kernel"],
    lambda *_: measured(0.0),
    {"p50_us": ("p50", "{:.1f}", 1.0)},
    ["p50_us"],
)


def measured(value: float, late: float = 0.0, steal: float = 0.0) -> Measured:
    use = Use(2.0, [CoreUse(1.0, steal, 0, 0, 0), CoreUse(2.0, 0, 0, 0, 0)], 0.0)
    return Measured.of({"p50_us": value}, use, late)


def record(server: str, round_: int, found: Measured | None, failure: str = "") -> TrialRecord:
    return TrialRecord("sample", server, round_, 0, found, failure)


def test_both_cores_stand_beside_each_figure() -> None:
    figures = measured(5.0).figures
    assert figures == {"p50_us": 5.0, "server_busy": 0.5, "client_busy": 1.0}
    told = record("corten", 0, measured(5.0)).as_json()
    assert (told["p50_us"], told["steal"], told["late_share"], told["void"]) == (5.0, 0, 0, None)


def test_a_client_that_was_late_itself_makes_a_run_void_and_so_does_steal() -> None:
    assert record("corten", 0, measured(1.0, late=0.01)).void is None
    assert record("corten", 0, measured(1.0, late=0.02)).void == "the client was late itself: 2.0%"
    assert record("corten", 0, measured(1.0, steal=0.2)).void == "steal 10.0%"
    assert record("corten", 0, None, "wrong octets").as_json()["failure"] == "wrong octets"


def test_the_table_has_medians_ratios_and_what_failed() -> None:
    records = [record("corten", r, measured(10.0 + r)) for r in range(3)]
    records += [record("kernel", r, measured(20.0 + 2 * r)) for r in range(3)]
    summary = Summary("sample", TRIAL.servers, list(records), TRIAL.judged)
    lines = trial_table(TRIAL, summary).splitlines()
    assert lines[0] == "### sample: a title"
    assert "11.0" in lines[4]
    assert "0.50 [0.50, 0.50]?" in lines[4]
    assert summary.as_json()["corten"]["ratios"]["kernel"]["p50_us"]["median"] == 0.5
    failed = [record("kernel", 0, None, "does not start")]
    assert "* kernel: does not start" in trial_table(TRIAL, Summary("sample", ["kernel"], failed))


def test_every_name_of_a_group_is_a_scenario_or_a_trial() -> None:
    known = {**scenarios(), **TRIALS}
    assert not set(scenarios()) & set(TRIALS)
    for names in GROUPS.values():
        assert set(names) <= set(known)
    for trial in TRIALS.values():
        assert set(trial.judged) <= set(trial.columns)


@pytest.mark.parametrize("scenario", ["small", "segment"])
def test_a_scenario_is_played_by_name_as_callgrind_does(scenario: str) -> None:
    words = [sys.executable, "-m", "bench.path", scenario, "64"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.split()[0] == "64"


@pytest.mark.parametrize("kind", ["segment", "ack", "drop", "disorder"])
def test_segments_end_as_they_should(kind: str) -> None:
    count, spent = stream(kind, 320)
    assert count == 320
    assert spent > 0
