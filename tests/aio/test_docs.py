"""The examples of docs/asyncio.md run as they stand there."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.aio.joined import CLIENT, Recorder, networks, run, until
from tests.netns import ROOT

TEXT = (ROOT / "docs" / "asyncio.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def names_of(example: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "docs/asyncio.md", "exec"), names)
    return names


def test_the_program() -> None:
    """Its server, at an address of the loop that the test has a stack for."""
    from corten.aio.loop import Loop

    names = names_of(EXAMPLES[0].replace("10.0.2.2", CLIENT))

    async def main() -> None:
        async with networks() as (far, near):
            loop: Any = asyncio.get_running_loop()
            loop.use(near)
            serving = asyncio.ensure_future(names["main"]())
            await asyncio.sleep(0.01)
            transport, client = await far.create_connection(Recorder, CLIENT, 7)
            transport.write(b"hello")
            await until(lambda: client.data == b"hello")
            transport.close()
            await asyncio.sleep(0.02)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            loop.network = None

    run(main, Loop)


def test_the_tunnel(factory: Any) -> None:
    assert run(names_of(EXAMPLES[1])["tunnel"], factory) == "hello from 10.7.0.1"


def test_there_are_no_others() -> None:
    assert len(EXAMPLES) == 2
