"""Text and FIN: what is kept, what is delivered, what the window says of it."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace, pattern
from tests.tcp.test_segment_arrives import count


def test_octets_that_came_first_win() -> None:
    t = Trace(check=False).established(sack_ok=True)
    t.send(0, ".", seq=6, ack=1, data=b"BBBBB")
    t.expect(0, ".", ack=1, sack=[(6, 11)])
    t.send(0, ".", seq=1, ack=1, data=b"aaaaaaaaaaaaaa")
    t.expect(0, ".", ack=15)
    assert t.app.data == b"aaaaaBBBBBaaaa"
    assert count(t, "octets_in") == 14
    t.finish()


def test_a_fin_in_the_segment_that_fills_the_hole() -> None:
    t = Trace(check=False).established(sack_ok=True)
    t.send(0, ".", seq=6, ack=1, data=5)
    t.expect(0, ".", ack=1)
    t.send(0, "F.", seq=1, ack=1, data=10)
    t.expect(0, ".", ack=12)
    assert t.app.events == ["open", "data", "eof"]
    t.finish()


def test_a_fin_before_its_text() -> None:
    t = Trace(check=False).established()
    t.send(0, "F.", seq=11, ack=1)
    t.expect(0, ".", ack=1)
    t.send(0, "F.", seq=8, ack=1)  # a second one elsewhere is ignored
    t.expect(0, ".", ack=1)
    t.send(0, ".", seq=1, ack=1, data=10)
    t.expect(0, ".", ack=12)
    assert t.app.events == ["open", "data", "eof"]
    t.finish()


def test_text_beyond_the_fin_is_counted_and_answered() -> None:
    t = Trace(check=False).close_wait()
    t.send(0, "P.", seq=2, ack=1, data=5)
    t.expect(0, ".", ack=2)
    assert count(t, "tcp_data_after_fin") == 1 and not t.app.data
    t.finish()


def test_data_beyond_the_window_is_cut() -> None:
    t = Trace(check=False, receive_buffer=2048, mtu=9000).established()
    t.app.pause()
    t.send(0, "FP.", seq=1, ack=1, data=3000)
    t.expect(0, ".", ack=2049, win=0)
    t.app.resume()
    t.expect(0, ".", ack=2049, win=2048)
    assert t.app.data == pattern(1, 2048) and "eof" not in t.app.events
    t.finish()


def test_a_retransmission_with_more_behind_it() -> None:
    t = Trace(check=False).established()
    t.send(0, "P.", seq=1, ack=1, data=5)
    t.expect(40, ".", ack=6)
    t.send(0, "P.", seq=1, ack=1, data=10)
    t.expect(0, ".", ack=11)
    assert t.app.data == pattern(1, 10)
    t.finish()


def test_small_segments_do_not_move_the_window_on_for_ever() -> None:
    """The field is a multiple of 8 here: segments of 7 octets would each round it up."""
    t = Trace(check=False, receive_buffer=1 << 18).established(wscale=0)
    t.app.pause()
    buffer = 1 << 18
    sent = 0
    while sent < buffer - 1000:
        t.send(0, ".", seq=1 + sent, ack=1, data=1000)
        sent += 1000
        t.heard()
    taken = sent
    for _ in range(10_000):
        t.send(0, "P.", seq=1 + taken, ack=1, data=7)
        t.advance(41)
        acked = t.heard()[-1]
        taken = (acked.ack - t.flow.isn - 1) & 0xFFFFFFFF
        if taken == sent:
            break
        sent = taken
    assert taken <= buffer + buffer // 8 + 8
    assert t.app.connection.info()["ready"] == taken
    assert acked.window == 0
    t.finish()


def test_what_is_kept_of_small_segments_costs_what_it_is_charged() -> None:
    t = Trace(check=False).established()
    t.app.pause()
    for i in range(2000):
        t.send(0, ".", seq=1 + 2 * i, ack=1, data=2)
        t.heard()
    assert len(t.app.connection.retained) <= 8
    t.app.resume()
    assert t.app.data == pattern(1, 4000)
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-39")
def test_a_read_opens_a_shut_window_at_once() -> None:
    t = Trace(check=False, receive_buffer=2048).established()
    t.send(0, "P.", seq=1, ack=1, data=1460)
    t.expect(0, ".", ack=1461, win=2048)
    t.finish()


def test_sack_blocks_fit_a_narrow_link() -> None:
    t = Trace(check=False, mtu=68).established(mss=100, sack_ok=True, ts=True)
    for i in range(4):
        t.send(0, ".", seq=11 + 20 * i, ack=1, data=5)
    found = t.heard()
    assert len(found) == 4
    assert [len(s.options.sack) for s in found] == [1] * 4
    t.finish()
    t = Trace(check=False, mtu=80).established(mss=100, sack_ok=True)
    for i in range(4):
        t.send(0, ".", seq=11 + 20 * i, ack=1, data=5)
    assert [len(s.options.sack) for s in t.heard()] == [1, 2, 3, 4]
    t.finish()


def test_without_sack_one_duplicate_ack_each_with_sack_one() -> None:
    t = Trace(check=False).established()
    with t.breath():
        for i in range(3):
            t.send(0, ".", seq=11 + 20 * i, ack=1, data=5)
    assert len(t.heard()) == 3
    t.finish()
    t = Trace(check=False).established(sack_ok=True)
    with t.breath():
        for i in range(3):
            t.send(0, ".", seq=11 + 20 * i, ack=1, data=5)
    assert len(t.heard()) == 1
    t.finish()


def test_the_queue_is_bounded_by_its_true_cost() -> None:
    """CVE-2018-5390: every second octet of the window."""
    t = Trace(check=False, receive_buffer=4096).established()
    for i in range(1900):
        t.send(0, ".", seq=3 + 2 * i, ack=1, data=1)
        t.heard()
    assert t.app.connection.reassembly.cost <= 2 * 4096
    assert count(t, "tcp_reassembly_full") > 0
    t.send(0, ".", seq=1, ack=1, data=2)
    assert len(t.app.data) > 2
    t.heard()
    t.finish()


def test_filling_the_first_hole_drops_nothing_that_came_early() -> None:
    """What fills it leaves the queue at once and must not make others give way."""
    t = Trace(check=False, receive_buffer=4096).established()
    for i in range(78):
        t.send(0, ".", seq=101 + 2 * i, ack=1, data=1)
    for i in range(78):
        t.send(0, ".", seq=102 + 2 * i, ack=1, data=1)
    t.heard()
    kept = t.app.connection.reassembly.ranges.total
    t.send(0, ".", seq=1, ack=1, data=100)
    assert len(t.app.data) == 100 + kept
    t.heard()
    t.finish()
