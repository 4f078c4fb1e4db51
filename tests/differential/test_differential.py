"""The same packets to the Linux kernel and to this stack: where they differ, a reason stands.

A difference without a reason fails, and so does a reason without a difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from corten.sim.packet import Options, Segment, encode, flags_value
from tests.differential.cases import CASES, Case, Send
from tests.differential.page import PAGE, page
from tests.differential.sides import (
    OUR_MAC,
    OURS,
    THEIR_MAC,
    THEIRS,
    Account,
    Kernel,
    Ours,
    Side,
)
from tests.netns import namespace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ISN = 0x7FFF_0000


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with namespace("differential") as space:
        side = Kernel(space)
        yield side
        side.close()


def frame_of(send: Send, port: int, number: int, account: Account, ts_heard: int) -> bytes:
    """The frame of a segment, as it is for one side."""
    isn = account.isn or 0
    ack = account.heard if send.ack is None else send.ack
    stamps = send.ts
    if stamps is not None and stamps[1] == 0 and "S" not in send.flags:
        stamps = (stamps[0], ts_heard)
    flags = flags_value(send.flags)
    segment = Segment(
        OURS,
        THEIRS,
        40_000 + number,
        port,
        ISN + send.seq,
        isn + ack if flags & 0x10 else 0,
        flags,
        send.win,
        Options(send.mss, send.wscale, send.sack_ok, [], stamps),
        send.data,
        THEIR_MAC,
        OUR_MAC,
        urgent=send.urgent,
    )
    return encode(segment, send.raw)


def play(side: Side, case: Case, number: int) -> list[list[str]]:
    """What a side says, step by step."""
    account = Account()
    ts_heard = 0
    said = []
    for step in case.steps:
        frames = [frame_of(send, case.port, number, account, ts_heard) for send in step]
        # what is left of earlier cases, retransmissions mostly, is not this case's
        heard = [s for s in side.step(frames) if s.target_port == 40_000 + number]
        for segment in heard:
            if segment.options.timestamps:
                ts_heard = segment.options.timestamps[0]
        said.append(account.take(heard, ISN))
    side.step([_reset(case, number, account)])
    return said


def _reset(case: Case, number: int, account: Account) -> bytes:
    """An end, whatever state they are in: exactly where they expect it, or nearly."""
    highest = max(s.seq + len(s.data) for step in case.steps for s in step if s.seq < 1 << 20)
    return frame_of(Send("R", highest + 1), case.port, number, account, 0)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[c.name for c in CASES])
def test_says_what_the_kernel_says(kernel: Kernel, number: int) -> None:
    case = replace(CASES[number])
    ours, theirs = play(Ours(), case, number), play(kernel, case, number)
    lines = [
        f"{i}: kernel {k}\n   ours   {o}" for i, (k, o) in enumerate(zip(theirs, ours, strict=True))
    ]
    if case.differs:
        assert ours != theirs, "they agree: take the reason out"
    else:
        assert ours == theirs, "\n".join(["", *lines])


def test_the_page_says_what_the_cases_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.differential.page"
