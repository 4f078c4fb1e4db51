"""Network namespaces for end-to-end tests: nameless, so nothing can be left behind.

A namespace is a descriptor of this process; the kernel removes it, and every device in it, when the
last process that holds it ends, however that ends. Sockets made `inside()` stay inside.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.namespace import Namespace, NamespaceError

ROOT = Path(__file__).parent.parent


@contextmanager
def namespace(label: str) -> Iterator[Namespace]:
    """A namespace for the block; the test is skipped where the system permits none."""
    try:
        space = Namespace(label)
    except (NamespaceError, OSError) as error:
        pytest.skip(f"no network namespace: {error}")
    try:
        yield space
    finally:
        space.close()


class Program:
    """A Python program of the tests inside a namespace, which talks in lines of JSON."""

    def __init__(self, space: Namespace, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=space.preparation(),  # noqa: PLW1509  (the tests run no threads)
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._text = b""

    def line(self, seconds: float = 20.0) -> dict[str, Any]:
        """The next line; AssertionError with what the program complained of when none comes."""
        assert self.process.stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._text:
            left = until - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                self.process.kill()
                _, errors = self.process.communicate()
                raise AssertionError(f"the program said nothing more: {errors.decode()}")
            self._text += data
        first, _, self._text = self._text.partition(b"\n")
        message: dict[str, Any] = json.loads(first)
        return message

    def wait_for(self, name: str, seconds: float = 20.0) -> Any:
        """What the next line that has `name` says of it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self.line(until - time.monotonic())
            if name in message:
                return message[name]
        raise AssertionError(f"the program did not say {name}")

    def end(self, number: int | None = None, seconds: float = 15.0) -> int:
        """Send a signal if given, and wait: the exit code."""
        if number is not None:
            self.process.send_signal(number)
        try:
            self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode

    def close(self) -> None:
        """Whatever happened, it is gone afterwards."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Client:
    """A keep-alive client on a connected socket of the kernel's."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._left = b""

    def ask(self, path: str, body: bytes = b"") -> bytes:
        """Send one request; the body of its reply."""
        self.send(path, body)
        return self.reply()

    def send(self, path: str, body: bytes = b"") -> None:
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def reply(self) -> bytes:
        while b"\r\n\r\n" not in self._left:
            self._read()
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(self._left) < length:
            self._read()
        body, self._left = self._left[:length], self._left[length:]
        return body

    def _read(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._left += data

    def close(self) -> None:
        self.socket.close()

    def __del__(self) -> None:
        """A test that ends has no use for what it leaves open."""
        self.socket.close()


def pattern(length: int) -> bytes:
    """`length` octets, no two neighbourhoods alike, so that a misplaced segment shows."""
    words = (hashlib.blake2b(i.to_bytes(8, "big")).digest() for i in range(length // 64 + 1))
    return b"".join(words)[:length]
