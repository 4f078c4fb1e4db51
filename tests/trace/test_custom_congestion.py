"""A user's congestion control in Python: it rules its connection, and harms no other."""

from __future__ import annotations

from typing import Any

import pytest

import corten
from corten.sim.script import Trace
from corten.tcp.reno import Reno

MSS = 1000


class Fixed(corten.Congestion):
    """Two segments, whatever happens; it writes down what it is told."""

    told: list[tuple[Any, ...]]

    def __init__(self, mss: int, initial_window: int) -> None:
        super().__init__(mss, initial_window)
        self.window = 2 * mss
        self.told = []
        MADE.append(self)

    def on_ack(self, ack: Any) -> None:
        self.told.append(("ack", ack.acked, ack.in_flight, ack.rtt, ack.srtt, ack.min_rtt))

    def on_loss(self, in_flight: int, now: int) -> None:
        self.told.append(("loss", in_flight))

    def on_timeout(self, in_flight: int, first: bool, now: int) -> None:
        self.told.append(("timeout", in_flight, first))

    def on_idle(self, initial_window: int) -> None:
        self.told.append(("idle", initial_window))


MADE: list[Fixed] = []


def opened(kind: object, **options: object) -> Trace:
    MADE.clear()
    return Trace(congestion=kind, timestamps=False, start_ms=5, **options).established(mss=MSS)


def test_its_window_is_what_leaves() -> None:
    t = opened(Fixed)
    t.app.send(bytes(5 * MSS))
    t.expect(0, ".", seq=1, data=MSS)
    t.expect(0, ".", seq=1 + MSS, data=MSS)
    t.expect_nothing(10)
    t.send(0, ".", ack=1 + MSS)
    t.expect(0, ".", seq=1 + 2 * MSS, data=MSS)
    t.expect_nothing(0)
    assert MADE[0].told[0][:3] == ("ack", MSS, MSS)
    assert 10_000_000 <= MADE[0].told[0][3] < 11_000_000
    t.send(0, ".", ack=1 + 3 * MSS)
    t.expect(0, ".", seq=1 + 3 * MSS, data=MSS)
    t.expect(0, "P.", seq=1 + 4 * MSS, data=MSS)
    assert t.app.connection.info()["congestion"] == "Fixed"
    t.send(0, ".", ack=1 + 5 * MSS)
    t.finish()


def test_it_hears_of_time_outs_and_idleness() -> None:
    t = opened(Fixed)
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS)
    t.expect(200, "P.", seq=1, data=MSS)
    t.expect(400, "P.", seq=1, data=MSS)
    t.send(0, ".", ack=1 + MSS)
    t.expect_nothing(5000)
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1 + MSS, data=MSS)
    assert MADE[0].told == [
        ("timeout", MSS, True),
        ("timeout", MSS, False),
        ("ack", MSS, 0, 0, 1, 1),
        ("idle", 10 * MSS),
    ]
    t.send(0, ".", ack=1 + 2 * MSS)
    t.finish()


class Raises(corten.Congestion):
    """It cannot count."""

    def on_ack(self, ack: Any) -> None:
        self.window //= 0


class Unborn(corten.Congestion):
    """It cannot even begin."""

    def __init__(self, mss: int, initial_window: int) -> None:
        raise RuntimeError("no numbers today")


def test_one_that_raises_resets_its_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    t = opened(Raises)
    t.network.checker.allow_reset("stack")
    t.app.send(bytes(12 * MSS))
    for i in range(10):
        t.expect(0, ".", seq=1 + i * MSS, data=MSS)
    t.send(10, ".", ack=1 + MSS)
    t.expect(0, "R.")
    t.expect_nothing(10)
    assert t.app.events[-1] == "close"
    assert "ZeroDivisionError" in str(t.app.error)
    assert "congestion control of" in caplog.text
    t.use(40_001)
    t.established(mss=MSS)  # the next one is served
    t.finish()


def test_one_that_cannot_be_made_resets_its_connection() -> None:
    t = Trace(congestion=Unborn)
    t.network.checker.allow_reset("stack")
    t.send(0, "S", seq=0, mss=MSS)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    t.expect(0, "R.")
    t.expect_nothing(10)
    t.finish()


class Wild(corten.Congestion):
    """Numbers that no connection can live with."""

    def on_ack(self, ack: Any) -> None:
        self.window = -5 if self.window > 0 else 1 << 80
        self.ssthresh = -1


def test_impossible_numbers_are_bounded() -> None:
    t = opened(Wild)
    t.app.send(bytes(40 * MSS))
    assert len(t.heard()) == 10
    t.send(10, ".", ack=1 + 9 * MSS)
    t.expect_nothing(0)  # a window of one segment, and that is in flight
    t.send(10, ".", ack=1 + 10 * MSS)
    assert len(t.heard()) == 30  # then all there is
    assert t.app.connection.info()["cwnd"] == 0x3FFF_FFFF
    t.finish()


def test_a_control_of_the_stacks_own_kind_is_taken_as_it_is() -> None:
    t = opened(Reno)
    assert t.app.connection.info()["congestion"] == "Reno"
    t.app.send(bytes(MSS))
    t.expect(0, "P.", seq=1, data=MSS)
    t.send(10, ".", ack=1 + MSS)
    t.finish()
