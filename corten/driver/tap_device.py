"""TAP, TUN and macvtap devices: make or find one, open its queues, address the host's side, and
undo it all.

Strategy. Descriptors and their ioctls here; whatever needs netlink is described as a plain
dictionary and done by a short-lived child (`corten.driver.netlink`), because pyroute2 takes 0.2 s
to import and wants an event loop of its own. A device that we create is not persistent: it goes
with its last descriptor, even if this process is killed. One that was there before keeps its place;
only the host address that we added is taken away again. A macvtap is always there before: it is a
station on another device, with a hardware address of its own, and no host on its other side.

Which queue a packet comes out of is decided by a program of ours (`corten.driver.steering_program`)
where the kernel takes one from us, else by what the device has learnt from our writing. A queue's
number is the order in which it was attached; this process keeps all of them open, so a worker that
dies moves nobody's flows.

Rules. Every size, offload and program is set explicitly: a device remembers what its last owner
set. Errors of the environment are one line that says what to do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

from corten.driver import macvtap, steering_program
from corten.driver.device import Device, Queue, Wanted, configure
from corten.endpoint.error import CortenError

TUN_NODE = "/dev/net/tun"
QUEUES_MAX = 256
MTU_MIN = 68  # what the kernel's TAP takes
MTU_MAX = 65521
MTU_MADE = 1500  # of a device that we make, where nothing is said
QUEUE_LEN = 8192  # frames that wait for one queue; beyond it the kernel drops

_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_TUNGETIFF = 0x800454D2
_TUNSETVNETHDRSZ = 0x400454D8
_TUNSETSTEERINGEBPF = 0x800454E0
_NO_PROGRAM = -1
_IFF_TUN = 0x0001
_IFF_TAP = 0x0002
_IFF_MULTI_QUEUE = 0x0100
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
_TUN_F_CSUM = 0x01
_TUN_F_TSO4 = 0x02
_TUN_F_TSO6 = 0x04
_VNET_LEN = 10
_NAME_MAX = 15


class TapDevice(Device):
    """A TAP or TUN with its queues open."""

    def __init__(
        self,
        wanted: Wanted,
        name: str,
        mtu: int,
        fds: list[int],
        created: bool,
        undo: dict[str, object],
        keys: list[int] | None = None,
    ) -> None:
        assert len(fds) == wanted.queues, "a queue's number is its place among them"
        self.name = name
        self.mtu = mtu
        self.created = created
        self.fds = fds
        self.keys = keys  # of the steering program; None: the device learns
        self._wanted = wanted
        self._undo = undo

    def queue(self, place: int) -> Queue:
        wanted = self._wanted
        values: dict[str, Any] = {"offload": wanted.offload}
        if self.keys is not None:
            values["steering"] = {
                "kind": "spread",
                "place": place,
                "keys": self.keys,
                "queues": len(self.fds),
            }
        return Queue(wanted.driver, self.name, values, [self.fds[place]])

    def let_go(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def close(self) -> None:
        """Close the queues; take our program and the host's address from a device that stays."""
        if self.keys is not None and self.fds and not self.created:
            _set_program(self.fds[0], _NO_PROGRAM)
        self.keys = None
        for fd in self.fds:
            with suppress(OSError):  # silent: closed is closed
                os.close(fd)
        self.fds = []
        if self._undo and not self.created:
            with suppress(CortenError):  # silent: the device may be gone, its address too
                configure(self._undo)
        self._undo = {}


def open_device(wanted: Wanted) -> TapDevice:
    """Open the queues of a TAP or TUN (without a name: a new `corten0`, `corten1`, …), creating it
    if it is not there; give the host's side its addresses, and bring it up."""
    kind, name, mtu = wanted.driver, wanted.name, wanted.mtu
    if not 1 <= wanted.queues <= QUEUES_MAX:
        raise CortenError(
            f"a {kind.upper()} has 1 to {QUEUES_MAX} queues, not {wanted.queues}: use fewer workers"
        )
    if mtu and not MTU_MIN <= mtu <= MTU_MAX:
        raise CortenError(f"mtu={mtu}: a {kind.upper()} takes {MTU_MIN} to {MTU_MAX}")
    if len(name) > _NAME_MAX:
        raise CortenError(
            f"device name {name!r} is longer than {_NAME_MAX} characters: choose a shorter one"
        )
    existed = bool(name) and _exists(name)
    node = macvtap.node_of(name) if existed and kind == "tap" else None
    if node is not None:
        return _open_macvtap(wanted, node)
    mtu = mtu or (_mtu_of(name) if existed else MTU_MADE)
    fds: list[int] = []
    try:
        for _ in range(wanted.queues):
            fds.append(_open_node())
            name = _attach(fds[-1], kind, name or "corten%d", existed)
            _set_features(fds[-1], wanted.offload)
        keys = _steer(fds, kind, wanted.options.get("steering", "auto"))
        undo = configure(
            {
                "name": name,
                "queues": wanted.queues,
                "host": wanted.hosts,
                "ours": wanted.ours,
                "whole": wanted.prefixes,
                "mtu": mtu,
                "queue_len": QUEUE_LEN,
            }
        )
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return TapDevice(wanted, name, mtu, fds, not existed, undo or {}, keys)


