"""pcapng, the file format of Wireshark's captures (draft-ietf-opsawg-pcapng): blocks <-> values.

Strategy. Writing is one function a block: `start` begins a file of one link, `packet` is the rest.
Reading is a `Decoder`, fed octets in any portions, that answers packets: both byte orders, several
sections and interfaces, every resolution of time; blocks that are no packets are passed over.

Rules. A file is somebody else's word: each length is checked before it is used, and whatever cannot
be is a PcapngError that says what and where. Nothing larger than `BLOCK_MAX` is kept in memory.
Times are nanoseconds since 1970.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

ETHERNET = 1  # LINKTYPE_ETHERNET: a frame begins with its Ethernet header
RAW = 101  # LINKTYPE_RAW: with that of IPv4 or IPv6
INBOUND, OUTBOUND = 1, 2  # epb_flags, bits 0 and 1

BLOCK_MAX = 1 << 22  # octets of one block: a super-segment has 65 KiB, names and keys may have more
INTERFACES_MAX = 1024  # of one section

_SECTION, _INTERFACE, _SIMPLE, _PACKET = 0x0A0D0D0A, 1, 3, 6
_MAGIC = 0x1A2B3C4D
_PCAP = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1")
_END, _COMMENT = 0, 1  # opt_endofopt, opt_comment
_USER_APPLICATION = 4  # shb_userappl
_NAME, _RESOLUTION, _OFFSET = 2, 9, 14  # if_name, if_tsresol, if_tsoffset
_FLAGS = 2  # epb_flags
_NANOSECONDS = 9  # if_tsresol: 10**-9 s
_SECOND = 1_000_000_000
_HEAD_LEN = 12  # type and the two lengths of a block
_SECTION_LEN = 16  # of a section's body without options
_INTERFACE_LEN = 8
_PACKET_LEN = 20
_TEXT_MAX = 65535


class PcapngError(ValueError):
    """What is read is no pcapng file, or a damaged one. The text is one line."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of a capture."""

    time_ns: int
    frame: bytes
    link_type: int = ETHERNET
    direction: int = 0  # INBOUND, OUTBOUND, or 0: nobody has said
    comment: str = ""
    length: int = 0  # octets on the wire, where more than were kept


# -- values to blocks -----------------------------------------------------------------------


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + _HEAD_LEN)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _text(code: int, text: str) -> bytes:
    return _option(code, text.encode()[:_TEXT_MAX]) if text else b""


def start(link_type: int, name: str = "", application: str = "Corten") -> bytes:
    """The blocks that a file begins with: a section, and its only interface."""
    section = struct.pack("<IHHq", _MAGIC, 1, 0, -1) + _text(_USER_APPLICATION, application)
    interface = struct.pack("<HHI", link_type, 0, 0) + _text(_NAME, name)
    interface += _option(_RESOLUTION, bytes([_NANOSECONDS]))
    end = _option(_END, b"")
    return _block(_SECTION, section + end) + _block(_INTERFACE, interface + end)


def packet(time_ns: int, frame: bytes, direction: int = 0, comment: str = "") -> bytes:
    """The block of one packet on that interface."""
    size = len(frame)
    body = struct.pack("<5I", 0, time_ns >> 32, time_ns & 0xFFFF_FFFF, size, size) + _padded(frame)
    body += _text(_COMMENT, comment)
    if direction:
        body += _option(_FLAGS, struct.pack("<I", direction))
    if comment or direction:
        body += _option(_END, b"")
    return _block(_PACKET, body)


# -- blocks to values -----------------------------------------------------------------------


@dataclass
class _Interface:
    """What an interface's block says of its packets."""

    link_type: int
    kept: int  # octets of a packet at most; 0: all
    units: int = 1_000_000  # of time in a second
    offset_s: int = 0


@dataclass
class _Section:
    """Where the packets of a section belong."""

    order: str  # of octets: "<" or ">"
    interfaces: list[_Interface] = field(default_factory=list)


