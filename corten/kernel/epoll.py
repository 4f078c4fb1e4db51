"""The kernel's readiness queue, without an object per event.

Connections are registered once, edge-triggered, for everything: reading, writing and hang-up, so
that no request costs a call to change it. Listeners and watched descriptors are level-triggered.
"""

from __future__ import annotations

import select

import cython
from cython.cimports.corten.core.arena import Arena

if cython.compiled:
    from cython.cimports.corten.kernel import linux
    from cython.cimports.libc.errno import errno

if not cython.compiled:
    READABLE = 0x001  # EPOLLIN
    WRITABLE = 0x004  # EPOLLOUT
    FAILED = 0x008  # EPOLLERR
    HANGUP = 0x010  # EPOLLHUP
    FINISHED = 0x2000  # EPOLLRDHUP: the peer sends no more
    EVENTS_A_BREATH = 512
    EVENT_LEN = 16  # at most, of a struct epoll_event


@cython.final
@cython.cclass
class Epoll:
    """One epoll descriptor and the events that it reported last."""

    _object: select.epoll
    _fd: cython.int
    _events: Arena
    _found: list

    def __init__(self) -> None:
        self._object = select.epoll()
        self._fd = self._object.fileno()
        self._events = Arena(EVENT_LEN * EVENTS_A_BREATH)
        self._found = []

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        self._object.close()

    @cython.cfunc
    def wait(self, milliseconds: cython.int) -> cython.int:
        """How many events there are, after at most so long; -1 waits without limit.

        Interrupted by a signal: 0. OSError where the descriptor is no good.
        """
        if cython.compiled:
            events = cython.declare(cython.pointer(linux.epoll_event))
            events = cython.cast(cython.pointer(linux.epoll_event), self._events._base)
            count: cython.int
            with cython.nogil:
                count = linux.epoll_wait(self._fd, events, EVENTS_A_BREATH, milliseconds)
            if count < 0 and errno != 4:
                raise OSError(errno, "epoll_wait")
            return count if count > 0 else 0
        self._found = self._object.poll(
            milliseconds / 1000 if milliseconds >= 0 else None, EVENTS_A_BREATH
        )
        return len(self._found)

    @cython.cfunc
    def fd_of(self, i: cython.int) -> cython.int:
        """The descriptor of event i."""
        if i < 0 or i >= EVENTS_A_BREATH:
            raise IndexError(i)
        if cython.compiled:
            return cython.cast(cython.pointer(linux.epoll_event), self._events._base)[i].data.fd
        return self._found[i][0]

    @cython.cfunc
    def flags_of(self, i: cython.int) -> cython.uint:
        """What happened to it."""
        if i < 0 or i >= EVENTS_A_BREATH:
            raise IndexError(i)
        if cython.compiled:
            return cython.cast(cython.pointer(linux.epoll_event), self._events._base)[i].events
        return self._found[i][1]

    @cython.cfunc
    def add_connection(self, fd: cython.int) -> cython.void:
        """Report every change of a connection. OSError when the kernel has no memory for it."""
        if cython.compiled:
            event = cython.declare(linux.epoll_event)
            event.events = READABLE | WRITABLE | FINISHED | linux.EPOLLET
            event.data.fd = fd
            if linux.epoll_ctl(self._fd, linux.EPOLL_CTL_ADD, fd, cython.address(event)) < 0:
                raise OSError(errno, "epoll_ctl")
            return
        self._object.register(fd, READABLE | WRITABLE | FINISHED | select.EPOLLET & 0xFFFFFFFF)

    def add(self, fd: int) -> None:
        """Report `fd` whenever it is readable."""
        self._object.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Report `fd` no longer; it may be closed already."""
        try:
            self._object.unregister(fd)
        except OSError:
            return  # silent: a closed descriptor has left by itself
