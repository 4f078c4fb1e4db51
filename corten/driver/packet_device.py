"""A network device as packet sockets share it: found, its sockets opened, one a worker.

Strategy. The device is the kernel's and stays so: nothing of it is set up or changed. Each worker's
socket has its two rings before it is bound; sockets of several workers join a fanout group, which
deals flows by a hash that does not know directions. The kernel keeps silent about our addresses
because none of its interfaces may have them, and because a program drops what comes for them
behind our back (`corten.driver.silence`).

Rules. Sizes are chosen so that a ring wastes nothing of its blocks; a slot is an odd number of
cache lines long, so that the heads of slots are spread over the cache. Errors of the environment
are one line that says what to do.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from corten.driver import silence
from corten.driver.device import Device, Queue, Wanted, configure
from corten.endpoint.error import CortenError

logger = logging.getLogger("corten")

QUEUES_MAX = 256  # sockets of one fanout group
MTU_MIN = 576  # RFC 791: what every IPv4 host takes
# of a receive ring, where nothing else is said: a breath may send 16,384 frames, and where the peer
# is this very machine each may be acknowledged before the breath ends
RING_MIB = 32
BLOCK_LEN = 1 << 20
STATE_LEN = 128  # as in `corten.driver.packet_ring`
BUFFER_LEN = 32 << 20  # for frames in the kernel: super-segments that wait, and what is being sent

_SOL_PACKET = 263
_ADD_MEMBERSHIP = 1
_RX_RING = 5
_COPY_THRESH = 7
_AUXDATA = 8
_VERSION = 10
_TX_RING = 13
_VNET_HDR = 15
_FANOUT = 18
_QDISC_BYPASS = 20
_IGNORE_OUTGOING = 23
_TPACKET_V2 = 1
_FANOUT_HASH = 0
_FANOUT_UNIQUE = 0x2000
_FANOUT_IGNORE_OUTGOING = 0x4000
_ALL_MULTICAST = 2
_UNICAST = 3
_ALL_PROTOCOLS = 3
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SIOCGIFFLAGS = 0x8913
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_IFF_UP = 1
_ARPHRD_ETHER = 1

_LINE = 64  # octets of a cache line
_SLOT_OVERHEAD = 76 + 14 + 4  # the kernel's header, Ethernet's, a tag within the frame
_SEND_OVERHEAD = 32 + 10  # the kernel's header, the virtio header
_WHOLE_LEN = 65536 + 64  # the largest super-segment with its link header
_JUMBO = 9216  # frames up to here have slots that they fit into


class PacketDevice(Device):
    """A device of the kernel's with our sockets on it."""

    def __init__(
        self,
        wanted: Wanted,
        sockets: list[socket.socket],
        rings: dict[str, list[int]],
        mtu: int,
        mac: str,
        program: int,
    ) -> None:
        self.name = wanted.name
        self.mtu = mtu
        self.mac = mac
        self.sockets = sockets
        self._offload = wanted.offload
        self._rings = rings
        self._program = program  # that keeps the kernel silent; -1: there is none
        self._states = [_positions() for _ in sockets]

    @property
    def is_silenced(self) -> bool:
        """Whether a program drops what is for us behind our back."""
        return self._program >= 0

    def queue(self, place: int) -> Queue:
        values = {"offload": self._offload, **self._rings}
        fds = [self.sockets[place].fileno(), self._states[place]]
        return Queue("packet", self.name, values, fds)

    def let_go(self) -> None:
        self.close()

    def close(self) -> None:
        """Memberships, rings and the program go with their last descriptors."""
        for end in self.sockets:
            end.close()
        for fd in [*self._states, self._program]:
            with suppress(OSError):  # silent: closed is closed, and -1 was never open
                os.close(fd)
        self.sockets, self._states, self._program = [], [], -1


