"""aiohttp on both ends of a tunnel: its server on one stack, its client on another, no privilege.

    python examples/aiohttp_both.py

In a checkout that is built but not installed, put PYTHONPATH=. before it.

Two stacks in one process are joined by a pair of callables; `carry` stands where a real tunnel
would encrypt a packet and send it. Both are turned by one asyncio loop. The server is put on its
stack by `Network.create_server`; the client knows nothing of stacks: the loop has been told to use
one, and sends over it what is for where its link leads. The requests go over one connection, at the
same time as a WebSocket.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

import corten
import corten.aio
from corten.aio import Network

SERVER, CLIENT = "10.7.0.1", "10.7.0.2"


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": request.match_info["name"], "you": request.remote})


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


async def ask(url: str) -> None:
    async with aiohttp.ClientSession(url) as session, session.ws_connect("/talk") as socket:
        for name in ("Ada", "Grace"):
            await socket.send_str(f"{name} asks")
            async with session.get(f"/hello/{name}") as reply:
                print(reply.status, await reply.json())
            print("WebSocket:", await socket.receive_str())


async def main() -> None:
    packets = 0

    def carry(link: corten.Pipe, packet: bytes) -> None:
        nonlocal packets
        packets += 1
        link.push(packet)

    here, there = corten.Node(), corten.Node()
    near = corten.Pipe(lambda packet: carry(far, packet))
    far = corten.Pipe(lambda packet: carry(near, packet))
    here.add(near, [f"{CLIENT}/24"])
    there.add(far, [f"{SERVER}/24"])

    app = web.Application()
    app.add_routes([web.get("/hello/{name}", hello), web.get("/talk", talk)])
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    servers, loop = Network(there), asyncio.get_running_loop()
    assert isinstance(loop, corten.aio.Loop)
    loop.use(Network(here), here)  # the client's; both are closed with the loop
    await servers.create_server(runner.server, SERVER, 80)
    await ask(f"http://{SERVER}/")
    await runner.cleanup()
    servers.close()
    there.close()
    print(f"{packets} packets")


if __name__ == "__main__":
    corten.aio.run(main(), links=[])  # no device: the links are the two above
