"""What keeps cores awake: it is of the idle class, counted nowhere, and gone afterwards."""

from __future__ import annotations

import os
import time

import pytest

from bench import awake, machine


def test_a_spinner_runs_in_the_idle_class_on_its_core_and_goes() -> None:
    with awake.awake([0]):
        (pid,) = awake.pids
        until = time.monotonic() + 20
        while os.sched_getscheduler(pid) != os.SCHED_IDLE or os.getpriority(0, pid) != 19:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert os.sched_getaffinity(pid) == {0}
    assert not awake.pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_its_time_is_neither_busy_nor_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = {"user": 1.0, "nice": 7.0, "system": 2.0, "idle": 5.0, "softirq": 0.5}
    readings = iter(
        [dict.fromkeys(machine._FIELDS, 0.0), {**dict.fromkeys(machine._FIELDS, 0.0), **spent}]
    )
    monkeypatch.setattr(machine, "core_times", lambda: [next(readings)])
    times = iter([{1: 0.0, 2: 0.0, 3: 0.0}, {1: 1.0, 2: 7.0, 3: 0.25}])
    monkeypatch.setattr(machine, "process_times", lambda: next(times))
    monkeypatch.setattr(awake, "pids", {2})
    use = machine.Watch([0]).stop([1])
    assert use.cores[0].busy == 3.5
    assert use.foreign == 0.25
