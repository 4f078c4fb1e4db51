"""What `corten check` finds about the memif driver: everything that it needs, tried at once.

It needs no privilege and no device: sealed memory, eventfds, and a socket that passes both on. It
is tried between two ends in this process; nothing stays behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket


def try_memif() -> tuple[str, int]:
    """What is missing and its error number; ("", 0) when nothing is."""
    step = "a SOCK_SEQPACKET socket"
    fds: list[int] = []
    try:
        one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with one, two:
            step = "memory that can be sealed (memfd_create)"
            memory = os.memfd_create("corten-check", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            fds.append(memory)
            os.ftruncate(memory, 4096)
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
            step = "an eventfd"
            fds.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
            step = "descriptors passed over a socket"
            socket.send_fds(one, [b"x"], fds)
            fds += socket.recv_fds(two, 1, 2)[1]
            if len(fds) != 4:
                return step, errno.EIO
            step = "/proc/self/fd, to know an eventfd by"
            os.readlink(f"/proc/self/fd/{fds[-1]}")
    except OSError as error:
        return step, error.errno or errno.EIO
    finally:
        for fd in fds:
            os.close(fd)
    return "", 0
