"""What a worker waits with: epoll and an eventfd; where there are none, a selector and two sockets.

A Node has links that are Python objects as a rule, and must run wherever CPython does. What is
measured and served is Linux: there these are the system's own, with nothing in between.
"""

from __future__ import annotations

import os
import select
from typing import Any

READABLE = 1  # EPOLLIN


class Selector:
    """As much of `select.epoll` as a worker uses, over whatever the system has."""

    def __init__(self) -> None:
        import selectors

        self._event = selectors.EVENT_READ
        self._selector: Any = selectors.DefaultSelector()
        self._first = -1
        self.closed = False

    def register(self, fd: int, events: int) -> None:
        if self._first < 0:
            self._first = fd
        self._selector.register(fd, self._event)

    def unregister(self, fd: int) -> None:
        self._selector.unregister(fd)

    def poll(self, seconds: float, most: int) -> list[tuple[int, int]]:
        return [(key.fd, READABLE) for key, _ in self._selector.select(seconds)[:most]]

    def fileno(self) -> int:
        """A descriptor that is readable when one of these is. Where the system has none for all of
        them, that of the first, the bell: it is enough for links that are Python objects."""
        number: int = self._selector.fileno() if hasattr(self._selector, "fileno") else self._first
        return number

    def close(self) -> None:
        self._selector.close()
        self.closed = True


class Bell:
    """What wakes a worker from another thread or process: `fd` is readable after `ring`."""

    def __init__(self, fd: int = -1) -> None:
        """`fd`: an eventfd that exists already."""
        self._sockets: tuple[Any, ...] = ()
        if fd < 0 and hasattr(os, "eventfd"):
            fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        elif fd < 0:
            import socket

            self._sockets = socket.socketpair()
            for each in self._sockets:
                each.setblocking(False)
            fd = self._sockets[0].fileno()
        self.fd = fd

    def ring(self) -> None:
        try:
            if self._sockets:
                self._sockets[1].send(b"\0")
            else:
                os.eventfd_write(self.fd, 1)
        except BlockingIOError:  # silent: it is full, and so it rings
            return

    def hush(self) -> None:
        """Be silent until the next `ring`."""
        try:
            if self._sockets:
                self._sockets[0].recv(4096)
            else:
                os.eventfd_read(self.fd)
        except BlockingIOError:  # silent: it is already
            return

    def close(self) -> None:
        for each in self._sockets:
            each.close()
        if not self._sockets:
            os.close(self.fd)


def make_poll() -> Any:
    """An epoll object, or a Selector."""
    return select.epoll() if hasattr(select, "epoll") else Selector()
