"""memif's control messages: 128 octets <-> values.

The FD.io shared-memory interface has no RFC; its layout is that of DPDK's and VPP's headers
(`drivers/net/memif/memif.h`, `src/plugins/memif/memif.h`). Each message is one datagram of a
SOCK_SEQPACKET socket, little-endian, packed, its type first. Descriptors ride beside it.

Rules. What comes from a peer is checked here for its form only: `unpack` says MessageError for what
cannot be read, and knows nothing of order or meaning (`corten.driver.memif_control` does).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

MESSAGE_LEN = 128
VERSION = 0x0200  # 2.0, the only one there is
COOKIE = 0x03E31F20  # the first word of a ring
NAME_LEN = 32
SECRET_LEN = 24
REASON_LEN = 96
MODE_ETHERNET = 0
RING_HEADER_LEN = 128
DESCRIPTOR_LEN = 16
RING_LOG2_MAX = 14


class MessageError(ValueError):
    """What came is no message of memif's."""


@dataclass(frozen=True)
class Ack:
    """Go on."""

    KIND: ClassVar[int] = 1
    FORM: ClassVar[struct.Struct] = struct.Struct("<")


@dataclass(frozen=True)
class Hello:
    """The server's first word. The `max_` are the highest index, not a number of things."""

    name: bytes
    min_version: int = VERSION
    max_version: int = VERSION
    max_region: int = 0
    max_s2c_ring: int = 0
    max_c2s_ring: int = 0
    max_log2_ring_size: int = RING_LOG2_MAX
    KIND: ClassVar[int] = 2
    FORM: ClassVar[struct.Struct] = struct.Struct(f"<{NAME_LEN}sHHHHHB")


@dataclass(frozen=True)
class Init:
    """The client's first word: which interface it wants."""

    version: int
    id: int
    mode: int
    secret: bytes
    name: bytes
    KIND: ClassVar[int] = 3
    FORM: ClassVar[struct.Struct] = struct.Struct(f"<HIB{SECRET_LEN}s{NAME_LEN}s")


@dataclass(frozen=True)
class AddRegion:
    """A file of shared memory; its descriptor beside it."""

    index: int
    size: int
    KIND: ClassVar[int] = 4
    FORM: ClassVar[struct.Struct] = struct.Struct("<HQ")


@dataclass(frozen=True)
class AddRing:
    """A ring in a region; the eventfd of its producer beside it."""

    flags: int  # 1: from client to server
    index: int
    region: int
    offset: int
    log2_size: int
    private_header_len: int
    KIND: ClassVar[int] = 5
    FORM: ClassVar[struct.Struct] = struct.Struct("<HHHIBH")


@dataclass(frozen=True)
class Connect:
    """The client has said all."""

    name: bytes
    KIND: ClassVar[int] = 6
    FORM: ClassVar[struct.Struct] = struct.Struct(f"<{NAME_LEN}s")


@dataclass(frozen=True)
class Connected:
    """The server has mapped it: frames may flow."""

    name: bytes
    KIND: ClassVar[int] = 7
    FORM: ClassVar[struct.Struct] = struct.Struct(f"<{NAME_LEN}s")


@dataclass(frozen=True)
class Disconnect:
    """The end, and why."""

    code: int
    reason: bytes
    KIND: ClassVar[int] = 8
    FORM: ClassVar[struct.Struct] = struct.Struct(f"<I{REASON_LEN}s")


Message = Ack | Hello | Init | AddRegion | AddRing | Connect | Connected | Disconnect
_KINDS: dict[int, type[Message]] = {
    kind.KIND: kind
    for kind in (Ack, Hello, Init, AddRegion, AddRing, Connect, Connected, Disconnect)
}


def pack(message: Message) -> bytes:
    """The 128 octets of a message. Texts are cut to their fields."""
    body = message.FORM.pack(*(getattr(message, field.name) for field in fields(message)))
    return (struct.pack("<H", message.KIND) + body).ljust(MESSAGE_LEN, b"\0")


def unpack(data: bytes) -> Message:
    """The message in `data`; texts end at their first NUL. MessageError for what is none."""
    if len(data) != MESSAGE_LEN:
        raise MessageError(f"a message of {len(data)} octets, not {MESSAGE_LEN}")
    (number,) = struct.unpack_from("<H", data)
    kind = _KINDS.get(number)
    if kind is None:
        raise MessageError(f"a message of unknown type {number}")
    values = kind.FORM.unpack_from(data, 2)
    make: Callable[..., Message] = kind
    return make(*(v.partition(b"\0")[0] if isinstance(v, bytes) else v for v in values))
