"""The server end to end, over the kernel's sockets on the loopback: real clients, real timers."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.app import sample
from tests.app.site_tree import FILES, SECRET, make

pytestmark = pytest.mark.e2e

SERVER = """
import sys
from corten.app.access_log import AccessLog
from corten.app.http_service import Service
from corten.app.httpd import factory
from corten.app.site import load
from corten.kernel.worker import run

port, root, memory, log, *seconds = sys.argv[1:]
names = ("header_timeout", "idle_timeout", "send_timeout")
timeouts = {name: float(value) for name, value in zip(names, seconds)}
service = Service(load(root, int(memory)), log=AccessLog(log) if log else None, **timeouts)
run({int(port): factory(service)}, ready=lambda: print("ready", flush=True))
"""


class Server:
    """The server as a process of its own."""

    def __init__(
        self, root: Path, memory: int = 1 << 30, log: str = "", seconds: float = 20.0
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = [str(self.port), str(root), str(memory), log, *[str(seconds)] * 3]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        end = socket.socket()
        end.settimeout(20)
        if receive_buffer:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        end.connect(("127.0.0.1", self.port))
        return end

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(make(tmp_path_factory.mktemp("site")))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample")
    sample.write(str(root))
    return root


def read_to_end(end: socket.socket) -> bytes:
    parts = []
    while part := end.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def ask(server: Server, data: bytes) -> bytes:
    with server.connect() as end:
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        return read_to_end(end)


@pytest.mark.parametrize("memory", [1 << 30, 20 << 20, 0])
def test_all_pages_byte_identical_through_curl(pages: Path, tmp_path: Path, memory: int) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    server = Server(pages, memory=memory)
    names = [f"{n}.htm" for n in range(500)] + [f"size/{name}" for name in sample.FIXED]
    config = tmp_path / "curl.conf"
    config.write_text(
        "".join(f'url = "{server.url}/{n}"\noutput = "{tmp_path}/got/{n}"\n' for n in names)
    )
    words = ["curl", "-sS", "--fail", "--create-dirs", "--parallel", "-K", str(config)]
    subprocess.run(words, check=True, timeout=50)
    for name in names:
        expected = hashlib.sha256((pages / name).read_bytes()).digest()
        assert hashlib.sha256((tmp_path / "got" / name).read_bytes()).digest() == expected, name
    assert server.stop() == 0


def test_a_keep_alive_client(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    client.connect()
    before = client.sock.getsockname()
    for name, data in list(FILES.items())[:8] * 3:
        client.request("GET", "/" + name.replace(" ", "%20").replace("é ü", "%C3%A9%20%C3%BC"))
        reply = client.getresponse()
        assert (reply.status, reply.read()) == (200, data)
    client.request("HEAD", "/large.htm")
    reply = client.getresponse()
    assert (reply.status, reply.read()) == (200, b"")
    tag = reply.headers["ETag"]
    client.request("GET", "/large.htm", headers={"If-None-Match": tag})
    reply = client.getresponse()
    assert (reply.status, reply.read()) == (304, b"")
    client.request("GET", "/large.htm", headers={"Range": "bytes=1000-1999", "If-Range": tag})
    reply = client.getresponse()
    assert (reply.status, reply.read()) == (206, FILES["large.htm"][1000:2000])
    client.request("POST", "/", body=b"x" * 1000)
    reply = client.getresponse()
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
    reply.read()
    client.request("POST", "/", body=iter([b"x" * 100] * 9), encode_chunked=True)
    assert client.getresponse().read()
    assert client.sock.getsockname() == before
    client.close()


def test_pipelined_requests_and_half_close(server: Server) -> None:
    one = b"GET /large.htm HTTP/1.1\r\nHost: a\r\n\r\n"
    data = ask(server, one * 300)
    assert data.count(b"HTTP/1.1 200 OK\r\n") == 300
    assert data.count(FILES["large.htm"]) == 300


def test_nothing_outside_is_served(server: Server) -> None:
    dots = ["..", "%2e%2e", ".%2e", "..%2f", "..%5c", "%252e%252e", "..%00", "..;", "..\\"]
    for dot in dots:
        for prefix in ("/", "/docs/", "/link-dir/", "http://a/"):
            for end in ("outside/secret.txt", "root-twin/secret.txt", "/etc/passwd"):
                target = f"{prefix}{dot}/{dot}/{end}"
                data = ask(server, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                assert data[9:12] in (b"400", b"404"), target
                assert SECRET not in data
                assert b"root:" not in data
    for link in ("link-out.txt", "link-dir-out/secret.txt", "link-up/outside/secret.txt", "passwd"):
        data = ask(server, f"GET /{link} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert data[9:12] == b"404"


def test_a_head_octet_by_octet(server: Server) -> None:
    with server.connect() as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in b"GET /small.htm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
            end.send(bytes((octet,)))
            time.sleep(0.001)
        assert read_to_end(end).endswith(b"\r\n\r\n" + FILES["small.htm"])


def test_timeouts_and_a_log(pages: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    server = Server(pages, memory=20 << 20, log=str(log), seconds=1.0)
    largest = max(range(500), key=lambda n: os.path.getsize(pages / f"{n}.htm"))
    with (
        server.connect() as silent,
        server.connect() as slow,
        server.connect() as idle,
        server.connect(4096) as deaf,
    ):
        started = time.monotonic()
        idle.sendall(b"GET /size/100.htm HTTP/1.1\r\nHost: a\r\n\r\n")
        deaf.sendall(f"GET /{largest}.htm HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 20)
        for octet in b"GET /slow":
            slow.send(bytes((octet,)))
            time.sleep(0.1)
        assert read_to_end(slow).startswith(b"HTTP/1.1 408 ")
        assert read_to_end(silent) == b""
        assert read_to_end(idle).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - started < 20
        time.sleep(2.5)
        with pytest.raises(ConnectionResetError):
            read_to_end(deaf)
    assert server.stop() == 0
    lines = log.read_text().splitlines()
    assert any(line.endswith('"GET /size/100.htm HTTP/1.1" 200 100') for line in lines)


def test_one_request_a_connection(server: Server) -> None:
    data = b"GET /small.htm HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    fds = Path(f"/proc/{server.process.pid}/fd")
    ask(server, data)
    before = len(list(fds.iterdir()))
    for _ in range(2000):
        with server.connect() as end:
            end.sendall(data)
            assert read_to_end(end).endswith(FILES["small.htm"])
    time.sleep(0.2)
    assert len(list(fds.iterdir())) <= before + 1


def test_a_body_that_is_refused_does_not_lose_the_answer(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    client.request("POST", "/", body=b"x" * 1_000_000)
    reply = client.getresponse()
    assert (reply.status, reply.headers["Connection"]) == (413, "close")
    assert b"413" in reply.read()
    client.close()