class Decoder:
    """Reads a file in portions: `feed` until it ends, then `end`."""

    def __init__(self) -> None:
        self._waiting = b""
        self._at = 0  # of `_waiting` in the file
        self._section: _Section | None = None
        self._time_ns = 0  # of the last packet: a simple packet block has none of its own

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete with `data`. PcapngError."""
        self._waiting += data
        found: list[Packet] = []
        at = 0
        while (length := self._block_len(at)) and len(self._waiting) - at >= length:
            self._take(at, length, found)
            at += length
        self._waiting = self._waiting[at:]
        self._at += at
        return found

    def end(self) -> None:
        """The file ends here. PcapngError where it may not."""
        if self._waiting:
            raise self._wrong(0, f"cut off: {len(self._waiting)} octets of a block are left")
        if self._section is None:
            raise PcapngError("the file is empty")

    def _wrong(self, at: int, why: str) -> PcapngError:
        return PcapngError(f"octet {self._at + at}: {why}")

    def _block_len(self, at: int) -> int:
        """The length of the block at `at`; 0 while too little of it is there to know."""
        head = self._waiting[at : at + _HEAD_LEN]
        if len(head) < _HEAD_LEN:
            return 0
        order = self._section.order if self._section else "<"
        if head[:4] == _SECTION.to_bytes(4, "big"):  # the same in both orders
            order = _order(head[8:12])
            if not order:
                raise self._wrong(at, "a section without its byte-order magic")
        elif self._section is None:
            if head[:4] in _PCAP:
                raise PcapngError("an old pcap file: `editcap -F pcapng OLD NEW` makes a new one")
            raise PcapngError("no pcapng file: it does not begin with a section")
        (length,) = struct.unpack(f"{order}I", head[4:8])
        if length < _HEAD_LEN or length % 4:
            raise self._wrong(at, f"a block cannot have {length} octets")
        if length > BLOCK_MAX:
            raise self._wrong(at, f"a block of {length} octets: {BLOCK_MAX} are the limit")
        return int(length)

    def _take(self, at: int, length: int, found: list[Packet]) -> None:
        """The whole block at `at`."""
        block = self._waiting[at : at + length]
        if block[4:8] != block[-4:]:
            raise self._wrong(at, "a block whose two lengths differ")
        body = block[8:-4]
        if block[:4] == _SECTION.to_bytes(4, "big"):
            self._begin(at, body)
            return
        section = self._section
        assert section is not None
        (kind,) = struct.unpack(f"{section.order}I", block[:4])
        if kind == _INTERFACE:
            self._add_interface(at, section, body)
        elif kind == _PACKET:
            found.append(self._packet(at, section, body))
        elif kind == _SIMPLE:
            found.append(self._simple_packet(at, section, body))

    def _begin(self, at: int, body: bytes) -> None:
        if len(body) < _SECTION_LEN:
            raise self._wrong(at, "a section's block is too short")
        order = _order(body[:4])
        (major,) = struct.unpack(f"{order}H", body[4:6])
        if major != 1:
            raise self._wrong(at, f"version {major} of the format is unknown")
        self._section = _Section(order)

    def _add_interface(self, at: int, section: _Section, body: bytes) -> None:
        if len(body) < _INTERFACE_LEN:
            raise self._wrong(at, "an interface's block is too short")
        if len(section.interfaces) >= INTERFACES_MAX:
            raise self._wrong(at, f"more than {INTERFACES_MAX} interfaces")
        link_type, kept = struct.unpack(f"{section.order}H2xI", body[:_INTERFACE_LEN])
        made = _Interface(link_type, kept)
        for code, value in self._options(at, section.order, body[_INTERFACE_LEN:]):
            if code == _RESOLUTION and len(value) == 1:
                made.units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _OFFSET and len(value) == 8:
                (made.offset_s,) = struct.unpack(f"{section.order}q", value)
        section.interfaces.append(made)

    def _packet(self, at: int, section: _Section, body: bytes) -> Packet:
        if len(body) < _PACKET_LEN:
            raise self._wrong(at, "a packet's block is too short")
        index, high, low, kept, length = struct.unpack(f"{section.order}5I", body[:_PACKET_LEN])
        interface = self._interface(at, section, index)
        frame = self._frame(at, body[_PACKET_LEN:], kept)
        comments: list[str] = []
        direction = 0
        rest = body[_PACKET_LEN + len(_padded(frame)) :]
        for code, value in self._options(at, section.order, rest):
            if code == _COMMENT:
                comments.append(value.decode("utf-8", "replace"))
            elif code == _FLAGS and len(value) == 4:
                direction = struct.unpack(f"{section.order}I", value)[0] & 3
        stamp = high << 32 | low
        self._time_ns = stamp * _SECOND // interface.units + interface.offset_s * _SECOND
        return Packet(
            self._time_ns,
            frame,
            interface.link_type,
            direction if direction in (INBOUND, OUTBOUND) else 0,
            "\n".join(comments),
            length,
        )

    def _simple_packet(self, at: int, section: _Section, body: bytes) -> Packet:
        if len(body) < 4:
            raise self._wrong(at, "a packet's block is too short")
        (length,) = struct.unpack(f"{section.order}I", body[:4])
        interface = self._interface(at, section, 0)
        frame = self._frame(at, body[4:], min(length, interface.kept or length))
        return Packet(self._time_ns, frame, interface.link_type, 0, "", length)

    def _interface(self, at: int, section: _Section, index: int) -> _Interface:
        if index >= len(section.interfaces):
            raise self._wrong(at, f"a packet of interface {index}, which nobody has described")
        return section.interfaces[index]

    def _frame(self, at: int, data: bytes, kept: int) -> bytes:
        if kept > len(data):
            raise self._wrong(at, f"a packet of {kept} octets in a block that has {len(data)}")
        return data[:kept]

    def _options(self, at: int, order: str, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Code and value of each, to the last."""
        option_at = 0
        while option_at < len(data):
            left = len(data) - option_at - 4
            if left < 0:
                raise self._wrong(at, "an option is cut off")
            code, length = struct.unpack_from(f"{order}HH", data, option_at)
            if code == _END:
                return
            if length > left:
                raise self._wrong(at, f"an option of {length} octets in a block that has {left}")
            option_at += 4
            yield code, data[option_at : option_at + length]
            option_at += length + -length % 4


def _order(magic: bytes) -> str:
    """The byte order of a section, "" where its magic says none."""
    for order in "<>":
        if magic == struct.pack(f"{order}I", _MAGIC):
            return order
    return ""


def read(data: bytes) -> list[Packet]:
    """Every packet of a whole file. PcapngError."""
    decoder = Decoder()
    found = decoder.feed(data)
    decoder.end()
    return found
