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
