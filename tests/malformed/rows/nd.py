"""Neighbour discovery and listener queries that cannot be (RFC 4861 6.1, 7.1, 8.1, RFC 6980)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.malformed.bench import Bench, Row
from tests.malformed.frames6 import HERE, THERE, Bench6, icmp

LAYER = "ND"
SOLICITATION, ADVERTISEMENT, ROUTER, REDIRECT = 135, 136, 134, 137
MAC = bytes.fromhex("020000000002")
SOURCE = b"\x01\x01" + MAC
GROUP = bytes.fromhex("ff02" + "00" * 13 + "09")


def message(kind: int, body: bytes, code: int = 0, hops: int = 255) -> bytes:
    frame = bytearray(icmp(kind, code, 0, body))
    frame[21] = hops
    return bytes(frame)


def with_option(option: bytes) -> bytes:
    return message(SOLICITATION, HERE + option)


def strangers(bench: Bench) -> Iterator[bytes]:
    """Advertisements that nobody asked for."""
    for i in range(500):
        yield message(ADVERTISEMENT, THERE[:8] + struct.pack("!Q", i + 1000) + b"\x02\x01" + MAC)


def little_was_learnt(bench: Bench) -> None:
    assert len(bench.interface.neighbours) < 10
    assert bench.interface.hops.routers == [] and bench.interface.hops.redirects == {}


def row(name: str, made: Callable[[Bench], Iterable[bytes]], **more: Any) -> Row:
    return Row(LAYER, name, made, bench=Bench6, check=little_was_learnt, **more)


ROWS = [
    row("a hop limit that a router has touched",
        lambda b: [message(SOLICITATION, HERE + SOURCE, hops=n) for n in (0, 1, 64, 254)],
        drop="nd_bad_hop_limit", pins=("RFC 4861 7.1.1",)),
    row("a code", lambda b: [message(SOLICITATION, HERE, code) for code in (1, 255)],
        drop="nd_malformed"),
    row("too short", lambda b: [message(SOLICITATION, HERE[:n]) for n in range(16)],
        drop="nd_malformed"),
    row("an option of no length, or past the end",
        lambda b: [with_option(o)
                   for o in (bytes(8), b"\x01", b"\x01\x02" + MAC, b"\xc8\xff" + MAC)],
        drop="nd_malformed", pins=("RFC 4861 7.1.1",)),
    row("a group as target",
        lambda b: [message(kind, GROUP) for kind in (SOLICITATION, ADVERTISEMENT)],
        drop="nd_bad_address"),
    row("a station that is a group", lambda b: [with_option(b"\x01\x01\x33\x33" + bytes(4))],
        drop="nd_bad_address"),
    row("a question about somebody else", lambda b: [message(SOLICITATION, THERE + SOURCE)],
        drop="nd_not_ours"),
    row("answers that nobody asked for", strangers, drop="nd_not_ours", pins=("RFC 4861 7.2.5",)),
    row("a router that is not link-local",
        lambda b: [message(ROUTER, bytes(8)), message(REDIRECT, GROUP + GROUP)],
        drop="nd_bad_router", pins=("RFC 4861 6.1.2", "RFC 4861 8.1")),
    row("a router's question", lambda b: [message(133, b"")], drop="nd_not_ours"),
    row("queries that are none",
        lambda b: [message(130, bytes(20), hops=n) for n in (1, 255)], drop="mld_malformed",
        pins=("RFC 3810 6.2",)),
    row("a good question is answered", lambda b: [with_option(SOURCE)], right="N", drop=None),
]  # fmt: skip
