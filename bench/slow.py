"""`python -m bench.slow PORT LINK CORE`: a server whose handler takes 20 microseconds a request.

What overloads it is its own work, so that a client on the one other core can offer twice as much as
it does.
"""

from __future__ import annotations

import sys
import time

import corten
from corten.endpoint.connection import Connection

WORK_NS = 20_000
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n"


class Slow(corten.Handler):
    """Answers each request after some work; a request is a segment or several in one."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            until = time.perf_counter_ns() + WORK_NS
            while time.perf_counter_ns() < until:
                pass
            connection.send(_REPLY)


def main(port: str, link: str, core: str) -> None:
    ready = "ready"
    corten.serve(
        {int(port): Slow}, [link], cpus=[int(core)], ready=lambda _: print(ready, flush=True)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
