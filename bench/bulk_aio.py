"""`python -m bench.bulk_aio PORT LINK CORE protocol|buffered|streams`: bulk_server on asyncio.

Three of them, which speak as `bench.bulk_server` does: an asyncio.Protocol, a BufferedProtocol, and
a pair of streams. On uvloop; LINK is one of the stack's, or `kernel` for uvloop's own sockets.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from typing import Any

from bench.bulk_server import right_len
from bench.flow import BLOCK
from bench.server import SERVER_ADDRESS
from corten.aio.loop import new_event_loop

_STORE_LEN = 1 << 18  # octets of one read


class Bulk(asyncio.Protocol):
    """One connection: sends for ever, or compares and counts."""

    def __init__(self) -> None:
        self.wish = b""
        self.octets = 0
        self.wrong = self.paused = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes | memoryview) -> None:
        if not self.wish:
            self.wish, data = bytes(data[:1]), data[1:]
            if self.wish == b"s":
                self._pump()
        right = right_len(data, self.octets)
        self.wrong = self.wrong or right < len(data)
        self.octets += right

    def eof_received(self) -> None:
        self.transport.write(struct.pack(">q", -1 if self.wrong else self.octets))

    def _pump(self) -> None:
        while not self.paused and not self.transport.is_closing():
            self.transport.write(BLOCK)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._pump()


class Buffered(Bulk, asyncio.BufferedProtocol):
    """The same, reading into memory of its own."""

    store = memoryview(bytearray(_STORE_LEN))  # what one event brings is compared within it

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.store

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self.store[:nbytes])


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same in a coroutine."""
    wish = await reader.read(1)
    try:
        while wish == b"s":
            writer.write(BLOCK)
            await writer.drain()
        octets = 0
        wrong = False
        while data := await reader.read(_STORE_LEN):
            right = right_len(data, octets)
            wrong = wrong or right < len(data)
            octets += right
        writer.write(struct.pack(">q", -1 if wrong else octets))
        writer.close()
    except ConnectionError:
        pass  # silent: who was sent to has enough


async def serve(port: int, kind: str) -> None:
    if kind == "streams":
        server = await asyncio.start_server(stream, SERVER_ADDRESS, port, limit=_STORE_LEN)
    else:
        factory = {"protocol": Bulk, "buffered": Buffered}[kind]
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, SERVER_ADDRESS, port)
    print("ready", flush=True)
    await server.serve_forever()


def main(port: str, link: str, core: str, kind: str) -> None:
    os.sched_setaffinity(0, {int(core)})
    links = [] if link.startswith("kernel") else [link]
    with asyncio.Runner(loop_factory=lambda: new_event_loop(links, uvloop=True)) as runner:
        runner.run(serve(int(port), kind))


if __name__ == "__main__":
    main(*sys.argv[1:])
