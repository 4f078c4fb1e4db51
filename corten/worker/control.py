"""The control socket of a running server: requests in, answers out, a line of JSON each.

    {"command": "add-address", "link": "corten0", "address": "10.0.2.3/24"}
    {"ok": true, ...}      or      {"error": "one line"}

Strategy. It is a few more watched descriptors of the supervisor, and never blocks: a request that
takes time is answered when it is done, and meanwhile that client is not read. A line is bounded
both ways, so an answer always fits into the socket of a client that reads; one that does not is let
go. Who may ask: the user that the server runs as, and root, by the kernel's word (SO_PEERCRED); the
socket itself is theirs alone (mode 0600).

Rules. What a client says is not trusted to be well made: a wrong request is answered, one that is
no request ends the connection. A client beyond the last place takes that of the one that has been
silent longest.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from corten.endpoint.error import CortenError

logger = logging.getLogger("corten")

REQUEST_MAX = 4096  # octets of a line that a client sends
ANSWER_MAX = 1 << 16  # of one that it gets: less than a socket's buffer
CLIENTS_MAX = 8
PATH_MAX = 107  # octets of a socket's path: the kernel's bound

Answer = Callable[[dict[str, Any]], None]
Commands = Callable[[dict[str, Any], Answer], None]


class Keeper(Protocol):
    """Whoever waits for descriptors and time: the supervisor, or a worker that is alone."""

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        """Call `function` when `fd` is readable; None: no more."""

    def call_later(self, seconds: float, function: Callable[[], object]) -> object:
        """Call `function` once after so long."""


@dataclass
class _Client:
    end: socket.socket
    text: bytes = b""
    is_served: bool = False  # its request is being worked on
    heard_at: float = field(default_factory=time.monotonic)


class Control:
    """The socket at `path`, watched by `keeper`; requests go to `commands(request, answer)`.

    CortenError, one line, when there can be none.
    """

    def __init__(self, path: str, keeper: Keeper, commands: Commands) -> None:
        self.path = path
        self._keeper = keeper
        self._commands = commands
        self._clients: dict[int, _Client] = {}
        self._end = _listen(path)
        self._inode = os.stat(path).st_ino
        keeper.watch(self._end.fileno(), self._accept)

    def let_go(self) -> None:
        """In a worker's process: close what was inherited."""
        self._end.close()
        for client in self._clients.values():
            client.end.close()

    def close(self) -> None:
        """Let every client go; the path is free again. Calling it again does nothing."""
        if self._end.fileno() < 0:
            return
        for client in list(self._clients.values()):
            self._drop(client)
        self._keeper.watch(self._end.fileno(), None)
        self._end.close()
        with suppress(OSError):  # silent: somebody has removed it
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)

    # -- clients -----------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            end, _ = self._end.accept()
        except OSError:  # silent: it has gone again, or there is no descriptor for it
            return
        end.setblocking(False)
        if not _may_ask(end):
            with suppress(OSError):  # silent: it does not read
                end.send(b'{"error": "only root and the user that it runs as may ask this"}\n')
            end.close()
            return
        if len(self._clients) >= CLIENTS_MAX:
            self._drop(min(self._clients.values(), key=lambda c: (c.is_served, c.heard_at)))
        client = _Client(end)
        self._clients[end.fileno()] = client
        self._keeper.watch(end.fileno(), lambda: self._hear(client))

    def _drop(self, client: _Client) -> None:
        fd = client.end.fileno()
        if fd >= 0:
            self._keeper.watch(fd, None)
            self._clients.pop(fd, None)
            client.end.close()

    def _hear(self, client: _Client) -> None:
        """A client has said something, or has gone."""
        if client.is_served:
            return
        try:
            data = client.end.recv(REQUEST_MAX)
        except BlockingIOError:  # silent: nothing was said
            return
        except OSError:  # silent: gone is gone
            data = b""
        if not data:
            self._drop(client)
            return
        client.heard_at = time.monotonic()
        client.text += data
        self._serve(client)

    def _serve(self, client: _Client) -> None:
        """Take the first whole line, if there is one."""
        line, newline, rest = client.text.partition(b"\n")
        if len(line) > REQUEST_MAX or (not newline and len(rest) > REQUEST_MAX):
            self._answer(client, {"error": f"a request has {REQUEST_MAX} octets at the most"})
            self._drop(client)
            return
        if not newline or client.end.fileno() < 0:
            return
        client.text = rest
        client.is_served = True
        self._keeper.watch(client.end.fileno(), None)  # what it says meanwhile waits

        def answer(message: dict[str, Any]) -> None:
            if client.is_served:
                client.is_served = False
                self._answered(client, message)

        try:
            self._commands(_request(line), answer)
        except CortenError as error:
            answer({"error": str(error)})
        except Exception as error:
            logger.exception("request %r failed", line)
            answer({"error": f"it failed: {error!r}; see the server's log"})

    def _answered(self, client: _Client, message: dict[str, Any]) -> None:
        """Its request is done: tell it, and hear it again."""
        fd = client.end.fileno()
        if fd < 0:
            return
        self._keeper.watch(fd, lambda: self._hear(client))
        self._answer(client, message)
        if client.end.fileno() >= 0 and b"\n" in client.text:
            self._keeper.call_later(0.0, lambda: self._serve(client))

    def _answer(self, client: _Client, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        if len(data) > ANSWER_MAX:
            data = b'{"error": "the answer is too long: ask for less at once"}\n'
        try:
            sent = client.end.send(data)
        except OSError:  # silent: it does not read, or is gone
            sent = 0
        if sent < len(data):
            self._drop(client)


def _request(line: bytes) -> dict[str, Any]:
    """A request from its line. CortenError for what is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise CortenError("a request is a line of JSON") from None
    if not isinstance(message, dict) or not isinstance(message.get("command"), str):
        raise CortenError('a request is an object with a "command"')
    return message


def _may_ask(end: socket.socket) -> bool:
    """Whether the other end is root, or who we are."""
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in (0, os.geteuid())


def _listen(path: str) -> socket.socket:
    """A listening socket at `path`, which a server that was killed may have left behind."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise CortenError(f"control={path}: longer than {PATH_MAX} octets")
    if is_alive(path):
        raise CortenError(f"control={path}: another server listens there; choose another path")
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    mask = os.umask(0o177)
    try:
        if _is_socket(path):
            os.unlink(path)
        end.bind(path)
        end.listen(CLIENTS_MAX)
    except OSError as error:
        end.close()
        why = "there is a file of that name" if error.errno == errno.EADDRINUSE else error.strerror
        raise CortenError(f"control={path}: {why}") from None
    finally:
        os.umask(mask)
    return end


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:  # silent: there is nothing
        return False


def is_alive(path: str) -> bool:
    """Whether a server listens at `path`."""
    if not _is_socket(path):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as end:
        number = end.connect_ex(path)
    return number in (0, errno.EAGAIN)


# -- where it is when nothing is said -----------------------------------------------------------


def directories() -> list[str]:
    """Where servers of this user may have their sockets, the best place first."""
    found = []
    if os.environ.get("XDG_RUNTIME_DIR"):
        found.append(os.path.join(os.environ["XDG_RUNTIME_DIR"], "corten"))
    found.append("/run/corten")
    found.append(os.path.join(os.environ.get("TMPDIR", "/tmp"), f"corten-{os.geteuid()}"))
    return found


def default_path(name: str) -> str:
    """The path of this process's socket, its directory made if need be; what servers that were
    killed have left there is removed. CortenError where there is no place."""
    for directory in directories():
        with suppress(OSError):  # silent: the next one is tried
            os.makedirs(directory, mode=0o700, exist_ok=True)
        if _is_ours(directory):
            for path in _sockets(directory):
                if not is_alive(path):
                    with suppress(OSError):  # silent: somebody else was quicker
                        os.unlink(path)
            return os.path.join(directory, f"{name}-{os.getpid()}.sock")
    raise CortenError("no place for the control socket: say --control PATH, or --control none")


def _is_ours(directory: str) -> bool:
    """Whether nobody else can put anything there."""
    try:
        found = os.lstat(directory)
    except OSError:  # silent: it is not there
        return False
    return (
        stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    )


def _sockets(directory: str) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:  # silent: there is none, or it is not for us
        return []
    return [os.path.join(directory, name) for name in names if name.endswith(".sock")]


def running() -> list[str]:
    """The sockets of the servers that run, as far as they have them where they are looked for."""
    places = [directory for directory in directories() if os.geteuid() == 0 or _is_ours(directory)]
    return [path for place in places for path in _sockets(place) if is_alive(path)]
