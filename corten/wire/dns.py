"""DNS messages: parse and emit (RFC 1035 4; EDNS(0) RFC 6891; names RFC 1035 3.1, RFC 9267).

A name is text without the final dot, in the letters it came with: a resolver that mixes cases
compares them. What a message says beyond a resolver's need is skipped.

Rules. Everything here comes from strangers. A compression pointer must point before the name that
it ends, so that no chain can circle; a name has 255 octets at most and a label 63; every length is
checked against the message. Anything else is DnsMalformed, and nothing else is raised.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

A, NS, CNAME, SOA, PTR, AAAA, OPT, ANY = 1, 2, 5, 6, 12, 28, 41, 255
INTERNET = 1
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = range(6)
RESPONSE, TRUNCATED, RECURSION_DESIRED, RECURSION_AVAILABLE = 0x8000, 0x0200, 0x0100, 0x0080

HEADER_LEN = 12
NAME_LEN_MAX = 255
LABEL_LEN_MAX = 63
POINTERS_MAX = 126  # a name has at most so many labels
RECORDS_MAX = 256  # of one message: more is not read
TTL_MAX = 0x7FFF_FFFF  # RFC 2181 8: larger ones are 0
_POINTER = 0xC0


class DnsMalformed(ValueError):
    """The octets are no DNS message, or the text no name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record. `data`: an address or a name as text; of a SOA its MINIMUM; otherwise
    the octets."""

    name: str
    type: int
    ttl: int  # seconds
    data: str | int | bytes


@dataclass(slots=True)
class Message:
    """A question, or a reply to one."""

    id: int
    flags: int = RECURSION_DESIRED
    name: str = ""
    type: int = A
    answers: list[Record] = field(default_factory=list)
    authorities: list[Record] = field(default_factory=list)
    udp_len: int = 0  # the largest reply that the sender takes (EDNS); 0: without EDNS

    @property
    def is_response(self) -> bool:
        return bool(self.flags & RESPONSE)

    @property
    def is_truncated(self) -> bool:
        return bool(self.flags & TRUNCATED)

    @property
    def code(self) -> int:
        """RCODE."""
        return self.flags & 0x0F


# -- names ----------------------------------------------------------------------------------


def check_name(text: str) -> str:
    """A host's name as it goes over the wire, in ASCII; DnsMalformed when it cannot be one."""
    name = text.removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise DnsMalformed(f"not a name: {text!r}") from None
    if not name:
        raise DnsMalformed(f"not a host's name: {text!r}")
    emit_name(name)
    return name


def emit_name(name: str) -> bytes:
    """Labels, uncompressed."""
    found = bytearray()
    for label in name.split(".") if name else ():
        octets = label.encode("latin-1")
        if not 1 <= len(octets) <= LABEL_LEN_MAX:
            raise DnsMalformed(f"not a name: {name!r}: a label has 1 to {LABEL_LEN_MAX} octets")
        found.append(len(octets))
        found += octets
    found.append(0)
    if len(found) > NAME_LEN_MAX:
        raise DnsMalformed(f"not a name: {name!r}: longer than {NAME_LEN_MAX} octets")
    return bytes(found)


def parse_name(octets: bytes, at: int) -> tuple[str, int]:
    """The name at `at`, and where what follows it begins."""
    labels: list[str] = []
    total = 1
    after = -1
    before = at  # a pointer must point below this
    pointers = 0
    while True:
        if at >= len(octets):
            raise DnsMalformed("a name runs past the message")
        length = octets[at]
        if length & _POINTER == _POINTER:
            if at + 1 >= len(octets):
                raise DnsMalformed("a pointer runs past the message")
            target = (length & 0x3F) << 8 | octets[at + 1]
            pointers += 1
            if target >= before or target < HEADER_LEN or pointers > POINTERS_MAX:
                raise DnsMalformed("a pointer that does not point back")
            after = at + 2 if after < 0 else after
            at = before = target
            continue
        if length & _POINTER:
            raise DnsMalformed("a label of an unknown type")
        at += 1
        if length == 0:
            return ".".join(labels), at if after < 0 else after
        total += 1 + length
        if total > NAME_LEN_MAX or at + length > len(octets):
            raise DnsMalformed("a name too long")
        label = octets[at : at + length].decode("latin-1")
        if "." in label:
            raise DnsMalformed("a dot inside a label")
        labels.append(label)
        at += length


