"""What `corten check` says of the xdp driver: each step is tried, and nothing is left behind.

The filter is loaded and offered to the loopback device in native mode. That device has none, which
the kernel says (EOPNOTSUPP) only when everything else was right: so nothing is ever attached. A
socket registers a little memory. Both go with their descriptors.
"""

from __future__ import annotations

import errno
import mmap
import os
import socket

from corten.driver.xdp_filter import Filter
from corten.driver.xdp_socket import AF_XDP, CHUNK_LEN, SOL_XDP, UMEM, umem_request
from corten.endpoint.error import CortenError

WHAT = "driver xdp: beside the kernel on a device"
_BUSY = (errno.EOPNOTSUPP, errno.EBUSY, errno.EEXIST)  # said by a kernel that would have done it
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EAFNOSUPPORT, errno.ENOPROTOOPT)


def try_filter() -> int:
    """0, or the error number of loading the filter and attaching it."""
    try:
        made = Filter(1)
    except CortenError:
        return errno.ENOSYS  # silent: it is the answer, BPF is not known on this machine
    except OSError as error:
        return error.errno or errno.EIO
    try:
        made.attach(socket.if_nametoindex("lo"), "native")
    except OSError as error:
        return 0 if error.errno in _BUSY else error.errno or errno.EIO
    finally:
        made.close()
    return 0


def try_socket() -> int:
    """0, or the error number of a socket with packet memory."""
    memory = mmap.mmap(-1, 16 * CHUNK_LEN, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        with socket.socket(AF_XDP, socket.SOCK_RAW) as made:
            made.setsockopt(SOL_XDP, UMEM, umem_request(memory, len(memory), False))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def answer(filter_error: int, socket_error: int) -> tuple[bool, str, str]:
    """Whether the driver works here; why not; what to do."""
    if not filter_error and not socket_error:
        return True, "", ""
    if filter_error in _UNKNOWN or socket_error in _UNKNOWN:
        needed = "a kernel with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS"
        return False, "this kernel cannot", f"{needed}; or another driver"
    if filter_error == errno.EPERM:
        remark = "CAP_BPF and CAP_NET_ADMIN of the machine itself are missing"
        return False, remark, "run as root, and not in a user namespace"
    if filter_error:
        return False, f"the filter: {os.strerror(filter_error)}", ""
    if socket_error == errno.EPERM:
        return False, "CAP_NET_RAW is missing", "run as root"
    if socket_error == errno.ENOBUFS:
        return False, "no memory may be pinned", "raise `ulimit -l`, or give CAP_IPC_LOCK"
    return False, f"the socket: {os.strerror(socket_error)}", ""


def look() -> tuple[str, bool, str, str]:
    """A finding's fields."""
    return WHAT, *answer(try_filter(), try_socket())
