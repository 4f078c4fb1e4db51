"""`python -m bench.bulk_server PORT LINK CORE`: sends or takes as much as the client wants.

The first octet a client sends says what it wants: `s`, be sent the pattern until it goes away; `r`,
have what follows compared with the pattern, and at its end be told how many octets were right. The
same program runs on Corten's links and, with `kernel`, on the kernel's sockets.
"""

from __future__ import annotations

import struct
import sys

import corten
from bench.flow import BLOCK
from corten.endpoint.connection import Connection


def right_len(data: bytes | memoryview, at: int) -> int:
    """How many octets of `data` are the pattern's from position `at` on: all, or up to a block."""
    done = 0
    while done < len(data):
        place = (at + done) % len(BLOCK)
        part = min(len(data) - done, len(BLOCK) - place)
        # as bytes: a view is compared octet by octet, which costs more than a copy
        if bytes(data[done : done + part]) != BLOCK[place : place + part]:
            break
        done += part
    return done


class Bulk(corten.Handler):
    """One connection: sends for ever, or compares and counts."""

    def __init__(self) -> None:
        self.wish = b""
        self.octets = 0
        self.wrong = False

    def on_data(self, connection: Connection, data: bytes) -> None:
        if not self.wish:
            self.wish, data = data[:1], data[1:]
            if self.wish == b"s":
                self.on_writable(connection)
        right = right_len(data, self.octets)
        self.wrong = self.wrong or right < len(data)
        self.octets += right

    def on_writable(self, connection: Connection) -> None:
        while self.wish == b"s" and connection.send(BLOCK):
            pass

    def on_eof(self, connection: Connection) -> None:
        connection.send(struct.pack(">q", -1 if self.wrong else self.octets))
        connection.close()


def main(port: str, link: str, core: str) -> None:
    said = "ready"
    corten.serve(
        {int(port): Bulk}, [link], cpus=[int(core)], ready=lambda _: print(said, flush=True)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