# -- messages -------------------------------------------------------------------------------


def parse_message(octets: bytes) -> Message:
    """A query or a reply. DnsMalformed for anything that is not one whole message."""
    if len(octets) < HEADER_LEN:
        raise DnsMalformed("shorter than a header")
    number, flags, questions, answers, authorities, rest = struct.unpack_from("!6H", octets)
    message = Message(number, flags)
    if questions != 1:
        raise DnsMalformed(f"{questions} questions")
    message.name, at = parse_name(octets, HEADER_LEN)
    if at + 4 > len(octets):
        raise DnsMalformed("the question runs past the message")
    message.type, kind = struct.unpack_from("!HH", octets, at)
    if kind != INTERNET:
        raise DnsMalformed(f"class {kind}")
    at += 4
    if answers + authorities + rest > RECORDS_MAX:
        raise DnsMalformed(f"{answers + authorities + rest} records")
    try:
        at = _parse_records(octets, at, answers, message.answers, message)
        at = _parse_records(octets, at, authorities, message.authorities, message)
        _parse_records(octets, at, rest, [], message)
    except DnsMalformed:
        if not message.is_truncated:
            raise
        message.answers.clear()  # cut in the middle of a record: TCP will tell
    return message


def _parse_records(
    octets: bytes, at: int, count: int, found: list[Record], message: Message
) -> int:
    """`count` records from `at`; where they end."""
    for _ in range(count):
        name, at = parse_name(octets, at)
        if at + 10 > len(octets):
            raise DnsMalformed("a record runs past the message")
        kind, space, ttl, length = struct.unpack_from("!HHIH", octets, at)
        at += 10
        if at + length > len(octets):
            raise DnsMalformed("a record runs past the message")
        if kind == OPT:
            message.udp_len = space
        elif space == INTERNET:
            seconds = ttl if ttl <= TTL_MAX else 0
            found.append(Record(name, kind, seconds, _parse_data(octets, at, length, kind)))
        at += length
    return at


def _parse_data(octets: bytes, at: int, length: int, kind: int) -> str | int | bytes:
    if kind == A:
        if length != 4:
            raise DnsMalformed(f"an A of {length} octets")
        return str(IPv4Address(octets[at : at + 4]))
    if kind == AAAA:
        if length != 16:
            raise DnsMalformed(f"an AAAA of {length} octets")
        return str(IPv6Address(octets[at : at + 16]))
    if kind in (CNAME, NS, PTR):
        name, end = parse_name(octets, at)
        if end != at + length:
            raise DnsMalformed("a name that does not fill its record")
        return name
    if kind == SOA:
        _, after = parse_name(octets, at)
        _, after = parse_name(octets, after)
        if after + 20 != at + length:
            raise DnsMalformed("a SOA of the wrong length")
        return int(struct.unpack_from("!I", octets, after + 16)[0])
    return octets[at : at + length]


def emit_message(message: Message) -> bytes:
    """A query or a reply. Of the records those that hold addresses, names or plain octets."""
    extra = 1 if message.udp_len else 0
    head = struct.pack("!6H", message.id, message.flags, 1, len(message.answers), 0, extra)
    parts = [head, emit_name(message.name), struct.pack("!HH", message.type, INTERNET)]
    for record in message.answers:
        data = _emit_data(record)
        parts.append(emit_name(record.name))
        parts.append(struct.pack("!HHIH", record.type, INTERNET, record.ttl, len(data)) + data)
    if extra:
        parts.append(struct.pack("!BHHIH", 0, OPT, message.udp_len, 0, 0))
    return b"".join(parts)


def _emit_data(record: Record) -> bytes:
    if isinstance(record.data, bytes):
        return record.data
    if record.type == A:
        return IPv4Address(record.data).packed
    if record.type == AAAA:
        return IPv6Address(record.data).packed
    return emit_name(str(record.data))
