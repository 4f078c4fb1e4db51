"""memif's handshake, both roles, as machines that open nothing: messages in, messages out.

Server: HELLO; INIT -> ACK; ADD_REGION, ADD_RING -> ACK each; CONNECT -> CONNECTED.
Client: each ACK is answered by the next message of its list, CONNECT the last of them.
Then both are silent, and the socket's end is the link's. What breaks the order, or cannot be, ends
the machine: it says why in a DISCONNECT and in `reason`, and takes nothing more.

Two Cortens find each other by the name field of HELLO and INIT, which others show to people only:
"Corten workers=N offload". The client then lays a ring pair for each worker of either side, and if
both say offload, checksums and segmentation stay undone between them (`corten.driver.memif`). The
client does not say it where its rings would not hold super-segments.

Rules. A peer's numbers are bounded here once: regions, rings, sizes, places. Descriptors that a
message brings are taken out of the caller's list; what stays in it is the caller's to close.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from corten.driver.memif_message import (
    DESCRIPTOR_LEN,
    MODE_ETHERNET,
    RING_HEADER_LEN,
    RING_LOG2_MAX,
    VERSION,
    Ack,
    AddRegion,
    AddRing,
    Connect,
    Connected,
    Disconnect,
    Hello,
    Init,
    Message,
    MessageError,
    pack,
    unpack,
)

REGIONS_MAX = 64
RINGS_MAX = 64  # in each direction: as many as there may be workers
REGION_LEN_MAX = 1 << 32  # a descriptor's offset has 32 bits
_OWN_NAME = "Corten"
_C2S = 1
_OFFLOAD_ROOM = 1 << 17  # octets of a ring's buffers: two super-segments
_OFFLOAD_BUFFER = 1024  # octets of one: a super-segment is in 64 of them


@dataclass
class Region:
    """A file of shared memory."""

    size: int
    fd: int


@dataclass
class Ring:
    """Where a ring lies, and the eventfd that its producer writes."""

    region: int
    offset: int
    log2_size: int
    fd: int

    @property
    def length(self) -> int:
        """Octets of its header and descriptors."""
        return RING_HEADER_LEN + (DESCRIPTOR_LEN << self.log2_size)


@dataclass
class Layout:
    """All that the client has laid out."""

    regions: list[Region] = field(default_factory=list)
    c2s: list[Ring] = field(default_factory=list)
    s2c: list[Ring] = field(default_factory=list)

    def fds(self) -> list[int]:
        rings = [ring.fd for ring in (*self.c2s, *self.s2c)]
        return [region.fd for region in self.regions] + rings


@dataclass(frozen=True)
class Identity:
    """Who one end is, and what it offers."""

    id: int = 0
    secret: bytes = b""
    workers: int = 1
    offload: bool = True

    def name(self, offload: bool) -> bytes:
        """The name field."""
        return f"{_OWN_NAME} workers={self.workers}{' offload' * offload}".encode()


def workers_of(name: bytes) -> int:
    """How many workers a peer of that name has; 0: it is no Corten, or does not say."""
    words = name.decode("ascii", "replace").split()
    if words[:1] != [_OWN_NAME]:
        return 0
    numbers = [word[8:] for word in words if word.startswith("workers=")]
    count = int(numbers[0]) if numbers and numbers[0].isdecimal() else 0
    return count if count <= RINGS_MAX else 0


def offloads(name: bytes) -> bool:
    """Whether a peer of that name leaves checksums and segmentation undone."""
    words = name.split()
    return words[:1] == [_OWN_NAME.encode()] and b"offload" in words


class Witness(Protocol):
    """Whoever can look at what the server's machine must not open. "" where nothing is wrong."""

    def is_taken(self) -> bool:
        """Whether another client is connected."""

    def region(self, fd: int, size: int) -> str:
        """What is wrong with a region's file."""

    def ring(self, region_fd: int, offset: int, fd: int) -> str:
        """What is wrong with a ring that starts there, or with its eventfd."""


class _Refused(Exception):
    """The peer's mistake, as the DISCONNECT says it."""


class Control:
    """What both roles have in common."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.outgoing: list[tuple[bytes, list[int]]] = []  # to be sent, with descriptors
        self.layout = Layout()
        self.peer_name = b""
        self.offload = False  # both leave checksums and segmentation undone
        self.is_connected = False
        self.is_over = False
        self.reason = ""  # why it is over

    def receive(self, data: bytes, fds: list[int]) -> None:
        """A message from the peer; what it leaves in `fds` is nobody's."""
        if self.is_over:
            return
        try:
            message = unpack(data)
            if isinstance(message, Disconnect):
                self._end(message.reason.decode("ascii", "replace") or "the peer disconnected")
                return
            if self.is_connected:
                raise _Refused("Unexpected message")
            self._on(message, fds)
        except (MessageError, _Refused) as error:
            self.refuse(str(error))

    def refuse(self, why: str) -> None:
        """End it and say why."""
        self._send(Disconnect(0, why.encode("ascii", "replace")))
        self._end(why)

    def _on(self, message: Message, fds: list[int]) -> None:
        raise NotImplementedError

    def _send(self, message: Message, *fds: int) -> None:
        self.outgoing.append((pack(message), list(fds)))

    def _end(self, why: str) -> None:
        self.is_connected = False
        self.is_over = True
        self.reason = why


