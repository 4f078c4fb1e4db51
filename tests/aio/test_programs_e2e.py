"""Unmodified programs over a TAP device: each library as server on one stack, as client on the
other, in clear and under TLS, on asyncio's loop and on uvloop's."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.aio.certificate import certificate
from tests.netns import Program, namespace

pytestmark = pytest.mark.e2e

TRIES = [  # server, client, Corten's loop
    ("streams", "streams", "asyncio"),
    ("streams", "streams", "uvloop"),
    ("aiohttp", "aiohttp", "asyncio"),
    ("aiohttp", "aiohttp", "uvloop"),
    ("aiohttp", "httpx", "asyncio"),
    ("websockets", "websockets", "asyncio"),
]


@pytest.mark.parametrize("side", ["corten", "kernel"])
@pytest.mark.parametrize(("server", "client", "loop"), TRIES)
def test_a_server_here_a_client_there(
    server: str, client: str, side: str, loop: str, tmp_path: Path
) -> None:
    """`side`: where the server is."""
    for library in {server, client, loop} - {"streams", "asyncio"}:
        pytest.importorskip(library)
    folder = tmp_path / loop
    folder.mkdir()
    certificate(folder, "10.0.2.1", "10.0.2.2")
    other = "kernel" if side == "corten" else "corten"
    words = ("-W", "error", "-m", "tests.aio.program")
    with namespace("aio") as space:
        serving = Program(space, *words, side, "serve", server, "8000", str(folder))
        asking = None
        try:
            assert serving.wait_for("ready")
            asking = Program(space, *words, other, "ask", client, "8000", str(folder))
            assert asking.wait_for("done")
            assert asking.end() == 0
            assert serving.end(signal.SIGTERM) == 0
        finally:
            serving.close()
            if asking is not None:
                asking.close()