def open_device(wanted: Wanted) -> PacketDevice:
    """Open a socket a worker on the device that the link names."""
    if sys.byteorder != "little":
        raise CortenError("a packet link needs a machine whose numbers begin with their low octet")
    if not 1 <= wanted.queues <= QUEUES_MAX:
        raise CortenError(
            f"a packet link has 1 to {QUEUES_MAX} sockets, not {wanted.queues}: use fewer workers"
        )
    sockets: list[socket.socket] = []
    try:
        # one after the other: what was opened is closed even if the next cannot be
        sockets.extend(_open_socket(wanted.name) for _ in range(wanted.queues))
        mtu, mac = _look_at(sockets[0], wanted)
        if wanted.ours:
            configure({"refuse": wanted.ours, "whole": wanted.prefixes})
        rings = _sizes(mtu, wanted.offload, wanted.options.get("ring", RING_MIB))
        for end in sockets:
            _prepare(end, wanted, rings)
        _share(sockets, wanted.name)
        _listen_for(sockets[0], wanted, mac)
        program = _silence(wanted)
    except BaseException:
        for end in sockets:
            end.close()
        raise
    return PacketDevice(wanted, sockets, rings, mtu, mac, program)


# -- the device -------------------------------------------------------------------------------


def _open_socket(name: str) -> socket.socket:
    try:
        # protocol 0: it hears nothing before it is bound
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise CortenError(
                f"packet:{name} needs CAP_NET_RAW: run as root, or in a network namespace of your "
                "own (`unshare -rn`)"
            ) from error
        if error.errno == errno.EAFNOSUPPORT:
            raise CortenError(
                "this kernel has no packet sockets: load them with `modprobe af_packet`"
            ) from error
        raise CortenError(f"packet:{name} cannot be opened: {error.strerror}") from error


def _ask(end: socket.socket, request: int, name: str) -> bytes:
    """What the kernel says of a device, behind its name."""
    try:
        return fcntl.ioctl(end, request, struct.pack("16s24x", name.encode()))[16:]
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise CortenError(
                f"no network device {name}: `ip link` shows those of this network namespace"
            ) from error
        raise CortenError(f"packet:{name}: {error.strerror}") from error


def _look_at(end: socket.socket, wanted: Wanted) -> tuple[int, str]:
    """Its MTU, as far as the link uses it, and its hardware address."""
    name = wanted.name
    (flags,) = struct.unpack_from("H", _ask(end, _SIOCGIFFLAGS, name))
    kind, address = struct.unpack_from("H6s", _ask(end, _SIOCGIFHWADDR, name))
    (mtu,) = struct.unpack_from("i", _ask(end, _SIOCGIFMTU, name))
    if kind != _ARPHRD_ETHER:
        raise CortenError(f"{name} is no Ethernet device: choose one that is, or a tun link")
    if not flags & _IFF_UP:
        raise CortenError(f"{name} is down: bring it up with `ip link set {name} up`")
    if wanted.mtu > mtu:
        raise CortenError(
            f"mtu={wanted.mtu}: {name} takes {mtu} at the most; raise it with "
            f"`ip link set {name} mtu {wanted.mtu}`"
        )
    if mtu < MTU_MIN:
        raise CortenError(
            f"{name} has an MTU of {mtu}: raise it to {MTU_MIN} or more with "
            f"`ip link set {name} mtu 1500`"
        )
    return wanted.mtu or mtu, address.hex(":")


# -- sockets ----------------------------------------------------------------------------------


