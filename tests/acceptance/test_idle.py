"""Many idle connections: what each costs, and that serving goes on beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import idle
from bench.machine import missing
from tests.netns import namespace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
OTHERS_MIN = 1000  # requests a second beside the idle ones


@pytest.mark.parametrize(
    "count",
    [5_000, pytest.param(100_000, marks=[pytest.mark.soak, pytest.mark.timeout(300)])],
)
def test_idle_connections(tmp_path: Path, count: int) -> None:
    if line := missing(["wrk", "curl"]):
        pytest.skip(line)
    with namespace("probe"):
        pass  # skipped where there can be none
    found = idle.measure_one((0, 1), str(tmp_path), count, asks_again=False)
    print(found)
    assert "failure" not in found, found["failure"]
    assert found["octets_each"] <= idle.PER_CONNECTION_MAX
    assert not any(found["side_errors"].values())
    assert found["side_rate"] >= OTHERS_MIN
    assert f'"standing": {count}' in found["holder"]
