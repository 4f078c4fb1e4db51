"""Gauge: what a transfer looked like."""

from __future__ import annotations

from corten.sim.bulk import Bottleneck
from corten.sim.gauge import Gauge


def looked_at(octets: int = 0, until_ms: float = 3000, every_ms: float = 10.0) -> Gauge:
    path = Bottleneck(1, {}, {"delay_ms": 10, "rate": 10_000_000, "queue_len": 50_000})
    flow = path.flow(octets)
    path.network.run_until(lambda: flow.connection is not None)
    gauge = Gauge(path.network, flow.connection.info, path.wire, every_ms)
    gauge.start()
    path.run(until_ms)
    return gauge


def test_it_sees_the_window_the_queue_and_the_loss() -> None:
    looks = looked_at().looks
    assert len(looks) > 250
    assert max(look.queue for look in looks) > 45_000
    assert 0.02 <= min(look.rtt for look in looks) < max(look.rtt for look in looks) < 0.1
    assert looks[-1].lost > looks[0].lost
    assert max(look.cwnd for look in looks) > 50_000


def test_the_goodput_is_what_the_path_carries() -> None:
    rates = looked_at().goodput()
    assert all(9.3e6 < rate < 9.8e6 for at, rate in rates if at > 1.5)
    assert all(rate < 1.05e7 for _, rate in rates)


def test_it_stops_with_the_connection_and_when_told() -> None:
    looks = looked_at(octets=500_000, until_ms=5000).looks
    assert 0.4 < looks[-1].time < 1.5
    path = Bottleneck(1, {}, {"delay_ms": 10})
    flow = path.flow()
    path.network.run_until(lambda: flow.connection is not None)
    gauge = Gauge(path.network, lambda: None, path.wire)
    gauge.start()
    path.run(100)
    assert not gauge.looks
