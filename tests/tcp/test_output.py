"""Sending: full batches at each point, probes, Nagle, silly windows, many pieces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from corten.sim.packet import decode
from corten.sim.script import Trace, pattern
from tests.tcp.test_segment_arrives import count

FILLER = b"\0" * 60


def crowded(t: Trace, act: Callable[[], None], room: int = 1) -> list[bytes]:
    """Do something while the link's batch has so much room at a time; the frames that left."""
    stack, outgoing = t.host.stack, t.port.interface.outgoing
    outgoing.clear()
    for _ in range(256):
        assert outgoing.append(FILLER)
    act()
    sent: list[bytes] = []
    turns = 0
    while stack.transmit(t.network.now):
        kept = [outgoing.frame(i) for i in range(outgoing.count)]
        sent += [frame for frame in kept if frame != FILLER]
        outgoing.clear()
        for _ in range(256 - room):
            assert outgoing.append(FILLER)
        turns += 1
        assert turns < 100
    kept = [outgoing.frame(i) for i in range(outgoing.count)]
    sent += [frame for frame in kept if frame != FILLER]
    outgoing.clear()
    return sent


def arrive(t: Trace, **fields: object) -> None:
    """A segment that changes state, without the output pass."""
    t.held = True
    t.send(0, str(fields.pop("flags", ".")), **fields)  # type: ignore[arg-type]
    port = t.port
    for frame, _ in port.waiting:
        port.batch.append(frame, 0, 0)
    port.waiting = []
    t.host.stack.receive(t.network.now, port.interface, port.batch)
    t.host.stack.deliver(t.network.now)
    t.host.stack.release(t.network.now)
    port.batch.clear()
    t.held = False


def test_a_full_batch_delays_a_syn_ack() -> None:
    t = Trace(check=False)
    (frame,) = crowded(t, lambda: arrive(t, flags="S", seq=0, mss=1460))
    answer = decode(frame)
    assert answer and answer.flags == 0x12
    t.note(answer)
    t.send(0, ".", seq=1, ack=1)
    t.finish()


def test_a_full_batch_delays_duplicate_acks_and_loses_none() -> None:
    t = Trace(check=False).established()

    def act() -> None:
        for i in range(4):
            arrive(t, seq=100 + 100 * i, ack=1, data=10)

    assert len(crowded(t, act)) == 4
    t.finish()


def test_a_full_batch_delays_an_acknowledgement() -> None:
    t = Trace(check=False).established()

    def act() -> None:
        arrive(t, seq=1, ack=1, data=1400)
        arrive(t, seq=1401, ack=1, data=1400)

    (frame,) = crowded(t, act)
    answer = decode(frame)
    assert answer and (answer.ack - t.flow.isn) == 2801
    t.finish()


def test_a_full_batch_delays_retransmissions() -> None:
    t = Trace(check=False).established(mss=1000)
    t.app.send(pattern(1, 10_000))
    t.heard()

    def act() -> None:
        for _ in range(3):
            arrive(t, seq=1, ack=1)

    frames = crowded(t, act)
    segments = [s for s in map(decode, frames) if s]
    assert [(s.seq - (t.flow.iss or 0), len(s.payload)) for s in segments] == [(1, 1000)]
    t.finish()


def test_a_full_batch_delays_time_waits_answers() -> None:
    t = Trace(check=False).time_wait()
    (frame,) = crowded(t, lambda: arrive(t, flags="F.", seq=1, ack=2))
    assert decode(frame)
    t.finish()


def test_a_full_batch_delays_a_probe() -> None:
    t = Trace(check=False).established(win=0)
    t.app.send(b"x" * 100)
    outgoing = t.port.interface.outgoing
    for _ in range(256):
        outgoing.append(FILLER)
    t.host.stack.expire(t.network.now + 10**9)
    outgoing.clear()
    t.expect(None, ".", seq=1, data=1)
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-36", "RFC 9293 MUST-37", "RFC 9293 SHLD-30")
def test_probes_go_on_while_they_are_answered() -> None:
    t = Trace(check=False, r2_ns=10**10).established(win=0)
    t.app.send(b"x" * 100)
    last = 0.0
    gaps = []
    for _ in range(12):
        t.expect(None, ".", seq=1, data=1)
        gaps.append(t.now_ms - last)
        last = t.now_ms
        t.send(0, ".", seq=1, ack=1, win=0)
    assert gaps[-1] == pytest.approx(60_000, abs=10)
    assert all(b > a * 1.9 for a, b in pairwise(gaps[1:7]))
    t.send(0, ".", seq=1, ack=2, win=60_000)
    t.expect(0, ".", seq=2, data=99)
    t.send(0, ".", seq=1, ack=101)
    t.finish()


def test_probes_that_nobody_answers_end_the_connection() -> None:
    t = Trace(check=False, r2_ns=10**10).established(win=0)
    t.app.send(b"x" * 100)
    t.advance(60_000)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_a_probe_may_be_a_fin() -> None:
    t = Trace(check=False).established(win=0)
    t.app.close()
    t.expect_nothing()
    t.expect(None, "F.", seq=1, ack=1)
    t.send(0, ".", seq=1, ack=2, win=0)
    assert t.state == "FIN-WAIT-2"
    t.finish()


