"""`corten asgi`: any ASGI application by uvicorn's own protocols, on the stack, one loop a worker.

Strategy. uvicorn's Server runs unchanged on a loop whose addresses are the stack's; the worker that
`serve` made is turned by that loop. What uvicorn knows of an application (lifespan, WebSockets,
graceful end) holds as it does there.

Rules. The application is imported in each worker. A worker that is to end, or to make room for its
successor, lets uvicorn end first: requests under way are answered, the lifespan is shut down.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from corten.aio.delay import Delays
from corten.aio.loop import loop_class
from corten.aio.network import Network
from corten.endpoint.error import CortenError
from corten.worker.link import parse_link
from corten.worker.worker import FRESH_SECONDS

CLOSE = (b"connection", b"close")
YOUNG_MAX = 20_000  # new objects between two collections: requests make many, and keep few
STOP_STEP = 0.02  # seconds between looks at whether a drained worker may end


def check(links: list[str]) -> None:
    """CortenError where an application cannot be served at all."""
    if importlib.util.find_spec("uvicorn") is None:
        raise CortenError("corten asgi needs uvicorn: pip install 'uvicorn[standard]'")
    if any(parse_link(text).driver == "kernel" for text in links):
        raise CortenError("corten asgi is for the stack's links: on the kernel's, run uvicorn")


def runner(
    app: str, host: str, port: int, seconds: float, app_dir: str = ".", **options: Any
) -> Callable[[Any, Callable[[], None]], None]:
    """What each worker runs: serve `app` ("module:name"), give what is under way `seconds` at the
    end. `options`: uvicorn's."""

    def run(worker: Any, ready: Callable[[], None]) -> None:
        sys.path.insert(0, os.path.abspath(app_dir))
        loop = loop_class(None)()
        loop.use(Network(worker, loop))
        loop.call_later = Delays(loop).call_later  # uvicorn sets one a request
        try:
            server = _server(app, host, port, seconds, options, worker, ready)
            worker.on_leaving = server.leave
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _heard)
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_MAX, 10, 10)
            asyncio.set_event_loop(loop)
            loop.run_until_complete(_serve(server, worker, seconds))
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    return run


def _heard(number: int, frame: object) -> None:
    """uvicorn has heard the signal already, and raises it again when it has ended."""


async def _serve(server: Any, worker: Any, seconds: float) -> None:
    """Until uvicorn has ended, and then until the worker may end."""
    await server.serve()
    worker.drain(seconds)
    while not worker.is_stopped():
        await asyncio.sleep(STOP_STEP)


def _server(
    app: str,
    host: str,
    port: int,
    seconds: float,
    options: dict[str, Any],
    worker: Any,
    ready: Callable[[], None],
) -> Any:
    """uvicorn's server with the application in it. CortenError where it cannot be had."""
    from uvicorn import Config, Server
    from uvicorn.importer import ImportFromStringError, import_from_string

    class Worker(Server):
        """Tells when it serves; ends with its worker."""

        leaves_at = 0.0  # on the loop's clock; 0: it stays

        def leave(self, seconds: float) -> None:
            """Each connection's next reply is its last; who asks for nothing more is not waited
            for longer than a second."""
            self.config.encoded_headers.append(CLOSE)
            state = self.server_state
            state.default_headers = [*state.default_headers, CLOSE]
            self.leaves_at = asyncio.get_running_loop().time() + min(seconds, FRESH_SECONDS)

        async def startup(self, sockets: Any = None) -> None:
            try:
                await super().startup(sockets)
            except SystemExit:
                raise CortenError(f"{app}: its lifespan or port failed, as said above") from None
            if self.started:
                ready()

        async def on_tick(self, counter: int) -> bool:
            if self.leaves_at:
                now = asyncio.get_running_loop().time()
                self.should_exit |= not self.server_state.connections or now >= self.leaves_at
            return await super().on_tick(counter) or worker.is_stopped()

        def _log_started_message(self, listeners: Any) -> None:
            """`ready:` says it, once for all workers."""

    try:
        loaded = import_from_string(app)
    except ImportFromStringError as error:
        raise CortenError(str(error).replace("\n", " ")) from None
    except Exception as error:
        raise CortenError(f"{app}: importing it raised {error!r}") from error
    patience = max(1, round(seconds))
    settings = {"timeout_graceful_shutdown": patience, "loop": "none", **options}
    config = Config(loaded, host=host, port=port, **settings)
    try:
        config.load()
    except SystemExit:
        raise CortenError(f"{app}: uvicorn cannot load it, as said above") from None
    except (OSError, ImportError) as error:
        raise CortenError(f"{app}: {error}") from None
    return Worker(config)
