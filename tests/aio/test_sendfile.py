"""`loop.sendfile` over the stack: back-pressure, positions, what is left afterwards."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from corten.aio.sendfile import send_file
from tests.aio.joined import Recorder, connected, run, until
from tests.netns import pattern
from tests.plain import IS_PLAIN


def test_a_whole_file_and_a_part(factory: Any, tmp_path: Path) -> None:
    octets = pattern(3_000_000)
    path = tmp_path / "file"
    path.write_bytes(octets)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, Recorder) as (server, client):
            with path.open("rb") as file:
                assert await send_file(loop, client.transport, file, 0, None) == len(octets)
                assert file.tell() == len(octets)
                assert await send_file(loop, client.transport, file, 10, 100) == 100
                assert file.tell() == 110
                assert await send_file(loop, client.transport, file, len(octets), 5) == 0
            assert client.transport.get_protocol() is client
            server.transport.write(b"read on")
            await until(lambda: client.data == b"read on")
            client.transport.close()
            await server.over
            assert server.data == octets + octets[10:110]

    run(main, factory)


def test_a_reader_that_pauses_holds_it_back(factory: Any) -> None:
    length = (8 if IS_PLAIN else 16) << 20

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, Recorder) as (server, client):
            server.transport.pause_reading()
            file = io.BytesIO(bytes(length))
            sending = asyncio.ensure_future(send_file(loop, client.transport, file, 0, None))
            await asyncio.sleep(0.3)
            assert not sending.done()
            assert file.tell() < length
            server.transport.resume_reading()
            assert await sending == length
            client.transport.close()
            await server.over
            assert len(server.data) == length

    run(main, factory)


def test_a_connection_that_ends_ends_it(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, Recorder) as (server, client):
            server.transport.pause_reading()
            file = io.BytesIO(bytes(16 << 20))
            sending = asyncio.ensure_future(send_file(loop, client.transport, file, 0, None))
            await asyncio.sleep(0.1)
            server.transport.abort()
            with pytest.raises(ConnectionError):
                await sending
            await client.over
            with pytest.raises(RuntimeError, match="closing"):
                await send_file(loop, client.transport, file, 0, None)

    run(main, factory)


def test_what_cannot_be_sent(factory: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, Recorder) as (_, client):
            with pytest.raises(ValueError, match="positive"):
                await send_file(loop, client.transport, io.BytesIO(b"x"), 0, 0)
            client.transport.close()

    run(main, factory)