def test_a_window_that_opens_before_the_probe() -> None:
    t = Trace(check=False).established(win=0)
    t.app.send(b"x" * 100)
    t.send(1, ".", seq=1, ack=1, win=60_000)
    t.expect(0, ".", seq=1, data=100)
    t.send(0, ".", seq=1, ack=101)
    t.advance(5000)
    assert t.heard() == [] and count(t, "zero_window_probes") == 0
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-38")
def test_a_silly_window_waits_for_the_override() -> None:
    t = Trace(check=False).established(win=10_000)
    t.app.send(b"x" * 10_000)
    sent = sum(len(s.payload) for s in t.heard())
    t.send(0, ".", seq=1, ack=1 + sent, win=100)
    t.app.send(b"y" * 10_000)
    t.expect_nothing()
    t.expect(None, ".", seq=1 + sent, data=100)
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-17", "RFC 9293 SHLD-7")
def test_nagle() -> None:
    t = Trace(check=False, nagle=True).established(mss=1000)
    t.app.send(b"a" * 10)
    t.expect(0, ".", seq=1, data=10)
    t.app.send(b"b" * 10)
    t.expect_nothing()
    t.app.send(b"c" * 2000)
    t.expect(0, ".", seq=11, data=1000)
    t.expect(0, ".", seq=1011, data=1000)
    t.expect_nothing()
    t.send(0, ".", seq=1, ack=2011)
    t.expect(0, ".", seq=2011, data=10)
    t.app.send(b"d" * 10)
    t.app.close()
    t.expect(0, "F.", seq=2021, data=10)
    t.finish()


def test_more_pieces_than_a_frame_has_slices() -> None:
    t = Trace(check=False, mtu=65_535).established(mss=60_000, wscale=0)
    data = pattern(1, 40 * 600)
    for i in range(40):
        t.app.connection.send(data[600 * i : 600 * (i + 1)])
    t.app.connection.close()
    t.breathe()
    got = t.heard()
    assert b"".join(s.payload for s in got) == data
    assert [len(s.payload) for s in got] == [9600, 9600, 4800]
    assert got[-1].flags & 1
    t.advance(300)
    again = t.heard()
    assert again[0].payload == data[:9600]
    t.finish()


@pytest.mark.parametrize("sizes", [[1] * 50, [511, 512, 1, 513], [100] * 30, [3000, 1, 1]])
def test_gathered_sends_while_in_flight(sizes: list[int]) -> None:
    """What is in flight never changes, whatever is gathered behind it."""
    t = Trace(check=False).established()
    data = pattern(1, sum(sizes))
    at = 0
    got = bytearray()
    for i, size in enumerate(sizes):
        t.app.send(data[at : at + size])
        at += size
        got += b"".join(s.payload for s in t.heard())
        if i % 3 == 0:
            t.send(0, ".", seq=1, ack=1 + at // 2)
            got += b"".join(s.payload for s in t.heard())
    assert got == data
    t.send(0, ".", seq=1, ack=1 + len(data))
    assert t.app.connection.queued_len() == 0
    t.finish()


def test_a_connection_that_was_idle_begins_anew() -> None:
    """RFC 5681 4.1."""
    t = Trace(check=False, start_ms=1000).established(mss=1000)
    for i in range(5):
        t.app.send(pattern(1, 10_000))
        t.heard()
        t.send(0, ".", seq=1, ack=1 + 10_000 * (i + 1))
    assert t.app.connection.info()["cwnd"] > 10_000
    t.advance(60_000)
    t.app.send(pattern(1, 100_000))
    assert len(t.heard()) == 10
    t.finish()


def test_fin_wait_2_ends_and_data_keeps_it() -> None:
    t = Trace(check=False).fin_wait_2()
    t.send(50_000, "P.", seq=1, ack=2, data=5)
    t.expect(40, ".", ack=6)
    t.advance(59_000)
    assert t.state == "FIN-WAIT-2"
    t.advance(1500)
    assert isinstance(t.app.error, TimeoutError)
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-20", "RFC 9293 MUST-21")
def test_r2() -> None:
    t = Trace(check=False, user_timeout_ns=10**10).established()
    t.app.send(b"x")
    t.advance(60_000)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_sequence_numbers_that_wrap() -> None:
    for isn in (2**32 - 1, 2**32 - 5, 2**31 - 3):
        t = Trace(check=False, isn=isn).established(sack_ok=True)
        t.send(0, ".", seq=11, ack=1, data=10)
        t.expect(0, ".", ack=1, sack=[(11, 21)])
        t.send(0, ".", seq=1, ack=1, data=10)
        t.expect(0, ".", ack=21)
        assert t.app.data == pattern(1, 10) + pattern(11, 10)
        t.send(0, "F.", seq=21, ack=1)
        t.expect(0, ".", ack=22)
        t.finish()


@pytest.mark.requirement("RFC 9293 SHLD-7", "RFC 9293 A.3")
def test_nagle_does_not_hold_the_end_of_a_large_write() -> None:
    """Only a small segment that is out holds another one back."""
    t = Trace(check=False, nagle=True).established(mss=1000)
    t.app.send(b"a" * 1500)
    t.expect(0, ".", seq=1, data=1000)
    t.expect(0, ".", seq=1001, data=500)
    t.app.send(b"b" * 1500)
    t.expect(0, ".", seq=1501, data=1000)
    t.expect_nothing()
    t.send(0, ".", seq=1, ack=1501)
    t.expect(0, ".", seq=2501, data=500)
    t.finish()
