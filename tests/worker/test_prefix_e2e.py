"""A link that has a /16 of its own, over a real TAP: the kernel calls hundreds of its addresses."""

from __future__ import annotations

import errno
import json
import random
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from tests.netns import Client, Program, namespace, pattern
from tests.worker.test_serve_e2e import Served

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
COUNT = 300
LINK = "tap:trap0,address=10.0.2.2/24,address=fd00::2/64,prefix=10.9.0.0/16,prefix=fd09::/64"


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("prefix") as made:
        made.speak_ipv6()
        yield made


def addresses() -> list[str]:
    """The first and the last of each prefix, and others by chance, the same each time."""
    chance = random.Random(9)
    found = ["10.9.0.0", "10.9.255.255", "fd09::", "fd09::ffff:ffff:ffff:ffff"]
    while len(found) < COUNT:
        if len(found) % 5:
            found.append(f"10.9.{chance.randrange(256)}.{chance.randrange(256)}")
        else:
            words = ":".join(f"{chance.randrange(1 << 16):x}" for _ in range(4))
            found.append(str(socket.inet_ntop(socket.AF_INET6, _octets(f"fd09:0:0:0:{words}"))))
    return found


def _octets(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, address)


def routed(space: Namespace) -> None:
    """The kernel sends what is for the prefixes to the link's own addresses."""
    space.ip("route", "add", "10.9.0.0/16", "via", "10.0.2.2")
    space.ip("-6", "route", "add", "fd09::/64", "via", "fd00::2")


@pytest.mark.parametrize("workers", [1, 2])
def test_each_address_that_is_called_answers(space: Namespace, workers: int) -> None:
    with Served(space, [LINK], workers=workers) as served:
        routed(space)
        clients, seen = [], set()
        for address in addresses():
            with space.inside():
                client = Client(socket.create_connection((address, 80), 10.0))
            assert client.socket.getpeername()[0] == address
            seen.add(client.ask("/pid"))
            clients.append(client)
        assert len(seen) == workers
        for client in clients[::10]:  # all are open still
            assert client.ask("/20000") == pattern(20_000)
        for client in clients:
            client.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_one_that_is_next_door_needs_no_route(space: Namespace) -> None:
    """Who takes the prefix for his own subnet asks with ARP for each address."""
    with Served(space, [LINK]) as served:
        space.ip("route", "add", "10.9.7.0/24", "dev", "trap0")
        for host in (1, 77, 255):
            with space.inside():
                client = Client(socket.create_connection((f"10.9.7.{host}", 80), 10.0))
            assert client.ask("/5") == pattern(5)
            client.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_what_is_beside_it_is_not_answered(space: Namespace) -> None:
    with Served(space, [LINK]) as served:
        routed(space)
        space.ip("route", "add", "10.10.0.0/16", "via", "10.0.2.2")
        with space.inside():
            beside = socket.socket()
            beside.setblocking(False)
            assert beside.connect_ex(("10.10.0.1", 80)) == errno.EINPROGRESS
            client = Client(socket.create_connection(("10.9.0.1", 80), 10.0))
        assert client.ask("/5") == pattern(5)  # who came later has been answered
        assert select.select([], [beside], [], 0)[1] == []
        client.close()
        beside.close()
        assert served.program.end(signal.SIGTERM) == 0


def test_a_prefix_with_an_address_of_the_hosts_in_it_is_refused(space: Namespace) -> None:
    space.ip("address", "add", "10.9.3.3/32", "dev", "lo")
    program = Program(space, "-m", "tests.worker.server", json.dumps({"links": [LINK]}))
    try:
        said = program.wait_for("error")
        assert "prefix 10.9.0.0/16 has 10.9.3.3 in it, this host's own, on lo" in said
        assert program.end() == 2
    finally:
        program.close()
