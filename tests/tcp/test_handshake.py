"""Opening: limits, floods, reuse of sockets, what SYN options agree on, initial windows."""

from __future__ import annotations

import pytest

from corten.endpoint.handler import Handler
from corten.sim.script import THERE, Trace, pattern
from tests.tcp.test_segment_arrives import count

SECOND = 10**9


@pytest.mark.requirement("RFC 4987 3.4")
def test_a_flood_of_syns_displaces_itself() -> None:
    t = Trace(check=False, syn_queue_max=8, syn_cookies="off")
    for i in range(50):
        t.use(20_000 + i).stack_port = 80
        t.send(0, "S", seq=0)
    assert len(t.host.stack.host.half_open) == 8
    assert count(t, "tcp_listen_overflow") == 42
    t.heard()
    t.use(40_000)
    t.established()
    t.finish()


def test_a_full_stack_prefers_whoever_answers() -> None:
    """Half-open connections give way at the limit of all connections too; others do not."""
    t = Trace(check=False, connections_max=2).established()
    t.use(20_000).stack_port = 80
    t.send(0, "S", seq=0)
    t.heard()
    t.use(20_001).stack_port = 80
    t.established()
    t.use(20_002).stack_port = 80
    t.send(0, "S", seq=0)
    t.expect_nothing()
    assert count(t, "tcp_out_of_memory") == 1 and count(t, "tcp_listen_overflow") == 1
    t.finish()


def test_what_listen_drops() -> None:
    t = Trace(check=False)
    t.send(0, "R", seq=0)
    t.send(0, "", seq=0)
    t.send(0, "FS", seq=0)
    t.expect_nothing()
    assert count(t, "tcp_bad_state") == 3
    t.send(0, "S.", seq=0, ack=5)
    t.expect(0, "R")
    t.finish()


def test_a_half_open_connection_is_given_up() -> None:
    t = Trace(syn_ack_retries=2).syn_received()
    t.expect(1000, "S.", seq=0, ack=1)
    t.expect(2000, "S.", seq=0, ack=1)
    t.advance(10_000)
    assert t.host.stack.connections() == []
    t.finish()


