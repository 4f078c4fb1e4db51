"""A stack that speaks to itself: by its own addresses, 127/8 and ::1, and never on a wire."""

from __future__ import annotations

from typing import Any

import pytest

from corten.core.chance import Chance
from corten.endpoint.handler import Handler
from corten.sim.packet import Options, Segment, encode
from corten.sim.script import HERE, HERE_MAC, THERE_MAC, Trace
from corten.stack.stack import Stack
from corten.tcp.config import Config

MILLISECOND = 10**6


class Echo(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.send(data)


class Client(Handler):
    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.heard = bytearray()
        self.error: Exception | None = None
        self.closed = False

    def on_open(self, connection: Any) -> None:
        connection.send(self.data)

    def on_data(self, connection: Any, data: bytes) -> None:
        self.heard += data
        if len(self.heard) >= len(self.data):
            connection.close()

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.error = error
        self.closed = True


class Alone:
    """A stack with a link that must stay silent."""

    def __init__(self, **config: Any) -> None:
        self.stack = Stack(Chance(1), b"k" * 32, Config(**config), now=10**9)
        self.link = self.stack.add_interface(
            "t0", "02:00:00:00:00:01", ["10.0.0.1/24", "2001:db8::1/64"]
        )
        self.now = 10**9
        self.is_silent = False
        self.run(5000)  # it announces its addresses
        self.is_silent = True

    def breathe(self) -> None:
        stack, now = self.stack, self.now
        stack.expire(now)
        stack.deliver(now)
        stack.release(now)
        more = True
        while more:
            more = stack.transmit(now)
            assert self.link.outgoing.count == 0 or not self.is_silent
            self.link.outgoing.clear()

    def run(self, ms: float) -> None:
        """Breathe as a worker would, for so long."""
        end = self.now + int(ms * MILLISECOND)
        while self.now <= end:
            self.breathe()
            deadline = self.stack.next_deadline()
            self.now = self.now + 1000 if deadline <= self.now else min(deadline, end + 1)


@pytest.mark.requirement("RFC 1122 3.2.1.3")
@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "127.1.2.3", "::1", "2001:db8::1"])
def test_a_connection_to_ourselves(address: str) -> None:
    alone = Alone(time_wait_ns=MILLISECOND)
    alone.stack.listen(7, Echo)
    client = Client(b"to myself")
    connection = alone.stack.connect(address, 7, lambda: client)
    assert connection.peer == (address, 7) and connection.local[0] == address
    alone.run(500)
    assert client.heard == b"to myself" and client.closed and client.error is None
    alone.run(1000)
    assert alone.stack.leaks() == []


def test_bulk_both_ways() -> None:
    alone = Alone(time_wait_ns=MILLISECOND)
    alone.stack.listen(7, Echo)
    client = Client(bytes(range(256)) * 12_000)  # 3 MB: more than one batch holds
    alone.stack.connect("127.0.0.1", 7, lambda: client)
    alone.run(20_000)
    assert client.heard == client.data and client.error is None
    alone.run(1000)
    assert alone.stack.leaks() == []


def test_nobody_listens() -> None:
    alone = Alone()
    client = Client()
    alone.stack.connect("127.0.0.1", 9, lambda: client)
    alone.run(100)
    assert isinstance(client.error, ConnectionRefusedError)
    assert alone.stack.leaks() == []


@pytest.mark.requirement("MUST-10")
@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1"])
def test_a_connection_to_itself(address: str) -> None:
    """The same port at both ends: one connection, by a simultaneous open with itself."""
    alone = Alone(time_wait_ns=MILLISECOND)
    client = Client(b"echo, echo")
    alone.stack.connect(address, 5000, lambda: client, source=(None, 5000))
    alone.run(3000)
    assert client.heard == b"echo, echo"
    alone.run(3000)
    assert client.closed and client.error is None
    assert alone.stack.leaks() == []


def test_a_listener_of_one_address() -> None:
    alone = Alone(time_wait_ns=MILLISECOND)
    alone.stack.listen(7, Echo, "127.0.0.1")
    refused, served = Client(), Client(b"x")
    alone.stack.connect("10.0.0.1", 7, lambda: refused)
    alone.stack.connect("127.0.0.1", 7, lambda: served)
    alone.run(500)
    assert isinstance(refused.error, ConnectionRefusedError)
    assert served.heard == b"x"


@pytest.mark.requirement("MUST-63", "RFC 1122 3.2.1.3")
def test_from_a_wire_they_stay_invalid() -> None:
    t = Trace()
    t.host.stack.loopback()
    for source in ("127.0.0.1", "10.0.0.1"):
        segment = Segment(source, HERE, 9, 80, 1, 0, 2, 100, Options(), b"", HERE_MAC, THERE_MAC)
        t.inject(encode(segment))
    t.expect_nothing(10)
    assert t.host.stack.counters.snapshot()["ipv4_bad_source"] == 2
    t.finish()
