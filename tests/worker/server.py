"""The server that end-to-end tests run: `python -m tests.worker.server '{"links": […], …}'`.

GET /N answers N octets of the pattern, /pid its process and worker, /sum the digest of the body
that came; /raise fails. `calls` connections of each worker go to `callee` and serve there. Lines of
JSON tell what goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Any

from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.worker.serve import serve
from tests.netns import pattern


def say(**message: object) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


class Server(Handler):
    """As much HTTP as the tests' client speaks."""

    def __init__(self) -> None:
        self.text = b""

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.text += data
        while b"\r\n\r\n" in self.text:
            head, _, rest = self.text.partition(b"\r\n\r\n")
            length = int((head.lower().partition(b"content-length: ")[2] or b"0").split()[0])
            if len(rest) < length:
                return
            body, self.text = rest[:length], rest[length:]
            self.answer(connection, head.split()[1].decode(), body)

    def answer(self, connection: Connection, path: str, body: bytes) -> None:
        worker: Any = connection.worker
        if path == "/pid":
            reply(connection, f"{os.getpid()} {worker.index}".encode())
        elif path == "/sum":
            reply(connection, hashlib.sha256(body).hexdigest().encode())
        elif path == "/raise":
            raise RuntimeError("asked for")
        else:
            reply(connection, pattern(int(path[1:])))


def reply(connection: Connection, body: bytes) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def main() -> int:
    options = json.loads(sys.argv[1])
    fails = options.pop("fails", "")
    callee = options.pop("callee", None)
    calls = options.pop("calls", 0)
    quiet = options.pop("quiet", False)  # for who does not read what it says each second

    def setup(worker: Any) -> None:
        for _ in range(calls):
            worker.connect(*callee, Server)
        if fails:
            raise CortenError(fails)
        worker.call_soon_threadsafe(lambda: say(up=[os.getpid(), worker.index]))

    try:
        return serve(
            {80: Server},
            options.pop("links"),
            setup=setup,
            ready=lambda addresses: say(ready=addresses, supervisor=os.getpid()),
            report=None if quiet else lambda counters: say(counters=counters),
            **options,
        )
    except CortenError as error:
        say(error=str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
