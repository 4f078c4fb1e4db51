"""Libraries that know nothing of Corten, in a simulated network: the same octets each time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import pytest
import uvicorn
import websockets
from aiohttp import web

from corten.sim import Machine, Net
from tests.aio.certificate import NAME, contexts
from tests.sim.services import ask, echo_lines


def packets(talk: Callable[[Net, Machine, Machine], None]) -> list[tuple[Any, ...]]:
    """All packets of a conversation over a slow link."""
    with Net(seed=9) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server, delay=0.300, rate=1e6, loss=0.02)
        talk(net, server, client)
        return net.network.trace.packets()


def serve_pages(server: Machine) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="hello " * 1000)

    async def serve() -> None:
        application = web.Application()
        application.router.add_get("/", page)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "server", 80).start()

    server.run(serve())


def test_httpx_asks_aiohttp() -> None:
    def talk(net: Net, server: Machine, client: Machine) -> None:
        async def get() -> str:
            async with httpx.AsyncClient() as session:
                return (await session.get("http://server/", timeout=30)).text

        serve_pages(server)
        assert client.run(get()) == "hello " * 1000

    assert packets(talk) == packets(talk)


def test_aiohttp_asks_aiohttp() -> None:
    def talk(net: Net, server: Machine, client: Machine) -> None:
        async def get() -> str:
            async with aiohttp.ClientSession() as session, session.get("http://server/") as reply:
                return await reply.text()

        serve_pages(server)
        assert client.run(get()) == "hello " * 1000

    assert packets(talk) == packets(talk)


def test_httpx_asks_uvicorn() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": b"hello"})

    def talk(net: Net, server: Machine, client: Machine) -> None:
        config = uvicorn.Config(
            application, host="server", port=80, lifespan="off", log_level="error"
        )
        server.start(uvicorn.Server(config).serve())

        async def get() -> str:
            await asyncio.sleep(1)
            async with httpx.AsyncClient() as session:
                return (await session.get("http://server/", timeout=30)).text

        assert client.run(get()) == "hello"

    assert packets(talk) == packets(talk)


def test_websockets() -> None:
    def talk(net: Net, server: Machine, client: Machine) -> None:
        async def echo(connection: Any) -> None:
            async for message in connection:
                await connection.send(message)

        async def serve() -> None:
            async with websockets.serve(echo, "server", 8000) as serving:
                await serving.serve_forever()

        async def chat() -> bytes:
            async with websockets.connect("ws://server:8000/") as connection:
                await connection.send(b"x" * 10_000)
                return await connection.recv(decode=False)

        server.start(serve())
        assert client.run(chat()) == b"x" * 10_000

    assert packets(talk) == packets(talk)


Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """A server's context and a client's."""
    return contexts(tmp_path_factory.mktemp("certificate"))


def test_tls_over_a_lossy_link(tls: Contexts) -> None:
    served, trusted = tls

    async def serve() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        await (await asyncio.start_server(talk, port=443, ssl=served)).serve_forever()

    async def fetch() -> bytes:
        reader, writer = await asyncio.open_connection(NAME, 443, ssl=trusted)
        writer.write(b"under seal\n")
        found = await reader.readline()
        writer.close()
        return found

    with Net(seed=2) as net:
        server, client = net.host(NAME), net.host("client")
        net.link(client, server, delay=0.300, loss=0.05)
        server.start(serve())
        assert client.run(fetch()) == b"UNDER SEAL\n"
        assert not any(b"under seal" in packet[3] for packet in net.network.trace.packets())


def test_tls_from_the_middle_of_a_connection(tls: Contexts) -> None:
    served, trusted = tls

    async def serve() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"go on\n")
            await writer.start_tls(served)
            writer.write((await reader.readline()).upper())
            writer.close()

        await (await asyncio.start_server(talk, port=25)).serve_forever()

    async def fetch() -> bytes:
        reader, writer = await asyncio.open_connection(NAME, 25)
        writer.write(b"STARTTLS\n")
        assert await reader.readline() == b"go on\n"
        await writer.start_tls(trusted, server_hostname=NAME)
        writer.write(b"under seal\n")
        found = await reader.readline()
        writer.close()
        return found

    with Net(seed=2) as net:
        server, client = net.host(NAME), net.host("client")
        net.link(client, server, delay=0.050)
        server.start(serve())
        assert client.run(fetch()) == b"UNDER SEAL\n"


def test_half_of_a_connection_is_closed_and_the_other_is_not() -> None:
    async def serve() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            whole = await reader.read()
            writer.write(b"%d" % len(whole))
            writer.close()

        await (await asyncio.start_server(talk, port=9)).serve_forever()

    async def send() -> bytes:
        reader, writer = await asyncio.open_connection("server", 9)
        writer.write(b"x" * 300_000)
        writer.write_eof()
        found = await reader.read()
        writer.close()
        return found

    with Net(seed=2) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server, rate=1e7, delay=0.020, loss=0.01)
        server.start(serve())
        assert client.run(send()) == b"300000"


def test_a_reader_that_is_slow_stops_the_writer() -> None:
    async def serve() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(20)
            while await reader.read(65536):
                pass
            writer.close()

        await (await asyncio.start_server(talk, port=9)).serve_forever()

    async def send(net: Net) -> float:
        _, writer = await asyncio.open_connection("server", 9)
        for _ in range(400):
            writer.write(bytes(65536))
            await writer.drain()
        writer.close()
        return net.now

    with Net(seed=2) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server)
        server.start(serve())
        assert client.run(send(net)) > 20


def test_an_interrupted_peer_is_noticed() -> None:
    with Net(seed=3) as net:
        server, client = net.host("server"), net.host("client")
        net.link(client, server)
        server.start(echo_lines())

        async def wait() -> bytes:
            reader, writer = await asyncio.open_connection("server", 7)
            for connection in server.connections():
                connection.abort()
            server.kick()
            try:
                return await reader.readline()
            finally:
                writer.close()

        with pytest.raises(ConnectionResetError):
            client.run(wait())
        assert client.run(ask("server")) == b"HELLO\n"
