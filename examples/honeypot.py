"""A honeypot: one process is every address of a network, and writes down who asks what of which.

    python examples/honeypot.py 10.66.0.0/16 --link tap:corten0,address=10.0.2.2/24,host=10.0.2.1/24

On the machine that leads to it, `ip route add 10.66.0.0/16 via 10.0.2.2`, then `curl
http://10.66.123.45/admin`. Each request is a line of JSON on standard output. Every address keeps
its own face, a server's name and a page, so that a scan of the network does not find one machine
65,536 times. In a checkout that is built but not installed, put PYTHONPATH=. before it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from email.utils import formatdate

import corten

HEAD_MAX = 8192  # octets of a request that are kept
IDLE_SECONDS = 30
FACES = [  # what the machines of a network call themselves: (Server, title of the page)
    ("nginx/1.18.0 (Ubuntu)", "Welcome to nginx!"),
    ("Apache/2.4.41 (Ubuntu)", "Apache2 Ubuntu Default Page: It works"),
    ("lighttpd/1.4.55", "Router login"),
    ("Microsoft-IIS/10.0", "IIS Windows Server"),
    ("mini_httpd/1.30", "Network camera"),
]


def face_of(address: str) -> tuple[str, str]:
    """Which of them an address is: the same one each time."""
    return FACES[zlib.crc32(address.encode()) % len(FACES)]


class Trap(corten.Handler):
    """One connection to one of the addresses."""

    def __init__(self) -> None:
        self.request = b""

    def on_open(self, connection: corten.Connection) -> None:
        connection.set_timeout(IDLE_SECONDS)

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        self.request += data
        if b"\r\n\r\n" in self.request or len(self.request) > HEAD_MAX:
            self.note(connection)
            connection.send(self.reply(connection.local[0]))
            connection.close()

    def on_timeout(self, connection: corten.Connection) -> None:
        self.note(connection)  # who says nothing is of interest, too
        connection.close()

    def note(self, connection: corten.Connection) -> None:
        lines = self.request[:HEAD_MAX].decode("latin-1").split("\r\n")
        found = {"at": round(time.time(), 3), "from": connection.peer[0], "to": connection.local[0]}
        fields = [line for line in lines[1:] if line]
        print(json.dumps({**found, "request": lines[0], "fields": fields}), flush=True)

    def reply(self, address: str) -> bytes:
        server, title = face_of(address)
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        fields = f"Date: {formatdate(usegmt=True)}\r\nServer: {server}\r\nConnection: close\r\n"
        length = f"Content-Type: text/html\r\nContent-Length: {len(page)}\r\n"
        return f"HTTP/1.1 200 OK\r\n{fields}{length}\r\n{page}".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="An HTTP honeypot on a whole network.")
    parser.add_argument("prefix", help="all of whose addresses are ours, as 10.66.0.0/16")
    parser.add_argument("--link", required=True, help="as for corten httpd")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()

    def ready(addresses: list[str]) -> None:
        print(json.dumps({"ready": asked.prefix, "link": addresses}), flush=True)

    try:
        link = f"{asked.link},prefix={asked.prefix}"
        corten.serve({asked.port: Trap}, [link], asked.workers, ready=ready)
    except corten.CortenError as error:
        sys.exit(f"honeypot: {error}")


if __name__ == "__main__":
    main()
