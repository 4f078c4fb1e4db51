"""Two nodes joined by pipes, each with a Network on the loop that runs; no privilege."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from corten.aio.network import Network
from corten.driver.pipe import Pipe
from corten.worker.node import Node

SERVER, CLIENT = "10.7.0.1", "10.7.0.2"
SERVER6 = "fd00::1"


@asynccontextmanager
async def networks(**options: Any) -> AsyncIterator[tuple[Network, Network]]:
    """(the server's, the client's)."""
    one, two = Node(), Node()
    near = Pipe(lambda packet: far.push(packet))
    far = Pipe(near.push)
    one.add(near, [f"{SERVER}/24", f"{SERVER6}/64"], **options)
    two.add(far, [f"{CLIENT}/24", "fd00::2/64"], **options)
    ours, theirs = Network(one), Network(two)
    try:
        yield ours, theirs
    finally:
        await asyncio.sleep(0.01)
        ours.close()
        theirs.close()
        one.close()
        two.close()


def run(main: Callable[[], Awaitable[Any]], factory: Any = None, seconds: float = 30.0) -> Any:
    """Run a coroutine function on a new loop, bounded; nothing that it left behind may complain."""
    complaints: list[Any] = []

    async def bounded() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        return await asyncio.wait_for(main(), seconds)

    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(bounded())
    gc.collect()
    assert complaints == []
    return result
