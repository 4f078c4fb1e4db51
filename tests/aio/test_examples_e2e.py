"""The examples of asyncio programs, run as their first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.aio.program import LINK
from tests.aio.test_asgi_e2e import run, served
from tests.netns import ROOT, namespace

pytestmark = pytest.mark.e2e


def test_aiohttp_on_both_ends(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "aiohttp_both.py")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *said, packets = done.stdout.splitlines()
    assert said == [
        "200 {'hello': 'Ada', 'you': '10.7.0.2'}",
        "WebSocket: ADA ASKS",
        "200 {'hello': 'Grace', 'you': '10.7.0.2'}",
        "WebSocket: GRACE ASKS",
    ]
    assert int(packets.split()[0]) > 10


def test_fastapi_by_corten_asgi() -> None:
    pytest.importorskip("fastapi")
    words = ["corten", "asgi", "fastapi_app:app", "--app-dir", "examples", "--link", LINK]
    words += ["--workers", "2", "--control", "none", "--port", "80"]
    with namespace("fastapi") as space, served(space, words, "ready:"):
        said = run(space, "curl", "-sf", "http://10.0.2.2/hello/Ada")
        assert said == '{"hello":"Ada","you":"10.0.2.1"}'


def test_fastapi_in_a_program_of_its_own() -> None:
    pytest.importorskip("fastapi")
    with namespace("fastapi") as space, served(space, ["examples.fastapi_app", LINK], ""):
        retry = ["--retry", "20", "--retry-delay", "1", "--retry-all-errors"]
        said = run(space, "curl", "-sf", *retry, "http://10.0.2.2/hello/Ada")
        assert said == '{"hello":"Ada","you":"10.0.2.1"}'
        assert '"ticks":' in run(space, "curl", "-sf", "http://10.0.2.2/uptime")
