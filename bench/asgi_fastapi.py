"""FastAPI's hello: the first lines of its own tutorial, the same for every server."""

from __future__ import annotations

from fastapi import FastAPI

application = FastAPI(openapi_url=None)


@application.get("/")
async def hello() -> dict[str, str]:
    return {"message": "Hello, world!"}
