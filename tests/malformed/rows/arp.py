"""ARP messages that are none, or that lie (RFC 826, RFC 5227)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row
from tests.malformed.frames import HERE_V4, OURS, PEER, THERE_V4

LAYER = "ARP"
MANY = 3000
BROADCAST = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")


def asked(sender: bytes = PEER, sender_ip: bytes = THERE_V4, target: bytes = HERE_V4) -> bytes:
    return bytes(frames.arp(1, sender, sender_ip, target))


def with_field(at: int, size: int, *values: int) -> list[bytes]:
    return [bytes(frames.put(asked(), at, value, size)) for value in values]


def flood(bench: Bench) -> Iterator[bytes]:
    """Answers that nobody asked for, from as many stations."""
    for i in range(MANY):
        sender = b"\x02\x11" + i.to_bytes(4, "big")
        yield bytes(frames.arp(2, sender, bytes([10, 0, 0, i % 250 + 3]), HERE_V4))


def little_was_learnt(bench: Bench) -> None:
    assert len(bench.interface.neighbours) < 300


ROWS = [
    Row(LAYER, "0 to 27 octets", lambda b: [asked()[: 14 + n] for n in range(28)],
        drop="arp_malformed"),
    Row(LAYER, "another hardware", lambda b: with_field(14, 2, 0, 6, 0xFFFF), drop="arp_malformed"),
    Row(LAYER, "another protocol", lambda b: with_field(16, 2, 0, 0x86DD), drop="arp_malformed"),
    Row(LAYER, "hardware length", lambda b: with_field(18, 1, 0, 5, 7, 255), drop="arp_malformed"),
    Row(LAYER, "protocol length", lambda b: with_field(19, 1, 0, 3, 16), drop="arp_malformed"),
    Row(LAYER, "operation", lambda b: with_field(20, 2, 0, 3, 0xFFFF), drop="arp_malformed"),
    Row(LAYER, "a sender of no host",
        lambda b: [asked(sender_ip=ip) for ip in (b"\xff" * 4, b"\xe0\0\0\1", b"\x7f\0\0\1")],
        drop="arp_bad_sender"),
    Row(LAYER, "a sender's station that is none",
        lambda b: [asked(mac) for mac in (bytes(6), BROADCAST, GROUP)], drop="arp_bad_sender"),
    Row(LAYER, "asks for somebody else", lambda b: [asked(target=b"\x0a\0\0\x63")],
        drop="arp_not_ours"),
    Row(LAYER, "claims our address", lambda b: [asked(sender_ip=HERE_V4)], right="- N",
        drop="arp_conflict"),
    Row(LAYER, "our own, heard back", lambda b: [asked(OURS, HERE_V4)], drop=None),
    Row(LAYER, "a probe for ours is answered", lambda b: [asked(sender_ip=bytes(4))], right="N",
        drop=None),
    Row(LAYER, "answers to nothing do not fill the table", flood, right="-", drop=None,
        check=little_was_learnt),
]  # fmt: skip
