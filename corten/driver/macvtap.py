"""macvtap: a station of its own on another device, whose queues are opened by a node of its own.

A macvtap's node is /dev/tapN where the host's devices are shown, N its index; in another network
namespace, or a container, that name is missing or means another device. So its number is read from
the sysfs of *our* network namespace, a node of that name is used only if it has this number, and
otherwise one is made where nobody sees it. Both file systems are mounted nowhere: they are
descriptors, and go with them. Without the right to that, what is mounted at /sys has to do.

Rules. Nothing is opened that is not certainly the device's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass

from corten.endpoint.error import CortenError

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432  # the same on every machine that Linux came to later
_CLOSE_ON_EXEC = 1
_CREATE = 6  # FSCONFIG_CMD_CREATE


@dataclass(frozen=True)
class Node:
    """The character device of a macvtap."""

    name: str  # of the network device
    index: int
    number: int  # major and minor

    @property
    def path(self) -> str:
        """Where the host shows it."""
        return f"/dev/tap{self.index}"


def node_of(name: str) -> Node | None:
    """The node of a device of this network namespace; None: it is no macvtap, or nobody says."""
    index = socket.if_nametoindex(name)
    try:
        root = _mounted("sysfs")
    except OSError:  # silent: nobody but root may; /sys shows our own namespace as a rule
        root = os.open("/sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = f"class/net/{name}"
    try:
        if int(_text(root, f"{folder}/ifindex")) != index:
            return None
        major, _, minor = _text(root, f"{folder}/tap{index}/dev").partition(":")
    except OSError:  # silent: another kind of device, or one of another namespace
        return None
    finally:
        os.close(root)
    return Node(name, index, os.makedev(int(major), int(minor)))


def open_node(node: Node) -> int:
    """One more queue of the device; its descriptor. CortenError, one line."""
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(FileNotFoundError):  # silent: one is made below
        status = os.stat(node.path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == node.number:
            try:
                return os.open(node.path, flags)
            except OSError as error:
                raise CortenError(_advice(node, error)) from error
    try:
        root = _mounted("tmpfs")
        try:
            os.mknod("tap", stat.S_IFCHR | 0o600, node.number, dir_fd=root)
            return os.open("tap", flags, dir_fd=root)
        finally:
            os.close(root)
    except OSError as error:
        raise CortenError(_advice(node, error)) from error


def _advice(node: Node, error: OSError) -> str:
    numbers = f"{os.major(node.number)} {os.minor(node.number)}"
    if error.errno in (errno.EPERM, errno.EACCES):
        return (
            f"the macvtap {node.name} may not be opened: run as root, or let "
            f"`mknod {node.path} c {numbers}; chown $USER {node.path}` be done for you"
        )
    return f"the macvtap {node.name} cannot be opened: {error.strerror}"


def _text(root: int, path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    try:
        return os.read(fd, 64).decode("ascii").strip()
    finally:
        os.close(fd)


def _mounted(kind: str) -> int:
    """A new file system of a kind, mounted nowhere: a descriptor of its root. OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    context = _checked(library.syscall(_FSOPEN, kind.encode(), _CLOSE_ON_EXEC))
    try:
        _checked(library.syscall(_FSCONFIG, context, _CREATE, None, None, 0))
        return _checked(library.syscall(_FSMOUNT, context, _CLOSE_ON_EXEC, 0))
    finally:
        os.close(context)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
