"""What `corten check` says of TUN and macvtap, the other two that the driver tap knows.

A macvtap is tried on a TAP in a network namespace of a child's own: whoever may open the node of
that one may open any other's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from corten.driver import macvtap

NODE = "/dev/net/tun"
TUN, TAP = 0x0001, 0x0002  # IFF_TUN, IFF_TAP
_MULTI_QUEUE = 0x0100
_FLAGS = 0x1000 | _MULTI_QUEUE | 0x4000  # IFF_NO_PI, IFF_VNET_HDR
_TUNSETIFF = 0x400454CA
_PROBE = b"cortenprobe%d"  # the kernel puts a number
_NEW_LINK = 16  # RTM_NEWLINK
_MAKE = 0x0605  # NLM_F_REQUEST, ACK, CREATE and EXCL
_IFNAME, _LINK, _LINKINFO, _KIND = 3, 5, 18, 1
_NOBODY = "-1"

Found = tuple[str, bool, str, str]  # what, whether it is there, why not, how to get it
Run = Callable[[Callable[[], int]], int]  # in a child: the error number of what it is given


def try_device(kind: int) -> int:
    """0, or the error number of making a multi-queue TUN or TAP in this network namespace."""
    try:
        fd = os.open(NODE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return error.errno or errno.EIO
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", _PROBE, _FLAGS | kind))
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        os.close(fd)
    return 0


def own_device(kind: int) -> str:
    """A device of that kind that root has made for this user, or for all; "" when there is none."""
    for _, name in socket.if_nameindex():
        folder = Path("/sys/class/net", name)
        try:
            flags = int((folder / "tun_flags").read_text(encoding="ascii"), 16)
            owner = (folder / "owner").read_text(encoding="ascii").strip()
            group = (folder / "group").read_text(encoding="ascii").strip()
        except OSError:
            continue  # silent: no TUN or TAP device
        ours = owner in (_NOBODY, str(os.getuid()))
        ours = ours and group in (_NOBODY, *map(str, (os.getgid(), *os.getgroups())))
        if flags & (kind | _MULTI_QUEUE) == kind | _MULTI_QUEUE and ours:
            return name
    return ""


def look_tun() -> Found:
    """Whether a link of bare IP packets can be had here."""
    what = "driver tun: in this network namespace"
    number = try_device(TUN)
    if number == 0:
        return (what, True, "", "")
    if number != errno.EPERM:
        return (what, False, "as for driver tap", "")
    device = own_device(TUN)
    if device:
        return (what, True, f"on {device}, which is yours", "")
    return (what, False, "CAP_NET_ADMIN is missing", "as for driver tap, with mode tun")


def try_macvtap() -> int:
    """0, or the error number of making a macvtap and of opening its node. Where it runs nobody else
    has devices: in a namespace of its own."""
    try:
        fd = os.open(NODE, os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"lower", _FLAGS | TAP))
        _make_macvtap("upper", socket.if_nametoindex("lower"))
        node = macvtap.node_of("upper")
        if node is None:
            return errno.EACCES  # nobody says which node it is
        return _try_node(node)
    except OSError as error:
        return error.errno or errno.EIO


def _try_node(node: macvtap.Node) -> int:
    from corten.endpoint.error import CortenError

    try:
        os.close(macvtap.open_node(node))
    except CortenError as error:
        cause = error.__cause__
        return cause.errno or errno.EIO if isinstance(cause, OSError) else errno.EIO
    return 0


def _make_macvtap(name: str, lower: int) -> None:
    """RTM_NEWLINK, and its acknowledgement. OSError."""

    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack("HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)

    body = struct.pack("BxHiII", 0, 0, 0, 0, 0)  # struct ifinfomsg
    body += attribute(_IFNAME, name.encode() + b"\0") + attribute(_LINK, struct.pack("I", lower))
    body += attribute(_LINKINFO, attribute(_KIND, b"macvtap"))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asker:
        asker.send(struct.pack("IHHII", len(body) + 16, _NEW_LINK, _MAKE, 1, 0) + body)
        (number,) = struct.unpack("i", asker.recv(4096)[16:20])  # struct nlmsgerr
    if number:
        raise OSError(-number, os.strerror(-number))


def look_macvtap(run: Run, run_as_root_inside: Run) -> Found:
    """Whether a macvtap can be served. `run`: in a network namespace of its own, which is the
    privileged way; the other one makes a user namespace first."""
    what = "driver tap: on a macvtap"
    number = run(try_macvtap)
    if number in (errno.EPERM, errno.EACCES):
        number = run_as_root_inside(try_macvtap)
    if number == 0:
        return (what, True, "", "")
    device = _open_to_us()
    if device:
        return (what, True, f"on {device}, which is yours", "")
    if number in (errno.EOPNOTSUPP, errno.ENODEV):
        return (what, False, "this kernel has none", "sudo modprobe macvtap")
    if number in (errno.EPERM, errno.EACCES, errno.ENOSPC):
        make = "ip link add link eth0 name mv0 type macvtap mode bridge"
        give = f"chown {os.getuid()} /dev/tap$(cat /sys/class/net/mv0/ifindex)"
        why = "its node may not be opened"
        return (what, False, why, f"run as root; or once: sudo sh -c '{make} && {give}'")
    return (what, False, os.strerror(number), "")


def _open_to_us() -> str:
    """A macvtap whose node this user may open; "" when there is none."""
    for _, name in socket.if_nameindex():
        node = macvtap.node_of(name)
        if node is None or not os.access(node.path, os.R_OK | os.W_OK):
            continue
        if os.stat(node.path).st_rdev == node.number:
            return name
    return ""
