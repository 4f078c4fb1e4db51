"""The example of aiohttp in a simulated network: the same seed, the same figures."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import ROOT, environment


def run(*words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "aiohttp_pair.py"), *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_says_what_each_page_took_and_says_it_again() -> None:
    pytest.importorskip("aiohttp")
    *pages, truth = run("7")
    assert [line.partition(":")[0] for line in pages] == [f"page {n}" for n in range(1, 6)]
    assert all(float(line.split()[2]) > 0.6 for line in pages), "two round trips at the least"
    assert truth.startswith("in truth: ")
    assert run("7")[:-1] == pages
