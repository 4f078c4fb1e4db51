"""The bench finds what is wrong: each invariant can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corten.core.frame import ReceiveBatch
from tests.malformed import frames, steps
from tests.malformed.bench import CANARY, Bench, Row, try_row

GOOD = Row("bench", "a segment that fits", lambda b: [b.base()], right="-", drop=None)
BAD = Row("bench", "no ACK bit", lambda b: [bytes(frames.field(47, 0, 1, frames.mend)(b.base()))],
          right="-", drop="tcp_no_ack_bit")  # fmt: skip


@pytest.mark.parametrize("row", [GOOD, BAD, replace(BAD, drop="")], ids=str)
def test_what_is_right_passes(row: Row) -> None:
    try_row(row)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (replace(GOOD, right="A"), "answered 'nothing'"),
        (replace(GOOD, drop=""), "nothing counted"),
        (replace(BAD, drop="tcp_bad_ack"), r"counted \['tcp_no_ack_bit'\]"),
        (replace(BAD, drop=None), "dropped as"),
        (replace(GOOD, frames=lambda b: []), "proves nothing"),
    ],
)
def test_a_wrong_reaction_is_found(row: Row, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        try_row(row)


def test_an_octet_beyond_the_frame_raises() -> None:
    """The arena ends where the frame does."""
    batch = ReceiveBatch(64, bytearray(64))
    with pytest.raises(IndexError):
        batch.arena.octets(60, 5)
    bench = Bench()
    frame = bench.base()
    bench.memory[-len(frame) :] = frame
    bench.batch.push(len(bench.memory) - len(frame), len(frame) + 4, 0, 0)  # four that are not
    longer = bytes(frames.put(frame, 16, len(frame) - 14 + 4, 2))
    bench.memory[-len(frame) :] = bytes(frames.mend_ip(bytearray(longer)))
    with pytest.raises(IndexError):
        bench._turn()


@pytest.mark.plain  # compiled there are no lines to count
def test_too_much_work_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LINES", 10)
    monkeypatch.setattr(steps, "LINES_AN_OCTET", 0)
    with pytest.raises(steps.TooMuchWork, match="more than 10 lines"):
        Bench().breath(b"")


def test_what_stays_behind_is_found() -> None:
    bench = Bench()
    bench.stack.call_later(10**6, lambda: None)  # seconds
    with pytest.raises(AssertionError, match="timers"):
        bench.finish()


def test_a_canary_that_was_harmed_is_found() -> None:
    bench = Bench()
    bench.feed_canary()
    canary = next(c for c in bench.stack.connections() if c.remote_port == CANARY)
    canary.abort()
    bench.t.breathe()
    with pytest.raises(AssertionError, match="canary"):
        bench.finish()
