"""asyncio's datagram endpoints on the stack."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.aio.joined import CLIENT, SERVER, SERVER6, networks, run, until


class Box(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.got: list[tuple[bytes, Any]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.events.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", exc))


class EchoBox(Box):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


@pytest.mark.parametrize("address", [SERVER, SERVER6])
def test_both_ways(factory: Any, address: str) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            server, _ = await one.create_datagram_endpoint(EchoBox, (address, 53))
            client, box = await two.create_datagram_endpoint(Box, remote_addr=(address, 53))
            assert client.get_extra_info("peername")[:2] == (address, 53)
            assert server.get_extra_info("sockname")[:2] == (address, 53)
            assert server.get_extra_info("socket").type == socket.SOCK_DGRAM
            for octets in (b"a", bytearray(b"b"), memoryview(b"c"), b""):
                client.sendto(octets)
            await until(lambda: len(box.got) == 4)
            assert [data for data, _ in box.got] == [b"a", b"b", b"c", b""]
            assert box.got[0][1] == client.get_extra_info("peername")
            free, other = await two.create_datagram_endpoint(Box, (None, 0))
            free.sendto(b"d", (address, 53))
            await until(lambda: other.got)
            for transport in (client, server, free):
                transport.close()
                transport.close()
                assert transport.is_closing()
            await until(lambda: box.events)
            assert box.events == [("lost", None)]

    run(main, factory)


def test_a_port_nobody_has_is_an_error_received(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (_, two):
            client, box = await two.create_datagram_endpoint(Box, remote_addr=(SERVER, 9))
            client.sendto(b"x")
            await until(lambda: box.events)
            assert isinstance(box.events[0], ConnectionRefusedError)
            client.abort()

    run(main, factory)


def test_more_than_there_is_room_for_waits(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            _, box = await one.create_datagram_endpoint(Box, (SERVER, 53))
            client, mine = await two.create_datagram_endpoint(Box, remote_addr=(SERVER, 53))
            for number in range(2000):
                client.sendto(number.to_bytes(2, "big") * 500)
            assert mine.events == ["pause"]
            assert client.get_write_buffer_size() > client.get_write_buffer_limits()[1]
            await until(lambda: mine.events == ["pause", "resume"])
            client.close()
            await until(lambda: ("lost", None) in mine.events)
            numbers = [int.from_bytes(data[:2], "big") for data, _ in box.got]
            assert numbers == sorted(numbers)

    run(main, factory)


def test_wrong_calls(factory: Any) -> None:
    async def main() -> None:
        async with networks() as (one, two):
            client, _ = await two.create_datagram_endpoint(Box, remote_addr=(SERVER, 53))
            with pytest.raises(TypeError, match="bytes-like"):
                client.sendto("text")
            with pytest.raises(ValueError, match="Invalid address"):
                client.sendto(b"x", (CLIENT, 53))
            await one.create_datagram_endpoint(Box, (SERVER, 53))
            with pytest.raises(OSError, match="use"):
                await one.create_datagram_endpoint(Box, (SERVER, 53))

    run(main, factory)


def test_a_protocol_that_raises_is_closed(factory: Any) -> None:
    async def main() -> None:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))

        class Broken(Box):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                raise ZeroDivisionError

        async with networks() as (one, two):
            _, box = await one.create_datagram_endpoint(Broken, (SERVER, 53))
            client, _ = await two.create_datagram_endpoint(Box, remote_addr=(SERVER, 53))
            client.sendto(b"x")
            await until(lambda: box.events)
            assert box.events[0][0] == "lost"
            assert len(told) == 1

    run(main, factory)
