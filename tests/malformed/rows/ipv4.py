"""IPv4 headers that lie about themselves (RFC 791, RFC 1122 3.2.1, RFC 7126)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "IPv4"
INNER = bytes(frames.tcp(40_001, 80, 1, 1, 0x18, data=b"inner")[14:])


def patched(bench: Bench, at: int, size: int, *values: int) -> list[bytes]:
    return [bytes(frames.field(at, value, size, frames.mend_ip)(bench.base())) for value in values]


def from_source(bench: Bench, *sources: int) -> list[bytes]:
    return [bytes(frames.field(26, source, 4, frames.mend)(bench.base())) for source in sources]


def with_options(bench: Bench, *options: bytes) -> list[bytes]:
    """The segment under a header with options."""
    made = []
    for option in options:
        base = bench.base()
        padded = option + b"\0" * (-len(option) % 4)
        frame = bytearray(base[:34] + padded + base[34:])
        frame[14] = 0x45 + len(padded) // 4
        frame[16:18] = struct.pack("!H", len(frame) - 14)
        made.append(bytes(frames.mend_ip(frame)))
    return made


def recording(bench: Bench) -> Iterator[bytes]:
    """Record route and timestamp with any pointer, on text in order."""
    for kind in (7, 68):
        for pointer in (0, 1, 3, 4, 9, 255):
            yield from with_options(bench, bytes([kind, 8, pointer, 0, 0, 0, 0, 0]))


def carrying(protocol: int) -> list[bytes]:
    """Another packet inside: short of it, all of it, more than it."""
    longer = bytearray(INNER)
    longer[2:4] = struct.pack("!H", len(INNER) + 100)
    return [bytes(frames.ipv4(protocol, octets)) for octets in (INNER, INNER[:-3], bytes(longer))]


def to_destination(bench: Bench, address: int, mac: int | None = None) -> bytes:
    frame = frames.field(30, address, 4, frames.mend)(bench.base())
    return bytes(frame if mac is None else frames.put(frame, 0, mac, 6))


def heard(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b"hello"


def not_heard(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b""


ROWS = [
    Row(LAYER, "shorter than a header", lambda b: [b.base()[: 14 + n] for n in range(20)],
        drop="ipv4_short"),
    Row(LAYER, "another version",
        lambda b: patched(b, 14, 1, *(v << 4 | 5 for v in range(16) if v != 4)),
        drop="ipv4_bad_version",
        pins=("RFC 1122 3.2.1.1",)),
    Row(LAYER, "header length under 5 words", lambda b: patched(b, 14, 1, *range(0x40, 0x45)),
        drop="ipv4_bad_header_len"),
    Row(LAYER, "header beyond the frame",
        lambda b: [bytes(frames.mend_ip(frames.put(b.base()[:54], 14, 0x4F, 1)))],
        drop="ipv4_bad_header_len"),
    Row(LAYER, "header beyond the total length",
        lambda b: [bytes(frames.field(16, 20, 2, frames.mend_ip)(f))
                   for f in with_options(b, b"\1\1\1\1")],
        drop="ipv4_bad_total_len"),
    Row(LAYER, "total length under the header's", lambda b: patched(b, 16, 2, 0, 1, 19),
        drop="ipv4_bad_total_len"),
    Row(LAYER, "total length beyond the frame",
        lambda b: patched(b, 16, 2, len(b.base()) - 13, 0x7FFF, 0xFFFF),
        drop="ipv4_bad_total_len"),
    Row(LAYER, "nothing in it", lambda b: patched(b, 16, 2, 20), drop="tcp_short"),
    Row(LAYER, "checksum",
        lambda b: [bytes(frames.put(b.base(), 24, c, 2)) for c in (0, 0xFFFF, 0x1234)],
        drop="ipv4_bad_checksum",
        pins=("RFC 1122 3.2.1.2",)),
    Row(LAYER, "a source that is no host",
        lambda b: from_source(b, 0, 0x01, 0x7F000001, 0xE0000001, 0xEFFFFFFF, 0xF0000001,
                              0xFFFFFFFF),
        drop="ipv4_bad_source",
        pins=("RFC 1122 3.2.1.3", "MUST-63")),
    Row(LAYER, "the subnet's broadcast as source", lambda b: from_source(b, 0x0A0000FF),
        drop="ipv4_bad_source"),
    Row(LAYER, "our own source (LAND)", lambda b: from_source(b, 0x0A000001),
        drop="ipv4_bad_source",
        pins=("MUST-63",)),
    Row(LAYER, "for somebody else", lambda b: [to_destination(b, 0x0A000063)],
        drop="ipv4_not_ours",
        pins=("RFC 1122 3.2.1.3",)),
    Row(LAYER, "TCP to a broadcast address",
        lambda b: [to_destination(b, a, m) for a in (0x0A0000FF, 0xFFFFFFFF)
                   for m in (None, 0xFFFFFFFFFFFF)],
        drop="tcp_to_broadcast", state="LISTEN",
        pins=("MUST-57",)),
    Row(LAYER, "TCP to us by a link broadcast",
        lambda b: [bytes(frames.put(b.base(), 0, 0xFFFFFFFFFFFF, 6))], drop="tcp_to_broadcast",
        state="LISTEN",
        pins=("RFC 1122 3.3.6",)),
    Row(LAYER, "TCP to a multicast address",
        lambda b: [to_destination(b, 0xE0000001), to_destination(b, 0xE0000001, 0x01005E000001)],
        state="LISTEN",
        pins=("MUST-57",)),
    Row(LAYER, "a protocol nobody speaks", lambda b: patched(b, 23, 1, 0, 99, 132, 255),
        right="I", drop="ipv4_unknown_protocol", check=not_heard,
        pins=("RFC 1122 3.2.2.1",)),
    Row(LAYER, "IPv4 in IPv4 is not opened", lambda b: carrying(4), right="I",
        drop="ipv4_unknown_protocol"),
    Row(LAYER, "IPv6 in IPv4 is not opened", lambda b: carrying(41), right="I",
        drop="ipv4_unknown_protocol"),
    Row(LAYER, "GRE and others are not opened", lambda b: carrying(47) + carrying(94), right="I",
        drop="ipv4_unknown_protocol"),
    Row(LAYER, "time to live 0 is no reason to drop", lambda b: patched(b, 22, 1, 0)[:1],
        drop=None, check=heard,
        pins=("RFC 1122 3.2.1.7",)),
    Row(LAYER, "any service is no reason to drop", lambda b: patched(b, 15, 1, 0xFF), drop=None,
        check=heard),
    Row(LAYER, "an unknown option is passed over",
        lambda b: with_options(b, bytes([0x9E, 4, 1, 2])), drop=None, check=heard,
        pins=("RFC 1122 3.2.1.8", "MUST-50")),
    Row(LAYER, "no-operations, an end, and what follows it",
        lambda b: with_options(b, b"\1\1\1\0\x83\1\2\3"), drop=None, check=heard),
    Row(LAYER, "forty octets of no-operation", lambda b: with_options(b, b"\1" * 40), drop=None,
        check=heard),
    Row(LAYER, "record route and timestamp, any pointer",
        recording, right="- A", drop=None),
    Row(LAYER, "an option's illegal length",
        lambda b: with_options(b, *(bytes([7, n, 0, 0]) for n in (0, 1, 5, 255)), b"\1\1\1\7"),
        drop="ipv4_bad_option", check=not_heard),
    Row(LAYER, "source routes",
        lambda b: with_options(b, *(bytes([kind, 7, at, 10, 0, 0, 9, 0]) for kind in (131, 137)
                                    for at in (0, 4, 8, 255))),
        drop="ipv4_source_route", check=not_heard,
        pins=("RFC 7126 4.3", "RFC 7126 4.4")),
    Row(LAYER, "two source routes",
        lambda b: with_options(b, bytes([131, 7, 4, 10, 0, 0, 9, 137, 7, 4, 10, 0, 0, 9])),
        drop="ipv4_source_route", check=not_heard),
]  # fmt: skip
