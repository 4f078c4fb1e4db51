"""The honeypot of `examples/`: a whole /16 answers over a TAP, each address with its own face."""

from __future__ import annotations

import random
import socket

import pytest

from tests.netns import ROOT, Program, namespace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
LINK = "tap:wire,address=10.0.2.2/24,host=10.0.2.1/24"


def ask(address: str) -> str:
    with socket.create_connection((address, 80), 10) as end:
        assert end.getpeername()[0] == address
        end.sendall(f"GET /{address} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        return b"".join(iter(lambda: end.recv(65536), b"")).decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_each_address_of_a_network_answers_as_itself(workers: int) -> None:
    chance = random.Random(workers)
    addresses = [f"10.66.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(150)]
    addresses += ["10.66.0.0", "10.66.255.255"]  # no subnet: nothing in it is a broadcast
    words = [str(ROOT / "examples" / "honeypot.py"), "10.66.0.0/16", "--link", LINK]
    with namespace("trap") as space:
        program = Program(space, *words, "--workers", str(workers))
        try:
            assert program.wait_for("ready") == "10.66.0.0/16"
            space.ip("route", "add", "10.66.0.0/16", "via", "10.0.2.2")
            with space.inside():
                replies = [ask(address) for address in addresses]
                again = [ask(address) for address in addresses[:10]]
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((addresses[0], 81), 10)
            noted = [program.line() for _ in range(len(replies) + len(again))]
            assert program.end(15) == 0
        finally:
            program.close()
    assert all(reply.startswith("HTTP/1.1 200 OK\r\n") for reply in replies)
    servers = [reply.partition("Server: ")[2].partition("\r\n")[0] for reply in replies]
    assert len(set(servers)) == 5
    assert [reply.partition("Server: ")[2].partition("\r\n")[0] for reply in again] == servers[:10]
    assert sorted(line["to"] for line in noted) == sorted(addresses + addresses[:10])
    assert all(line["request"] == f"GET /{line['to']} HTTP/1.1" for line in noted)
    assert {line["from"] for line in noted} == {"10.0.2.1"}
