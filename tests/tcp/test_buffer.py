"""Buffers grow with the path, up to a limit each and one for all; a promise is kept."""

from __future__ import annotations

from typing import Any

import pytest

from corten.endpoint.error import CortenError
from corten.sim.bulk import Bottleneck
from corten.sim.link import Weather
from corten.sim.script import Trace, pattern
from corten.tcp.config import Config

LONG_PATH = {"delay_ms": 50, "rate": 200_000_000, "queue_len": 1 << 20}


def seconds(octets: int = 4 << 20, **config: Any) -> tuple[float, Bottleneck]:
    path = Bottleneck(1, config, LONG_PATH)
    return path.finish(path.flow(octets)), path


@pytest.mark.slow
def test_no_window_holds_back_a_long_path() -> None:
    """As fast as with buffers that are large from the beginning; far faster than without growth."""
    grown, path = seconds()
    large, _ = seconds(receive_buffer=6 << 20, send_high_water=4 << 20)
    small, _ = seconds(receive_buffer=256 << 10, send_high_water=512 << 10)
    assert grown <= 1.02 * large
    assert grown < 0.5 * small
    path.run(700_000)
    assert path.network.leaks() == []


@pytest.mark.slow
def test_a_sender_in_recovery_is_asked_before_its_queue_is_dry() -> None:
    """A hole holds SND.UNA back while SACKs let new data go: more than a window is in flight."""
    link = {"delay_ms": 50, "rate": 100_000_000, "queue_len": 1_250_000}
    path = Bottleneck(3, {"congestion": "cubic"}, {**link, "weather": Weather(loss=0.001)})
    flow = path.flow()
    path.run(1300)
    known = flow.connection.info()
    assert known["retransmitted"] > 0
    assert known["sndbuf_limited"] == 0


def fill(t: Trace, octets: int, gap_ms: float = 0.0, size: int = 1000) -> None:
    """The peer sends so much, and acknowledges nothing else."""
    for _ in range(octets // size):
        t.send(gap_ms, "P.", data=size)
        t.heard()


def test_what_comes_within_a_round_trip_doubles_it() -> None:
    t = Trace(check=False).syn_received(wscale=7)
    t.send(100, ".", seq=1, ack=1)  # a round trip of 100 ms
    connection = t.app.connection
    assert connection.info()["receive_buffer"] == 256 << 10
    fill(t, 132_000)
    assert connection.info()["receive_buffer"] == 512 << 10
    assert t.flow.window << 7 >= 512 << 10
    assert len(t.app.data) == 132_000
    t.finish()


def test_what_comes_slowly_does_not() -> None:
    t = Trace(check=False).syn_received(wscale=7)
    t.send(10, ".", seq=1, ack=1)
    fill(t, 400_000, gap_ms=1)
    assert t.app.connection.info()["receive_buffer"] == 256 << 10
    t.finish()


def test_what_is_not_read_does_not() -> None:
    t = Trace(check=False).syn_received(wscale=7)
    t.send(100, ".", seq=1, ack=1)
    t.app.connection.pause()
    fill(t, 250_000)
    assert t.app.connection.info()["receive_buffer"] == 256 << 10
    t.app.connection.resume()
    t.breathe()
    assert t.app.data == pattern(1, 250_000)
    t.heard()
    t.finish()


def test_without_window_scaling_it_stays_what_the_field_can_say() -> None:
    t = Trace(check=False).syn_received()
    t.send(100, ".", seq=1, ack=1)
    fill(t, 300_000)
    assert t.app.connection.info()["receive_buffer"] == 256 << 10
    t.finish()


def test_all_buffers_of_a_stack_share_a_bound() -> None:
    t = Trace(check=False, buffer_memory=300_000)
    for port in (40_000, 40_001, 40_002):
        t.use(port)
        t.syn_received(wscale=7)
        t.send(100, ".", seq=1, ack=1)
        fill(t, 132_000)
    sizes = [int(str(app.connection.info()["receive_buffer"])) for app in t.apps]
    assert sizes == [512 << 10, (256 << 10) + 300_000 - (256 << 10), 256 << 10]
    assert t.host.stack.host.granted == 300_000
    t.finish()


def test_the_largest_shift() -> None:
    t = Trace(check=False, receive_buffer=256 << 10, receive_buffer_max=1 << 29)
    t.send(0, "S", seq=0, win=65535, mss=1460, wscale=14)
    t.expect(0, "S.", wscale=14, win=65535)
    t.finish()


def test_the_send_mark_follows_the_congestion_window() -> None:
    t = Trace(check=False, send_high_water=20_000, send_low_water=5000, send_buffer_max=60_000)
    t.established(win=65_000, wscale=2)
    assert t.app.send(b"x" * 25_000)  # twice a window of ten segments
    assert not t.app.send(b"x" * 5000)
    assert t.app.connection.info()["send_buffer"] == 2 * 14600
    t.heard()
    t.send(10, ".", ack=1 + 5000)
    assert "writable" not in t.app.events
    t.send(10, ".", ack=1 + 14_000)
    assert t.app.events[-1] == "writable"
    while t.app.connection.queued_len():
        t.advance(1)
        t.heard()
        t.send(0, ".")
    t.finish()


def test_fixed_marks() -> None:
    fixed = Config(receive_buffer=10_000, send_high_water=300_000)
    assert (fixed.receive_buffer_max, fixed.send_buffer_max) == (10_000, 300_000)
    again = Config().with_settings({"receive_buffer": 5000})
    assert again.receive_buffer_max == 5000
    with pytest.raises(CortenError, match="receive_buffer_max"):
        Config(receive_buffer=10_000, receive_buffer_max=5000)
    with pytest.raises(CortenError, match="send_buffer_max"):
        Config(send_high_water=10_000, send_low_water=1, send_buffer_max=5000)


def test_nothing_is_queued_once_the_fin_is_acknowledged() -> None:
    """It lies behind the last octet, and the difference wrapped: 4,294,967,295 were queued."""
    t = Trace().established()
    t.app.connection.send(b"bye")
    t.app.close()
    t.expect(0, "FP.", seq=1, data=b"bye")
    assert t.app.connection.queued_len() == 3
    t.send(0, ".", seq=1, ack=5)
    assert t.app.connection.queued_len() == 0
    assert t.app.connection.info()["queued"] == 0
    assert t.app.connection.info()["unsent"] == 0
    t.finish()


def test_who_was_told_to_stop_is_told_when_all_is_acknowledged_with_the_fin() -> None:
    t = Trace(send_high_water=2000, send_low_water=1000, send_buffer_max=2000).established()
    assert not t.app.connection.send(bytes(2500))
    t.app.close()
    t.heard()
    t.send(0, ".", seq=1, ack=2502)
    assert t.app.connection.info()["state"] == "FIN-WAIT-2"
    assert t.app.events[-1] == "writable"
    t.finish()
