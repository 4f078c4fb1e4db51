"""Which frames of a shared device are the stack's: an XDP program, its maps, and where it hangs.

Strategy. The kernel runs the program on every frame that the device receives. What is for one of
the stack's addresses goes to the AF_XDP socket of the queue that it came in by; all else passes to
the kernel, as if nobody were here. Addresses lie in a hash map, so they can come and go while the
device runs. The stack's are:

    IPv4      to an address of ours, fragments included
    ARP       about an address of ours (target protocol address): requests, replies, probes
    IPv6      to an address of ours or to its solicited-node group
    NA        to a group, about an address of ours: somebody else has it (RFC 4862 5.4.4)

With a VLAN only frames that bear its tag are looked at. A frame of ours whose queue has no socket,
because its worker died, is dropped: the kernel would answer it with RST.

Rules. The program hangs on a BPF link, a descriptor: it goes when the last process that holds it
ends, however that ends. Nothing here runs on the fast path of a worker.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import struct
import sys
from collections import Counter
from contextlib import suppress

from corten.driver import bpf
from corten.endpoint.error import CortenError

ADDRESSES_MAX = 1024
MODES = {"native": 4, "generic": 2}  # XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE
RIGHTS = (
    "needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW of the machine, not of a user namespace: "
    "run as root"
)

_DROP, _PASS = 1, 2  # verdicts
_DATA, _DATA_END, _QUEUE = 0, 4, 16  # struct xdp_md
_VLAN, _IPV4, _ARP, _IPV6 = 0x8100, 0x0800, 0x0806, 0x86DD
_ICMPV6, _ADVERTISEMENT = 58, 136
_MAPPED = int.from_bytes(b"\0\0\xff\xff", sys.byteorder)  # of ::ffff:a.b.c.d
_GROUP = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13]  # RFC 4291 2.7.1

_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def key_of(address: _IpAddress) -> bytes:
    """An address as the map has it: 128 bits, IPv4 as ::ffff:a.b.c.d."""
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def group_of(address: _IpAddress) -> bytes:
    """The solicited-node group of an IPv6 address; b"" for IPv4, which has none."""
    return _GROUP + address.packed[13:] if address.version == 6 else b""


# -- the program ----------------------------------------------------------------------------

# registers that stay: the context, the frame's first octet, and the octet after its last
_CONTEXT, _FRAME, _END = 6, 7, 8


def program(addresses: int, sockets: int, vlan: int = 0) -> bpf.Assembly:
    """The filter over two maps: addresses of the stack, and sockets by queue."""
    code = bpf.Assembly()
    code.combine("mov", _CONTEXT, 1)
    code.load(_FRAME, _CONTEXT, _DATA, 4)
    code.load(_END, _CONTEXT, _DATA_END, 4)
    _ensure(code, 18 if vlan else 14)
    _load_type(code, 12)
    if vlan:
        code.jump_if("ne", 5, _VLAN, "pass")
        _load_type(code, 14)
        code.set("and", 5, 0xFFF)
        code.jump_if("ne", 5, vlan, "pass")
        _load_type(code, 16)
        code.set("add", _FRAME, 4)  # as if the tag were not there
    code.jump_if("eq", 5, _IPV6, "ipv6")
    code.jump_if("eq", 5, _ARP, "arp")
    code.jump_if("ne", 5, _IPV4, "pass")
    _ensure(code, 34)
    code.load(9, _FRAME, 30, 4)  # destination
    code.jump("mapped")
    code.label("arp")
    _ensure(code, 42)
    code.load(9, _FRAME, 38, 4)  # target protocol address
    code.label("mapped")
    code.set("mov", 1, 0)
    code.store(10, -16, 1, 8)
    code.set("mov", 1, _MAPPED)
    code.store(10, -8, 1, 4)
    code.store(10, -4, 9, 4)
    code.jump("known or not")
    code.label("ipv6")
    _ensure(code, 54)
    _copy_address(code, 38)  # destination
    _look_up(code, addresses)
    code.jump_if_register("ne", 0, 1, "redirect")
    code.load(5, _FRAME, 38, 1)
    code.jump_if("ne", 5, 0xFF, "pass")
    _ensure(code, 78)
    code.load(5, _FRAME, 20, 1)  # next header
    code.jump_if("ne", 5, _ICMPV6, "pass")
    code.load(5, _FRAME, 54, 1)
    code.jump_if("ne", 5, _ADVERTISEMENT, "pass")
    _copy_address(code, 62)  # target
    code.label("known or not")
    _look_up(code, addresses)
    code.jump_if_register("eq", 0, 1, "pass")
    code.label("redirect")
    code.load(2, _CONTEXT, _QUEUE, 4)
    code.load_map(1, sockets)
    code.set("mov", 3, _DROP)  # where the queue has no socket
    code.call(bpf.REDIRECT_MAP)
    code.leave()
    code.label("pass")
    code.set("mov", 0, _PASS)
    code.leave()
    return code


def _ensure(code: bpf.Assembly, length: int) -> None:
    """Let shorter frames pass: the verifier wants to see it."""
    code.combine("mov", 4, _FRAME)
    code.set("add", 4, length)
    code.jump_if_register("gt", 4, _END, "pass")


def _load_type(code: bpf.Assembly, at: int) -> None:
    """r5 = 16 bits of the frame, in host order."""
    code.load(5, _FRAME, at, 2)
    code.host_order(5, 16)


def _copy_address(code: bpf.Assembly, at: int) -> None:
    """The key to look up = an IPv6 address of the frame."""
    for half in (0, 8):
        code.load(1, _FRAME, at + half, 8)
        code.store(10, half - 16, 1, 8)


def _look_up(code: bpf.Assembly, addresses: int) -> None:
    """r0 = where the map has the key, or as r1, which is 0."""
    code.load_map(1, addresses)
    code.combine("mov", 2, 10)
    code.set("add", 2, -16)
    code.call(bpf.MAP_LOOKUP)
    code.set("mov", 1, 0)


# -- the program on a device ----------------------------------------------------------------


class Filter:
    """The program with its maps. `attach` it; `close` takes it off the device."""

    def __init__(self, queues: int, vlan: int = 0) -> None:
        """OSError where the kernel refuses."""
        self.mode = ""
        self.has_fragments = True  # whether it takes frames in several pieces
        self._fds: list[int] = []
        self._held: Counter[bytes] = Counter()  # groups have several addresses
        try:
            self.sockets = self._keep(bpf.create_map(bpf.MAP_XSKMAP, 4, 4, queues, "sockets"))
            self._addresses = self._keep(
                bpf.create_map(bpf.MAP_HASH, 16, 4, 2 * ADDRESSES_MAX, "addresses")
            )
            self._program = self._keep(self._load(program(self._addresses, self.sockets, vlan)))
        except BaseException:
            self.close()
            raise

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _load(self, code: bpf.Assembly) -> int:
        try:
            return bpf.load_program(bpf.XDP, code, "corten", bpf.HAS_FRAGS, bpf.BPF_XDP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        self.has_fragments = False  # before Linux 5.18
        return bpf.load_program(bpf.XDP, code, "corten", 0, bpf.BPF_XDP)

    def attach(self, index: int, mode: str) -> None:
        """Hang it on the device `index`: mode `native` or `generic`. OSError."""
        self._keep(bpf.attach_link(self._program, index, bpf.BPF_XDP, MODES[mode]))
        self.mode = mode

    def add(self, address: _IpAddress) -> None:
        """What is for `address` is the stack's. OSError."""
        for key in filter(None, (key_of(address), group_of(address))):
            self._held[key] += 1
            bpf.update_map(self._addresses, key, struct.pack("=I", 1))

    def remove(self, address: _IpAddress) -> None:
        """What is for `address` is the kernel's again. OSError."""
        for key in filter(None, (key_of(address), group_of(address))):
            self._held[key] -= 1
            if self._held[key] <= 0:
                del self._held[key]
                bpf.delete_from_map(self._addresses, key)

    def close(self) -> None:
        """Off the device, where nobody else holds a descriptor of it. Again: nothing."""
        while self._fds:
            with suppress(OSError):  # silent: closed is closed
                os.close(self._fds.pop())


