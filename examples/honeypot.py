"""An HTTP honeypot at every address of a /16: who asks what of which address, as lines of JSON.

    python examples/honeypot.py --link tap:trap0,address=10.0.2.2/24,prefix=10.9.0.0/16
    ip route add 10.9.0.0/16 via 10.0.2.2       # on whoever shall reach it; here it is this machine
    curl -i http://10.9.77.5/login              # any of 65,536 addresses

In a checkout that is built but not installed, put PYTHONPATH=. before it. A new TAP needs root, or
a network namespace (`unshare -Urn`). On a network: `packet:eth1,…`, and the route on its router.

Each address is some server: which one follows from the address and --key alone, so it is the same
tomorrow, and nothing is kept for those that nobody asks. On standard output stand

    {"ready": ["10.0.2.2"]}
    {"time": "2027-01-31T12:00:00Z", "from": "10.0.2.1", "port": 40112, "to": "10.9.77.5", "at": 80,
     "plays": "nginx/1.18.0", "asked": "GET /login HTTP/1.1", "fields": ["Host: 10.9.77.5", …]}

and for what is no HTTP "sent" instead of the last two, its first octets as Latin-1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from email.utils import formatdate
from functools import partial

import corten

HEAD_MAX = 8192  # octets of a request that are read and written down
IDLE_SECONDS = 20
LIKE_HTTP = re.compile(rb"[A-Z]{1,16}(?: |\Z)")  # what may still become a request
FACES = (  # Server, the page at /
    ("nginx/1.18.0", "<h1>Welcome to nginx!</h1>"),
    ("Apache/2.4.41 (Ubuntu)", "<h1>It works!</h1>"),
    ("Microsoft-IIS/10.0", "<title>IIS Windows Server</title>"),
    ("lighttpd/1.4.55", "<title>Router setup</title><a href=/login>Login</a>"),
    ("GoAhead-Webs", "<title>Network camera</title><a href=/login>Sign in</a>"),
)


def face(address: str, key: bytes) -> tuple[str, str]:
    """What an address pretends to be."""
    digest = hashlib.blake2s(address.encode(), key=key).digest()
    return FACES[digest[0] % len(FACES)]


def reply(server: str, page: str, head: bytes) -> bytes:
    """What a server that has `page` at / says to a request."""
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0]
    if method not in (b"GET", b"HEAD", b"POST") or not path.startswith(b"/"):
        status, page = "400 Bad Request", "<h1>Bad Request</h1>"
    elif path.startswith((b"/login", b"/admin")):
        status, page = "401 Unauthorized", "<h1>Unauthorized</h1>"
    elif path == b"/":
        status = "200 OK"
    else:
        status, page = "404 Not Found", "<h1>Not Found</h1>"
    fields = [f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}", f"Server: {server}"]
    if status.startswith("401"):
        fields.append('WWW-Authenticate: Basic realm="login"')
    fields += ["Content-Type: text/html", f"Content-Length: {len(page)}", "Connection: close"]
    text = "\r\n".join(fields) + "\r\n\r\n" + ("" if method == b"HEAD" else page)
    return text.encode()


def write_down(**what: object) -> None:
    """A line in one call, so that those of several workers do not mix."""
    os.write(1, json.dumps(what).encode() + b"\n")


class Trap(corten.Handler):
    """One connection, one request."""

    def __init__(self, key: bytes) -> None:
        self.key, self.text = key, b""
        self.ends: dict[str, object] | None = None  # None: it has been written down

    def on_open(self, connection: corten.Connection) -> None:
        (source, port), (address, at) = connection.peer, connection.local
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.ends = {"time": now, "from": source, "port": port, "to": address, "at": at}
        self.server, self.page = face(address, self.key)
        self.ends["plays"] = self.server
        connection.set_timeout(IDLE_SECONDS)

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        if self.ends is None:
            return  # it has its answer
        self.text += data[: HEAD_MAX - len(self.text)]
        head, is_whole, _ = self.text.partition(b"\r\n\r\n")
        if is_whole or len(self.text) == HEAD_MAX or not LIKE_HTTP.match(head):
            self.write_down()
            connection.send(reply(self.server, self.page, head))
            connection.close()

    def on_eof(self, connection: corten.Connection) -> None:
        connection.close()

    def on_close(self, connection: corten.Connection, error: Exception | None) -> None:
        self.write_down()  # who came and did not ask is worth a line too

    def write_down(self) -> None:
        ends, self.ends = self.ends, None
        if ends is None:
            return
        head, is_whole, _ = self.text.partition(b"\r\n\r\n")
        if is_whole:
            asked, *fields = head.decode("latin-1").split("\r\n")
            write_down(**ends, asked=asked, fields=fields)
        else:
            write_down(**ends, sent=self.text.decode("latin-1"))


def main() -> None:
    parser = argparse.ArgumentParser(description="An HTTP honeypot at a whole prefix.")
    parser.add_argument("port", type=int, nargs="*", default=[80])
    parser.add_argument("--link", action="append", help="as for corten httpd", required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--key", default="", help="what decides which address plays what")
    asked = parser.parse_args()
    make = partial(Trap, asked.key.encode()[:32])

    def ready(addresses: list[str]) -> None:
        write_down(ready=addresses)

    try:
        corten.serve(dict.fromkeys(asked.port, make), asked.link, asked.workers, ready=ready)
    except corten.CortenError as error:
        print(f"honeypot: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
