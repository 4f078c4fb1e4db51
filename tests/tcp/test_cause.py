"""Why an open fails, as programs know it from Linux; soft errors kept and told (RFC 5461)."""

from __future__ import annotations

import errno
from typing import Any, ClassVar

import pytest

from corten.endpoint.handler import Handler
from corten.sim.script import Trace
from tests.tcp.test_icmp_error import error

SECOND = 1000

HARD = {
    2: errno.ECONNREFUSED,
    3: errno.ECONNREFUSED,
    6: errno.ENETUNREACH,
    7: errno.EHOSTDOWN,
    8: errno.ENONET,
    9: errno.ENETUNREACH,
    10: errno.EHOSTUNREACH,
    13: errno.EHOSTUNREACH,
    14: errno.EHOSTUNREACH,
    15: errno.EHOSTUNREACH,
}
SOFT = {
    (3, 0): errno.ENETUNREACH,
    (3, 1): errno.EHOSTUNREACH,
    (3, 5): errno.EOPNOTSUPP,
    (3, 11): errno.ENETUNREACH,
    (3, 12): errno.EHOSTUNREACH,
    (3, 77): errno.EHOSTUNREACH,
    (11, 0): errno.EHOSTUNREACH,
    (12, 0): errno.EPROTO,
}


@pytest.mark.requirement("SHLD-26")
@pytest.mark.parametrize("code", HARD)
def test_a_hard_error_ends_an_open(code: int) -> None:
    t = Trace(check=False).syn_sent()
    error(t, code=code)
    assert t.app.events == ["close"] and isinstance(t.app.error, OSError)
    assert t.app.error.errno == HARD[code]
    assert isinstance(t.app.error, ConnectionRefusedError) == (code in (2, 3))
    t.finish()


@pytest.mark.requirement("MUST-47", "MUST-56", "SHLD-25")
@pytest.mark.parametrize(("type", "code"), SOFT)
def test_a_soft_error_is_told_and_becomes_the_cause(type: int, code: int) -> None:
    t = Trace(check=False).syn_sent()
    error(t, type, code)
    assert t.app.events == [] and len(t.app.troubles) == 1
    t.advance(179 * SECOND)
    assert t.app.events == []
    t.advance(2 * SECOND)
    assert t.app.events == ["close"] and isinstance(t.app.error, OSError)
    assert t.app.error.errno == SOFT[type, code]
    assert t.app.error is t.app.troubles[0]
    t.heard()
    t.finish()


def test_a_soft_error_does_not_outlive_the_trouble() -> None:
    t = Trace(check=False).syn_sent()
    error(t, code=1)
    t.send(0, "S.", seq=0, ack=1, mss=1460)
    t.expect(0, ".", ack=1)
    t.app.send(b"x")
    t.expect(0, ".", data=1)
    t.advance(130 * SECOND)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-47", "MUST-56")
def test_once_established_it_is_the_cause_only_of_a_timeout() -> None:
    t = Trace(check=False).established()
    t.app.send(b"x")
    t.expect(0, ".", data=1)
    t.advance(1000)
    t.heard()
    error(t, code=1, seq=1)
    assert t.app.events == ["open"] and len(t.app.troubles) == 1
    t.advance(130 * SECOND)
    assert isinstance(t.app.error, OSError) and t.app.error.errno == errno.EHOSTUNREACH
    t.heard()
    t.finish()


@pytest.mark.requirement("SHLD-20")
def test_who_does_not_want_to_know_is_not_told() -> None:
    """A handler without `on_trouble` hears of the end alone."""

    class Deaf(Handler):
        told: ClassVar[list[str]] = []

        def on_open(self, connection: Any) -> None:
            self.told.append("open")

        def on_close(self, connection: Any, error: Exception | None) -> None:
            self.told.append("close")

    t = Trace(check=False)
    t.accept = Deaf  # type: ignore[assignment]
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, ".", seq=1, ack=1)
    (connection,) = t.host.stack.connections()
    connection.send(b"x")
    t.breathe()
    t.expect(0, ".", data=1)
    error(t, code=1, seq=1)
    t.advance(1500)  # beyond R1
    assert Deaf.told == ["open"]
    t.advance(130 * SECOND)
    assert Deaf.told == ["open", "close"]
    t.heard()
    t.apps.clear()
    t.finish()


@pytest.mark.requirement("SHLD-9", "SHLD-10")
def test_at_r1_the_application_is_told() -> None:
    t = Trace(check=False).established()
    t.app.send(b"x")
    t.expect(0, ".", data=1)
    for k in range(3):
        assert len(t.app.troubles) == 0
        t.expect(200 << k, ".", data=1)
    assert len(t.app.troubles) == 1 and isinstance(t.app.troubles[0], TimeoutError)
    t.send(0, ".", seq=1, ack=2)
    assert not t.app.is_closed
    t.finish()


def test_refused_and_timed_out() -> None:
    t = Trace(check=False).syn_sent()
    t.send(0, "R.", seq=0, ack=1)
    assert isinstance(t.app.error, ConnectionRefusedError)
    t.syn_sent(port=81, timeout=2.5)
    t.advance(2400)
    assert not t.app.is_closed
    t.advance(200)
    assert isinstance(t.app.error, TimeoutError)
    t.heard()
    t.finish()


def test_a_neighbour_that_does_not_answer_is_an_unreachable_host() -> None:
    t = Trace(check=False)
    from corten.sim.script import App

    app = App(t)
    app.connection = t.host.connect("10.0.0.77", 80, lambda: app, timeout=3)
    t.breathe()
    t.advance(4000)
    assert isinstance(app.error, OSError) and app.error.errno == errno.EHOSTUNREACH
    t.heard()
    t.advance(200_000)
    t.finish()
