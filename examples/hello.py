"""Hello, world: an HTTP server in a plain Python handler.

    python examples/hello.py 8080 --link tap:corten0,address=10.0.2.2/24
    python examples/hello.py 8080 --link kernel,address=127.0.0.1

In a checkout that is built but not installed, put PYTHONPATH=. before it.

It understands as much of HTTP/1.1 as it needs in order to be right: requests that come in pieces
or several at once, HEAD, Connection: close, HTTP/1.0; it refuses the rest. `corten httpd` is the
real server.
"""

from __future__ import annotations

import argparse
import re
import sys
from email.utils import formatdate
from typing import Any

import corten

HEAD_MAX = 8192  # octets of a request's head
IDLE_SECONDS = 60
BODY = b"Hello, world!\n"

# a request line, then fields; what a body would need is not there
REQUEST = re.compile(rb"(GET|HEAD) [!-~]+ HTTP/1\.([01])((?:\r\n[!-9;-~]+:[\t -~\x80-\xff]*)*)\Z")
BODY_FIELD = re.compile(rb"\r\n(?:content-length|transfer-encoding):", re.IGNORECASE)
OPTION = re.compile(rb"\r\nconnection:[^\r]*\b(close|keep-alive)\b", re.IGNORECASE)


class Replies:
    """The replies that are ready to be sent; their Date is made anew each second."""

    def __init__(self) -> None:
        self.keep = self.head = b""

    def tick(self, worker: Any) -> None:
        fields = f"Date: {formatdate(usegmt=True)}\r\nContent-Type: text/plain\r\n"
        head = f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(BODY)}\r\n".encode()
        self.head = head + b"\r\n"
        self.keep = self.head + BODY
        worker.call_later(1, self.tick, worker)


REPLIES = Replies()
SEEN: dict[bytes, bool] = {}  # heads as clients repeat them, that a plain reply answers


class Hello(corten.Handler):
    """One connection: what has come of a head that is not whole yet."""

    def __init__(self) -> None:
        self.rest = b""

    def on_open(self, connection: corten.Connection) -> None:
        connection.set_timeout(IDLE_SECONDS)

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for head in heads:
            if head in SEEN:
                connection.send(REPLIES.keep)
            elif not self.answer(connection, head):
                connection.close()
                return
        if len(self.rest) > HEAD_MAX:
            self.refuse(connection, b"431 Request Header Fields Too Large")
            connection.close()
        connection.set_timeout(IDLE_SECONDS)

    def answer(self, connection: corten.Connection, head: bytes) -> bool:
        """Answer a request that was not seen before; whether the connection goes on."""
        request = REQUEST.match(head)
        if request is None or BODY_FIELD.search(head):
            known = head.startswith((b"GET ", b"HEAD "))
            self.refuse(connection, b"400 Bad Request" if known else b"501 Not Implemented")
            return False
        method, minor, fields = request.groups()
        if minor == b"1" and len(re.findall(rb"(?i)\r\nhost:", fields)) != 1:
            self.refuse(connection, b"400 Bad Request")
            return False
        option = OPTION.search(fields)
        goes_on = minor == b"1" and not (option and option[1].lower() == b"close")
        reply = REPLIES.head if method == b"HEAD" else REPLIES.keep
        if not goes_on:
            reply = reply.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        elif method == b"GET" and len(SEEN) < 1000:
            SEEN[head] = True
        connection.send(reply)
        return goes_on

    def refuse(self, connection: corten.Connection, status: bytes) -> None:
        connection.send(
            b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Hello, world over HTTP.")
    parser.add_argument("port", type=int, nargs="?", default=8080)
    parser.add_argument("--link", action="append", help="as for corten httpd", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cpus", type=int, nargs="*", help="processors, one a worker")
    parser.add_argument("--busy-poll", action="store_true")
    asked = parser.parse_args()

    def ready(addresses: list[str]) -> None:
        for address in addresses:
            print(f"ready: http://{address}:{asked.port}/", flush=True)

    try:
        corten.serve(
            {asked.port: Hello},
            asked.link,
            asked.workers,
            asked.cpus,
            busy_poll=asked.busy_poll,
            setup=REPLIES.tick,
            ready=ready,
        )
    except corten.CortenError as error:
        sys.exit(f"hello: {error}")


if __name__ == "__main__":
    main()
