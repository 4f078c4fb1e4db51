"""Small asyncio programs for tests of simulated networks: nothing in them knows of Corten."""

from __future__ import annotations

import asyncio
from typing import Any

ECHO = 7


async def echo_lines(port: int = ECHO, host: str | None = None) -> None:
    """Send back each line in capitals."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
        except ConnectionError:
            pass  # the peer is gone
        finally:
            writer.close()

    server = await asyncio.start_server(talk, host, port)
    await server.serve_forever()


async def ask(host: str, line: bytes = b"hello\n", port: int = ECHO) -> bytes:
    """One line there, one back."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(line)
        return await reader.readline()
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    """Sends back what comes, or keeps it."""

    def __init__(self, echoes: bool) -> None:
        self.echoes = echoes
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.echoes:
            self.transport.sendto(data, addr)
        else:
            self.received.put_nowait(data)


async def echo_datagrams(port: int = ECHO) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(True), ("0.0.0.0", port))
    try:
        await loop.create_future()
    finally:
        transport.close()


async def exchange(host: str, data: bytes, port: int = ECHO) -> bytes:
    """One datagram there, one back."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Datagrams(False), remote_addr=(host, port)
    )
    try:
        transport.sendto(data)
        return await protocol.received.get()
    finally:
        transport.close()
