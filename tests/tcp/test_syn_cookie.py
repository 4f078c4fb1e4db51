"""SYN cookies (RFC 4987): no state before the handshake is complete, and nothing lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from corten.core.frame import CHECKSUM_GOOD
from corten.endpoint.error import CortenError
from corten.sim.packet import Options, Segment, encode
from corten.sim.script import HERE, HERE_MAC, THERE_MAC, Trace, pattern
from corten.tcp.config import Config
from tests.plain import IS_PLAIN
from tests.tcp.test_segment_arrives import count

SECOND = 1000
TICK = 68_720  # milliseconds, nearly


def cookies(**config: Any) -> Trace:
    return Trace(check=False, **{"syn_cookies": "always", "start_ms": 10**6, **config})


@pytest.mark.requirement("RFC 4987 3.6")
def test_a_syn_leaves_nothing_and_its_answer_is_not_repeated() -> None:
    t = cookies()
    t.send(0, "S", seq=0, mss=1460, sack_ok=True, wscale=7, ts=True)
    t.expect(0, "S.", seq=0, ack=1, wscale=7, sack_ok=True, mss=1460)
    host = t.host.stack.host
    assert host.live == 0 and not host.half_open and t.apps == []
    t.expect_nothing(200 * SECOND)
    assert count(t, "syn_cookies_out") == 1
    t.finish()


@pytest.mark.requirement("RFC 4987 3.6")
@pytest.mark.parametrize("flags", [".", "P.", "F."])
def test_the_final_acknowledgement_opens(flags: str) -> None:
    t = cookies().syn_received()
    t.send(5, flags, seq=1, ack=1, data=b"" if flags == "." else b"hello")
    assert t.app.events[0] == "open"
    assert t.app.data == (b"" if flags == "." else b"hello")
    assert t.app.events[-1] == ("eof" if flags == "F." else "data" if flags == "P." else "open")
    assert count(t, "syn_cookies_in") == 1
    t.heard()
    t.advance(100)
    t.heard()
    t.finish()


@pytest.mark.parametrize("flags", ["S.", "R.", "R"])
def test_other_segments_do_not(flags: str) -> None:
    t = cookies().syn_received()
    t.send(5, flags, seq=1, ack=1)
    assert t.apps == []
    assert len(t.heard()) == (flags == "S.")
    t.finish()


@pytest.mark.parametrize(("seq", "ack"), [(1, 0), (1, 2), (2, 1), (1, 1 << 24), (1, 1 << 27)])
def test_a_wrong_cookie_is_refused(seq: int, ack: int) -> None:
    t = cookies().syn_received()
    t.send(5, ".", seq=seq, ack=ack)
    t.expect(0, "R", seq=ack)
    assert t.apps == []
    t.finish()


def test_a_cookie_is_another_peers_no_more_than_another_ports() -> None:
    t = cookies().syn_received()
    iss = t.flow.iss
    t.use(41_000)
    t.flow.iss = iss
    t.send(0, ".", seq=1, ack=1)
    t.expect(0, "R")
    t.finish()


@pytest.mark.parametrize(("wait", "good"), [(TICK - 1500, True), (2 * TICK + 1500, False)])
def test_it_is_good_for_two_ticks(wait: int, good: bool) -> None:
    t = cookies(start_ms=68_720 * 20 + 500).syn_received()
    t.send(wait, ".", seq=1, ack=1)
    assert bool(t.apps) == good
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 4987 3.6", "RFC 7323 2.2")
@pytest.mark.parametrize("shift", [None, 0, 7, 14])
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("at", [0, 17, 63])
def test_timestamps_carry_what_was_agreed(shift: int | None, sack: bool, at: int) -> None:
    t = cookies()
    t.send(at, "S", seq=0, mss=1400, wscale=shift, sack_ok=sack, ts=True)
    answer = t.expect(0, "S.", sack_ok=sack, wscale=None if shift is None else 7)
    t.send(30, ".", seq=1, ack=1, win=100)
    info = t.app.connection.info()
    assert info["sack"] == sack and info["timestamps"]
    assert info["window_shift"] == (shift or 0, 0 if shift is None else 7)
    assert info["snd_wnd"] == 100 << (shift or 0)
    assert info["mss"] == 1400 - 12
    t.app.send(b"x")
    later = t.heard()[-1]
    assert answer.options.timestamps and later.options.timestamps
    assert 30 <= later.options.timestamps[0] - answer.options.timestamps[0] < 30 + 64
    t.send(0, ".", seq=1, ack=2)
    t.finish()


@pytest.mark.parametrize("offered", [None, 40, 100, 536, 1000, 1459, 1460, 9000])
def test_without_them_only_the_mss_is_kept(offered: int | None) -> None:
    t = cookies()
    t.send(0, "S", seq=0, mss=offered, sack_ok=True, wscale=5)
    t.expect(0, "S.", sack_ok=False, wscale=None, ts=None)
    t.send(0, ".", seq=1, ack=1)
    info = t.app.connection.info()
    assert not info["sack"] and info["window_shift"] == (0, 0)
    mss = {None: 536, 40: 64, 100: 64, 536: 536, 1000: 536, 1459: 1440, 1460: 1460, 9000: 1460}
    assert info["mss"] == mss[offered]
    t.finish()


@pytest.mark.requirement("RFC 3168 6.1.1")
@pytest.mark.parametrize("asked", [False, True])
def test_ecn_is_kept(asked: bool) -> None:
    t = cookies()
    t.send(0, "SEW" if asked else "S", seq=0, mss=1460, ts=True)
    t.expect(0, "S.E" if asked else "S.", seq=0)
    t.send(0, ".", seq=1, ack=1)
    assert bool(t.app.connection.ecn) == asked
    t.finish()


def syn(port: int, address: str = "10.0.0.9", seq: int = 7) -> bytes:
    segment = Segment(
        address, HERE, port, 80, seq, 0, 2, 1000, Options(1460), b"", HERE_MAC, THERE_MAC
    )
    return encode(segment)


def test_pressure_engages_them_and_the_queue_stays() -> None:
    t = Trace(check=False, syn_queue_max=10, start_ms=10**6)
    for k in range(10):
        t.use(41_000 + k).next = 0
        t.syn_received()
    host = t.host.stack.host
    assert len(host.half_open) == 10 and count(t, "syn_cookies_out") == 0
    t.use(42_000)
    t.syn_received()
    assert len(host.half_open) == 10 and count(t, "syn_cookies_out") == 1
    t.send(0, "P.", seq=1, ack=1, data=100)
    assert t.app.data == pattern(1, 100)
    assert count(t, "tcp_listen_overflow") == 0
    t.use(41_003)
    t.send(0, ".", seq=1, ack=1)  # those in the queue are served as ever
    assert len(t.apps) == 2
    t.advance(100)
    t.heard()
    t.network.checker.is_on = False
    t.finish()


def test_off_lets_the_oldest_give_way() -> None:
    t = Trace(check=False, syn_queue_max=1, syn_cookies="off").syn_received()
    t.use(41_000)
    t.syn_received()
    assert count(t, "syn_cookies_out") == 0 and count(t, "tcp_listen_overflow") == 1
    t.finish()


def test_an_acknowledgement_beyond_the_connection_limit_is_ignored() -> None:
    t = cookies(connections_max=1).established()
    t.use(41_000)
    t.syn_received()
    t.send(0, "P.", seq=1, ack=1, data=b"now")
    t.expect_nothing()
    t.use(40_000)
    t.send(0, "R", seq=1)
    t.use(41_000)
    t.send(0, "P.", seq=1, ack=1, data=b"now")
    assert t.app.data == b"now"
    t.advance(100)
    t.heard()
    t.finish()


@pytest.mark.slow
@pytest.mark.requirement("RFC 4987 3.6")
def test_a_flood_costs_nothing_that_stays() -> None:
    flood = 3000 if IS_PLAIN else 100_000
    t = Trace(check=False, syn_queue_max=64, start_ms=10**6)
    stack, port = t.host.stack, t.port
    stack.add_neighbour(port.interface, "10.0.0.9", THERE_MAC)
    stack.add_neighbour(port.interface, "10.0.0.10", THERE_MAC)
    answers = 0
    for first in range(0, flood, 100):
        for k in range(first, first + 100):
            address = f"10.0.0.{9 + k // 60_000}"
            assert port.batch.append(syn(1024 + k % 60_000, address), CHECKSUM_GOOD)
        stack.receive(t.network.now, port.interface, port.batch)
        stack.deliver(t.network.now)
        stack.release(t.network.now)
        port.batch.clear()
        stack.transmit(t.network.now)
        answers += port.interface.outgoing.count
        port.interface.outgoing.clear()
    assert answers == flood
    assert stack.host.live == 64 and len(stack.host.half_open) == 64
    assert count(t, "syn_cookies_out") == flood - 64
    t.syn_received(ts=True)
    t.send(0, "P.", seq=1, ack=1, data=b"let me in")
    assert t.app.data == b"let me in"
    t.advance(400 * SECOND)
    t.heard()
    t.finish()


def test_settings() -> None:
    for settings in ({"syn_cookies": "sometimes"}, {"syn_cookies": 1}, {"mss": 10}):
        with pytest.raises(CortenError, match=next(iter(settings))):
            Config(**settings)  # type: ignore[arg-type]


@pytest.mark.requirement("MUST-14", "MUST-16")
def test_an_mss_of_our_own() -> None:
    t = Trace(check=False, mss=1000)
    t.send(0, "S", seq=0, mss=1460, ts=True)
    t.expect(0, "S.", mss=1000)
    t.send(0, ".", seq=1, ack=1)
    t.app.send(bytes(5000))
    t.expect(0, ".", data=988)
    t.heard()
    t.finish()
