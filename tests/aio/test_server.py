"""Server semantics, as CPython has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from corten.aio.server import WAITS_FOR_CONNECTIONS
from tests.aio.joined import SERVER, Recorder, networks, run, until


def test_begin_and_end(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80, start_serving=False)
            assert not server.is_serving()
            assert [s.getsockname() for s in server.sockets] == [(SERVER, 80)]
            with pytest.raises(ConnectionRefusedError):
                await two.create_connection(Recorder, SERVER, 80)
            await server.start_serving()
            await server.start_serving()
            assert server.is_serving()
            assert server.get_loop() is asyncio.get_running_loop()
            assert [s.getsockname() for s in server.sockets] == [(SERVER, 80)]
            transport, _ = await two.create_connection(Recorder, SERVER, 80)
            server.close()
            server.close()
            assert not server.is_serving()
            assert server.sockets == ()
            with pytest.raises(ConnectionRefusedError):
                await two.create_connection(Recorder, SERVER, 80)
            transport.close()
            await server.wait_closed()
            with pytest.raises(RuntimeError, match="is closed"):
                await server.start_serving()

    run(main, factory)


def test_any_port_is_known_before_it_serves(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 0, start_serving=False)
            name = server.sockets[0].getsockname()
            await server.start_serving()
            assert [s.getsockname() for s in server.sockets] == [name]
            transport, _ = await two.create_connection(Recorder, *name)
            transport.close()
            server.close()

    run(main, factory)


def test_wait_closed_waits_as_this_python_does(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80)
            transport, _ = await two.create_connection(Recorder, SERVER, 80)
            await asyncio.sleep(0.01)
            waiting = asyncio.ensure_future(server.wait_closed())
            await asyncio.sleep(0.01)
            assert not waiting.done()
            server.close()
            late = asyncio.ensure_future(server.wait_closed())
            await asyncio.sleep(0.01)
            assert late.done() is not WAITS_FOR_CONNECTIONS
            assert not waiting.done()
            transport.close()
            await waiting
            await late

    run(main, factory)


def test_serve_forever_ends_with_its_task(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80, start_serving=False)
            task = asyncio.ensure_future(server.serve_forever())
            await until(server.is_serving)
            with pytest.raises(RuntimeError, match="already"):
                await server.serve_forever()
            transport, _ = await two.create_connection(Recorder, SERVER, 80)
            transport.close()
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not server.is_serving()

    run(main, factory)


def test_as_a_context(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, _):
            async with await one.create_server(Recorder, SERVER, 80) as server:
                assert server.is_serving()
            assert not server.is_serving()

    run(main, factory)


@pytest.mark.parametrize("how", ["close_clients", "abort_clients"])
def test_clients_can_be_ended(factory: Any, how: str) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server = await one.create_server(Recorder, SERVER, 80)
            _, client = await two.create_connection(Recorder, SERVER, 80)
            await asyncio.sleep(0.01)
            server.close()
            getattr(server, how)()
            assert await client.over is None
            await server.wait_closed()

    run(main, factory)
