"""RST: which are believed, which challenged, which are nothing (RFC 9293 3.10.7, RFC 5961 3)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace


@pytest.mark.requirement("RFC 5961 3.2", "SHLD-2")
@pytest.mark.parametrize("data", [0, 5])
def test_exactly_next(data: int) -> None:
    t = Trace().established()
    t.send(0, "R", seq=1, data=data)
    assert isinstance(t.app.error, ConnectionResetError)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("RFC 5961 3.2")
@pytest.mark.parametrize("seq", [2, 1000])
def test_inside_the_window_is_challenged(seq: int) -> None:
    t = Trace().established()
    t.send(0, "R", seq=seq)
    t.expect(0, ".", seq=1, ack=1)
    assert not t.app.is_closed
    t.finish()


@pytest.mark.requirement("RFC 5961 3.2")
@pytest.mark.parametrize(("seq", "data"), [(0, 0), (0, 100), (-50, 100), (10_000_000, 0)])
def test_outside_the_window_is_nothing(seq: int, data: int) -> None:
    t = Trace().established()
    t.send(0, "R", seq=seq, data=data)
    t.expect_nothing(1000)
    assert not t.app.is_closed
    t.finish()


@pytest.mark.requirement("MUST-66")
@pytest.mark.parametrize("data", [0, 5])
def test_at_a_shut_window(data: int) -> None:
    t = Trace(receive_buffer=2048).established()
    t.app.pause()
    for _ in range(2):
        t.send(0, ".", data=1024)
    t.advance(50)
    assert t.heard()[-1].window == 0
    t.send(0, "R", seq=2049, data=data)
    assert t.app.is_closed
    t.finish()


def test_no_rst_answers_a_rst() -> None:
    t = Trace(listen=None)
    t.flow.stack_port = 80
    t.send(0, "R", seq=5)
    t.send(0, "R.", seq=5, ack=7)
    t.expect_nothing(1000)
    t.finish()


def test_closed_port() -> None:
    t = Trace(listen=None)
    t.flow.stack_port = 80
    t.send(0, "S", seq=0)
    found = t.expect(0, "R.", ack=1)
    assert found.seq == 0
    t.send(0, ".", seq=5, ack=77)
    t.expect(0, "R", raw_seq=77)
    t.finish()


@pytest.mark.requirement("RFC 9293 3.10.7.4")
def test_time_wait_wants_an_ack_bit() -> None:
    t = Trace().time_wait()
    t.send(0, "-", seq=2, data=5)
    t.expect_nothing(100)
    t.send(0, "F.", seq=1, ack=2)
    t.expect(0, ".", seq=2, ack=2)
    t.finish()


@pytest.mark.requirement("MUST-10")
def test_data_on_the_syn_ack_of_a_simultaneous_open() -> None:
    t = Trace(listen=None, timestamps=False).syn_sent()
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, "S.", seq=0, ack=1, data=b"early", mss=1460)
    assert t.app.events[:1] == ["open"]
    t.expect(None, ".", seq=1, ack=6)
    assert t.app.data == b"early"
    t.finish()


def test_small_segments_are_acknowledged_two_by_two() -> None:
    """Every second full segment, however small the MTU makes a full one (SHLD-19)."""
    t = Trace(mtu=128, timestamps=False).established(mss=88)
    t.send(0, ".", data=88)
    t.expect_nothing(5)
    t.send(0, ".", data=88)
    t.expect(0, ".", ack=177)
    t.finish()
