"""`python -m bench.null_transport MODULE:APP CONNECTIONS FILE`: uvicorn's protocol at its best.

Its own protocol class (httptools), on uvloop, with the same application, between a loop that feeds
it the octets of a request and transports that throw away what it answers: no stack, no device, no
system call. What a server with this protocol gives on a wire is a share of that.

Strategy. Each iteration of the loop gives a request to each connection that has answered the last
one. A transport's `write` is `len`: the cheapest call there is that takes the octets.

Rules. The collector is set as `corten asgi` sets it. FILE holds how many requests were answered, 8
octets that whoever watches maps, and then the whole of one reply.
"""

from __future__ import annotations

import asyncio
import gc
import mmap
import sys
from typing import Any, ClassVar

import uvloop
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bench.asgi_server import COUNT
from corten.aio.asgi import YOUNG_MAX

REQUEST = b"GET / HTTP/1.1\r\nHost: 10.98.0.2\r\n\r\n"  # as wrk writes it
_PATIENCE = 1000  # iterations within which one request is answered


class NullTransport:
    """Takes everything, and is never full."""

    names: ClassVar[dict[str, Any]] = {"peername": ("10.98.0.1", 9), "sockname": ("10.98.0.2", 80)}
    write: Any = staticmethod(len)
    is_closing: Any = staticmethod(bool)

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return self.names.get(name, default)

    def pause_reading(self) -> None:
        """It is fed when it has answered, and not before."""

    resume_reading = close = pause_reading


class Feeder:
    """The connections, and one loop that asks each again and again."""

    def __init__(self, application: str, connections: int, loop: Any) -> None:
        config = Config(application, http="httptools", access_log=False, log_level="warning")
        config.load()
        self.loop = loop
        self.state = ServerState()
        self.protocols = [
            HttpToolsProtocol(config, self.state, {}, loop) for _ in range(connections)
        ]
        for protocol in self.protocols:
            protocol.connection_made(NullTransport())  # type: ignore[arg-type]  # what it calls

    async def reply(self) -> bytes:
        """The octets of one answer. RuntimeError when it is not finished soon."""
        written: list[bytes] = []
        protocol = self.protocols[0]
        transport: Any = protocol.transport
        transport.write = written.append  # to look at it
        protocol.data_received(REQUEST)
        for _ in range(_PATIENCE):
            await asyncio.sleep(0)
            if self.state.total_requests:
                del transport.write
                return b"".join(written)
        raise RuntimeError("the application does not answer")

    def feed(self, counter: mmap.mmap) -> None:
        """One iteration, and the next."""
        for protocol in self.protocols:
            cycle = protocol.cycle
            if cycle is None or cycle.response_complete:
                protocol.data_received(REQUEST)
        COUNT.pack_into(counter, 0, self.state.total_requests)
        self.loop.call_soon(self.feed, counter)


def main(application: str, connections: str, path: str) -> None:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    feeder = Feeder(application, int(connections), loop)
    reply = loop.run_until_complete(feeder.reply())
    with open(path, "w+b") as file:
        file.write(bytes(COUNT.size) + reply)
        file.flush()
        counter = mmap.mmap(file.fileno(), COUNT.size)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, 10, 10)
    print("ready", flush=True)
    loop.call_soon(feeder.feed, counter)
    loop.run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
