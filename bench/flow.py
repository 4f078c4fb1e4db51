"""`python -m bench.flow END SIDE …`: an end of a bulk transfer, on the kernel's TCP or on Corten's.

    kernel send ADDRESS SECONDS           corten send LINK ADDRESS SECONDS
    kernel receive ADDRESS SECONDS        corten receive LINK SECONDS

The receiver listens, the sender connects and sends as fast as it may. What is sent is a pattern
that depends on the position, and each octet is compared. The receiver counts for SECONDS from the
first octet, prints JSON (octets, seconds) and ends; the sender sends a little longer than that.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

import corten
from corten.endpoint.connection import Connection
from corten.endpoint.loop import Loop

PORT = 5001
BLOCK = bytes((7 * i + (i >> 8)) & 0xFF for i in range(65521))  # a prime length, no period inside
_LONGER_S = 3.0


class Count:
    """Octets received since the first, each compared with the pattern."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.octets = 0
        self.first = 0.0

    def add(self, data: bytes | memoryview) -> bool:
        """Count a piece; True once the time is over. ValueError for a wrong octet."""
        now = time.monotonic()
        if self.first == 0.0:
            self.first = now
        at = 0
        while at < len(data):
            place = (self.octets + at) % len(BLOCK)
            part = min(len(data) - at, len(BLOCK) - place)
            if data[at : at + part] != BLOCK[place : place + part]:
                raise ValueError(f"wrong octets near {self.octets + at}")
            at += part
        if now - self.first < self.seconds:
            self.octets += len(data)
        return now - self.first >= self.seconds

    def report(self) -> None:
        print(json.dumps({"octets": self.octets, "seconds": self.seconds}), flush=True)


def kernel_send(address: str, seconds: float) -> None:
    with socket.create_connection((address, PORT), 10) as connection:
        until = time.monotonic() + seconds + _LONGER_S
        connection.settimeout(1.0)
        left = memoryview(BLOCK)
        while time.monotonic() < until:
            try:
                left = left[connection.send(left) :] or memoryview(BLOCK)
            except TimeoutError:
                continue  # silent: a long recovery; the receiver's figure shows it
            except OSError:
                return  # silent: the receiver has its figure and is gone


def kernel_receive(address: str, seconds: float) -> None:
    count = Count(seconds)
    with socket.create_server((address, PORT)) as server, selectors.DefaultSelector() as selector:
        print("ready", flush=True)
        connection, _ = server.accept()
        with connection:
            selector.register(connection, selectors.EVENT_READ)
            store = bytearray(1 << 18)
            until = float("inf")
            while time.monotonic() < until:
                if selector.select(0.1):
                    length = connection.recv_into(store)
                    if count.add(memoryview(store)[:length]) or not length:
                        break
                if count.first:
                    until = count.first + seconds
    count.report()


class Sender(corten.Handler):
    """Keeps the queue full until its time is over."""

    seconds = 0.0

    def on_open(self, connection: Connection) -> None:
        connection.set_timeout(self.seconds + _LONGER_S)
        self.on_writable(connection)

    def on_writable(self, connection: Connection) -> None:
        while connection.send(BLOCK):
            pass

    def on_timeout(self, connection: Connection) -> None:
        connection.abort()

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        connection.worker.stop()


class Receiver(corten.Handler):
    """Counts for its time."""

    count = Count(0.0)

    def on_open(self, connection: Connection) -> None:
        connection.set_timeout(self.count.seconds + 1.0)  # should nothing arrive any more

    def on_data(self, connection: Connection, data: bytes) -> None:
        if self.count.add(data):
            connection.abort()

    def on_timeout(self, connection: Connection) -> None:
        connection.abort()

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.count.report()
        connection.worker.stop()


def corten_send(link: str, address: str, seconds: float) -> None:
    Sender.seconds = seconds

    def connect(worker: Loop) -> None:
        worker.call_later(0.3, worker.connect, address, PORT, Sender)

    corten.serve({}, [link], setup=connect, supervised=False, ready=lambda _: print("ready"))


def corten_receive(link: str, seconds: float) -> None:
    Receiver.count = Count(seconds)
    corten.serve(
        {PORT: Receiver}, [link], supervised=False, ready=lambda _: print("ready", flush=True)
    )


def main(words: list[str]) -> None:
    seconds = float(words[-1])
    if words[:2] == ["kernel", "send"]:
        kernel_send(words[2], seconds)
    elif words[:2] == ["kernel", "receive"]:
        kernel_receive(words[2], seconds)
    elif words[:2] == ["corten", "send"]:
        corten_send(words[2], words[3], seconds)
    elif words[:2] == ["corten", "receive"]:
        corten_receive(words[2], seconds)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
