"""The commands: what they serve, and what a wrong call says."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.cli.command import assert_refused, corten, running

LOCAL = "kernel,address=127.0.0.1"


def free_port() -> int:
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        port: int = end.getsockname()[1]
        return port


def talk(port: int, data: bytes) -> bytes:
    """Send, finish, and read to the end."""
    with socket.create_connection(("127.0.0.1", port), 10) as end:
        end.sendall(data)
        end.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: end.recv(65536), b""))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["bogus"], "bogus"),
        (["httpd"], "PORT"),
        (["httpd", 80], "ROOT"),
        (["httpd", 0, "."], "range"),
        (["httpd", 65536, "."], "range"),
        (["httpd", "http", "."], "http"),
        (["httpd", 8080, "/does/not/exist", "--link", LOCAL], "/does/not/exist"),
        (["httpd", 8080, ".", "--link", "smoke:signal"], "smoke"),
        (["httpd", 8080, ".", "--link", LOCAL, "--idle-timeout", 0], "idle-timeout"),
        (["echo", 7777, "--link", "smoke"], "smoke"),
        (["echo", 7777, "--link", "tap,address=10.0.0.256/24"], "10.0.0.256"),
        (["echo", 7777, "--link", LOCAL, "--workers", 0], "workers"),
        (["echo", 7777, "--link", LOCAL, "--workers", "many"], "many"),
        (["echo", 7777, "--link", LOCAL, "--cpus", "first"], "cpus"),
        (["echo", 7777, "--link", LOCAL, "--cpus", 9999], "9999"),
        (["echo", 7777, "--link", "kernel,address=192.0.2.1"], "192.0.2.1"),
        (["echo", 7777, "--colour", "red"], "colour"),
        (["load"], "URL"),
        (["load", "ftp://127.0.0.1/", "--link", LOCAL], "ftp"),
    ],
)
def test_a_wrong_call_says_so_in_one_line(arguments: list[object], text: str) -> None:
    assert_refused(corten(*arguments), text)


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        assert_refused(corten("echo", port, "--link", LOCAL), f"127.0.0.1:{port}", "in use")


def test_no_arguments_show_the_help() -> None:
    done = corten()
    assert done.returncode == 2
    assert "httpd" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--help"], ["httpd", "-h"], ["--version"]])
def test_help_is_no_error(arguments: list[str]) -> None:
    done = corten(*arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "corten" in done.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_echo(workers: int) -> None:
    port = free_port()
    with running("-m", "corten", "echo", port, "--link", LOCAL, "--workers", workers) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready: 127.0.0.1:{port}\n"
        sent = bytes(range(256)) * 10_000
        for _ in range(4):
            assert talk(port, sent[:1000]) == sent[:1000]
        with socket.create_connection(("127.0.0.1", port), 10) as end:
            end.sendall(b"stays")
            assert end.recv(100) == b"stays"


def test_httpd(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>Hello.")
    port = free_port()
    log = tmp_path / "access.log"
    words = ["-m", "corten", "httpd", port, tmp_path, "--link", LOCAL, "--access-log", log]
    with running(*words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready: http://127.0.0.1:{port}/\n"
        reply = talk(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert reply.endswith(b"\r\n\r\n<p>Hello.")
        done = corten("load", f"127.0.0.1:{port}", "--link", LOCAL, "-c", 5, "-d", 0.2)
        assert done.returncode == 0, done
        assert "requests/s" in done.stdout
    assert '"GET / HTTP/1.1" 200 9' in log.read_text()


def test_the_python_module_is_the_program() -> None:
    """`python -m corten.cli` does the same: what the bench calls."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "corten.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("corten ")
