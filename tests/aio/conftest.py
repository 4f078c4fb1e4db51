"""Every test of a loop runs on asyncio's and on uvloop's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


@pytest.fixture(params=["asyncio", "uvloop"])
def factory(request: pytest.FixtureRequest) -> Any:
    """What makes the loop."""
    if request.param == "asyncio":
        return asyncio.SelectorEventLoop
    return pytest.importorskip("uvloop").Loop
