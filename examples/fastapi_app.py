"""FastAPI on the stack, two ways.

    corten asgi fastapi_app:app --app-dir examples --port 80 --link tap,address=10.0.2.2/24
    python examples/fastapi_app.py tap,address=10.0.2.2/24
    curl http://10.0.2.2/hello/Ada

In a checkout that is built but not installed, put PYTHONPATH=. before the second. It needs fastapi
and uvicorn; a new TAP needs root, or a network namespace.

The application knows nothing of Corten. `corten asgi` is the way for a service: several workers,
dead ones started again, `corten ctl`. The second way is for a program that has an application among
other things: uvicorn's server is one coroutine of a loop with links, so a task beside it (here a
clock) may open connections of the stack, read files, or have sockets of the kernel's.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

import corten
import corten.aio

app = FastAPI(title="Corten")
started = time.monotonic()
clock = {"ticks": 0}  # of the task beside it


@app.get("/hello/{name}")
async def hello(name: str, request: Request) -> dict[str, Any]:
    assert request.client is not None
    return {"hello": name, "you": request.client.host}


@app.get("/uptime")
async def uptime() -> dict[str, float]:
    return {"seconds": round(time.monotonic() - started, 3), **clock}


@app.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text((await socket.receive_text()).upper())
    except WebSocketDisconnect:  # silent: that is how it ends
        pass


async def tick() -> None:
    while True:
        await asyncio.sleep(0.1)
        clock["ticks"] += 1


async def main() -> None:
    config = uvicorn.Config(app, host="0.0.0.0", port=80, log_level="warning")  # every own address
    ticking = asyncio.create_task(tick())
    await uvicorn.Server(config).serve()  # until SIGINT or SIGTERM
    ticking.cancel()


if __name__ == "__main__":
    try:
        corten.aio.run(main(), links=sys.argv[1:], uvloop=None)
    except corten.CortenError as error:
        print(f"fastapi_app: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # silent: it is how one ends it
        pass
