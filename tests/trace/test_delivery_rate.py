"""The delivery rate (draft-cheng-iccrg-delivery-rate-estimation), by traces with known times."""

from __future__ import annotations

from typing import Any

import pytest

import corten
from corten.sim.script import Trace

MSS = 1000


class Watching(corten.Congestion):
    """A wide window; it writes down the rates it is told."""

    told: list[tuple[float, bool]]

    def __init__(self, mss: int, initial_window: int) -> None:
        super().__init__(mss, 40 * mss)
        self.told = []
        MADE.append(self)

    wants_all = True

    def on_ack(self, ack: Any) -> None:
        self.told.append((ack.delivery_rate, ack.app_limited))


MADE: list[Watching] = []


def opened(**options: Any) -> Trace:
    MADE.clear()
    t = Trace(congestion=Watching, timestamps=False, start_ms=5, **options)
    t.send(0, "S", seq=0, mss=MSS, sack_ok=True)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(50, ".", seq=1, ack=1)
    t.expect_nothing()
    return t


def rate(t: Trace) -> tuple[int, bool]:
    info = t.app.connection.info()
    return info["delivery_rate"], info["delivery_rate_app_limited"]


def test_it_is_unknown_at_first() -> None:
    t = opened()
    assert rate(t) == (0, False)
    t.finish()


def test_a_flight_acknowledged_over_a_round_trip() -> None:
    """Ten segments leave at once; they are acknowledged between 50 and 59 ms: 10 kB in 59 ms."""
    t = opened()
    t.app.send(bytes(10 * MSS))
    assert len(t.heard()) == 10
    t.send(50, ".", ack=1 + MSS)
    for i in range(2, 11):
        t.send(1, ".", ack=1 + i * MSS)
    t.heard()
    assert rate(t)[0] == pytest.approx(10 * MSS / 0.059, rel=0.02)
    t.finish()


def test_acknowledgements_in_a_burst_do_not_make_it_faster_than_sending_was() -> None:
    """Sent a segment each 10 ms, acknowledged together: the time it took to send counts."""
    t = opened()
    for i in range(10):
        t.app.send(bytes(MSS))
        t.expect(0, "P.", seq=1 + i * MSS, data=MSS)
        t.advance(10)
    t.send(5, ".", ack=1 + 9 * MSS)
    assert rate(t)[0] <= 10 * MSS / 0.09
    t.send(0, ".", ack=1 + 10 * MSS)
    assert rate(t)[0] <= 10 * MSS / 0.09
    t.finish()


def test_what_was_sent_while_the_application_had_too_little_is_told_apart() -> None:
    t = opened()
    t.app.send(bytes(10 * MSS))
    t.heard()
    t.send(50, ".", ack=1 + 10 * MSS)  # from here on a sample is possible
    before = rate(t)
    assert before[0] > 0
    for _ in range(3):
        t.app.send(bytes(2 * MSS))
        t.heard()
        t.send(50, ".")
    assert MADE[0].told[-1][1] is True
    assert MADE[0].told[-1][0] == pytest.approx(2 * MSS / 0.05, rel=0.1)
    assert rate(t) == before  # a smaller one that the application limited does not count
    t.finish()


def test_sacked_octets_are_delivered() -> None:
    t = opened()
    t.app.send(bytes(10 * MSS))
    t.heard()
    t.send(50, ".", ack=1, sack=[(1 + MSS, 1 + 10 * MSS)])
    info = t.app.connection.info()
    assert (info["delivered"], info["acked_octets"], info["sacked"]) == (9 * MSS, 0, 9 * MSS)
    assert info["delivery_rate"] == pytest.approx(9 * MSS / 0.05, rel=0.02)
    t.heard()
    t.send(50, ".", ack=1 + 10 * MSS)
    info = t.app.connection.info()
    assert (info["delivered"], info["acked_octets"], info["sacked"]) == (10 * MSS, 10 * MSS, 0)
    assert info["delivery_rate"] < 2 * 10 * MSS / 0.05
    t.heard()
    t.finish()
