"""A device that the stack shares with the kernel by AF_XDP: its filter, its queues, its names.

Strategy. The owner loads the filter (`corten.driver.xdp_filter`), attaches it, and holds it: with
the last process of the group it is gone, and the kernel has all frames again. Sockets and packet
memory are the workers' own, made in them and gone with them; what a worker gets from here is the
map that its sockets go into and the numbers of its queues. Of W workers the one at place p serves
the queues p, p + W, p + 2 W, …: all of the device's receive queues, whoever of us is there. Where
the device says by what hash it deals flows to them, the workers are told: a port that one of them
opens a connection from is chosen so that the answers come to it.

Rules. The device is configured by whoever administers it: MTU, queues and hardware address are
read, it is brought up, and nothing else is changed. What is asked here takes no privilege.
"""

from __future__ import annotations

import ctypes
import fcntl
import ipaddress
import socket
import struct
from dataclasses import dataclass

from corten.driver.device import Device, Queue, Wanted, configure
from corten.driver.rss import Rxfh, read_rss, steering_values
from corten.driver.xdp_filter import ADDRESSES_MAX, Filter, open_filter
from corten.endpoint.error import CortenError

RING = 2048  # entries of each ring of a queue, and chunks of memory behind it
_SIOCGIFMTU = 0x8921
_SIOCGIFHWADDR = 0x8927
_SIOCETHTOOL = 0x8946
_GET_DRIVER = 0x03
_GET_RINGS = 0x2D
_GET_CHANNELS = 0x3C
_ETHERNET = 1  # ARPHRD_ETHER
_MANY = 1 << 16


@dataclass(frozen=True)
class Card:
    """What a device says of itself."""

    name: str
    index: int
    mac: str
    mtu: int
    driver: str  # of the kernel: "veth", "virtio_net"; "" where it does not say
    receive_queues: int
    transmit_queues: int


class XdpDevice(Device):
    """A device with the filter on it."""

    def __init__(self, wanted: Wanted, card: Card, made: Filter, rss: Rxfh | None = None) -> None:
        self.name = card.name
        self.mtu = wanted.mtu or card.mtu
        self.mac = card.mac
        self.mode = made.mode  # native or generic
        self._wanted = wanted
        self._card = card
        self._filter = made
        self._rss = rss

    def queue(self, place: int) -> Queue:
        options, card, workers = self._wanted.options, self._card, self._wanted.queues
        checksum = options.get("checksum", "auto")
        if checksum == "auto":
            checksum = "undone" if card.driver == "veth" else "verify"
        values = {
            "index": card.index,
            "queues": list(range(place, card.receive_queues, workers)),
            "ring": options.get("ring", RING),
            "copy": options.get("copy", "auto"),
            "fragments": self._filter.has_fragments,
            "mtu": self.mtu,
            "offload": self._wanted.offload,
            "checksum": checksum,
        }
        worker_of = {queue: queue % workers for queue in range(card.receive_queues)}
        values |= steering_values(self._rss, place, worker_of)
        return Queue("xdp", self.name, values, [self._filter.sockets])

    def add_address(self, address: str) -> None:
        try:
            self._filter.add(ipaddress.ip_interface(address).ip)
        except OSError as error:
            raise CortenError(
                f"xdp:{self.name}: {address}: {error.strerror}; {ADDRESSES_MAX} are the most"
            ) from error

    def remove_address(self, address: str) -> None:
        try:
            self._filter.remove(ipaddress.ip_interface(address).ip)
        except OSError as error:
            raise CortenError(f"xdp:{self.name}: {address}: {error.strerror}") from error

    def let_go(self) -> None:
        self.close()

    def close(self) -> None:
        """The program goes with its last descriptor."""
        self._filter.close()


def open_device(wanted: Wanted) -> XdpDevice:
    """Put the filter on a device that is there, for the link's addresses."""
    card = read_card(wanted.name)
    _check(wanted, card)
    configure(
        {
            "name": card.name,
            "queues": _MANY,
            "host": [],
            "ours": wanted.ours,
            "mtu": card.mtu,
            "queue_len": 0,
        }
    )
    mode = wanted.options.get("mode", "auto")
    made = open_filter(card.name, card.index, card.receive_queues, mode, wanted.vlan)
    device = XdpDevice(wanted, card, made, read_rss(card.name))
    try:
        for address in wanted.ours:
            device.add_address(address)
    except BaseException:
        device.close()
        raise
    return device


def _check(wanted: Wanted, card: Card) -> None:
    """What can be known before anything is touched."""
    if wanted.mtu > card.mtu:
        raise CortenError(
            f"xdp:{card.name}: mtu={wanted.mtu} is above the device's {card.mtu}: "
            f"`ip link set dev {card.name} mtu {wanted.mtu}`, or leave mtu= out"
        )
    least = min(card.receive_queues, card.transmit_queues)
    if wanted.queues > least:
        raise CortenError(
            f"xdp:{card.name}: {wanted.queues} workers want a queue each, and it has "
            f"{card.receive_queues} to receive and {card.transmit_queues} to transmit: "
            f"`ethtool -L {card.name} combined {wanted.queues}` (or rx and tx), or fewer workers"
        )


def read_card(name: str) -> Card:
    """What the device says of itself. CortenError when it is none, or no Ethernet."""
    try:
        index = socket.if_nametoindex(name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            fd = asked.fileno()
            kind, mac = struct.unpack_from("=H6s", _ask(fd, _SIOCGIFHWADDR, name), 16)
            (mtu,) = struct.unpack_from("=i", _ask(fd, _SIOCGIFMTU, name), 16)
            driver = _ethtool(fd, name, _GET_DRIVER, 196)[4:36]
            receive, transmit = _queues(fd, name)
    except OSError as error:
        raise CortenError(f"xdp:{name}: no such device here: see `ip link`") from error
    if kind != _ETHERNET:
        raise CortenError(f"xdp:{name} is no Ethernet device: choose another")
    text = ":".join(f"{octet:02x}" for octet in mac)
    known = driver.partition(b"\0")[0].decode(errors="replace")
    return Card(name, index, text, mtu, known, receive, transmit)


def _ask(fd: int, request: int, name: str) -> bytes:
    """An ioctl on a struct ifreq; what it holds then."""
    return fcntl.ioctl(fd, request, struct.pack("16s24x", name.encode()))


def _ethtool(fd: int, name: str, command: int, length: int) -> bytes:
    """What ethtool's `command` answers; zeros where the device does not know it."""
    held = ctypes.create_string_buffer(struct.pack("=I", command), length)
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(held))
    try:
        fcntl.ioctl(fd, _SIOCETHTOOL, request)
    except OSError:
        return bytes(length)  # silent: what is not known is not there
    return held.raw


def _queues(fd: int, name: str) -> tuple[int, int]:
    """How many queues receive and transmit now; one each where the device does not say."""
    count = struct.unpack_from("=9I", _ethtool(fd, name, _GET_CHANNELS, 36))
    receive, transmit, both = count[5], count[6], count[8]
    if receive + transmit + both == 0:
        (rings,) = struct.unpack_from("=Q", _ethtool(fd, name, _GET_RINGS, 192), 8)
        return max(1, rings), max(1, rings)
    return receive + both, transmit + both