def open_filter(name: str, index: int, queues: int, mode: str, vlan: int = 0) -> Filter:
    """A filter on the device; mode `auto` is native where that can be. CortenError, one line."""
    try:
        made = Filter(queues, vlan)
    except OSError as error:
        why = RIGHTS if error.errno == errno.EPERM else f"cannot begin: {error.strerror}"
        raise CortenError(f"driver xdp {why}") from error
    try:
        _attach(made, name, index, mode)
    except BaseException:
        made.close()
        raise
    return made


def _attach(made: Filter, name: str, index: int, mode: str) -> None:
    ways = ["native", "generic"] if mode == "auto" else [mode]
    for way in ways:
        try:
            made.attach(index, way)
            return
        except OSError as error:
            if way != ways[-1] and error.errno not in (errno.EBUSY, errno.EEXIST, errno.EPERM):
                continue
            raise CortenError(f"xdp:{name}: {_advice(name, error)}") from error


def _advice(name: str, error: OSError) -> str:
    if error.errno in (errno.EBUSY, errno.EEXIST):
        return (
            "the device has an XDP program already: stop the program that attached it, or "
            f"`ip link set dev {name} xdp off`"
        )
    if error.errno == errno.EPERM:
        return RIGHTS
    said = {
        errno.EOPNOTSUPP: "its driver runs no XDP programs",
        errno.ERANGE: "its MTU, or its peer's, is too large for native XDP here",
        errno.ENOSPC: "its receive queues are fewer than its peer's transmit queues",
        errno.ENOTCONN: "it has no peer",
    }.get(error.errno or 0, f"the program cannot be attached ({error.strerror})")
    return f"{said}: use mode=generic"
