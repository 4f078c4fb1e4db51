"""What the bench makes of its runs: which count, medians, ratios of pairs."""

from __future__ import annotations

import pytest

from bench.client import Load, Result
from bench.machine import CoreUse, Use
from bench.record import Record
from bench.report import scenario_table, table
from bench.scenario import Scenario
from bench.summary import Summary, ratio_of


def run(server: str, round_: int, rate: float, steal: float = 0.0, foreign: float = 0.0) -> Record:
    """A run of one second at `rate`, the server's core half busy."""
    cores = [CoreUse(0.5, steal, 0.1, 0.2, 0.2), CoreUse(1.0, 0.0, 0.0, 0.5, 0.5)]
    result = Result(
        requests=int(rate),
        octets=int(rate) * 125,
        seconds=1.0,
        p50_us=1000,
        p90_us=2000,
        p99_us=3000,
        p999_us=4000,
        max_us=5000,
        errors={"read": 0},
        use=Use(1.0, cores, foreign),
    )
    return Record("small", server, round_, 0, result)


def test_a_run_that_the_machine_disturbed_is_void() -> None:
    assert run("a", 0, 100).void is None
    assert run("a", 0, 100, steal=0.029, foreign=0.029).void is None
    assert run("a", 0, 100, steal=0.04).void == "steal 4.0%"
    assert run("a", 0, 100, foreign=0.05).void == "other processes 5.0%"
    assert Record("small", "a", 0, 0, None, "no wrk").void == "no wrk"


def test_figures_are_raw_and_per_busy_second() -> None:
    figures = run("a", 0, 1000).figures()
    assert figures["rate"] == 1000
    assert figures["per_busy"] == 2000
    assert figures["gigabits"] == pytest.approx(0.001)
    assert (figures["server_us"], figures["client_us"]) == (500, 1000)


def test_only_pairs_of_one_round_make_a_ratio_and_void_runs_none() -> None:
    records = [run("corten-tap", r, 200 + r) for r in range(4)]
    records += [run("nginx", r, 100) for r in range(3)]
    records.append(run("nginx", 3, 1, steal=0.5))
    summary = Summary("small", ["corten-tap", "nginx"], records)
    ratio = summary.ratio("corten-tap", "nginx", "rate")
    assert ratio is not None
    assert (ratio.pairs, ratio.median) == (3, 2.01)
    assert summary.void_count("nginx") == 1
    assert summary.median("nginx", "rate") == 100
    assert summary.as_json()["corten-tap"]["ratios"]["nginx"]["rate"]["pairs"] == 3


def test_the_interval_is_the_same_for_the_same_runs_and_holds_the_median() -> None:
    pairs = [(100.0 + 7 * (i % 5), 50.0 + i) for i in range(12)]
    first, second = ratio_of(pairs), ratio_of(pairs)
    assert first == second
    assert first is not None
    assert first.low <= first.median <= first.high
    assert not first.text().endswith("?")
    few = ratio_of(pairs[:3])
    assert few is not None
    assert few.text().endswith("?")
    assert ratio_of([]) is None


def test_the_table_says_what_failed() -> None:
    scenario = Scenario("small", "a title", ["corten-tap", "nginx"], Load(1), {})
    records = [run("nginx", 0, 100), Record("small", "corten-tap", 0, 0, None, "does not start")]
    text = scenario_table(scenario, Summary("small", scenario.servers, records))
    assert "* corten-tap: does not start" in text
    assert "| nginx " in text


def test_a_table_stands_in_columns() -> None:
    lines = table([["a", "bb"], ["ccc", "1"]]).splitlines()
    assert lines == ["| a   | bb |", "|-----|----|", "| ccc |  1 |"]
