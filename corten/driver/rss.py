"""What a NIC says of its receive side scaling, asked by ethtool: key, table, what is hashed.

Why. A worker that opens a connection through a NIC chooses its port so that the answers come to its
own queue (`corten.ip.rss`); for that it must know what the device computes. A driver whose queues
are a NIC's puts `steering_values` into its `Queue`s.

Rules. Asked once, when the device is opened, by a plain ioctl: nothing is changed, and no privilege
is needed. None for a device that does not say, or that computes something else (another function,
a symmetric input): then nobody knows, and answers are handed over. What it says may be others' to
change later; that costs hand-overs until the link is opened again.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_SIOCETHTOOL = 0x8946
_GRXFH = 0x29  # what is hashed of a kind of flow
_GRSSH = 0x46  # key and table
_FLOWS = {"tcp4": 1, "udp4": 2, "tcp6": 5, "udp6": 6}  # TCP_V4_FLOW …
_HASHES_PORTS = 3 << 6  # RXH_L4_B_0_1 and RXH_L4_B_2_3
_TOEPLITZ = 1  # ETH_RSS_HASH_TOP
_HEAD = struct.Struct("=5I4B2I")  # struct ethtool_rxfh: cmd to rsvd32; six words less one
_HEAD_LEN = 24
_ROOM_MAX = 1 << 16  # octets of a table and a key: more is no answer

Ask = Callable[[str, bytearray], None]


@dataclass(frozen=True)
class Rxfh:
    """A device's receive hash."""

    key: bytes
    table: list[int]  # the queue of each entry
    ports: list[str] = field(default_factory=list)  # whose ports are hashed: "tcp4", …


def ask_device(name: str, request: bytearray) -> None:
    """An ethtool request of a device; the answer takes its place. OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        held = array.array("B", request)
        address, _ = held.buffer_info()
        fcntl.ioctl(asking, _SIOCETHTOOL, struct.pack("16sQ16x", name.encode(), address))
        request[:] = held.tobytes()


def read_rss(name: str, ask: Ask = ask_device) -> Rxfh | None:
    """What the device `name` says, or None."""
    try:
        sizes = bytearray(struct.pack("=I", _GRSSH).ljust(_HEAD_LEN, b"\0"))
        ask(name, sizes)
        entries, key_len = struct.unpack_from("=2I", sizes, 8)
        room = 4 * entries + key_len
        if not entries or not key_len or room > _ROOM_MAX:
            return None
        request = bytearray(struct.pack("=4I", _GRSSH, 0, entries, key_len))
        request = bytearray(bytes(request).ljust(_HEAD_LEN + room, b"\0"))
        ask(name, request)
        function, symmetric = request[16], request[17]
        if function != _TOEPLITZ or symmetric:
            return None
        table = list(struct.unpack_from(f"={entries}I", request, _HEAD_LEN))
        key = bytes(request[_HEAD_LEN + 4 * entries :])
        ports = [flow for flow, number in _FLOWS.items() if _has_ports(name, number, ask)]
    except OSError:  # silent: it has no such thing, and that is the answer
        return None
    return Rxfh(key, table, ports)


def _has_ports(name: str, flow: int, ask: Ask) -> bool:
    request = bytearray(struct.pack("=2IQ", _GRXFH, flow, 0).ljust(256, b"\0"))
    ask(name, request)
    (fields,) = struct.unpack_from("=Q", request, 8)
    return fields & _HASHES_PORTS == _HASHES_PORTS


def steering_values(rss: Rxfh | None, place: int, worker_of: dict[int, int]) -> dict[str, Any]:
    """What a queue's values say of it: {"steering": …}, or nothing. `worker_of`: the place of the
    worker that has a queue; a queue that is not in it is the kernel's."""
    if rss is None:
        return {}
    workers = [worker_of.get(queue, -1) for queue in rss.table]
    return {
        "steering": {
            "kind": "rss",
            "place": place,
            "key": rss.key.hex(),
            "workers": workers,
            "ports": rss.ports,
        }
    }
