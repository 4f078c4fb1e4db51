"""One program on either stack: `python -m tests.aio.program SIDE ROLE WHAT PORT FOLDER`.

SIDE says which loop it runs on, "corten" or "kernel"; the coroutines know nothing of it. A server
says `ready` and serves until SIGTERM, in clear at PORT and under TLS at PORT + 1; a client asks,
asserts what it got, and says `done`. FOLDER holds the certificate.
"""

from __future__ import annotations

import asyncio
import io
import json
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import corten.aio
from tests.netns import pattern

LINK = "tap:corten0,address=10.0.2.2/24,host=10.0.2.1/24"
OURS = {"corten": "10.0.2.2", "kernel": "0.0.0.0"}  # what a server listens at
THEIRS = {"corten": "10.0.2.1", "kernel": "10.0.2.2"}  # whom a client asks
LARGE = 1_000_000


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


class Place:
    """Where a program runs, and what it may use there."""

    def __init__(self, side: str, port: str, folder: str) -> None:
        self.side, self.port, self.folder = side, int(port), Path(folder)
        self.own, self.other = OURS[side], THEIRS[side]

    def server_tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        return context

    def client_tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "server.crt"))

    def ends(self) -> list[tuple[int, ssl.SSLContext | None]]:
        """A server's ports, in clear and under TLS."""
        return [(self.port, None), (self.port + 1, self.server_tls())]

    def urls(self, scheme: str) -> list[tuple[str, ssl.SSLContext | None]]:
        clear = f"{scheme}://{self.other}:{self.port}"
        return [(clear, None), (f"{scheme}s://{self.other}:{self.port + 1}", self.client_tls())]