class Server(Control):
    """The end that listens."""

    def __init__(self, identity: Identity, witness: Witness) -> None:
        super().__init__(identity)
        self._witness = witness
        self._has_init = False
        highest = RINGS_MAX - 1
        name = identity.name(identity.offload)
        self._send(
            Hello(name, max_region=REGIONS_MAX - 1, max_s2c_ring=highest, max_c2s_ring=highest)
        )

    def _on(self, message: Message, fds: list[int]) -> None:
        if isinstance(message, Init) != (not self._has_init):
            raise _Refused("Unexpected message")
        match message:
            case Init():
                self._init(message)
            case AddRegion():
                self._add_region(message, fds)
            case AddRing():
                self._add_ring(message, fds)
            case Connect():
                self._connect()
                return
            case _:
                raise _Refused("Unexpected message")
        self._send(Ack())

    def _init(self, message: Init) -> None:
        own = self.identity
        if message.version != VERSION:
            raise _Refused("Incompatible memif version")
        if message.id != own.id:
            raise _Refused("ID not found")
        if self._witness.is_taken():
            raise _Refused("Already connected")
        if message.mode != MODE_ETHERNET:
            raise _Refused("Only ethernet mode supported")
        if own.secret and not message.secret:
            raise _Refused("Secret required")
        if own.secret and not hmac.compare_digest(own.secret, message.secret):
            raise _Refused("Incorrect secret")
        self._has_init = True
        self.peer_name = message.name
        self.offload = own.offload and offloads(message.name)

    def _add_region(self, message: AddRegion, fds: list[int]) -> None:
        regions = self.layout.regions
        if not fds:
            raise _Refused("Missing region fd")
        if message.index != len(regions) or message.index >= REGIONS_MAX:
            raise _Refused("Invalid region index")
        if not 0 < message.size <= REGION_LEN_MAX:
            raise _Refused("Invalid region size")
        if wrong := self._witness.region(fds[0], message.size):
            raise _Refused(wrong)
        regions.append(Region(message.size, fds.pop(0)))

    def _add_ring(self, message: AddRing, fds: list[int]) -> None:
        layout = self.layout
        rings = layout.c2s if message.flags & _C2S else layout.s2c
        if not fds:
            raise _Refused("Missing interrupt fd")
        if message.index != len(rings) or message.index >= RINGS_MAX:
            raise _Refused("Invalid ring index")
        if message.region >= len(layout.regions):
            raise _Refused("Invalid ring region")
        if message.log2_size > RING_LOG2_MAX or message.private_header_len:
            raise _Refused("Invalid ring size")
        region = layout.regions[message.region]
        ring = Ring(message.region, message.offset, message.log2_size, -1)
        if ring.offset % 8 or ring.offset + ring.length > region.size:
            raise _Refused("Invalid ring offset")
        if wrong := self._witness.ring(region.fd, ring.offset, fds[0]):
            raise _Refused(wrong)
        ring.fd = fds.pop(0)
        rings.append(ring)

    def _connect(self) -> None:
        if not self.layout.c2s or not self.layout.s2c:
            raise _Refused("Missing rings")
        if self._witness.is_taken():
            raise _Refused("Already connected")
        self._send(Connected(self.identity.name(self.offload)))
        self.is_connected = True


class Client(Control):
    """The end that connects. `build(rings, log2_size, buffer_len)` lays out the memory, once the
    server has said what it takes; `rings` 0: a pair for each worker of either side."""

    def __init__(
        self,
        identity: Identity,
        rings: int,
        log2_size: int,
        buffer_len: int,
        build: Callable[[int, int, int], Layout],
    ) -> None:
        super().__init__(identity)
        self._rings = rings
        self._log2_size = log2_size
        self._buffer_len = buffer_len
        self._build = build
        self._left: list[tuple[Message, list[int]]] = []  # what is still to say
        self._has_hello = False

    def _on(self, message: Message, fds: list[int]) -> None:
        match message:
            case Hello() if not self._has_hello:
                self._hello(message)
            case Ack() if self._left:
                text, own = self._left.pop(0)
                self._send(text, *own)
            case Connected() if self._has_hello and not self._left:
                self.is_connected = True
            case _:
                raise _Refused("Unexpected message")

    def _hello(self, message: Hello) -> None:
        own = self.identity
        if not message.min_version <= VERSION <= message.max_version:
            raise _Refused("Incompatible memif version")
        self._has_hello = True
        self.peer_name = message.name
        wanted = self._rings or max(own.workers, workers_of(message.name))
        most = min(message.max_s2c_ring, message.max_c2s_ring) + 1
        log2_size = min(self._log2_size, message.max_log2_ring_size)
        fits = (
            self._buffer_len << log2_size >= _OFFLOAD_ROOM and self._buffer_len >= _OFFLOAD_BUFFER
        )
        self.offload = own.offload and offloads(message.name) and fits
        name = own.name(self.offload)
        self._send(Init(VERSION, own.id, MODE_ETHERNET, own.secret, name))
        self.layout = layout = self._build(
            min(wanted, most, RINGS_MAX), log2_size, self._buffer_len
        )
        for index, region in enumerate(layout.regions):
            self._left.append((AddRegion(index, region.size), [region.fd]))
        for flags, rings in ((_C2S, layout.c2s), (0, layout.s2c)):
            for index, ring in enumerate(rings):
                place = (ring.region, ring.offset, ring.log2_size, 0)
                self._left.append((AddRing(flags, index, *place), [ring.fd]))
        self._left.append((Connect(name), []))
