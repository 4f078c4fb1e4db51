"""The example of a honeypot, as its first lines say: a /16 over a TAP, the kernel asking."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bench.namespace import Namespace
from tests.cli.command import ROOT, environment
from tests.netns import Program, namespace

pytestmark = pytest.mark.e2e
LINK = "tap:trap0,address=10.0.2.2/24,prefix=10.9.0.0/16"


class Trap:
    """The example, running, and who asks it."""

    def __init__(self, space: Namespace, *words: str) -> None:
        self.space = space
        self.program = Program(space, "examples/honeypot.py", "--link", LINK, *words)

    def begin(self) -> None:
        assert self.program.wait_for("ready") == ["10.0.2.2"]
        self.space.ip("route", "add", "10.9.0.0/16", "via", "10.0.2.2")

    def ask(self, address: str, octets: bytes, port: int = 80) -> tuple[str, dict[str, Any]]:
        """What is answered, and the line about it."""
        with self.space.inside():
            end = socket.create_connection((address, port), 10.0)
        with end:
            end.sendall(octets)
            answer = b"".join(iter(lambda: end.recv(65536), b""))
        return answer.decode(), self.program.line()

    def get(self, address: str, path: str = "/") -> tuple[str, dict[str, Any]]:
        return self.ask(address, f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())


@pytest.fixture
def trap() -> Iterator[Trap]:
    with namespace("honeypot") as space:
        made = Trap(space, "--workers", "2", "80", "8080")
        try:
            made.begin()
            yield made
            assert made.program.end(signal.SIGTERM) == 0
        finally:
            made.program.close()


def server_of(answer: str) -> str:
    return answer.partition("\r\nServer: ")[2].partition("\r\n")[0]


def test_each_address_is_some_server_the_same_each_time(trap: Trap) -> None:
    addresses = [f"10.9.{i}.{255 - i}" for i in range(0, 250, 10)]
    plays = {}
    for address in addresses:
        answer, line = trap.get(address)
        assert answer.startswith("HTTP/1.1 200 OK\r\nDate: ")
        plays[address] = server_of(answer)
        assert (line["to"], line["from"], line["at"]) == (address, "10.0.2.1", 80)
        assert line["plays"] == plays[address]
        assert line["asked"] == "GET / HTTP/1.1"
        assert line["fields"] == [f"Host: {address}"]
    assert len(set(plays.values())) > 2
    for address in addresses[:5]:
        assert server_of(trap.get(address)[0]) == plays[address]


def test_pages_and_what_is_no_request(trap: Trap) -> None:
    assert trap.get("10.9.0.0", "/login")[0].startswith("HTTP/1.1 401 Unauthorized\r\n")
    assert trap.get("10.9.255.255", "/x.php")[0].startswith("HTTP/1.1 404 Not Found\r\n")
    answer, line = trap.ask("10.9.3.4", b'HEAD / HTTP/1.1\r\nX: \xff"\n\r\n\r\n', 8080)
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\n\r\n")
    assert (line["at"], line["fields"]) == (8080, ['X: \xff"\n'])
    answer, line = trap.ask("10.9.3.4", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")  # TLS
    assert answer.startswith("HTTP/1.1 400 ")
    assert line["sent"].startswith("\x16\x03\x01")
    answer, line = trap.ask("10.9.3.4", b"SSH-2.0-Go\r\n")
    assert (answer[:13], line["sent"]) == ("HTTP/1.1 400 ", "SSH-2.0-Go\r\n")
    answer, line = trap.ask("10.9.3.4", b"GET /" + 9000 * b"a" + b"\r\n\r\n")
    assert (len(line["sent"]), line["sent"][:6]) == (8192, "GET /a")


def test_who_does_not_ask_is_written_down_too(trap: Trap) -> None:
    with trap.space.inside():
        socket.create_connection(("10.9.1.1", 80), 10.0).close()
    line = trap.program.line()
    assert (line["to"], line["sent"]) == ("10.9.1.1", "")


@pytest.mark.parametrize(
    ("example", "words"),
    [("honeypot.py", ("--link", f"{LINK}0")), ("fastapi_app.py", (f"{LINK}0",))],
)
def test_a_wrong_link_is_one_line(example: str, words: tuple[str, ...]) -> None:
    if example == "fastapi_app.py":
        pytest.importorskip("fastapi")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *words],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "prefix=10.9.0.0/160: is no prefix" in done.stderr
