"""TCP options that cannot be (RFC 9293 3.1: MUST-5, MUST-6, MUST-7)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "TCP options"
NO_SHIFT = 255  # what a connection says of a peer that offered none
ALL = "ESTABLISHED, all options"
Frames = Callable[[Bench], Iterable[bytes]]
REST = 36  # octets behind kind and length in a full header


def with_options(bench: Bench, options: bytes, data: bytes = b"x") -> bytes:
    """A segment that fits, with these options alone; one octet of text, in order."""
    base = bench.base(b"")
    padded = options[:40] + b"\0" * (-len(options[:40]) % 4)
    frame = bytearray(base[:54] + padded + data)
    frame[46] = (20 + len(padded)) << 2
    frame[16:18] = struct.pack("!H", len(frame) - 14)
    return bytes(frames.mend(frame))


def each(*options: bytes) -> Frames:
    """A segment for each of these."""

    def made(bench: Bench) -> Iterator[bytes]:
        for option in options:
            yield with_options(bench, option)

    return made


def every_kind(bench: Bench) -> Iterator[bytes]:
    """256 kinds with lengths that are right, wrong, and beyond what is left."""
    for kind in range(256):
        if kind in (0, 1):
            continue
        for length in (0, 1, 2, 3, 4, REST + 2, REST + 3, 255):
            if kind == 8 and length == 10:
                continue
            yield with_options(bench, bytes([kind, length]) + bytes(REST))


def lone_kinds(bench: Bench) -> Iterator[bytes]:
    """A kind as the last octet of the header, with no length behind it."""
    for kind in range(2, 256):
        yield with_options(bench, b"\1" * 39 + bytes([kind]))


def all_heard(bench: Bench) -> None:
    """Every octet was taken as if the option had been absent."""
    assert bench.app is not None and "close" not in bench.app.events
    taken = (bench.tcb.rcv_nxt - bench.flow.isn - 1) % 2**32
    assert bench.app.data == b"x" * taken and taken > 0


def mss_kept(bench: Bench) -> None:
    all_heard(bench)
    assert bench.tcb.snd_mss == 1460
    assert bench.tcb.snd_shift == 0 and not bench.tcb.sack_ok


def syns(*options: bytes) -> Frames:
    """SYNs from one port after another, each with such options."""

    def made(bench: Bench) -> Iterator[bytes]:
        for i, option in enumerate(options):
            frame = bytearray(with_options(bench, option, b""))
            frame[34:36] = struct.pack("!H", 30_000 + i)
            yield bytes(frames.mend(frame))

    return made


def smallest_mss(bench: Bench) -> None:
    """What a peer says of itself cannot make our segments silly (CVE-2019-11479)."""
    assert all(c.snd_mss >= 48 for c in bench.stack.connections())


def shift_bounded(bench: Bench) -> None:
    assert all(c.snd_shift in (*range(15), NO_SHIFT) for c in bench.stack.connections())


def sack(*blocks: tuple[int, int]) -> Frames:
    """Blocks relative to what is outstanding."""

    def made(bench: Bench) -> list[bytes]:
        una = bench.tcb.snd_una
        edges = b"".join(struct.pack("!II", (una + a) % 2**32, (una + b) % 2**32)
                         for a, b in blocks)  # fmt: skip
        return [with_options(bench, b"\1\1\5" + bytes([2 + len(edges)]) + edges, b"")]

    return made


def nothing_sacked(bench: Bench) -> None:
    info = bench.tcb.info()
    assert not info["sacked"], info
    assert bench.signature() == bench.in_state


def stamps(value: int, echo: int = 0, kind: int = 8, length: int = 10) -> bytes:
    return b"\1\1" + bytes([kind, length]) + struct.pack("!II", value % 2**32, echo % 2**32)


def paws(bench: Bench) -> list[bytes]:
    recent = bench.tcb.ts_recent
    return [with_options(bench, stamps(recent - back)) for back in (1, 1 << 30, (1 << 31) - 1)]


def still(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b""
    assert bench.signature() == bench.in_state


ROWS = [
    Row(LAYER, "every kind with every length", every_kind, right="- A", drop=None,
        check=all_heard,
        pins=("MUST-4", "MUST-5", "MUST-6", "MUST-7", "MUST-68")),
    Row(LAYER, "a kind without its length", lone_kinds, right="- A", drop=None, check=all_heard,
        pins=("MUST-7",)),
    Row(LAYER, "an end, and what follows it", each(b"\0\2\0\0", b"\1\0\xff\xff"), right="- A",
        drop=None, check=all_heard),
    Row(LAYER, "forty no-operations", each(b"\1" * 40), drop=None, check=all_heard),
    Row(LAYER, "options of SYNs on data",
        each(b"\2\4\0\x30", b"\3\3\x0e\1", b"\4\2\1\1", b"\2\4\0\x30\2\4\0\x31", b"\3\3\xff\0"),
        right="- A", drop=None, check=mss_kept,
        pins=("RFC 7323 2.2", "RFC 2018 2")),
    Row(LAYER, "signatures nobody agreed on",
        each(b"\x13\x12" + bytes(16), b"\x13\2", b"\x1d\x10" + bytes(14), b"\x1d\2\1\1",
             b"\x1d\0\1\1"),
        right="- A", drop=None, check=all_heard,
        pins=("RFC 2385 2", "RFC 5925 7.3")),
    Row(LAYER, "multipath, fast open and experiments",
        each(b"\x1e\2", b"\x1e\x14" + b"\xff" * 18, b"\x22\2", b"\x22\3\0", b"\x22\x13" + bytes(17),
             b"\xfd\4\xf9\x89", b"\xfe\2", b"\xac\x0b" + bytes(9)),
        right="- A", drop=None, check=all_heard),
    Row(LAYER, "timestamps that were not agreed on", each(stamps(1), stamps(1, 1) * 2),
        right="- A", drop=None, check=all_heard),
    Row(LAYER, "timestamps of a wrong length",
        each(stamps(1, length=8), stamps(1, length=12), stamps(1, length=2)), right="-",
        drop="tcp_no_timestamp", state=ALL, check=still),
    Row(LAYER, "no timestamps where they were agreed on", each(b""), right="-",
        drop="tcp_no_timestamp", state=ALL, check=still,
        pins=("RFC 7323 3.2",)),
    Row(LAYER, "timestamps of the past", paws, right="A", drop="tcp_paws", state=ALL,
        check=still,
        pins=("RFC 7323 5.3",)),
    Row(LAYER, "sizes on a SYN: 0, 1, 27, 48, 535, 65535, twice, cut",
        syns(b"\2\4\0\0", b"\2\4\0\1", b"\2\4\0\x1b", b"\2\4\0\x30", b"\2\4\2\x17", b"\2\4\xff\xff",
             b"\2\4\0\x30\2\4\0\x10", b"\2\3\0\0", b"\2\5\0\0", b"\1\1\1\2"),
        right="S", drop=None, state="LISTEN", check=smallest_mss),
    Row(LAYER, "scales on a SYN: 14, 15, 255, twice, cut",
        syns(b"\3\3\x0e", b"\3\3\x0f", b"\3\3\xff", b"\3\3\1\3\3\xff", b"\3\2", b"\3\4\1\1"),
        right="S", drop=None, state="LISTEN", check=shift_bounded,
        pins=("RFC 7323 2.3",)),
    Row(LAYER, "timestamps on a SYN: 0, twice, an echo of nothing",
        syns(stamps(0), stamps(5) * 2, stamps(1, 0xFFFFFFFF)), right="S", drop=None,
        state="LISTEN"),
    Row(LAYER, "SACK blocks with a length of none",
        lambda b: [with_options(b, bytes([5, n]) + bytes(38), b"") for n in (2, 3, 9, 11, 42, 255)],
        drop=None, state="ESTABLISHED, sending", check=nothing_sacked),
    Row(LAYER, "a SACK block that is empty", sack((1460, 1460)), drop=None,
        state="ESTABLISHED, sending", check=nothing_sacked),
    Row(LAYER, "a SACK block that is reversed", sack((2920, 1460)), drop=None,
        state="ESTABLISHED, sending", check=nothing_sacked),
    Row(LAYER, "a SACK block below what is outstanding", sack((-3000, -10)), drop=None,
        state="ESTABLISHED, sending", check=nothing_sacked),
    Row(LAYER, "a SACK block beyond what was sent", sack((1460, 100_000)), drop=None,
        state="ESTABLISHED, sending", check=nothing_sacked,
        pins=("RFC 6675 3",)),
    Row(LAYER, "a SACK block of half the space", sack((10, (1 << 31) + 20)), drop=None,
        state="ESTABLISHED, sending", check=nothing_sacked),
    Row(LAYER, "SACK blocks nobody agreed on",
        lambda b: [with_options(b, b"\1\1\5\x0a" + struct.pack("!II", 1, 2))], drop=None,
        check=all_heard),
]  # fmt: skip
