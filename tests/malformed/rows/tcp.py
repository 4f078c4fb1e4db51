"""TCP headers that lie about themselves (RFC 9293 3.1, 3.9.2.3)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "TCP"
FLAGS_AT, OFFSET_AT, WINDOW_AT, CHECKSUM_AT, URGENT_AT = 47, 46, 48, 50, 52


def patched(bench: Bench, at: int, size: int, *values: int) -> list[bytes]:
    return [bytes(frames.field(at, value, size, frames.mend)(bench.base())) for value in values]


def cut(frame: bytes, keep: int) -> bytes:
    """The datagram with `keep` octets of TCP and a total length that says so."""
    shorter = bytearray(frame[: 34 + keep])
    shorter[16:18] = (20 + keep).to_bytes(2, "big")
    return bytes(frames.mend(shorter))


def urgent(bench: Bench) -> Iterator[bytes]:
    """Pointers before, at, behind and far beyond the text, with URG and without (URGENT/11)."""
    for pointer in (0, 1, 4, 5, 6, 0x7FFF, 0xFFFF):
        for flags in (0x10, 0x18, 0x30, 0x38):
            changed = frames.put(bench.base(b"u"), URGENT_AT, pointer, 2)
            changed[FLAGS_AT] = flags
            yield bytes(frames.mend(changed))


def all_in_line(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b"u" * 28


def heard(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b"hello"


def not_heard(bench: Bench) -> None:
    assert bench.app is None or bench.app.data == b""
    assert bench.signature() == bench.in_state


def to_port(bench: Bench, at: int, port: int) -> list[bytes]:
    return patched(bench, at, 2, port)


ROWS = [
    Row(LAYER, "fewer than 20 octets", lambda b: [cut(b.base(), n) for n in range(20)],
        drop="tcp_short", check=not_heard),
    Row(LAYER, "data offset under 5 words",
        lambda b: patched(b, OFFSET_AT, 1, *(n << 4 for n in range(5))),
        drop="tcp_bad_data_offset", check=not_heard),
    Row(LAYER, "data offset beyond the segment",
        lambda b: patched(b, OFFSET_AT, 1, *(n << 4 for n in range(7, 16))),
        drop="tcp_bad_data_offset", check=not_heard),
    Row(LAYER, "checksum",
        lambda b: [bytes(frames.put(b.base(), CHECKSUM_AT, c, 2)) for c in (0, 0xFFFF, 0x1234)],
        drop="tcp_bad_checksum", check=not_heard,
        pins=("MUST-3",)),
    Row(LAYER, "from port 0", lambda b: to_port(b, 34, 0), drop="tcp_bad_port", state="LISTEN"),
    Row(LAYER, "to port 0", lambda b: to_port(b, 36, 0), drop="tcp_bad_port", state="LISTEN"),
    Row(LAYER, "reserved bits are ignored", lambda b: patched(b, OFFSET_AT, 1, 0x5F), drop=None,
        check=heard,
        pins=("RFC 9293 3.10.7.4",)),
    Row(LAYER, "urgent pointers of every kind: the text is delivered in line", urgent,
        right="- A", drop=None, check=all_in_line),
    Row(LAYER, "windows of every size", lambda b: patched(b, WINDOW_AT, 2, 0)[:1], drop=None,
        check=heard),
    Row(LAYER, "no flag at all", lambda b: patched(b, FLAGS_AT, 1, 0, 0x08, 0x20, 0x28),
        drop="tcp_no_ack_bit", check=not_heard),
    Row(LAYER, "no flag at all, to a listener",
        lambda b: patched(b, FLAGS_AT, 1, 0, 0x01, 0x08, 0x20, 0x29), drop="tcp_bad_state",
        state="LISTEN", check=not_heard),
    Row(LAYER, "all flags, to a listener", lambda b: patched(b, FLAGS_AT, 1, 0xFF, 0x3F),
        drop="tcp_bad_state", state="LISTEN", check=not_heard),
    Row(LAYER, "SYN and FIN, to a listener: a scanner's", lambda b: patched(b, FLAGS_AT, 1, 3),
        drop="tcp_bad_state", state="LISTEN", check=not_heard),
    Row(LAYER, "SYN and RST, to a listener", lambda b: patched(b, FLAGS_AT, 1, 6),
        drop="tcp_bad_state", state="LISTEN", check=not_heard),
    Row(LAYER, "an acknowledgement to a listener", lambda b: patched(b, FLAGS_AT, 1, 0x10, 0x11),
        right="R", drop="tcp_bad_ack", state="LISTEN", check=not_heard),
    Row(LAYER, "SYN, ACK and RST while opening, with an ACK of nothing",
        lambda b: [bytes(frames.mend(frames.put(frames.put(b.base(), 42, a, 4), FLAGS_AT, f, 1)))
                   for a in (0, b.tcb.snd_nxt + 1, b.tcb.snd_una) for f in (0x14, 0x16)],
        drop="tcp_bad_ack", state="SYN-SENT", check=not_heard),
]  # fmt: skip
