"""Each rule of the checker has a trace that is right, and one that makes it fire."""

from __future__ import annotations

import pytest

from tests.sim.wire import Paper, fires


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


def test_what_acknowledges_too_little_need_not_be_taken() -> None:
    """The simulator's seed 9750: two segments came so late that what they acknowledged lay further
    back than the largest window (RFC 5961 5.2); the stack may not take them, and owes nothing."""

    def late(window: int) -> Paper:
        paper = Paper()
        paper.shake(win=window)
        delayed = [
            paper.say("a", ".", seq, 1, data=1460, win=window, lost=True) for seq in (1, 1461)
        ]
        for i in range(5):
            paper.say("b", ".", 1 + 1000 * i, 1, data=1000)
            paper.say("a", ".", 2921, 1001 + 1000 * i, win=window)
        for frame in delayed:
            paper.checker.reached(int(paper.now_ms * 1e6), "b", frame)
        return paper

    with fires("owed_at_once", "2920 octets"):
        late(window=6000).rest("b")
    late(window=4096).rest("b")


def test_a_round_trip_is_learnt_of_what_was_sent_again_if_its_timestamp_comes_back() -> None:
    """The simulator's seed 9518: a tail loss probe (RFC 8985 7.2) came two round trips later, as
    the acknowledgement of a retransmission had measured them."""
    paper = Paper()
    paper.say("a", "S", 0, mss=1460, sack_ok=True, ts=(100, 0))
    paper.say("b", "S.", 0, 1, mss=1460, sack_ok=True, ts=(900, 100), after=100)
    paper.say("a", ".", 1, 1, data=1000, ts=(201, 900), lost=True)
    paper.say("a", ".", 1, 1, data=1000, ts=(501, 900), after=300)
    paper.say("b", ".", 1, 1001, ts=(912, 501), after=12)
    paper.say("a", ".", 1001, 1, data=1000, ts=(514, 912), lost=True)
    with fires("retransmission", "again after 23 ms"):
        paper.say("a", ".", 1001, 1, data=1000, ts=(537, 912), after=23, lost=True)
    paper.say("a", ".", 1001, 1, data=1000, ts=(538, 912), lost=True)


def test_storm() -> None:
    paper = Paper()
    paper.shake()
    paper.say("a", ".", 1, 1, data=1)
    with fires("silence", "5 ACKs for 2 segments"):
        for _ in range(5):
            paper.say("b", ".", 1, 2, breath=False)
