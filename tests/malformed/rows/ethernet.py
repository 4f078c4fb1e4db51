"""Ethernet frames that are none, or not for us."""

from __future__ import annotations

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "Ethernet"
PADDING = b"\xa5" * 18


def retyped(bench: Bench, kind: int) -> bytes:
    return bytes(frames.put(bench.base(), 12, kind, 2))


def addressed(bench: Bench, mac: int) -> bytes:
    return bytes(frames.put(bench.base(), 0, mac, 6))


def padding_was_cut(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b"hello"


ROWS = [
    Row(LAYER, "0 to 13 octets", lambda b: [b.base()[:n] for n in range(14)],
        drop="ethernet_short"),
    Row(LAYER, "an unknown type", lambda b: [retyped(b, k) for k in (0x600, 0x88CC, 0xFFFF)],
        drop="ethernet_unknown_type"),
    Row(LAYER, "an 802.3 length", lambda b: [retyped(b, k) for k in (0, 46, 0x5DC, 0x5FF)],
        drop="ethernet_unknown_type"),
    Row(LAYER, "for another station",
        lambda b: [addressed(b, m) for m in (0, 0x020000000009, 0x01005E000001, 0x333300000001)],
        drop=""),
    Row(LAYER, "padding after the packet is no payload",
        lambda b: [b.base() + PADDING], right="-", drop=None, check=padding_was_cut),
]  # fmt: skip
