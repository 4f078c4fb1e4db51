"""As test_checker, for loss, resets and the end of a connection."""

from __future__ import annotations

import pytest

from corten.sim.packet import Segment, decode, encode
from tests.sim.wire import ISS, Paper, fires

# -- SACK -----------------------------------------------------------------------------------


def sack_paper() -> Paper:
    paper = Paper()
    paper.shake(sack_ok=True)
    paper.say("a", ".", 1, 1, data=100, lost=True)
    paper.say("a", ".", 101, 1, data=100)
    return paper


def test_sack_of_what_is_held() -> None:
    sack_paper().say("b", ".", 1, 1, sack=[(101, 201)])


def test_duplicate_sack() -> None:
    paper = sack_paper()
    paper.say("b", ".", 1, 1, sack=[(101, 201)])
    paper.say("a", ".", 1, 1, data=100, after=300)
    paper.say("b", ".", 1, 201)
    paper.say("a", ".", 101, 1, data=100, lost=False, after=300)
    paper.say("b", ".", 1, 201, sack=[(101, 201)])


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([(101, 202)], "not received"),
        ([(1, 201)], "not received"),
        ([(201, 101)], "empty"),
        ([(101, 201), (0, 1)], "not beyond the ACK"),
    ],
)
def test_wrong_sack(blocks: list[tuple[int, int]], text: str) -> None:
    with fires("sack_blocks", text):
        sack_paper().say("b", ".", 1, 1, sack=blocks)


def test_sack_not_permitted() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100, lost=True)
    paper.say("a", ".", 101, 1, data=100)
    with fires("sack_blocks", "did not permit"):
        paper.say("b", ".", 1, 1, sack=[(101, 201)])


# -- retransmission -------------------------------------------------------------------------


def test_again_without_a_reason() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100)
    with fires("retransmission", "without a reason"):
        paper.say("a", ".", 1, 1, data=100, after=150)


def test_again_after_the_rto() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100, lost=True)
    paper.say("a", ".", 1, 1, data=100, after=200)


def test_everything_again_after_the_rto() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100, lost=True)
    paper.say("a", ".", 101, 1, data=100, after=150, lost=True)
    paper.say("a", ".", 1, 1, data=100, after=100)
    paper.say("b", ".", 1, 101)
    paper.say("a", ".", 101, 1, data=100)
    with fires("retransmission"):
        paper.say("a", ".", 101, 1, data=100)


@pytest.mark.parametrize("duplicates", [2, 3])
def test_again_after_duplicate_acks(duplicates: int) -> None:
    paper = Paper()
    paper.shake()
    for i in range(4):
        paper.say("a", ".", 1 + 1000 * i, 1, data=1000, lost=i == 0)
        if i:
            paper.say("b", ".", 1, 1, lost=i > duplicates)
    if duplicates == 3:
        paper.say("a", ".", 1, 1, data=1000)
        return
    with fires("retransmission"):
        paper.say("a", ".", 1, 1, data=1000)


def test_again_after_sack() -> None:
    paper = Paper()
    paper.shake(sack_ok=True)
    paper.say("a", ".", 1, 1, data=1000, lost=True)
    for i in range(1, 5):
        paper.say("a", ".", 1 + 1000 * i, 1, data=1000)
    paper.say("b", ".", 1, 1, sack=[(1001, 5001)])
    paper.say("a", ".", 1, 1, data=1000)


def test_time_outs_double() -> None:
    paper = Paper()
    paper.shake()
    for after in (0, 200, 400, 800):
        paper.say("a", ".", 1, 1, data=100, lost=True, after=after)
    with fires("back_off", "must double"):
        paper.say("a", ".", 1, 1, data=100, lost=True, after=800)


# -- RST, and the end -----------------------------------------------------------------------


def test_rst_out_of_nothing() -> None:
    paper = Paper()
    paper.shake()
    with fires("reset", "nothing called for"):
        paper.say("a", "R.", 1, 1)


def test_rst_by_the_application() -> None:
    paper = Paper()
    paper.shake()
    paper.checker.allow_reset("a")
    paper.say("a", "R.", 1, 1)
    with fires("silence", "was reset"):
        paper.say("b", ".", 1, 1)


def test_rst_at_an_impossible_place() -> None:
    paper = Paper()
    paper.shake()
    paper.checker.allow_reset("a")
    with fires("reset", "no peer can accept"):
        paper.say("a", "R.", 500, 1)


def test_rst_refuses_a_syn() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    segment = decode(paper.frame("b", "R.", 0, 1))
    assert segment is not None
    segment.seq = 0
    paper.checker.sent(10**7, "b", encode(segment))


def test_rst_answers_rst() -> None:
    paper = Paper()
    paper.shake()
    paper.rest("b")
    paper.checker.allow_reset("a")
    paper.say("a", "R.", 1, 1)
    with fires("reset", "answers a RST"):
        paper.say("b", "R.", 1, 1)


def closed_paper() -> Paper:
    paper = Paper()
    paper.shake()
    paper.say("a", "F.", 1, 1)
    paper.say("b", "F.", 1, 2)
    paper.say("a", ".", 2, 2)
    paper.rest("b")
    return paper


def test_time_wait_acknowledges_again() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", "F.", 1, 1)
    paper.say("b", "F.", 1, 2)
    paper.say("a", ".", 2, 2, lost=True)
    paper.say("b", "F.", 1, 2, after=300)
    paper.say("a", ".", 2, 2)


def test_ack_out_of_nothing_after_both_closed() -> None:
    paper = closed_paper()
    with fires("silence", "nobody asked"):
        paper.say("a", ".", 2, 2, after=1000)


def test_octets_after_both_closed() -> None:
    paper = closed_paper()
    with fires("silence", "octets again"):
        paper.say("b", "F.", 1, 2, after=1000)


def test_the_same_ports_live_again() -> None:
    paper = closed_paper()
    old = dict(ISS)
    try:
        ISS["a"] += 100_000
        ISS["b"] += 100_000
        paper.shake()
        paper.say("a", ".", 1, 1, data=10)
    finally:
        ISS.update(old)


def test_a_segment_of_no_connection() -> None:
    paper = Paper()
    with fires("silence", "out of nothing"):
        paper.say("a", ".", 5, 5)


def test_an_excuse() -> None:
    paper = Paper()
    paper.shake()
    with paper.checker.excuse("timestamps"):
        paper.say("a", ".", 1, 1, ts=(1, 1))
    assert isinstance(decode(paper.frame("a", ".", 1, 1)), Segment)
