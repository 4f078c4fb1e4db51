"""A client over memif that does not give up: `python -m tests.driver.memif_asker LINK ADDRESS`.

It asks for a page every 20 ms on one connection, opens another when that ends or is silent for half
a second, and says as a line of JSON which answer it has had.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import corten
from corten.endpoint.connection import Connection

_EVERY_S = 0.02
_PATIENCE_S = 0.5
_BODY_LEN = 3000


class Asker(corten.Handler):
    """One connection at a time; what they all count is the class's."""

    worker: Any
    address = ""
    answered = 0

    def __init__(self) -> None:
        self.wanted = 0

    @classmethod
    def call(cls) -> None:
        cls.worker.connect(cls.address, 80, cls, syn_timeout_ns=int(1e9))

    def on_open(self, connection: Connection) -> None:
        self.ask(connection)

    def ask(self, connection: Connection) -> None:
        connection.set_timeout(_PATIENCE_S)
        self.wanted = -1
        connection.send(b"GET /%d HTTP/1.1\r\n\r\n" % _BODY_LEN)
        self.text = b""

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.text += data
        _, end, body = self.text.partition(b"\r\n\r\n")
        if end and len(body) == _BODY_LEN:
            Asker.answered += 1
            os.write(1, json.dumps({"answered": Asker.answered}).encode() + b"\n")
            self.worker.call_later(_EVERY_S, self.ask, connection)

    def on_timeout(self, connection: Connection) -> None:
        connection.abort()

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.worker.call_later(_EVERY_S, self.call)


def main(link: str, address: str) -> None:
    Asker.address = address

    def begin(worker: Any) -> None:
        Asker.worker = worker
        Asker.call()

    corten.serve({}, [link], setup=begin, supervised=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
