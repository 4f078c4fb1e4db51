"""`loop.sendfile` over the stack: the file is read in a thread and written piece by piece.

Rules. While it lasts the transport's protocol is a stand-in, which hears when to stop and go on;
nothing is read. Afterwards the protocol is what it was, and its file's position what asyncio's
`sendfile` leaves: after the last octet sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

PIECE = 256 * 1024


class _StandIn(asyncio.Protocol):
    """Stands in for a transport's protocol while a file is sent."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Any) -> None:
        self._loop = loop
        self._transport = transport
        self._protocol = transport.get_protocol()
        self._was_reading = transport.is_reading()
        self._room: asyncio.Future[None] | None = None
        self._lost = False
        self._was_stopped = bool(getattr(transport, "_protocol_paused", False))
        if self._was_stopped:
            self.pause_writing()
        transport.pause_reading()
        transport.set_protocol(self)

    async def room(self) -> None:
        if self._room is not None:
            await self._room
        if self._lost or self._transport.is_closing():
            raise ConnectionError("Connection closed by peer")

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.resume_writing()
        self._protocol.connection_lost(exc)

    def restore(self) -> None:
        if self._lost:
            return
        self._transport.set_protocol(self._protocol)
        if self._was_reading:
            self._transport.resume_reading()
        if self._room is not None and not self._was_stopped:
            self._protocol.pause_writing()  # whoever writes next is to wait
        elif self._room is None and self._was_stopped:
            self._protocol.resume_writing()


async def send_file(
    loop: asyncio.AbstractEventLoop, transport: Any, file: Any, offset: int, count: int | None
) -> int:
    """Send `count` octets of a file, or all, from `offset`; how many they were."""
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    if count is not None and count <= 0:
        raise ValueError(f"count must be a positive integer (got {count!r})")
    stand_in = _StandIn(loop, transport)
    sent = 0
    try:
        file.seek(offset)
        while count is None or sent < count:
            length = PIECE if count is None else min(PIECE, count - sent)
            data = await loop.run_in_executor(None, file.read, length)
            if not data:
                break
            await stand_in.room()
            transport.write(data)
            sent += len(data)
        return sent
    finally:
        file.seek(offset + sent)
        stand_in.restore()
