"""uvicorn's own tests pass on our loop: see `tests/aio/uvicorn_suite.py`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.netns import ROOT

pytestmark = pytest.mark.e2e

CANNOT_BE_FETCHED = 3


def run(*words: str, seconds: int) -> str:
    for library in ("uvicorn", "httpx2", "hatchling"):
        pytest.importorskip(library)
    done = subprocess.run(
        [sys.executable, "-m", "tests.aio.uvicorn_suite", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode == CANNOT_BE_FETCHED:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done.stdout


def test_servers_tls_and_websockets() -> None:
    words = "test_server.py or test_main.py or test_ssl.py or "
    words += "(test_websocket.py and sansio-httptools)"
    assert " 0 complaints" in run("-k", words, seconds=58)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_all_of_them(loop: str) -> None:
    assert " 0 complaints" in run(*(["--uvloop"] if loop == "uvloop" else []), seconds=590)
