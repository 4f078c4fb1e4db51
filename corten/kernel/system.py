"""The system calls of the fast path: each answers a count, or the error number below zero.

Rules. Pointers are followed here and nowhere else in `kernel/`, each with its range checked on the
line above. Plain, the same calls go through `os` and `socket`.
"""

from __future__ import annotations

import os
import socket
import struct

import cython
from cython.cimports.corten.core.arena import Arena, out_of_range
from cython.cimports.corten.kernel.slices import Slice

from corten.kernel.address import sockaddr_of

if cython.compiled:
    from cython.cimports.corten.kernel import linux
    from cython.cimports.libc.errno import errno
    from cython.cimports.libc.string import memset
    from cython.cimports.posix.unistd import close as posix_close

if not cython.compiled:
    SLICES_A_CALL = 64  # of one gathering write
    ADDRESS_LEN = 28  # octets of a sockaddr_in6


@cython.cfunc
def receive(
    fd: cython.int, arena: Arena, at: cython.Py_ssize_t, length: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Read up to `length` octets into the arena at `at`; 0 when the peer has finished."""
    if at < 0 or length < 0 or at > arena.size - length:
        out_of_range(at, length, arena.size)
    if cython.compiled:
        count: cython.Py_ssize_t = linux.recv(fd, arena._base + at, length, 0)
        return count if count >= 0 else -errno
    try:
        return os.readv(fd, [arena._base[at : at + length]])
    except OSError as error:
        return -(error.errno or 1)


@cython.cfunc
def transmit(fd: cython.int, first: Slice) -> cython.Py_ssize_t:
    """Hand the kernel as much of the chain as one call takes; how many octets it took."""
    if cython.compiled:
        return _transmit(fd, first)
    views: list[memoryview] = []
    following: Slice | None = first
    while following is not None and len(views) < SLICES_A_CALL:
        views.append(following.memory._base[following.at : following.at + following.length])
        following = following.following
    try:
        return os.writev(fd, views)
    except OSError as error:
        return -(error.errno or 1)


if cython.compiled:

    @cython.cfunc
    def _transmit(fd: cython.int, first: Slice) -> cython.Py_ssize_t:
        """`transmit` with pointers: send for one slice, sendmsg for several."""
        vector = cython.declare(linux.iovec[64])
        message = cython.declare(linux.msghdr)
        count: cython.int = 0
        taken: cython.Py_ssize_t
        each: Slice = first
        while True:
            if each.at < 0 or each.length < 0 or each.at > each.memory.size - each.length:
                out_of_range(each.at, each.length, each.memory.size)
            vector[count].iov_base = each.memory._base + each.at
            vector[count].iov_len = each.length
            count += 1
            if each.following is None or count == SLICES_A_CALL:
                break
            each = each.following
        if count == 1:
            taken = linux.send(fd, vector[0].iov_base, vector[0].iov_len, linux.MSG_NOSIGNAL)
        else:
            memset(cython.address(message), 0, cython.sizeof(message))
            message.msg_iov = vector
            message.msg_iovlen = count
            taken = linux.sendmsg(fd, cython.address(message), linux.MSG_NOSIGNAL)
        return taken if taken >= 0 else -errno


@cython.cfunc
def accept(fd: cython.int, address: Arena) -> cython.int:
    """Accept a connection, non-blocking; its address goes to the arena as a sockaddr."""
    if address.size < ADDRESS_LEN:
        out_of_range(0, ADDRESS_LEN, address.size)
    if cython.compiled:
        length = cython.declare(linux.socklen_t, ADDRESS_LEN)
        accepted: cython.int = linux.accept4(
            fd,
            cython.cast(cython.pointer(linux.sockaddr), address._base),
            cython.address(length),
            linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC,
        )
        return accepted if accepted >= 0 else -errno
    listener = socket.socket(fileno=fd)
    try:
        made, peer = listener.accept()
        made.setblocking(False)
        address.store(0, sockaddr_of(peer))
        return made.detach()
    except OSError as error:
        return -(error.errno or 1)
    finally:
        listener.detach()


@cython.cfunc
def finish_sending(fd: cython.int) -> cython.int:
    """Send FIN after what the kernel holds."""
    if cython.compiled:
        return 0 if linux.shutdown(fd, linux.SHUT_WR) == 0 else -errno
    end = socket.socket(fileno=fd)
    try:
        end.shutdown(socket.SHUT_WR)
        return 0
    except OSError as error:
        return -(error.errno or 1)
    finally:
        end.detach()


@cython.cfunc
def reset_at_close(fd: cython.int) -> cython.void:
    """Make `close` send RST and drop what the kernel holds."""
    if cython.compiled:
        option = cython.declare(linux.linger)
        option.l_onoff = 1
        option.l_linger = 0
        linux.setsockopt(
            fd,
            linux.SOL_SOCKET,
            linux.SO_LINGER,
            cython.address(option),
            cython.sizeof(option),
        )
        return
    end = socket.socket(fileno=fd)
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        end.detach()


@cython.cfunc
def close(fd: cython.int) -> cython.void:
    """Let go of a descriptor; Linux has closed it whatever it answers."""
    if cython.compiled:
        posix_close(fd)
        return
    try:
        os.close(fd)
    except OSError:
        return  # silent: as above
