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


class Recorder(asyncio.Protocol):
    """Writes down what it is told; `over` ends when the connection is lost."""

    def __init__(self, keeps_open: bool = False) -> None:
        self.events: list[Any] = []
        self.pieces: list[bytes] = []
        self.keeps_open = keeps_open
        self.transport: Any = None
        self.over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    @property
    def data(self) -> bytes:
        if len(self.pieces) > 1:
            self.pieces = [b"".join(self.pieces)]
        return self.pieces[0] if self.pieces else b""

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.over.set_result(exc)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until it holds; the test's own bound ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.001)


@asynccontextmanager
async def connected(
    server_side: Callable[[], Any], client_side: Callable[[], Any], **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """The two protocols of one connection, the server's first."""
    async with networks(**options) as (ours, theirs):
        accepted: list[Any] = []

        def make() -> Any:
            accepted.append(server_side())
            return accepted[-1]

        server = await ours.create_server(make, SERVER, 7)
        _, protocol = await theirs.create_connection(client_side, SERVER, 7)
        await until(lambda: accepted)
        yield accepted[0], protocol
        server.close()
