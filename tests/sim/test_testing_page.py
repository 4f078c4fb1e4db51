"""The examples of docs/testing.md are tests, and run as the page shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"

BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_each_example_is_found() -> None:
    assert len(BLOCKS) == 5


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_it_runs_as_the_page_shows_it(
    number: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = BLOCKS[number]
    pytester.makepyfile(block)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    done = pytester.runpytest_subprocess("-p", "corten.sim.pytest_plugin")
    done.assert_outcomes(passed=len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)))