def test_one_segment_after_a_lost_syn_ack() -> None:
    """RFC 5681 3.1; RFC 6298 5.7: and an RTO of 3 s."""
    t = Trace(check=False).syn_received()
    t.expect(1000, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    info = t.app.connection.info()
    assert (info["cwnd"], info["rto"]) == (1460, 3.0)
    t.finish()


@pytest.mark.parametrize(
    ("mss", "segments"), [(536, 10), (1460, 10), (4000, 3), (9000, 2), (64, 10)]
)
@pytest.mark.requirement("RFC 6928 2")
def test_initial_windows(mss: int, segments: int) -> None:
    t = Trace(check=False, mtu=9100).established(mss=mss)
    t.app.send(pattern(1, 20 * mss))
    assert sum(len(s.payload) for s in t.heard()) // mss == segments
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-15", "RFC 9293 MUST-16")
@pytest.mark.parametrize(
    ("offer", "mtu", "mss"),
    [({}, 1500, 536), ({"mss": 0}, 1500, 536), ({"mss": 1}, 1500, 64), ({"mss": 9000}, 1500, 1460),
     ({"mss": 1460, "ts": True}, 1500, 1448), ({"mss": 1460}, 68, 28),
     ({"mss": 1460, "ts": True}, 68, 16)],
)  # fmt: skip
def test_segment_sizes(offer: dict[str, object], mtu: int, mss: int) -> None:
    t = Trace(check=False, mtu=mtu)
    options = dict(offer)
    raw = None if "mss" in offer else b""
    t.send(0, "S", seq=0, raw_options=raw, **options)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    assert t.app.connection.info()["mss"] == mss
    t.app.send(pattern(1, 3 * mss))
    assert [len(s.payload) for s in t.heard()] == [mss] * 3
    t.finish()


@pytest.mark.requirement("RFC 7323 2.2", "RFC 7323 2.3")
def test_window_shift() -> None:
    t = Trace(check=False).established(win=1000, wscale=20)
    assert t.app.connection.info()["window_shift"] == (14, 7)
    assert t.app.connection.info()["snd_wnd"] == 1000 << 14
    t.finish()
    t = Trace(check=False, window_scale=False).syn_received(wscale=7)
    t.send(0, ".", seq=1, ack=1, win=1000)
    assert t.app.connection.info()["window_shift"] == (0, 0)
    t.finish()


@pytest.mark.requirement("RFC 6191 2", "RFC 9293 MAY-2")
def test_a_new_syn_reopens_time_wait() -> None:
    t = Trace(check=False).time_wait()
    old = t.flow.iss or 0
    t.send(0, "S", seq=100_000, mss=1460)
    answer = t.heard()[-1]
    assert answer.flags == 0x12
    assert 0 < (answer.seq - old - 2) % 2**32 < 1 << 31
    assert t.host.stack.host.time_wait_live == 0
    t.finish()


def test_time_wait_that_nobody_listens_for_is_not_reset() -> None:
    t = Trace(check=False).time_wait()
    t.listener.close()
    t.send(0, "S", seq=100_000, mss=1460)
    t.expect(0, ".", seq=2, ack=2)
    t.finish()


@pytest.mark.parametrize(("later", "reopens"), [(1, True), (0, False), (-1, False)])
def test_timestamps_say_whether_a_syn_is_new(later: int, reopens: bool) -> None:
    t = Trace(check=False).time_wait(ts=True)
    value = t.host.stack.host.time_waits[-1].ts_recent + later
    t.send(0, "S", seq=1, mss=1460, ts=(value, 0))
    assert (t.heard()[-1].flags == 0x12) == reopens
    t.finish()


def test_time_waits_are_bounded_and_the_oldest_goes() -> None:
    t = Trace(check=False, time_wait_max=3)
    for i in range(10):
        t.use(20_000 + i).stack_port = 80
        t.time_wait()
    host = t.host.stack.host
    assert host.time_wait_live == 3
    assert {w.remote_port for w in host.time_waits if w} == {20_007, 20_008, 20_009}
    t.advance(61_000)
    assert host.time_wait_live == 0 and len(host.time_wait_queue) == 0
    t.finish()


def test_reopened_ones_do_not_pile_up() -> None:
    t = Trace(check=False)
    host = t.host.stack.host
    isn = t.flow.isn
    for i in range(300):
        t.flows.clear()
        t.use(20_000, isn + i * 1_000_000).stack_port = 80
        t.time_wait()
    assert host.time_wait_live == 1 and len(host.time_wait_queue) <= 70
    t.advance(61_000)
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-13", "RFC 1337")
def test_time_wait() -> None:
    t = Trace(check=False).time_wait()
    t.send(1000, "R", seq=2)
    t.expect_nothing()
    t.send(0, "F.", seq=1, ack=2)  # the FIN again: answered, and 2 MSL begin anew
    t.expect(0, ".", seq=2, ack=2)
    t.send(0, ".", seq=2, ack=9)
    t.expect(0, ".", seq=2, ack=2)
    t.send(0, "S.", seq=3, ack=2)
    t.expect(0, ".", seq=2, ack=2)
    t.send(0, ".", seq=2, ack=2)
    t.expect_nothing()
    host = t.host.stack.host
    t.advance(59_500)
    assert host.time_wait_live == 1
    t.advance(1000)
    assert host.time_wait_live == 0
    t.finish()


class Waiting(Handler):
    """Closes at once."""

    def on_open(self, connection: object) -> None:
        connection.close()  # type: ignore[attr-defined]


def test_connect_waits_for_an_address_and_is_aborted_before_it_has_one() -> None:
    t = Trace(check=False)
    interface = t.port.interface
    stack = t.host.stack
    connection = stack.connect("10.0.0.77", 80, Waiting)
    t.breathe()
    assert len(interface.unresolved) == 1
    connection.abort()
    t.breathe()
    t.advance(10_000)
    assert interface.unresolved == [] and count(t, "neighbour_unreachable") == 1
    assert THERE
    t.finish()


def test_syn_sent() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "R", seq=0)
    t.send(0, "R.", seq=0, ack=9)
    t.send(0, "", seq=0)
    t.expect_nothing()
    t.send(0, "S.", seq=0, ack=9)
    t.expect(0, "R", seq=9)
    assert t.app.events == []
    t.send(0, "R.", seq=0, ack=1)
    assert t.app.events == ["close"] and isinstance(t.app.error, ConnectionRefusedError)
    t.finish()


def test_a_syn_ack_with_text_and_fin() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "SF.", seq=0, ack=1, mss=1460, data=b"hello")
    t.expect(0, ".", seq=1, ack=7)
    assert t.app.data == b"hello" and t.app.events == ["open", "data", "eof"]
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-23")
def test_connect_gives_up_after_three_minutes() -> None:
    t = Trace(check=False).syn_sent()
    t.advance(179_000)
    assert t.app.events == [] and len(t.heard()) == 7
    t.advance(2000)
    assert isinstance(t.app.error, TimeoutError)
    t.finish()


def test_close_before_it_was_established() -> None:
    t = Trace(check=False).syn_sent()
    t.app.close()
    assert isinstance(t.app.error, ConnectionAbortedError)
    t.finish()
    t = Trace(check=False).syn_received()
    t.host.stack.connections()[0].close()
    t.send(0, ".", seq=1, ack=1)
    t.expect(0, "F.", seq=1, ack=1)
    t.finish()