async def until_told() -> None:
    """A server serves until SIGTERM."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    say(ready=True)
    await over.wait()


# -- asyncio's own streams ------------------------------------------------------------------------


async def serve_streams(place: Place) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    for port, context in place.ends():
        await asyncio.start_server(echo, place.own, port, ssl=context)
    await until_told()


async def ask_streams(place: Place) -> None:
    octets = pattern(LARGE)
    for port, context in ((place.port, None), (place.port + 1, place.client_tls())):
        reader, writer = await asyncio.open_connection(place.other, port, ssl=context)

        async def send(writer: asyncio.StreamWriter = writer) -> None:
            for at in range(0, LARGE, 100_000):
                writer.write(octets[at : at + 100_000])
                await writer.drain()
            if writer.can_write_eof():  # not under TLS
                writer.write_eof()

        got, _ = await asyncio.gather(reader.readexactly(LARGE), send())
        assert got == octets
        if context is None:
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


# -- aiohttp, httpx -------------------------------------------------------------------------------


async def serve_aiohttp(place: Place) -> None:
    from aiohttp import WSMsgType, web

    async def hello(request: web.Request) -> web.Response:
        return web.json_response({"hello": request.query.get("name", "world")})

    async def echo(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_chunked(1 << 16):
            await response.write(chunk)
        return response

    async def socket(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            if message.type == WSMsgType.TEXT:
                await response.send_str(message.data)
        return response

    app = web.Application(client_max_size=2 * LARGE)
    app.add_routes([web.get("/", hello), web.post("/echo", echo), web.get("/ws", socket)])
    runner = web.AppRunner(app)
    await runner.setup()
    for port, context in place.ends():
        await web.TCPSite(runner, place.own, port, ssl_context=context).start()
    await until_told()
    await runner.cleanup()


async def ask_aiohttp(place: Place) -> None:
    import aiohttp

    for url, context in place.urls("http"):
        async with aiohttp.ClientSession() as session:
            for name in ("a", "b"):  # the second on the same connection
                async with session.get(f"{url}/?name={name}", ssl=context or True) as response:
                    assert await response.json() == {"hello": name}
            octets = pattern(LARGE)
            async with session.post(
                f"{url}/echo", data=io.BytesIO(octets), ssl=context or True
            ) as response:
                assert await response.read() == octets
            async with session.ws_connect(f"{url}/ws", ssl=context or True) as socket:
                await socket.send_str("hello")
                assert (await socket.receive()).data == "hello"


async def ask_httpx(place: Place) -> None:
    import httpx

    for url, context in place.urls("http"):
        async with httpx.AsyncClient(verify=context or True) as client:
            assert (await client.get(f"{url}/?name=x")).json() == {"hello": "x"}
            octets = pattern(LARGE)
            assert (await client.post(f"{url}/echo", content=octets)).content == octets


# -- websockets -----------------------------------------------------------------------------------


async def serve_websockets(place: Place) -> None:
    from websockets.asyncio.server import serve

    async def echo(socket: Any) -> None:
        async for message in socket:
            await socket.send(message)

    for port, context in place.ends():
        await serve(echo, place.own, port, ssl=context, max_size=2 * LARGE)
    await until_told()


async def ask_websockets(place: Place) -> None:
    from websockets.asyncio.client import connect

    for url, context in place.urls("ws"):
        async with connect(url, ssl=context, max_size=2 * LARGE) as socket:
            for message in ("hello", pattern(LARGE)):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())


# -- databases: their servers are Debian's own ----------------------------------------------------


async def ask_redis(place: Place) -> None:
    import redis.asyncio as redis

    crt = str(place.folder / "server.crt")
    for port, options in ((place.port, {}), (place.port + 1, {"ssl": True, "ssl_ca_certs": crt})):
        client: Any = redis.Redis(host=place.other, port=port, **options)  # type: ignore[arg-type]
        assert await client.ping()
        octets = pattern(LARGE)
        await client.set("large", octets)
        assert await client.get("large") == octets
        async with client.pipeline() as pipeline:
            for number in range(100):
                pipeline.incrby("sum", number)
            assert (await pipeline.execute())[-1] == sum(range(100))
        async with client.pubsub() as listener:
            await listener.subscribe("news")
            await client.publish("news", "one")
            while (message := await listener.get_message(timeout=5.0)) is not None:
                if message["type"] == "message":
                    break
            assert message is not None
            assert message["data"] == b"one"
        await client.delete("sum")
        await client.aclose()


async def ask_postgres(place: Place) -> None:
    import asyncpg

    for context in (False, place.client_tls()):
        connection = await asyncpg.connect(
            host=place.other, port=place.port, user="tester", database="postgres", ssl=context
        )
        secured = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert await connection.fetchval(secured) is bool(context)
        await connection.execute("CREATE TEMPORARY TABLE words (id int, word bytea)")
        octets = pattern(LARGE)
        async with connection.transaction():
            await connection.executemany(
                "INSERT INTO words VALUES ($1, $2)", [(i, octets[: i * 1000]) for i in range(100)]
            )
        assert await connection.fetchval("SELECT word FROM words WHERE id = 99") == octets[:99000]
        numbers = await connection.fetch("SELECT generate_series(1, 50000) AS n")
        assert [row["n"] for row in numbers] == list(range(1, 50001))
        try:
            await connection.execute("SELECT pg_sleep(60)", timeout=0.2)  # a cancel request
        except TimeoutError:
            assert await connection.fetchval("SELECT 7") == 7
        else:
            raise AssertionError("it slept")
        await connection.close()


PROGRAMS: dict[str, Callable[[Place], Awaitable[None]]] = {
    "serve-streams": serve_streams,
    "ask-streams": ask_streams,
    "serve-aiohttp": serve_aiohttp,
    "ask-aiohttp": ask_aiohttp,
    "ask-httpx": ask_httpx,
    "serve-websockets": serve_websockets,
    "ask-websockets": ask_websockets,
    "ask-redis": ask_redis,
    "ask-postgres": ask_postgres,
}


async def main(side: str, role: str, what: str, port: str, folder: str) -> None:
    await PROGRAMS[f"{role}-{what}"](Place(side, port, folder))
    say(done=True)


if __name__ == "__main__":
    if sys.argv[1] == "corten":
        corten.aio.run(main(*sys.argv[1:]), links=[LINK], uvloop="uvloop" in sys.argv[5])
    else:
        asyncio.run(main(*sys.argv[1:]))
