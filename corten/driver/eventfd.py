"""Eventfds that somebody else holds too, signalled and emptied without ever waiting.

Why. An eventfd that came from a peer is the peer's as well: it can take O_NONBLOCK away from it and
fill its count, and then a plain `write` waits for ever. The kernel itself never waits: a request of
its asynchronous IO signals an eventfd when it is done, and a read of nothing is done at once. So
one io_submit(2) is a signal that cannot block, and is refused where the descriptor is no eventfd.
Reading has RWF_NOWAIT.

Rules. Nothing here raises for what the other holder does. Where asynchronous IO is not to be had, a
signal is a `write`, and only if the descriptor says that it would not block.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
from contextlib import suppress

_SYSCALLS = {"x86_64": (206, 207, 209), "aarch64": (0, 1, 2)}  # io_setup, io_destroy, io_submit
_PENDING = 64  # requests whose end was not fetched
_HEAD, _TAIL, _MAGIC = 2, 3, 4  # words of struct aio_ring, which the context's number points to
_MAGIC_VALUE = 0xA10A10A1
_RESFD = 1  # struct iocb, aio_flags: signal the eventfd
_ONE = (1).to_bytes(8, "little")


class Signaller:
    """Signals eventfds. Of one process: a child has to make its own. `close` once."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._context = ctypes.c_ulong(0)
        self._numbers = _SYSCALLS.get(platform.machine())
        self._request = (ctypes.c_uint64 * 8)()  # struct iocb
        self._requests = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        self._nothing = ctypes.create_string_buffer(8)
        self._source = -1
        if self._numbers is None:
            return
        context = ctypes.byref(self._context)
        if self._libc.syscall(self._numbers[0], ctypes.c_long(_PENDING), context) != 0:
            return
        self._ring = (ctypes.c_uint32 * 5).from_address(self._context.value)
        if self._ring[_MAGIC] != _MAGIC_VALUE:
            self._libc.syscall(self._numbers[1], self._context)
            return
        self._source = os.memfd_create("corten-nothing")
        self._request[2] = self._source << 32  # aio_lio_opcode 0: read; aio_fildes
        self._request[3] = ctypes.addressof(self._nothing)  # no octet of it is written

    def signal(self, fd: int) -> None:
        """Add one to the count of `fd`, if it can be done now and is an eventfd."""
        if self._source < 0 or self._numbers is None:
            self._write(fd)
            return
        self._ring[_HEAD] = self._ring[_TAIL]  # the ends of earlier requests are of no interest
        self._request[7] = _RESFD | fd << 32
        self._libc.syscall(self._numbers[2], self._context, ctypes.c_long(1), self._requests)

    @staticmethod
    def _write(fd: int) -> None:
        """Where asynchronous IO is not to be had."""
        with suppress(OSError):  # silent: a full count wakes too, what is no eventfd wakes nobody
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            if poll.poll(0) == [(fd, select.POLLOUT)]:
                os.write(fd, _ONE)

    def close(self) -> None:
        """Give the context back. Calling it again does nothing."""
        if self._source >= 0 and self._numbers is not None:
            self._libc.syscall(self._numbers[1], self._context)
            os.close(self._source)
            self._source = -1


def clear(fd: int) -> bool:
    """Empty the count of `fd`; whether it had any. It never waits."""
    try:
        return os.preadv(fd, [bytearray(8)], -1, os.RWF_NOWAIT) == 8
    except OSError:  # silent: nothing was there, or it cannot be read, which is the same to us
        return False


def is_eventfd(fd: int) -> bool:
    """Whether a descriptor that came from somewhere else is one."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"
    except OSError:  # silent: without /proc nothing can be said for it
        return False
