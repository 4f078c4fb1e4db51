"""Segments that are well made and mean harm: to a state, a window, a guess (RFC 5961, RFC 3465)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.malformed import frames
from tests.malformed.bench import Bench, Row

LAYER = "TCP state"
GUESSES = 200


def segment(bench: Bench, flags: int, seq: int = 0, ack: int = 0, data: bytes = b"",
            window: int = 8000) -> bytes:  # fmt: skip
    """Relative to RCV.NXT and SND.UNA."""
    tcb = bench.ended or bench.tcb
    una = getattr(tcb, "snd_una", None)
    base = tcb.snd_nxt if una is None else una
    flow = bench.flow
    options = b""
    if tcb.timestamps_ok:
        options = frames.TIMESTAMPS + tcb.ts_recent.to_bytes(4, "big") + bytes(4)
    where = (flow.port, flow.stack_port, tcb.rcv_nxt + seq, base + ack)
    return bytes(frames.tcp(*where, flags, window, options, data))


def nothing_changed(bench: Bench) -> None:
    assert bench.signature() == bench.in_state


def first_wins(bench: Bench) -> Iterator[bytes]:
    """The same range out of order, with other octets; then what was missing."""
    yield segment(bench, 0x18, seq=5, data=b"right")
    yield segment(bench, 0x18, seq=5, data=b"WRONG")
    yield segment(bench, 0x18, seq=8, data=b"WRONGER")
    yield segment(bench, 0x18, data=b"hello")


def read_first(bench: Bench) -> None:
    assert bench.app is not None and bench.app.data == b"helloright" + b"ONGER"


def guesses(bench: Bench) -> Iterator[bytes]:
    """RSTs all over the window, none where it counts."""
    for i in range(GUESSES):
        yield segment(bench, 0x04, seq=1 + i % 40)


def few_challenges(bench: Bench) -> None:
    """RFC 5961 7, a bound of its own for each connection (CVE-2016-5696)."""
    assert bench.stack.counters.snapshot()["challenge_acks"] <= 10
    nothing_changed(bench)


def division(bench: Bench) -> Iterator[bytes]:
    """What is outstanding acknowledged octet by octet."""
    bench.window_was = bench.tcb.info()["cwnd"]  # type: ignore[attr-defined]
    for _ in range(1000):
        yield segment(bench, 0x10, ack=1)


def grew_by_octets(bench: Bench) -> None:
    """By what was acknowledged, a thousand octets, not by a thousand acknowledgements."""
    was = bench.window_was  # type: ignore[attr-defined]
    assert bench.tcb.info()["cwnd"] <= was + 1460


def duplicates(bench: Bench) -> Iterator[bytes]:
    """More of them than segments are out."""
    for _ in range(60):
        yield segment(bench, 0x10)


def not_inflated(bench: Bench) -> None:
    """Spoofed duplicates cannot open the window beyond what was sent (RFC 5681 3.2, note)."""
    assert bench.tcb.snd_nxt - bench.tcb.snd_una <= 4000


def shut(bench: Bench) -> Iterator[bytes]:
    for window in (0, 1, 0, 65535, 0, 8000):
        yield segment(bench, 0x10, window=window)


ROWS = [
    Row(LAYER, "an acknowledgement of what was never sent",
        lambda b: [segment(b, 0x10, ack=n, data=b"x") for n in (4001, 4002, 100_000, 1 << 30)],
        right="A -", drop="tcp_bad_ack", state="ESTABLISHED, sending", check=nothing_changed),
    Row(LAYER, "an acknowledgement older than any window",
        lambda b: [segment(b, 0x10, ack=-n, data=b"x") for n in (70_000, 1 << 30)],
        right="A -", drop="tcp_bad_ack", state="ESTABLISHED, sending", check=nothing_changed,
        pins=("RFC 5961 5.2", "MAY-12")),
    Row(LAYER, "acknowledged octet by octet", division, right="- D", drop=None,
        state="ESTABLISHED, sending", check=grew_by_octets,
        pins=("RFC 5681 3.1",)),
    Row(LAYER, "duplicates by the dozen", duplicates, right="- D", drop=None,
        state="ESTABLISHED, sending", check=not_inflated),
    Row(LAYER, "a window that opens and shuts", shut, right="- D", drop=None,
        state="ESTABLISHED, sending"),
    Row(LAYER, "a RST in every place but the right one", guesses, right="A -", drop="tcp_bad_rst",
        check=few_challenges,
        pins=("RFC 5961 3.2", "RFC 5961 7")),
    Row(LAYER, "SYNs in every place",
        lambda b: [segment(b, 0x02, seq=n) for n in (-(1 << 30), -1, 0, 1, 100, 1 << 30)],
        right="A", drop="", check=nothing_changed,
        pins=("RFC 5961 4.2",)),
    Row(LAYER, "the SYN-ACK again", lambda b: [segment(b, 0x12, seq=-1)], right="A", drop="",
        check=nothing_changed),
    Row(LAYER, "the same range with other octets: the first win", first_wins, right="A -",
        drop=None, check=read_first),
    Row(LAYER, "text beyond the window",
        lambda b: [segment(b, 0x18, seq=n, data=b"x") for n in (8192, 8193, 65535, 1 << 30)],
        right="A", drop="tcp_bad_sequence", check=nothing_changed),
    Row(LAYER, "text beyond the FIN",
        lambda b: [segment(b, 0x18, seq=n, data=b"x") for n in (0, 1, 100)], right="A -",
        drop="tcp_data_after_fin", state="CLOSE-WAIT", check=nothing_changed),
    Row(LAYER, "another FIN elsewhere", lambda b: [segment(b, 0x11, seq=n) for n in (0, 5)],
        right="A -", drop="tcp_data_after_fin", state="CLOSE-WAIT", check=nothing_changed),
    Row(LAYER, "an acknowledgement that completes nothing",
        lambda b: [segment(b, 0x10, ack=n) for n in (0, 2, -1)], right="R", drop="tcp_bad_ack",
        state="SYN-RECEIVED", check=nothing_changed),
    Row(LAYER, "a RST to TIME-WAIT (RFC 1337)", lambda b: [segment(b, 0x04)],
        drop="tcp_bad_state", state="TIME-WAIT", check=nothing_changed,
        pins=("RFC 1337",)),
]  # fmt: skip
