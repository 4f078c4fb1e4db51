"""IPv4 fragments that fit nothing, one another, or any packet (RFC 791 3.2, RFC 5722, RFC 1858)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "IPv4 fragments"
_numbers = itertools.count(1)


def piece(
    at: int, length: int, more: bool, number: int, protocol: int = 17, flags: int = 0
) -> bytes:
    """Octets at.. of a datagram."""
    frame = bytearray(frames.ipv4(protocol, bytes(i & 255 for i in range(length))))
    frame[18:20] = struct.pack("!H", number & 0xFFFF)
    frame[20:22] = struct.pack("!H", flags | (0x2000 if more else 0) | at >> 3)
    return bytes(frames.mend_ip(frame))


def each(*pieces: tuple[int, int, bool], **fields: int) -> list[bytes]:
    """Each a datagram of its own."""
    return [piece(*values, next(_numbers), **fields) for values in pieces]


def together(*pieces: tuple[int, int, bool], **fields: int) -> Iterable[bytes]:
    """All of one datagram."""
    number = next(_numbers)
    return [piece(*values, number, **fields) for values in pieces]


def spoilt(first: Iterable[tuple[int, int, bool]]) -> object:
    """What comes before, and is not judged."""

    def prepare(bench: Bench) -> None:
        for frame in (piece(*values, 7) for values in first):
            bench.breath(frame)

    return prepare


def then(*pieces: tuple[int, int, bool]) -> list[bytes]:
    return [piece(*values, 7) for values in pieces]


def crowd(bench: Bench) -> Iterator[bytes]:
    """As many datagrams as one source may leave unfinished."""
    for number in range(64):
        yield piece(0, 8, True, number)


def smack(bench: Bench) -> Iterator[bytes]:
    """Pieces of eight octets, backwards."""
    for at in range(1200, 0, -8):
        yield piece(at, 8, True, 9)


def bounded(bench: Bench) -> None:
    assert len(bench.stack.fragments) <= 64
    assert bench.stack.fragments.octets < 1 << 17


ROWS = [
    Row(LAYER, "no multiple of 8, and more to come",
        lambda b: each(*((0, n, True) for n in (1, 7, 9, 1001))), drop="fragment_bad_length"),
    Row(LAYER, "nothing in it", lambda b: each((0, 0, True), (8, 0, True), (8, 0, False)),
        drop="fragment_bad_length"),
    Row(LAYER, "beyond 65,535 octets",
        lambda b: each((65528, 8, False), (65528, 1400, True), (64800, 1400, True)),
        drop="fragment_too_long", pins=("RFC 791 total length",)),
    Row(LAYER, "a split TCP header",
        lambda b: each((0, 8, True), (8, 8, True), (8, 100, False), protocol=6),
        drop="fragment_tiny", pins=("RFC 1858 3", "RFC 3128")),
    Row(LAYER, "overlaps: left, right, inside, around, identical with other data",
        lambda b: then((504, 1000, True), (1400, 200, True)),
        prepare=spoilt([(0, 512, True), (512, 496, True)]), drop="fragment_overlap",
        pins=("RFC 5722 4",)),
    Row(LAYER, "teardrop", lambda b: then((24, 4, False)), prepare=spoilt([(0, 40, True)]),
        drop="fragment_overlap"),
    Row(LAYER, "two ends that differ", lambda b: then((800, 8, False)),
        prepare=spoilt([(504, 488, False)]), drop="fragment_overlap"),
    Row(LAYER, "data beyond the end", lambda b: then((1000, 8, True)),
        prepare=spoilt([(504, 488, False)]), drop="fragment_overlap"),
    Row(LAYER, "a last one, and never a first", lambda b: each((800, 8, False)),
        drop="fragment_held"),
    Row(LAYER, "may not be cut, and is", lambda b: each((0, 800, True), flags=0x4000),
        drop="fragment_held"),
    Row(LAYER, "the reserved bit", lambda b: each((0, 800, True), flags=0x8000),
        drop="fragment_held"),
    Row(LAYER, "the first, the last, and nothing between (ROSE)",
        lambda b: together((0, 8, True), (65504, 4, False)), drop="fragment_held",
        check=bounded),
    Row(LAYER, "a crowd of unfinished ones", crowd, drop="fragment_held", check=bounded),
    Row(LAYER, "pieces of eight octets, backwards (FragmentSmack)", smack, check=bounded,
        pins=("CVE-2018-5391 FragmentSmack",)),
]  # fmt: skip
