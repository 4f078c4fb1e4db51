"""`Connection.info()`: what the numbers say at known moments."""

from __future__ import annotations

from typing import Any

import pytest

from corten.sim.script import Trace

MSS = 1000
KEYS = """state sack timestamps ecn window_shift mss rcv_mss snd_una snd_nxt rcv_nxt in_flight
    pipe queued unsent snd_wnd rcv_wnd ready received_octets segments_in segments_out pacing_rate
    congestion receive_buffer send_buffer soft_error advertised_mss path_mtu recovery retries
    cwnd ssthresh delivered_ce acked_octets delivered delivery_rate lost retransmitted spurious
    reordering_seen reordering_mult delivery_rate_app_limited
    paced_waits sacked srtt rttvar rto min_rtt busy rwnd_limited sndbuf_limited last_sent
    last_received"""


def opened(**options: Any) -> Trace:
    return Trace(timestamps=False, start_ms=5, **options).established(mss=MSS)


def info(t: Trace) -> dict[str, Any]:
    return dict(t.app.connection.info())


def test_its_keys_stay() -> None:
    t = opened()
    assert set(KEYS.split()) <= set(info(t))
    t.finish()


def test_sizes_and_counts() -> None:
    t = opened()
    t.send(0, "P.", seq=1, ack=1, data=700)
    t.expect(40, ".", ack=701)
    t.app.send(bytes(12 * MSS))
    assert len(t.heard()) == 10
    now = info(t)
    assert (now["mss"], now["rcv_mss"], now["advertised_mss"], now["path_mtu"]) == (
        MSS, 700, 1460, 1500,
    )  # fmt: skip
    assert (now["queued"], now["unsent"], now["in_flight"], now["pipe"]) == (
        12 * MSS, 2 * MSS, 10 * MSS, 10 * MSS,
    )  # fmt: skip
    assert now["received_octets"] == 700
    assert now["ready"] == 0
    assert now["segments_in"] == 2  # the handshake's ACK and the text
    assert now["segments_out"] == 11
    t.send(25, ".", ack=1 + 10 * MSS)
    assert len(t.heard()) == 2
    t.send(0, ".", ack=1 + 12 * MSS)
    now = info(t)
    assert now["last_received"] == pytest.approx(0.065)
    assert now["last_sent"] == 0
    assert now["min_rtt"] is not None
    t.finish()


def test_a_super_segment_counts_as_what_it_holds() -> None:
    t = opened(offload=True)
    t.app.send(bytes(8 * MSS))
    assert len(t.heard()) == 8
    assert info(t)["segments_out"] == 8
    with t.breath():
        for i in range(4):
            t.send(0, ".", seq=1 + i * MSS, ack=1 + 8 * MSS, data=MSS)
    assert len(t.heard()) == 1
    assert info(t)["segments_in"] == 5
    assert info(t)["received_octets"] == 4 * MSS
    t.finish()


def test_busy_from_the_first_octet_queued_to_the_last_acknowledged() -> None:
    t = opened()
    assert info(t)["busy"] == 0
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS)
    t.advance(30)
    t.host.wake(t.network.now)
    t.advance(0)
    assert info(t)["busy"] == pytest.approx(0.03)
    t.send(20, ".", ack=1 + MSS)
    t.advance(500)
    assert info(t)["busy"] == pytest.approx(0.05)
    assert info(t)["rwnd_limited"] == info(t)["sndbuf_limited"] == 0
    t.finish()


def test_limited_by_the_peer_while_its_window_keeps_data_back() -> None:
    t = opened()
    t.send(0, ".", ack=1, win=2 * MSS)
    t.app.send(bytes(5 * MSS))
    assert len(t.heard()) == 2
    t.send(40, ".", ack=1 + 2 * MSS, win=60000)
    assert len(t.heard()) == 3
    t.send(40, ".", ack=1 + 5 * MSS)
    t.advance(100)
    now = info(t)
    assert now["busy"] == pytest.approx(0.08)
    assert now["rwnd_limited"] == pytest.approx(0.04)
    assert now["sndbuf_limited"] == 0
    t.finish()


def test_limited_by_the_send_queue_while_the_application_must_wait() -> None:
    t = opened(send_high_water=3 * MSS, send_low_water=0, nagle=False)
    assert t.app.send(bytes(4 * MSS)) is False
    assert len(t.heard()) == 4
    t.send(60, ".", ack=1 + 4 * MSS)
    now = info(t)
    assert now["sndbuf_limited"] == pytest.approx(0.06)
    assert now["rwnd_limited"] == 0
    t.finish()


def test_marks_and_waits_are_counted() -> None:
    t = Trace(congestion="reno", pacing=True, timestamps=False, start_ms=5)
    t.send(0, "SEW", seq=0, mss=MSS)
    t.expect(0, "S.E", seq=0, ack=1)
    t.send(100, ".", seq=1, ack=1)
    t.app.send(bytes(10 * MSS))
    for _ in range(10):
        t._next(None)
    assert info(t)["paced_waits"] > 0
    t.send(100, ".E", ack=1 + MSS)
    t.send(0, ".E", ack=1 + 2 * MSS)
    t.heard()
    assert info(t)["delivered_ce"] == 2
    t.finish()
