"""When the receiver acknowledges (RFC 9293 3.8.6.3, RFC 5681 4.2), and what (RFC 2018)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace


@pytest.mark.requirement("SHLD-18", "MUST-40")
@pytest.mark.parametrize("delay_ms", [1, 40, 499])
def test_one_segment_waits_for_the_timer(delay_ms: int) -> None:
    t = Trace(delayed_ack_ns=delay_ms * 1_000_000).established()
    t.send(0, "P.", data=100)
    t.expect(delay_ms, ".", seq=1, ack=101)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("SHLD-19")
def test_the_second_full_segment_does_not_wait() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, ".", data=1460)
    t.expect_nothing(5)
    t.send(0, ".", data=1460)
    t.expect(0, ".", ack=2921)
    t.finish()


@pytest.mark.requirement("MUST-58", "MUST-59")
def test_one_ack_for_a_burst_in_order() -> None:
    t = Trace(timestamps=False).established()
    with t.breath():
        for _ in range(10):
            t.send(0, ".", data=1460)
    t.expect(0, ".", ack=14601)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("MUST-58")
def test_the_ack_rides_on_data() -> None:
    t = Trace().established()
    t.send(0, "P.", data=100)
    t.app.send(b"reply")
    t.expect(0, "P.", ack=101, data=b"reply")
    t.expect_nothing(100)
    t.finish()


@pytest.mark.requirement("SHLD-31", "RFC 5681 4.2")
def test_out_of_order_is_said_at_once() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, ".", seq=101, data=100)
    t.expect(0, ".", ack=1)
    t.send(1, ".", seq=1, data=100)
    t.expect(0, ".", ack=201)
    assert len(t.app.data) == 200
    t.finish()


@pytest.mark.requirement("MUST-58")
def test_without_sack_each_early_segment_is_answered() -> None:
    """A burst of early segments is three duplicate ACKs, or the peer could not repair by them."""
    t = Trace(timestamps=False).established()
    with t.breath():
        for i in range(1, 5):
            t.send(0, ".", seq=1 + 1000 * i, data=1000)
    for _ in range(4):
        t.expect(0, ".", ack=1)
    t.expect_nothing(100)
    t.finish()


@pytest.mark.requirement("RFC 2018 3", "RFC 2018 4")
def test_sack_names_what_is_held_the_newest_first() -> None:
    t = Trace(timestamps=False).established(sack_ok=True)
    t.send(0, ".", seq=101, data=100)
    t.expect(0, ".", ack=1, sack=[(101, 201)])
    t.send(1, ".", seq=401, data=100)
    t.expect(0, ".", ack=1, sack=[(401, 501), (101, 201)])
    t.send(1, ".", seq=301, data=100)
    t.expect(0, ".", ack=1, sack=[(301, 501), (101, 201)])
    t.send(1, ".", seq=1, data=100)
    t.expect(0, ".", ack=201, sack=[(301, 501)])
    t.send(1, ".", seq=201, data=100)
    t.expect(0, ".", ack=501, sack=[])
    t.finish()


def test_overlapping_segments_are_taken_once() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, ".", seq=51, data=100)
    t.expect(0, ".", ack=1)
    t.send(0, ".", seq=1, data=80)
    t.expect(0, ".", ack=151)
    t.send(0, ".", seq=101, data=100)
    t.expect(None, ".", ack=201)
    assert len(t.app.data) == 200
    t.finish()


def test_a_fin_out_of_order_waits_for_its_place() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, "F.", seq=101)
    t.expect(0, ".", ack=1)
    assert t.app.events == ["open"]
    t.send(0, ".", seq=1, data=100)
    t.expect(0, ".", ack=102)
    assert t.app.events == ["open", "data", "eof"]
    t.finish()


@pytest.mark.requirement("SHLD-14", "MUST-39")
def test_a_slow_reader_shuts_and_opens_the_window_by_whole_segments() -> None:
    t = Trace(timestamps=False, receive_buffer=4096).established(mss=1000)
    t.app.pause()
    t.send(0, ".", data=1000)
    t.send(0, ".", data=1000)
    t.expect(None, ".", ack=2001, win=2096)
    t.send(0, ".", data=1000)
    t.send(0, ".", data=1000)
    t.expect(None, ".", ack=4001, win=96)
    t.expect_nothing(1000)
    t.app.resume()
    t.expect(0, ".", ack=4001, win=4096)
    assert len(t.app.data) == 4000
    t.finish()


@pytest.mark.requirement("MUST-66", "MAY-8")
def test_an_ack_counts_at_a_shut_window() -> None:
    t = Trace(timestamps=False, receive_buffer=2048).established()
    t.app.pause()
    t.send(0, ".", data=1024)
    t.send(0, ".", data=1024)
    t.advance(50)
    assert t.heard()[-1].window == 0
    t.app.send(bytes(100))
    t.expect(0, "P.", data=100)
    t.send(0, ".", ack=101)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 2018 3")
def test_text_does_not_swallow_what_is_held() -> None:
    """A hole is filled while another stays, and there is text to send: text carries no SACK blocks,
    so an acknowledgement of its own goes before it."""
    t = Trace(timestamps=False).established(sack_ok=True)
    t.send(0, ".", seq=101, data=100)
    t.expect(0, ".", ack=1, sack=[(101, 201)])
    t.send(0, ".", seq=301, data=100)
    t.expect(0, ".", ack=1, sack=[(301, 401), (101, 201)])
    with t.breath():
        t.send(0, ".", seq=1, data=100)
        t.app.send(b"answer")
    t.expect(0, ".", ack=201, sack=[(301, 401)])
    t.expect(0, "P.", seq=1, ack=201, data=b"answer")
    t.send(0, ".", seq=201, ack=7, data=100)
    t.expect(0, ".", ack=401, sack=[])
    t.finish()