def _slot(length: int) -> int:
    """An odd number of cache lines that `length` fits into."""
    lines = -(-length // _LINE)
    return (lines | 1) * _LINE


def _sizes(mtu: int, offload: bool, mib: int) -> dict[str, list[int]]:
    """Block length, number of blocks and slot length of each ring."""
    receive = _slot(_SLOT_OVERHEAD + min(mtu, _JUMBO))
    if offload:
        return {
            "receive": [BLOCK_LEN, mib, receive],
            "transmit": [BLOCK_LEN, 16, _slot(_SEND_OVERHEAD + _WHOLE_LEN)],
        }
    # ICMP and UDP may be longer than a segment, never than the MTU
    transmit = _slot(_SEND_OVERHEAD + 18 + mtu)
    blocks = -(-1024 * transmit // BLOCK_LEN)
    return {"receive": [BLOCK_LEN, mib, receive], "transmit": [BLOCK_LEN, blocks, transmit]}


def _prepare(end: socket.socket, wanted: Wanted, rings: dict[str, list[int]]) -> None:
    """Options, rings, and only then the device: no frame comes before there is a slot."""
    try:
        end.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        end.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
        end.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        end.setsockopt(_SOL_PACKET, _COPY_THRESH, 1)
        if wanted.options.get("qdisc") == "bypass":
            end.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        _enlarge(end)
        for option, name in ((_RX_RING, "receive"), (_TX_RING, "transmit")):
            block_len, blocks, slot_len = rings[name]
            slots = block_len // slot_len * blocks
            end.setsockopt(
                _SOL_PACKET, option, struct.pack("4I", block_len, blocks, slot_len, slots)
            )
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise CortenError(
                f"packet:{wanted.name}: no memory for the rings of {wanted.queues} workers: use "
                "fewer workers, or a smaller ring="
            ) from error
        raise CortenError(
            f"packet:{wanted.name}: this kernel's packet sockets lack rings or the virtio header "
            f"({error.strerror}): use a tap link"
        ) from error
    try:
        end.bind((wanted.name, _ALL_PROTOCOLS))
        if wanted.queues == 1:
            end.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    except OSError as error:
        raise CortenError(f"packet:{wanted.name} cannot be opened: {error.strerror}") from error


def _enlarge(end: socket.socket) -> None:
    """Room in the kernel beyond what everybody may ask for, where we may; else that."""
    for force, plain in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            end.setsockopt(socket.SOL_SOCKET, force, BUFFER_LEN)
        except PermissionError:  # silent: CAP_NET_ADMIN is missing, and not needed
            end.setsockopt(socket.SOL_SOCKET, plain, BUFFER_LEN)


def _share(sockets: list[socket.socket], name: str) -> None:
    """Flows are dealt to the sockets by a hash, the same in both directions."""
    if len(sockets) == 1:
        return
    kind = _FANOUT_HASH | _FANOUT_IGNORE_OUTGOING
    number = (kind | _FANOUT_UNIQUE) << 16
    try:
        for end in sockets:
            end.setsockopt(_SOL_PACKET, _FANOUT, struct.pack("I", number))
            (given,) = struct.unpack("I", end.getsockopt(_SOL_PACKET, _FANOUT, 4))
            number = given & 0xFFFF | kind << 16
    except OSError as error:
        raise CortenError(
            f"packet:{name}: the workers cannot share it ({error.strerror}): use one worker"
        ) from error


def _listen_for(end: socket.socket, wanted: Wanted, mac: str) -> None:
    """Let the device take in what is for groups (neighbour discovery asks them), and for a hardware
    address that is not its own."""
    index = socket.if_nametoindex(wanted.name)
    station = bytes.fromhex(wanted.mac.replace(":", ""))
    kinds = [(_ALL_MULTICAST, b"")]
    if wanted.mac and wanted.mac != mac:
        kinds.append((_UNICAST, station))
    for kind, address in kinds:
        request = struct.pack("iHH8s", index, kind, len(address), address)
        try:
            end.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, request)
        except OSError as error:
            raise CortenError(
                f"packet:{wanted.name} does not take in more than its own frames: {error.strerror}"
            ) from error


# -- the kernel -------------------------------------------------------------------------------


def _positions() -> int:
    """Memory for a queue's positions, which outlives its worker."""
    fd = os.memfd_create("corten-packet", os.MFD_CLOEXEC)
    os.ftruncate(fd, STATE_LEN)
    return fd


def _silence(wanted: Wanted) -> int:
    """The descriptor of the program that keeps the kernel out of it; -1: there is none."""
    how = wanted.options.get("silence", "auto")
    if how == "off" or not wanted.ours:  # of addresses that are learnt later nothing is known
        return -1
    try:
        return silence.attach(socket.if_nametoindex(wanted.name), wanted.ours, wanted.prefixes)
    except (OSError, CortenError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if how == "on":
            raise CortenError(
                f"packet:{wanted.name}: silence=on needs Linux 6.6 and CAP_BPF ({why}): run as "
                "root, or use silence=auto"
            ) from error
    if _forwards():
        logger.warning(
            "link packet:%s: this kernel forwards, and cannot be kept from what is for %s (%s)",
            wanted.name,
            ", ".join(wanted.ours + wanted.prefixes),
            why,
        )
    return -1


def _forwards() -> bool:
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with suppress(OSError):  # silent: what is not there does not forward
            if Path("/proc/sys/net", name).read_text(encoding="ascii").strip() != "0":
                return True
    return False
