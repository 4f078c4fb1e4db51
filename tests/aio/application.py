"""ASGI applications to be served: a plain one, and one of FastAPI's."""

from __future__ import annotations

import asyncio
import os
from typing import Any


def _note(text: str) -> None:
    """Into the file that the environment names, where it does."""
    path = os.environ.get("CORTEN_TEST_NOTES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{text}\n")


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _socket(receive, send)
    else:
        await _http(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and os.environ.get("CORTEN_TEST_FAILS"):
            await send({"type": "lifespan.startup.failed", "message": "as wanted"})
            return
        _note(message["type"])
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _socket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def _http(scope: Any, receive: Any, send: Any) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    if scope["path"] == "/peer":
        text = f"{scope['client'][0]} {scope['server'][0]}:{scope['server'][1]} {scope['scheme']}"
        start["headers"] = [(b"content-length", b"%d" % len(text))]
        await send(start)
        await send({"type": "http.response.body", "body": text.encode()})
        return
    await send(start)
    if scope["path"] == "/echo":
        while True:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})
            if not more:
                return
    for number in range(5):
        await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": True})
        await asyncio.sleep(0.001)
    await send({"type": "http.response.body", "body": b"done\n"})


def fast() -> Any:
    """The same greeting by FastAPI."""
    from fastapi import FastAPI

    made = FastAPI()

    @made.get("/hello/{name}")
    async def hello(name: str, times: int = 1) -> dict[str, Any]:
        return {"hello": [name] * times}

    return made
