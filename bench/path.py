"""The path of a request without a device: two stacks joined by a pipe, in one process.

`python -m bench.path SCENARIO REQUESTS` plays so many requests on 32 connections under virtual time
and prints how many were answered, and the nanoseconds of the server's breaths. The server breathes
through `Breath.breathe`; the client's stack is called from here part by part, so that an instrument
can tell the two apart by that one name.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial

from corten.app.http_service import Service
from corten.app.httpd import factory
from corten.app.load import LoadHandler, Tally
from corten.app.load_option import Options
from corten.app.site import load
from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.driver.pipe import Pipe
from corten.endpoint.connection import Connection
from corten.endpoint.handler import Handler
from corten.ip.interface import Interface
from corten.stack.stack import Stack
from corten.worker.breath import Breath

CONNECTIONS = 32
# octets of the file; 0: a Python handler; -1: no requests, `bench.segments` has them
SCENARIOS = {
    "small": 100,
    "bulk": 65536,
    "close": 100,
    "hello": 0,
    "segment": -1,
    "ack": -1,
    "drop": -1,
    "disorder": -1,
}
STEP_NS = 20_000
SERVER = ("10.0.0.2", "02:00:00:00:00:02")
CLIENT = ("10.0.0.1", "02:00:00:00:00:01")
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n"


class Hello(Handler):
    """What a Python handler costs: one call, one reply."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            connection.send(_REPLY)


def stack_of(
    seed: int, own: tuple[str, str], other: tuple[str, str], offload: bool = True
) -> tuple[Stack, Interface]:
    """A stack on one end of the pipe, with a static neighbour on the other."""
    stack = Stack(Chance(seed), bytes([seed]) * 32)
    interface = stack.add_interface(
        "pipe",
        own[1],
        [f"{own[0]}/24"],
        offload_checksum=offload,
        offload_segmentation=offload,
        neighbours={other[0]: other[1]},
    )
    return stack, interface


class Timed:
    """A breath, and the time that all of them took together."""

    def __init__(self, server: Stack, pipe: Pipe, interface: Interface) -> None:
        self.breath = Breath(server)
        self.breath.add_wire(pipe, interface)
        self.ns = 0

    def breathe(self, now: int) -> None:
        began = time.perf_counter_ns()
        self.breath.breathe(now)
        self.ns += time.perf_counter_ns() - began


class Client:
    """The asking end, called part by part."""

    def __init__(self, pipe: Pipe, requests: int, close: bool, offload: bool = True) -> None:
        self.pipe = pipe
        self.requests = requests
        self.stack, self.interface = stack_of(1, CLIENT, SERVER, offload)
        self.batch = ReceiveBatch()
        last = b"Connection: close\r\n\r\n" if close else b"\r\n"
        request = b"GET /file.htm HTTP/1.1\r\nHost: 10.0.0.2\r\n" + last
        self.tally = Tally([request], Options([], timeout=3600.0, close=close), self)
        self.tally.start()

    def open(self, slot: int) -> None:
        self.stack.connect(SERVER[0], 80, partial(LoadHandler, self.tally, slot))

    def opened(self) -> None:
        """One more stands."""

    def held(self) -> None:
        """None is held."""

    def ended(self, handler: LoadHandler) -> None:
        """With a connection for each request, the next one follows."""
        self.stack.call_soon(self.open, handler.slot)

    def turn(self, now: int) -> None:
        self.pipe.receive(self.batch)
        self.stack.receive(now, self.interface, self.batch)
        self.stack.expire(now)
        self.stack.deliver(now)
        self.stack.release(now)
        self.batch.clear()
        more = True
        while more:
            more = self.stack.transmit(now)
            self.send()
            self.interface.outgoing.clear()

    def send(self) -> None:
        """What the stack wants to say leaves."""
        self.pipe.transmit(self.interface.outgoing)


def play(scenario: str, requests: int) -> tuple[int, int]:
    """Ask and answer; how many requests were answered, and the nanoseconds of the server's breaths.
    RuntimeError when the path is broken."""
    ours, theirs = Pipe.pair(limit=1 << 16, offload=True)
    server, interface = stack_of(2, SERVER, CLIENT)
    with tempfile.TemporaryDirectory() as root:
        if size := SCENARIOS[scenario]:
            with open(f"{root}/file.htm", "wb") as file:
                file.write(b"x" * size)
            server.listen(80, factory(Service(load(root), clock=lambda: 1e9)))
        else:
            server.listen(80, Hello)
    breath = Timed(server, ours, interface)
    client = Client(theirs, requests, scenario == "close")
    for slot in range(CONNECTIONS):
        client.open(slot)
    now = 0
    turns_left = 100 + 100 * requests // CONNECTIONS
    while client.tally.replies < requests and turns_left:
        now += STEP_NS
        turns_left -= 1
        client.turn(now)
        breath.breathe(now)
    if client.tally.replies < requests or client.tally.errors:
        raise RuntimeError(f"{client.tally.replies} of {requests}, {client.tally.errors}")
    return int(client.tally.replies), breath.ns


if __name__ == "__main__":
    from bench.segments import stream

    print(*(stream if SCENARIOS[sys.argv[1]] < 0 else play)(sys.argv[1], int(sys.argv[2])))
