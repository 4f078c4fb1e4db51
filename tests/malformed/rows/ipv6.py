"""IPv6: headers and extension headers that cannot be (RFC 8200, RFC 7112, RFC 5095)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.malformed import frames, frames6
from tests.malformed.bench import Bench, Row
from tests.malformed.frames6 import (
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    NONE,
    OPTIONS,
    ROUTING,
    TCP,
    Bench6,
    echo,
    ipv6,
    packed,
)

LAYER = "IPv6 header"
EXTENSION = "IPv6 extension"
BAD_SOURCES = ("ff02::1", "::1", "::ffff:10.0.0.9", "fd00::1")
UNKNOWN = (4, 41, 47, 50, 51, 94, 132, 135, 253, 255)


def syn_from(bench: Bench, source: str) -> bytes:
    body = struct.pack("!HHIIBBHHH", 9, 80, 1, 0, 5 << 4, 2, 8000, 0, 0)
    sender = packed(source)
    return ipv6(TCP, frames6.sealed(TCP, 16, body, sender, frames6.HERE), sender)


def routing(kind: int, left: int) -> bytes:
    return ipv6(ROUTING, bytes([ICMP, 0, kind, left, 0, 0, 0, 0]) + echo())


def behind(count: int) -> bytes:
    """An echo behind so many options headers."""
    headers = b"".join(
        frames6.options(ICMP if i == count - 1 else OPTIONS, b"") for i in range(count)
    )
    return ipv6(OPTIONS, headers + echo())


def wrapped(bench: Bench) -> Iterator[bytes]:
    """Lengths beyond the packet, and such that arithmetic in 8 bits would come to nothing
    (CVE-2020-17444)."""
    for ext_len in (2, 31, 127, 254, 255):
        for kind in (HOP_BY_HOP, OPTIONS, ROUTING):
            yield ipv6(kind, bytes([kind or OPTIONS, ext_len, 1, 4, 0, 0, 0, 0]) + bytes(8))


def first_fragment(inner: bytes, number: int) -> bytes:
    return ipv6(FRAGMENT, struct.pack("!BBHI", number, 0, 1, 7) + inner)


def row(layer: str, name: str, made: Callable[[Bench], Iterable[bytes]], **more: Any) -> Row:
    return Row(layer, name, made, bench=Bench6, **more)


ROWS = [
    row(LAYER, "fewer than 40 octets", lambda b: [ipv6(ICMP, b"")[: 14 + n] for n in range(40)],
        drop="ipv6_short"),
    row(LAYER, "version is not 6",
        lambda b: [frames.put(ipv6(ICMP, echo()), 14, v << 4, 1) for v in (0, 4, 5, 7, 15)],
        drop="ipv6_bad_version"),
    row(LAYER, "a payload beyond the frame",
        lambda b: [ipv6(ICMP, echo(), payload_len=n) for n in (13, 1000, 65535)],
        drop="ipv6_bad_payload_len"),
    row(LAYER, "a payload under the frame: the rest is padding",
        lambda b: [ipv6(ICMP, echo() + b"padding", payload_len=12)], right="E", drop=None),
    row(LAYER, "no payload, and data behind it",
        lambda b: [ipv6(ICMP, echo(), payload_len=0)], drop="icmpv6_short"),
    row(LAYER, "a source that is no host's",
        lambda b: [syn_from(b, source) for source in (*BAD_SOURCES, "::")],
        drop="ipv6_bad_source", pins=("MUST-63",)),
    row(LAYER, "a destination that is not ours",
        lambda b: [ipv6(ICMP, echo(), destination=packed(to))
                   for to in ("::", "::1", "fd00::3", "ff02::2", "ff05::1", "::ffff:10.0.0.1")],
        drop="ipv6_not_ours"),
    row(LAYER, "our address in a frame for all stations",
        lambda b: [ipv6(ICMP, echo(), to=bytes.fromhex(to))
                   for to in ("ffffffffffff", "333300000001")], drop="ipv6_not_ours"),
    row(LAYER, "a segment to a group",
        lambda b: [ipv6(TCP, bytes(20), destination=packed("ff02::1"),
                        to=bytes.fromhex("333300000001"))],
        drop="tcp_to_broadcast", pins=("MUST-57",)),
    row(LAYER, "a hop limit of 0 or 1 is not ours to judge",
        lambda b: [ipv6(ICMP, echo(), hop_limit=n) for n in (0, 1)], right="E", drop=None),
    row(LAYER, "a next header that nobody speaks",
        lambda b: [ipv6(number, bytes(40)) for number in UNKNOWN], right="I",
        drop="ipv6_unknown_next_header", pins=("RFC 8200 4",)),
    row(EXTENSION, "hop-by-hop options that are not first, or twice",
        lambda b: [ipv6(OPTIONS, frames6.options(HOP_BY_HOP, b"") + frames6.options(ICMP, b"")
                        + echo()),
                   ipv6(HOP_BY_HOP, frames6.options(HOP_BY_HOP, b"")
                        + frames6.options(ICMP, b"") + echo())],
        right="I", drop="ipv6_unknown_next_header", pins=("RFC 8200 4",)),
    row(EXTENSION, "a length beyond the packet", wrapped, drop="ipv6_bad_extension"),
    row(EXTENSION, "an option beyond its header",
        lambda b: [ipv6(OPTIONS, bytes([ICMP, 0, 30, n, 0, 0, 0, 0]) + echo())
                   for n in (5, 6, 100, 255)],
        drop="ipv6_bad_option"),
    row(EXTENSION, "an option without its length",
        lambda b: [ipv6(OPTIONS, bytes([ICMP, 0, 0, 0, 0, 0, 0, 30]) + echo())],
        drop="ipv6_bad_option"),
    row(EXTENSION, "options of nothing, padding of anything, a router alert",
        lambda b: [ipv6(HOP_BY_HOP, frames6.options(ICMP, octets) + echo())
                   for octets in (b"\x1e\x00\x1e\x00", b"\x01\x04\xff\xff\xff\xff", bytes(1022),
                                  b"\x05\x02\x00\x00")],
        right="E", drop=None),
    row(EXTENSION, "an unknown option that says: drop",
        lambda b: [ipv6(OPTIONS, frames6.options(ICMP, b"\x5e\x02ab") + echo())],
        drop="ipv6_option_refused"),
    row(EXTENSION, "an unknown option that says: tell me; a jumbo payload",
        lambda b: [ipv6(HOP_BY_HOP, frames6.options(ICMP, octets) + echo())
                   for octets in (b"\x9e\x02ab", b"\xde\x02ab", b"\xc2\x04\x00\x01\x00\x00")],
        right="I", drop="ipv6_option_refused", pins=("RFC 8200 4.2",)),
    row(EXTENSION, "a routing header with nothing left",
        lambda b: [routing(kind, 0) for kind in (0, 2, 4, 255)], right="E", drop=None),
    row(EXTENSION, "a routing header with segments left",
        lambda b: [routing(kind, left) for kind in (0, 2, 4, 255) for left in (1, 255)],
        right="I", drop="ipv6_routing", pins=("RFC 8200 4.4", "RFC 5095 3")),
    row(EXTENSION, "as many headers as are walked", lambda b: [behind(8)], right="E", drop=None),
    row(EXTENSION, "more headers than are walked", lambda b: [behind(9), behind(100)],
        drop="ipv6_extensions_limit"),
    row(EXTENSION, "no next header, with data behind it",
        lambda b: [ipv6(NONE, b"data"), ipv6(OPTIONS, frames6.options(NONE, b"") + echo())],
        drop="ipv6_no_next_header"),
    row(EXTENSION, "a first fragment without all headers",
        lambda b: [first_fragment(bytes(n), TCP) for n in range(0, 20, 8)]
        + [first_fragment(frames6.options(TCP, b""), OPTIONS)],
        right="I", drop="ipv6_bad_extension", pins=("RFC 7112 5",)),
    row(EXTENSION, "a fragment that is whole",
        lambda b: [ipv6(FRAGMENT, struct.pack("!BBHI", ICMP, 0, 0, 7) + echo())] * 3,
        right="E", drop=None, pins=("RFC 6946 4",)),
]  # fmt: skip
