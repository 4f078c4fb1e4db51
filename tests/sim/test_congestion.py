"""Congestion control on simulated paths: marks, fairness, the end of slow start."""

from __future__ import annotations

from typing import Any

import pytest

from corten.sim.bulk import Bottleneck

RATE = 10_000_000
OCTETS = 1_000_000


def bottleneck(rtt_ms: float, queue_len: int, **config: Any) -> Bottleneck:
    link = {"delay_ms": rtt_ms / 2, "rate": RATE, "queue_len": queue_len}
    return Bottleneck(1, config, link)


@pytest.mark.requirement("RFC 3168 6.1")
@pytest.mark.parametrize("control", ["reno", "cubic"])
def test_a_router_that_marks_loses_nothing(control: str) -> None:
    path = bottleneck(40, 300_000, congestion=control, ecn="on")
    path.wire.mark_len = 30_000
    flow = path.flow(OCTETS)
    seconds = path.finish(flow)
    assert path.wire.marked > 0
    assert path.wire.lost == 0
    assert OCTETS * 8 / seconds > 0.75 * RATE


@pytest.mark.requirement("RFC 3168 6.1")
def test_the_same_router_loses_what_is_not_capable() -> None:
    path = bottleneck(40, 45_000, congestion="reno", ecn="passive")
    path.wire.mark_len = 30_000
    path.finish(path.flow(OCTETS))
    assert path.wire.marked == 0
    assert path.wire.lost > 0


def jain(got: list[int]) -> float:
    """Jain's index of fairness: 1 when all have the same, 1 / n when one has all."""
    return sum(got) ** 2 / (len(got) * sum(octets * octets for octets in got))


def shares(count: int, seconds: int, **config: Any) -> list[int]:
    """What each of `count` flows over one bottleneck of 40 ms got in the second half."""
    path = bottleneck(40, 60_000, **config)
    flows = [path.flow(after_ms=37.0 * i) for i in range(count)]
    path.run(1000 * seconds)
    start = path.network.start + seconds * 10**9 // 2
    return [flow.between(start, path.network.start + seconds * 10**9) for flow in flows]


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("control", ["reno", "cubic"])
@pytest.mark.parametrize(("count", "fair"), [(2, 0.85), (8, 0.85)])
def test_flows_share_a_bottleneck(control: str, count: int, fair: float) -> None:
    got = shares(count, 12, congestion=control)
    assert jain(got) > fair
    assert sum(got) * 8 / 6 > 0.9 * RATE


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.parametrize("control", ["reno", "cubic"])
def test_many_flows_share_a_bottleneck(control: str) -> None:
    got = shares(32, 20, congestion=control)
    assert jain(got) > 0.75
    assert sum(got) * 8 / 10 > 0.9 * RATE


@pytest.mark.parametrize("control", ["reno", "cubic"])
def test_a_paced_flow_needs_no_queue_for_its_window(control: str) -> None:
    """The first 200 ms of a flow: twice the window a round trip of 40 ms is under the link's rate
    until the window is half of what the path holds, but a burst waits whatever the rate."""
    most = {}
    for pacing in (False, True):
        path = bottleneck(40, 100_000, congestion=control, pacing=pacing)
        waits = []
        send = path.wire.send

        def watched(now: int, port: Any, frame: bytes, path: Any = path, waits: Any = waits,
                    send: Any = send) -> None:  # fmt: skip
            send(now, port, frame)
            waits.append(path.wire._waiting(now, port))

        path.wire.send = watched  # type: ignore[method-assign]
        path.flow()
        path.run(100)
        most[pacing] = max(waits)
    assert most[True] < most[False] / 2


@pytest.mark.slow
@pytest.mark.sim
@pytest.mark.requirement("RFC 9406 4.2", "RFC 9438 4.10")
@pytest.mark.parametrize("pacing", [False, True])
def test_slow_start_ends_before_the_queue_is_full(pacing: bool) -> None:
    """A long path with a deep queue: Reno's slow start overruns it, CUBIC's ends in time."""
    lost = {}
    for control in ("reno", "cubic"):
        path = bottleneck(
            100, 1_600_000, congestion=control, pacing=pacing, send_buffer_max=8 << 20,
            send_high_water=8 << 20, receive_buffer=6 << 20,
        )  # fmt: skip
        flow = path.flow()
        path.run(4500)
        lost[control] = path.wire.lost
        assert flow.received * 8 > 2.5 * RATE
        ended = flow.connection.info()["ssthresh"] < 1 << 24
    assert ended  # of CUBIC
    assert lost["reno"] > 100
    assert lost["cubic"] == 0