def _open_macvtap(wanted: Wanted, node: macvtap.Node) -> TapDevice:
    """A station that somebody has made on a device: its address and MTU are its own."""
    name, mtu = node.name, _mtu_of(node.name)
    if wanted.asks_host:
        raise CortenError(
            f"tap:{name} is a macvtap: it has no host on its other side, leave out host="
        )
    if wanted.mtu > mtu:
        raise CortenError(f"mtu={wanted.mtu}: the macvtap {name} has {mtu}: leave out mtu=")
    fds: list[int] = []
    try:
        for _ in range(wanted.queues):
            fds.append(macvtap.open_node(node))
            _attach(fds[-1], "tap", name, True)
            _set_features(fds[-1], wanted.offload)
        configure(
            {
                "name": name,
                "queues": wanted.queues,
                "host": [],
                "ours": wanted.ours,
                "whole": wanted.prefixes,
                "mtu": mtu,
                "queue_len": QUEUE_LEN,
            }
        )
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    device = TapDevice(wanted, name, wanted.mtu or mtu, fds, False, {})
    device.mac = _mac_of(name)
    device.keeps_mac = True
    return device


def _ask(name: str, request: int) -> bytes:
    """What the kernel says of a device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        return fcntl.ioctl(asker, request, struct.pack("16s24x", name.encode()))[16:]


def _mtu_of(name: str) -> int:
    return int.from_bytes(_ask(name, _SIOCGIFMTU)[:4], sys.byteorder)


def _mac_of(name: str) -> str:
    return _ask(name, _SIOCGIFHWADDR)[2:8].hex(":")


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:  # silent: that is the answer
        return False
    return True


def _open_node() -> int:
    try:
        return os.open(TUN_NODE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CortenError(_node_advice(error)) from error


def _node_advice(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return (
            f"no {TUN_NODE}: load it with `modprobe tun`, "
            f"or start the container with --device {TUN_NODE}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{TUN_NODE} may not be opened: run as root, or ask for `chmod 0666 {TUN_NODE}`"
    return f"{TUN_NODE} cannot be opened: {error.strerror}"


def _attach(fd: int, kind: str, name: str, existed: bool) -> str:
    """Make `fd` a queue of the device; its name, with a pattern filled in."""
    flags = (
        (_IFF_TUN if kind == "tun" else _IFF_TAP) | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_MULTI_QUEUE
    )
    request = bytearray(struct.pack("16sH22x", name.encode(), flags))
    try:
        fcntl.ioctl(fd, _TUNSETIFF, request)
    except OSError as error:
        raise CortenError(_attach_advice(kind, name, existed, error)) from error
    return request[:16].rstrip(b"\0").decode()


def _attach_advice(kind: str, name: str, existed: bool, error: OSError) -> str:
    if error.errno == errno.EPERM and existed:
        return (
            f"{kind}:{name} belongs to another user: run as root, or make it yours with "
            f"`ip tuntap add dev {name} mode {kind} multi_queue user $USER`"
        )
    if error.errno == errno.EPERM:
        return (
            f"a {kind.upper()} needs CAP_NET_ADMIN: run as root, in a namespace of your own "
            "(`unshare -rn`), or on a device made with "
            f"`ip tuntap add dev NAME mode {kind} multi_queue user $USER`"
        )
    if error.errno == errno.EBUSY:
        return f"{kind}:{name} is in use by another program: stop it or choose another name"
    if error.errno == errno.EINVAL and existed:
        return (
            f"{name} is there but is no multi-queue {kind.upper()}: choose another name, or make "
            f"it with `ip tuntap add dev {name} mode {kind} multi_queue`"
        )
    if error.errno == errno.EINVAL:
        return f"{name!r} is no name for a device: letters and digits, no slash or space"
    return f"{kind}:{name} cannot be opened: {error.strerror}"


def _set_features(fd: int, offload: bool) -> None:
    """Header size and offloads, whatever the device's last owner left behind."""
    features = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 if offload else 0
    try:
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", _VNET_LEN))
        fcntl.ioctl(fd, _TUNSETOFFLOAD, features)
    except OSError as error:
        raise CortenError(
            f"this kernel's TAP lacks checksum and segmentation offload ({error.strerror}): "
            "use offload=off"
        ) from error


def _steer(fds: list[int], kind: str, how: str) -> list[int] | None:
    """Who decides which queue a packet takes: our program, whose keys are answered, or what the
    device learns. `auto`: the program where there is something to decide and it may be loaded."""
    if how == "program" or (how == "auto" and len(fds) > 1):
        keys = steering_program.make_keys()
        try:
            program = steering_program.load(keys, len(fds), kind == "tap")
        except CortenError:
            if how == "program":
                raise
        else:
            try:
                if _set_program(fds[0], program):
                    return keys
            finally:
                os.close(program)  # the device holds it
            if how == "program":
                raise CortenError(
                    f"this kernel's {kind.upper()} takes no steering=program: use learnt"
                )
    _set_program(fds[0], _NO_PROGRAM)
    return None


def _set_program(fd: int, program: int) -> bool:
    """Let a program choose queues, or none; whether the device knows of such things."""
    try:
        fcntl.ioctl(fd, _TUNSETSTEERINGEBPF, struct.pack("i", program))
    except OSError:  # silent: a kernel before 4.16 learns, and has nothing to take back
        return False
    return True
