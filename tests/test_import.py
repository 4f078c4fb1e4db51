"""`import corten` is quick and brings no more than it must."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import corten
from tests.cli.command import ROOT, environment

HEAVY = ("asyncio", "click", "ctypes", "multiprocessing", "pyroute2", "rich", "socket")
LIMIT_SECONDS = 0.1


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment(),
    )
    return done.stdout


def test_nothing_heavy_is_loaded() -> None:
    code = "import sys; before = set(sys.modules); import corten; print(*set(sys.modules) - before)"
    loaded = {name.partition(".")[0] for name in run(code).split()}
    assert loaded.isdisjoint(HEAVY)


def test_a_worker_loads_neither_click_nor_pyroute2() -> None:
    code = "import sys, corten.worker.worker, corten.kernel.worker; print(*sys.modules)"
    assert {"click", "pyroute2", "rich", "asyncio"}.isdisjoint(run(code).split())


def test_it_is_quick() -> None:
    """Of several tries the best: others share this machine."""
    code = (
        "import time; start = time.perf_counter(); import corten; "
        "print(time.perf_counter() - start)"
    )
    best = float("inf")
    for _ in range(20):
        best = min(best, float(run(code)))
        if best < LIMIT_SECONDS:
            return
        time.sleep(0.1)
    raise AssertionError(f"import corten takes {best:.3f} s")


def test_everything_promised_is_there() -> None:
    for name in corten.__all__:
        assert getattr(corten, name) is not None
    assert isinstance(corten.Stack, type)
    assert callable(corten.serve)
    assert issubclass(corten.ConnectionClosed, corten.CortenError)


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Socket'"):
        _ = corten.Socket
