"""`corten check`: which drivers and privileges this machine offers, and how to get what is missing.

Rules. Nothing is concluded from who we are: each thing is tried, in a way that leaves nothing
behind (a device that is not persistent goes with its descriptor, a namespace with its process). So
the answers are right for root, for an ordinary user, and within namespaces alike.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corten.app.check_memif import try_memif

NODE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_TAP_FLAGS = 0x0002 | 0x1000 | 0x0100 | 0x4000  # IFF_TAP, NO_PI, MULTI_QUEUE, VNET_HDR
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_LOW_PORTS = range(1, 1024)
_MAKE = (
    "sudo sh -c 'ip tuntap add dev corten0 mode tap multi_queue vnet_hdr user {user}"
    " && ip address add 10.0.2.1/24 dev corten0 && ip link set corten0 up'"
)
_PROBE = b"cortenprobe%d"  # the kernel puts a number


@dataclass
class Finding:
    """One thing that is there or not; `remedy` is empty where nothing is to be done."""

    what: str
    is_there: bool
    remark: str = ""
    remedy: str = ""


# -- what is tried --------------------------------------------------------------------------


def try_node() -> int:
    """0, or the error number of opening the TAP device node."""
    try:
        os.close(os.open(NODE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def try_tap() -> int:
    """0, or the error number of making a multi-queue TAP device in this network namespace."""
    try:
        fd = os.open(NODE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return error.errno or errno.EIO
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", _PROBE, _TAP_FLAGS))
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        os.close(fd)
    return 0


def try_namespace(inside: Callable[[], int]) -> int:
    """0, or the error number of `inside` in user and network namespaces of its own, or of making
    them. It runs in a child, with whose end they go."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        number = errno.EIO
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            made = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
            number = inside() if made else ctypes.get_errno()
        finally:
            os.write(write_end, struct.pack("i", number))
            os._exit(0)
    os.close(write_end)
    told = os.read(read_end, 4)
    os.close(read_end)
    os.waitpid(child, 0)
    return struct.unpack("i", told)[0] if len(told) == 4 else errno.EIO


def try_socket() -> int:
    """0, or the error number of a listening socket that workers can share."""
    try:
        with socket.socket() as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            end.bind(("", 0))
            end.listen()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def try_low_port() -> int:
    """0, or the error number of binding a port below 1024."""
    number = 0
    for port in _LOW_PORTS:
        try:
            with socket.socket() as end:
                end.bind(("", port))
            return 0
        except OSError as error:
            number = error.errno or errno.EIO  # silent: it is the answer
        if number != errno.EADDRINUSE:
            break
    return number


# -- what follows ---------------------------------------------------------------------------


def _setting(name: str) -> str:
    """A kernel setting, "" where there is none."""
    try:
        return Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    except OSError:
        return ""  # silent: this kernel does not have it


def _node(number: int) -> Finding:
    what = f"TAP device node {NODE}"
    if number == 0:
        return Finding(what, True)
    if number == errno.ENOENT:
        make = f"mkdir -p /dev/net && mknod -m 666 {NODE} c 10 200"
        return Finding(what, False, "it is missing", f"sudo modprobe tun, in a container: {make}")
    if number in (errno.EACCES, errno.EPERM):
        return Finding(what, False, "no permission to open it", f"sudo chmod 666 {NODE}")
    return Finding(what, False, os.strerror(number), "sudo modprobe tun")


def _tap(number: int, node: int, own: bool) -> Finding:
    """`own`: a network namespace of one's own would do."""
    what = "driver tap: in this network namespace"
    if number == 0:
        return Finding(what, True)
    if node != 0:
        return Finding(what, False, "the device node comes first")
    if number != errno.EPERM:
        return Finding(what, False, os.strerror(number))
    device = _own_device()
    if device:
        return Finding(what, True, f"on {device}, which is yours")
    ways = ["run as root"]
    if own:
        ways.append("or in a namespace of its own: unshare -Urn")
    ways.append(f"or once: {_MAKE.format(user=_user())}")
    return Finding(what, False, "CAP_NET_ADMIN is missing", "; ".join(ways))


def _own_device() -> str:
    """A TAP device that root has made for this user, "" when there is none."""
    for _, name in socket.if_nameindex():
        try:
            owner = Path("/sys/class/net", name, "owner").read_text(encoding="ascii")
        except OSError:
            continue  # silent: no TUN or TAP device
        if owner.strip() == str(os.getuid()):
            return name
    return ""


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _namespace(number: int, node: int) -> Finding:
    what = "driver tap: in a network namespace of its own, without privileges"
    if number == 0:
        return Finding(what, True)
    if node != 0:
        return Finding(what, False, "the device node comes first")
    remark = "the system does not permit user namespaces"
    for name, wrong, right in (
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        if _setting(name) == wrong:
            return Finding(what, False, remark, f"sudo sysctl {name}={right}")
    return Finding(
        what, False, f"{remark}: {os.strerror(number)}", "a container's policy forbids it"
    )


def _sockets(number: int) -> Finding:
    what = "driver kernel: sockets that workers share"
    return Finding(what, number == 0, os.strerror(number) if number else "")


def _low_ports(number: int) -> Finding:
    what = "driver kernel: ports below 1024"
    if number == 0:
        return Finding(what, True)
    first = _setting("net.ipv4.ip_unprivileged_port_start")
    remark = f"ports from {first} are free to all" if first else os.strerror(number)
    return Finding(what, False, remark, "sudo sysctl net.ipv4.ip_unprivileged_port_start=0")


def _memif(missing: str, number: int) -> Finding:
    what = "driver memif: shared memory with another process, without privileges"
    if not missing:
        return Finding(what, True)
    remark = f"no {missing.removeprefix('an ').removeprefix('a ')}: {os.strerror(number)}"
    remedy = "sudo mount -t proc proc /proc" if missing.startswith("/proc") else ""
    return Finding(what, False, remark, remedy or "a container's policy forbids it")


def findings() -> list[Finding]:
    """Everything that was looked at; the third is whether the default driver works."""
    node = try_node()
    space = try_namespace(try_tap)
    return [
        _node(node),
        _namespace(space, node),
        _tap(try_tap(), node, space == 0),
        _sockets(try_socket()),
        _low_ports(try_low_port()),
        _memif(*try_memif()),
    ]


# -- what is said ---------------------------------------------------------------------------


def _show_plain(found: list[Finding]) -> None:
    for each in found:
        print(f"{'yes' if each.is_there else 'no ':3}  {each.what}", end="")
        print(f": {each.remark}" if each.remark else "")
        if each.remedy:
            print(f"     -> {each.remedy}")


def _show_table(found: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "why not", "how to get it")
    for each in found:
        answer = Text("yes", "green") if each.is_there else Text("no", "red")
        table.add_row(answer, each.what, each.remark, each.remedy)
    Console().print(table)


def command() -> int:
    """Look and say; 0 when the default driver, tap, works here and now."""
    found = findings()
    (_show_table if sys.stdout.isatty() else _show_plain)(found)
    return 0 if found[2].is_there else 1
