"""Each rule of the checker has a trace that is right, and one that makes it fire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from corten.sim.checker import CheckFailure
from corten.sim.packet import Segment, decode, encode
from tests.sim.wire import ISS, Paper


@contextmanager
def fires(rule: str, text: str = "") -> Iterator[None]:
    """The block breaks `rule`, and the failure says `text`."""
    with pytest.raises(CheckFailure) as caught:
        yield
    assert str(caught.value).startswith(f"[{rule}]"), str(caught.value)
    assert text in str(caught.value)


def test_a_whole_connection_passes() -> None:
    paper = Paper()
    paper.shake(ts=True, wscale=3, sack_ok=True)
    paper.say("a", "P.", 1, 1, data=1000, ts=(102, 900))
    paper.say("b", "P.", 1, 1001, data=500, ts=(910, 102))
    paper.say("a", "F.", 1001, 501, ts=(103, 910))
    paper.say("b", ".", 501, 1002, ts=(911, 103))
    paper.say("b", "F.", 501, 1002, ts=(912, 103))
    paper.say("a", ".", 1002, 502, ts=(104, 912))
    paper.rest("b")
    paper.checker.time_passed(10**12)


def test_sequence_numbers_may_wrap() -> None:
    paper = Paper()
    paper.shake()
    at = 1
    for _ in range(3):
        paper.say("a", ".", at, 1, data=1000)
        at += 1000
        paper.say("b", ".", 1, at)
    assert paper.checker.segments == 9


# -- checksums and headers ------------------------------------------------------------------


@pytest.mark.parametrize("at", [16, 24, 36, 40, 50, 51, 60])
def test_a_wrong_octet_is_a_malformed_packet(at: int) -> None:
    paper = Paper()
    frame = bytearray(paper.frame("a", "S", 0, 0, data=b"12345678"))
    frame[at] ^= 1
    with fires("malformed"):
        paper.checker.sent(0, "a", bytes(frame))


def test_a_corrupted_packet_is_not_received() -> None:
    paper = Paper()
    paper.shake()
    frame = bytearray(paper.frame("a", "P.", 1, 1, data=100))
    paper.checker.sent(10**7, "a", bytes(frame))
    frame[60] ^= 1
    paper.checker.reached(10**7, "b", bytes(frame))
    with fires("acknowledgement", "only 1 has been received"):
        paper.say("b", ".", 1, 101)


# -- size and options -----------------------------------------------------------------------


def test_mss_of_the_peer() -> None:
    paper = Paper()
    paper.shake(mss=1000)
    paper.say("a", ".", 1, 1, data=1000)
    with fires("packet_size", "MSS is 1000"):
        paper.say("a", ".", 1001, 1, data=1001)


def test_mss_counts_options() -> None:
    paper = Paper()
    paper.shake(ts=True, mss=1000)
    paper.say("a", ".", 1, 1, data=988, ts=(102, 900))
    with fires("packet_size"):
        paper.say("a", ".", 989, 1, data=989, ts=(102, 900))


def test_default_mss() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    paper.say("b", "S.", 0, 1)
    paper.say("a", ".", 1, 1)
    with fires("packet_size", "536"):
        paper.say("a", ".", 1, 1, data=537)


def test_mtu() -> None:
    paper = Paper(mtu=576)
    paper.shake()
    with fires("packet_size", "MTU 576"):
        paper.say("a", ".", 1, 1, data=600)


@pytest.mark.parametrize("option", [{"mss": 1460}, {"wscale": 2}, {"sack_ok": True}])
def test_options_of_a_syn_elsewhere(option: dict[str, int]) -> None:
    paper = Paper()
    paper.shake(wscale=2, sack_ok=True)
    with fires("syn_options", "without SYN"):
        paper.say("a", ".", 1, 1, **option)


@pytest.mark.parametrize("option", [{"ts": (1, 100)}, {"wscale": 2}, {"sack_ok": True}])
def test_options_of_a_syn_ack_that_were_not_offered(option: dict[str, int]) -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460)
    with fires("syn_options", "though the SYN had none"):
        paper.say("b", "S.", 0, 1, **option)


def test_window_shift_of_15() -> None:
    with fires("syn_options", "shift of 15"):
        Paper().say("a", "S", 0, wscale=15)


# -- timestamps -----------------------------------------------------------------------------


def test_timestamps_missing() -> None:
    paper = Paper()
    paper.shake(ts=True)
    with fires("timestamps", "no timestamps"):
        paper.say("a", ".", 1, 1, data=1)


def test_timestamps_not_agreed() -> None:
    paper = Paper()
    paper.shake()
    with fires("timestamps", "not agreed"):
        paper.say("a", ".", 1, 1, ts=(1, 1))


def test_timestamps_go_back() -> None:
    paper = Paper()
    paper.shake(ts=True)
    with fires("timestamps", "went back"):
        paper.say("a", ".", 1, 1, ts=(99, 900))


def test_timestamps_wrap_is_not_going_back() -> None:
    paper = Paper()
    paper.say("a", "S", 0, ts=(0xFFFFFFFF, 0))
    paper.say("b", "S.", 0, 1, ts=(900, 0xFFFFFFFF))
    paper.say("a", ".", 1, 1, ts=(3, 900))


def test_echo_of_nothing() -> None:
    paper = Paper()
    paper.shake(ts=True)
    with fires("timestamps", "echoes nothing"):
        paper.say("a", ".", 1, 1, ts=(102, 901))


def test_echo_goes_back() -> None:
    paper = Paper()
    paper.shake(ts=True)
    paper.say("b", ".", 1, 1, ts=(950, 101))
    paper.say("a", ".", 1, 1, ts=(102, 950))
    with fires("timestamps", "TSecr went back"):
        paper.say("a", ".", 1, 1, ts=(102, 900))


# -- SYN ------------------------------------------------------------------------------------


def test_syn_spacing() -> None:
    paper = Paper()
    for after in (0, 1000, 2000, 4000):
        paper.say("a", "S", 0, after=after, lost=True)
    with fires("syn_spacing", "8000 is the least"):
        paper.say("a", "S", 0, after=7000, lost=True)


def test_syn_too_soon() -> None:
    paper = Paper()
    paper.say("a", "S", 0, lost=True)
    with fires("syn_spacing"):
        paper.say("a", "S", 0, after=900, lost=True)


def test_syn_too_late() -> None:
    paper = Paper()
    for after in (0, 1000):
        paper.say("a", "S", 0, after=after, lost=True)
    with fires("syn_spacing", "due at"):
        paper.say("a", "S", 0, after=4000, lost=True)


def test_syn_ack_answers_each_syn_at_once() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    paper.say("b", "S.", 0, 1, lost=True)
    paper.say("a", "S", 0, after=1000)
    paper.say("b", "S.", 0, 1)


def test_syn_moves() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    paper.say("b", "S.", 0, 1)
    with fires("fin_place", "the SYN moved"):
        paper.say("a", "S", 7)


def test_syn_ack_of_no_syn() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    with fires("acknowledgement", "answers no SYN"):
        paper.say("b", "S.", 0, 2)


# -- FIN and data ---------------------------------------------------------------------------


def test_data_after_fin() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", "F.", 1, 1)
    with fires("fin_place", "after a FIN"):
        paper.say("a", ".", 2, 1, data=1)


def test_fin_moves() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", "F.", 1, 1)
    with fires("fin_place", "the FIN moved"):
        paper.say("a", "F.", 2, 1, after=300)


def test_fin_inside_data() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100)
    with fires("fin_place", "though data up to"):
        paper.say("a", "F.", 50, 1, after=300)


def test_fin_before_handshake() -> None:
    paper = Paper()
    paper.say("a", "S", 0)
    with fires("fin_place", "before the handshake"):
        paper.say("a", "F.", 1, 1)


def test_data_before_handshake() -> None:
    paper = Paper()
    with fires("fin_place", "before the handshake"):
        paper.say("a", "S", 0, data=10)


def test_hole() -> None:
    paper = Paper()
    paper.shake()
    with fires("same_octets", "a hole"):
        paper.say("a", ".", 2, 1, data=1)


def test_other_octets() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=b"abcdef")
    with fires("same_octets", "not what was sent"):
        paper.say("a", ".", 3, 1, data=b"cdEf", after=300)


# -- windows --------------------------------------------------------------------------------


def test_beyond_the_window() -> None:
    paper = Paper()
    paper.shake()
    paper.say("b", ".", 1, 1, win=65535)
    at = 1
    for _ in range(44):
        paper.say("a", ".", at, 1, data=1460, breath=False, lost=True)
        at += 1460
    with fires("peer_window", "65536"):
        paper.say("a", ".", at, 1, data=1460)


def test_window_is_scaled_after_the_handshake() -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460, wscale=4)
    paper.say("b", "S.", 0, 1, win=100, mss=1460, wscale=4)
    paper.say("a", ".", 1, 1, win=100)
    with fires("peer_window", "ends at 101"):
        paper.say("a", ".", 1, 1, data=101)


def test_scaled_window_may_be_filled() -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460, wscale=4)
    paper.say("b", "S.", 0, 1, win=100, mss=1460, wscale=4)
    paper.say("a", ".", 1, 1, win=100)
    paper.say("b", ".", 1, 1, win=50)
    paper.say("a", ".", 1, 1, data=800)
    with fires("peer_window", "ends at 801"):
        paper.say("a", ".", 801, 1, data=2)


def test_zero_window_probe_of_one_octet() -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460)
    paper.say("b", "S.", 0, 1, win=0, mss=1460)
    paper.say("a", ".", 1, 1)
    paper.say("a", ".", 1, 1, data=1, after=1000)
    with fires("peer_window"):
        paper.say("a", ".", 1, 1, data=2, after=2000)


def test_probe_is_sent_again_when_the_window_opens() -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460)
    paper.say("b", "S.", 0, 1, win=0, mss=1460)
    paper.say("a", ".", 1, 1)
    paper.say("a", ".", 1, 1, data=1, after=1000)
    paper.say("b", ".", 1, 1, win=1000)
    paper.say("a", ".", 1, 1, data=500)


def test_right_edge_retreats() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100)
    with fires("right_edge", "retreated"):
        paper.say("b", ".", 1, 101, win=65434)


def test_right_edge_may_be_rounded_by_the_scale() -> None:
    paper = Paper()
    paper.say("a", "S", 0, mss=1460, wscale=7, win=1000)
    paper.say("b", "S.", 0, 1, mss=1460, wscale=7)
    paper.say("a", ".", 1, 1, win=1000)
    paper.say("b", "P.", 1, 1, data=100, win=1000)
    paper.say("a", ".", 1, 101, win=1000 - 1)
    with fires("right_edge"):
        paper.say("a", ".", 1, 101, win=1000 - 2)


# -- acknowledgements -----------------------------------------------------------------------


def test_ack_goes_back() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100)
    paper.say("b", ".", 1, 101)
    with fires("acknowledgement", "went back"):
        paper.say("b", ".", 1, 100)


def test_ack_of_a_hole() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100, lost=True)
    paper.say("a", ".", 101, 1, data=100)
    with fires("acknowledgement", "only 1 has been received"):
        paper.say("b", ".", 1, 201)


def test_no_ack_bit() -> None:
    paper = Paper()
    paper.shake()
    with fires("acknowledgement", "without ACK"):
        paper.say("a", "P", 1, data=1)


def test_ack_too_late() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=100)
    paper.rest("b")
    paper.checker.time_passed(499 * 10**6)
    with fires("owed", "MUST-40"):
        paper.checker.time_passed(600 * 10**6)


def test_ack_for_every_second_full_segment() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=1460)
    paper.rest("b")
    paper.say("a", ".", 1461, 1, data=1460)
    with fires("owed_at_once", "2920 octets"):
        paper.rest("b")


def test_storm() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=1)
    with fires("silence", "5 ACKs for 2 segments"):
        for _ in range(5):
            paper.say("b", ".", 1, 2, breath=False)


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
    with fires("retransmission", "must double"):
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
