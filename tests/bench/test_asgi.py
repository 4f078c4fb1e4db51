"""The ASGI scenarios: their servers answer what is compared, and the table tells shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.client import Result
from bench.machine import CoreUse, Use, missing
from bench.namespace import cubic_allowed
from bench.record import Record
from bench.report import scenario_table
from bench.scenario import scenarios
from bench.server import Setting
from bench.servers import SERVERS
from bench.summary import Summary
from tests.netns import namespace


def run(server: str, rate: int, latency_us: int) -> Record:
    use = Use(1.0, [CoreUse(1.0, 0, 0, 0, 0), CoreUse(0.5, 0, 0, 0, 0)], 0.0)
    found = Result(rate, 0, 1.0, *[latency_us] * 5, errors={}, use=use)
    return Record("asgi-plain", server, 0, 0, found)


def test_the_table_tells_the_share_of_the_ceiling() -> None:
    scenario = scenarios()["asgi-plain"]
    records = [run("asgi-tap", 80, 5), run("uvicorn", 40, 9), run("asgi-null", 100, 0)]
    lines = scenario_table(scenario, Summary("asgi-plain", scenario.servers, records)).splitlines()
    head, tap, null = lines[2], lines[4], lines[6]
    cells = dict(zip(head.split("|"), tap.split("|"), strict=True))
    shares = {name.strip(): cell.strip() for name, cell in cells.items() if "asgi-null" in name}
    assert list(shares.values()) == ["0.80 [0.80, 0.80]?"] * 2
    assert "2.00 [2.00, 2.00]?" in tap
    assert " - |" in null  # nobody waited for it, so there is no latency


def test_the_wire_bounds_what_can_be_reached_of_the_ceiling() -> None:
    scenario = scenarios()["asgi-plain"]
    records = [run("asgi-tap", 60, 5), run("asgi-null", 100, 0)]
    text = scenario_table(scenario, Summary("asgi-plain", scenario.servers, records))
    assert "* " not in text  # the wire was not measured
    records.append(run("ceiling", 400, 1))
    text = scenario_table(scenario, Summary("asgi-plain", scenario.servers, records))
    assert "80% of asgi-null is the most there can be, and 75% of that is reached" in text


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the bench takes root")
@pytest.mark.parametrize("server", ["asgi-tap", "uvicorn", "asgi-null"])
@pytest.mark.parametrize("name", ["asgi-plain", "asgi-fastapi-apart"])
def test_every_server_answers_the_same(name: str, server: str, tmp_path: Path) -> None:
    if line := missing(["ip", "taskset", "unshare", "curl", "wrk"]):
        pytest.skip(line)
    pytest.importorskip("uvloop")
    with namespace("probe"):
        pass  # skipped where there can be none
    tmp_path.chmod(0o755)
    scenario = scenarios()[name]
    setting = Setting(str(tmp_path), str(tmp_path), (0, 1))
    setting.application, setting.connections = scenario.application, 10
    setting.apart = scenario.apart
    with cubic_allowed(), SERVERS[server](setting) as running:
        assert running.fetch("") == scenario.files["index.html"]
        scenario.load.connections = 10
        found = running.drive(scenario.load, 1)
    assert found.requests > 0
    assert found.failed == 0
