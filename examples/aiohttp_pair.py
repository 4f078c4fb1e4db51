"""aiohttp's server and client, a stack for each, over a slow and lossy link in one process.

    python examples/aiohttp_pair.py

No device, no privilege, no thread: the network is simulated, its time is virtual, and the two
programs are what they would be anywhere. It prints how long each page took, as the client's clock
has it, and how long all of it took in truth. The same seed gives the same figures again. In a
checkout that is built but not installed, put PYTHONPATH=. before it.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiohttp import ClientSession, web

import corten.sim

PAGES = 5
PAGE = b"a line of a page\n" * 4096


async def page(_: web.Request) -> web.Response:
    return web.Response(body=PAGE)


async def serve() -> None:
    """A server as aiohttp's documentation has it."""
    app = web.Application()
    app.router.add_get("/page", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, port=8080).start()
    await asyncio.Event().wait()


async def fetch() -> list[float]:
    """The seconds that each page took."""
    loop = asyncio.get_running_loop()
    taken = []
    async with ClientSession() as session:
        for _ in range(PAGES):
            began = loop.time()
            async with session.get("http://server:8080/page") as reply:
                assert await reply.read() == PAGE
            taken.append(loop.time() - began)
    return taken


def main() -> None:
    seed = int(sys.argv[1]) if sys.argv[1:] else 1
    began = time.monotonic()
    with corten.sim.Net(seed=seed) as net:
        server, client = net.host("server", "10.0.0.1"), net.host("client")
        net.link(client, server, delay=0.150, jitter=0.010, loss=0.02)
        server.start(serve())
        taken = client.run(fetch())
    for number, seconds in enumerate(taken, 1):
        print(f"page {number}: {seconds:.3f} s")
    print(f"in truth: {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    main()
