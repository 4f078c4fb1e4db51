"""CPython's own tests of streams, servers and TLS pass on our loop: see `tests/aio/cpython.py`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.netns import ROOT, namespace

pytestmark = pytest.mark.e2e


def run(*words: str, seconds: int) -> str:
    if importlib.util.find_spec("test.test_asyncio") is None:
        pytest.skip("CPython's tests are missing: apt install libpython3-testsuite")
    with namespace("cpython"):  # or it is skipped here
        done = subprocess.run(
            [sys.executable, "-m", "tests.aio.cpython", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_server_and_tls() -> None:
    said = run("SelectorStartServer", "BufferedProtocolSelector", "SelectorStartTLS", seconds=55)
    assert " 0 unexpected" in said


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_all_of_them() -> None:
    assert " 0 unexpected" in run(seconds=390)
