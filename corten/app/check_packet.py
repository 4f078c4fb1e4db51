"""What `corten check` says of packet sockets: tried, in a way that leaves nothing behind.

Answers are plain: (what, is it there, remark, remedy), for `corten.app.check` to show.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable

from corten.driver import silence
from corten.endpoint.error import CortenError

Answer = tuple[str, bool, str, str]

_SOL_PACKET = 263
_RX_RING, _VERSION, _VNET_HDR = 5, 10, 15
_TPACKET_V2 = 1
_SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8927
_IFF_UP, _ARPHRD_ETHER = 1, 1
_SOMEBODY = "192.0.2.1/32"  # of the documentation (RFC 5737)


def try_socket() -> int:
    """0, or the error number of a packet socket with a ring and the virtio header here."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as end:
            end.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
            end.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
            end.setsockopt(_SOL_PACKET, _RX_RING, struct.pack("4I", 4096, 1, 2048, 2))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def try_silence() -> int:
    """0, or the error number of loading the program that keeps the kernel silent."""
    try:
        os.close(silence.load([_SOMEBODY]))
    except OSError as error:
        return error.errno or errno.EIO
    except CortenError:
        return errno.ENOSYS  # silent: it is the answer
    return 0


def devices() -> list[str]:
    """The Ethernet devices of this network namespace that are up."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        for _, name in socket.if_nameindex():
            request = struct.pack("16s24x", name.encode())
            try:
                (flags,) = struct.unpack_from("H", fcntl.ioctl(end, _SIOCGIFFLAGS, request), 16)
                (kind,) = struct.unpack_from("H", fcntl.ioctl(end, _SIOCGIFHWADDR, request), 16)
            except OSError:
                continue  # silent: it has gone meanwhile
            if flags & _IFF_UP and kind == _ARPHRD_ETHER:
                found.append(name)
    return found


def _socket(number: int, own: bool) -> Answer:
    """`own`: it works in a namespace of one's own."""
    what = "driver packet: in this network namespace"
    if number == 0:
        names = devices()
        on = f"on {', '.join(names)}" if names else "but no Ethernet device here is up"
        return what, bool(names), on, "" if names else "bring one up: ip link set NAME up"
    if number == errno.EPERM:
        ways = "run as root"
        if own:
            ways += "; or in a namespace of its own, on devices there: unshare -Urn"
        return what, False, "CAP_NET_RAW is missing", ways
    if number == errno.EAFNOSUPPORT:
        return what, False, "this kernel has no packet sockets", "sudo modprobe af_packet"
    return what, False, os.strerror(number), ""


def _silence(number: int) -> Answer:
    what = "driver packet: a program that keeps the kernel silent"
    if number == 0:
        return what, True, "", ""
    remark = "not permitted" if number in (errno.EPERM, errno.EACCES) else os.strerror(number)
    remedy = "run as root, Linux 6.6 or newer; without it, do not forward: net.ipv4.ip_forward=0"
    return what, False, remark, remedy


def findings(try_namespace: Callable[[Callable[[], int]], int]) -> list[Answer]:
    """Everything that was looked at. `try_namespace`: do it in namespaces of one's own."""
    number = try_socket()
    own = number != 0 and try_namespace(try_socket) == 0
    return [_socket(number, own), _silence(try_silence())]
