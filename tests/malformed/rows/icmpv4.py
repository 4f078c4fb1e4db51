"""ICMPv4: echoes and errors that cannot be (RFC 792, RFC 1122 3.2.2, RFC 5927, RFC 1191)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "ICMPv4"
ECHO = 8


def echo(data: bytes = b"data", code: int = 0) -> bytes:
    return bytes(frames.icmp(ECHO, code, 0x12340001, data))


def cut(frame: bytes, keep: int) -> bytes:
    """The datagram with `keep` octets of ICMP and a total length that says so."""
    shorter = bytearray(frame[: 34 + keep])
    shorter[16:18] = struct.pack("!H", 20 + keep)
    return bytes(frames.mend_ip(shorter))


def quoting(bench: Bench, at: int, value: int, size: int) -> bytes:
    """Port unreachable about something we sent, one field of the quote changed."""
    return bytes(frames.icmp(3, 3, 0, bytes(frames.put(bench.quote(), at, value, size))))


def other_sequences(bench: Bench) -> Iterator[bytes]:
    """Sequence numbers that are not outstanding (RFC 5927 4.1)."""
    una, nxt = bench.tcb.snd_una, bench.tcb.snd_nxt
    for seq in (una - 1, nxt, nxt + 1, una + (1 << 31), 0):
        yield quoting(bench, 24, seq, 4)


def packet_too_big(bench: Bench, *mtus: int) -> Iterator[bytes]:
    for mtu in mtus:
        yield bytes(frames.icmp(3, 4, mtu, bench.quote()))


def not_under_the_floor(bench: Bench) -> None:
    assert bench.tcb.snd_mss >= 512, bench.tcb.snd_mss


def unchanged(bench: Bench) -> None:
    assert bench.signature() == bench.in_state


ROWS = [
    Row(LAYER, "fewer than 8 octets", lambda b: [cut(echo(), n) for n in range(8)],
        drop="icmp_short"),
    Row(LAYER, "checksum", lambda b: [bytes(frames.put(echo(), 36, c, 2)) for c in (0, 0x1234)],
        drop="icmp_bad_checksum"),
    Row(LAYER, "an echo of nothing, of one octet, of the most that fits",
        lambda b: [echo(b""), echo(b"x"), echo(bytes(1472))], right="E", drop=None,
        pins=("RFC 1122 3.2.2.6",)),
    Row(LAYER, "an echo of any code", lambda b: [echo(code=9), echo(code=255)], right="E",
        drop=None),
    Row(LAYER, "an echo to the broadcast address",
        lambda b: [bytes(frames.field(30, a, 4, frames.mend_ip)(frames.put(echo(), 0, m, 6)))
                   for a in (0x0A0000FF, 0xFFFFFFFF) for m in (0x020000000001, 0xFFFFFFFFFFFF)],
        drop="icmp_broadcast_echo"),
    Row(LAYER, "an answer to an echo nobody sent",
        lambda b: [bytes(frames.icmp(0, 0, 0x12340001, b"data"))], drop=""),
    Row(LAYER, "requests that give us away",
        lambda b: [bytes(frames.icmp(t, 0, 0x10001, bytes(12))) for t in (13, 15, 17, 10, 37)],
        drop="icmp_unknown_type"),
    Row(LAYER, "types that do not exist",
        lambda b: [bytes(frames.icmp(t, 0, 0, bytes(28))) for t in (1, 2, 7, 40, 128, 255)],
        drop="icmp_unknown_type",
        pins=("RFC 1122 3.2.2",)),
    Row(LAYER, "errors that quote too little",
        lambda b: [bytes(frames.icmp(t, 0, 0, b.quote()[:n])) for t in (3, 11, 12)
                   for n in range(28)],
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged),
    Row(LAYER, "errors about nothing of ours",
        lambda b: [quoting(b, 20, 9, 2), quoting(b, 22, 9, 2), quoting(b, 16, 0x0A000063, 4),
                   quoting(b, 9, 99, 1), quoting(b, 0, 0x65, 1), quoting(b, 0, 0x4F, 1)],
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged),
    Row(LAYER, "errors about a listener",
        lambda b: [bytes(frames.icmp(3, c, 0, b.quote())) for c in (1, 3)],
        drop="icmp_bad_quote", state="LISTEN", check=unchanged),
    Row(LAYER, "errors about what is not outstanding", other_sequences, drop="icmp_bad_quote",
        state="ESTABLISHED, sending", check=unchanged,
        pins=("RFC 5927 4.1", "MUST-54")),
    Row(LAYER, "an error about an error",
        lambda b: [bytes(frames.icmp(3, 3, 0, frames.icmp(3, 3, 0, b.quote())[14:]))],
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged),
    Row(LAYER, "packets too big for 0 octets, for 1, for 67",
        lambda b: packet_too_big(b, 0, 1, 67, 68, 69), right="- D", drop=None,
        state="ESTABLISHED, sending", check=not_under_the_floor),
    Row(LAYER, "packets too big for more than fits",
        lambda b: packet_too_big(b, 1500, 9000, 0xFFFF), drop=None, state="ESTABLISHED, sending",
        check=unchanged),
    Row(LAYER, "source quench", lambda b: [bytes(frames.icmp(4, 0, 0, b.quote()))],
        state="ESTABLISHED, sending", check=unchanged,
        pins=("RFC 6633 3", "MUST-55")),
    Row(LAYER, "redirects",
        lambda b: [bytes(frames.icmp(5, c, 0x0A000063, b.quote())) for c in (0, 1, 3)],
        state="ESTABLISHED, sending", drop="nd_bad_router", check=unchanged),
]  # fmt: skip
