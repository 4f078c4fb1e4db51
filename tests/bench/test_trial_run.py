"""A trial runs from end to end, on Corten and on the kernel: servers, wires, clients, figures.

How large the figures are is the bench's business; here they are there, and nothing went wrong.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.machine import missing
from bench.namespace import cubic_allowed
from bench.scenario import lay_out
from bench.server import Setting
from bench.trials import TRIALS
from tests.netns import namespace

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="the bench takes root"),
]


@pytest.mark.parametrize(
    ("name", "contender"),
    [
        ("connections", "corten"),
        ("bulk", "corten"),
        ("bulk-aio", "corten-streams"),
        ("start", "kernel"),
    ],
)
def test_a_trial_finds_its_figures(name: str, contender: str, tmp_path: Path) -> None:
    if line := missing(["ip", "taskset", "unshare"]):
        pytest.skip(line)
    with namespace("probe"):
        pass  # skipped where there can be none
    trial = TRIALS[name]
    tmp_path.chmod(0o755)
    setting = Setting(lay_out(name, trial.files, str(tmp_path)), str(tmp_path), (0, 1))
    with cubic_allowed():
        found = trial.run(contender, setting, 0.2)
    assert set(trial.columns) <= set(found.figures)
    assert found.failed == 0
    positive = ["import_ms", "cold_ms", "again_ms"] if name == "start" else trial.judged
    assert all(found.figures[each] > 0 for each in positive)
    assert len(found.use.cores) == 2
