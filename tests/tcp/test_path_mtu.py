"""Paths that swallow what is too large and do not say so (RFC 4821, RFC 8899), and the way back."""

from __future__ import annotations

from typing import Any

import pytest

from corten.sim.script import Trace
from tests.tcp.test_icmp_error import error
from tests.tcp.test_segment_arrives import count

SECOND = 1000


class Hole:
    """The peer's side of a path that drops packets above a size, and acknowledges the rest."""

    def __init__(self, t: Trace, mtu: int) -> None:
        self.t = t
        self.mtu = mtu
        self.got = 1
        self.early: dict[int, int] = {}
        self.sizes: list[int] = []

    def turn(self, ms: float = 10) -> None:
        """Let so much time pass and answer what came through."""
        self.t.advance(ms)
        fresh = False
        for segment in self.t.heard():
            size = len(segment.payload)
            self.sizes.append(size)
            if size and size + 40 <= self.mtu:
                start = (segment.seq - (self.t.flow.iss or 0)) & 0xFFFFFFFF
                self.early[start] = max(self.early.get(start, 0), size)
                fresh = True
        while found := [s for s, n in self.early.items() if s <= self.got < s + n]:
            self.got = max(s + self.early.pop(s) for s in found)
        if fresh:
            self.t.send(0, ".", seq=1, ack=self.got)

    def run(self, octets: int, **times: Any) -> None:
        """Until so much has arrived."""
        for _ in range(3000):
            if self.got > octets:
                return
            self.turn(**times)
        raise AssertionError(f"only {self.got} arrived: {self.sizes[-20:]}")


@pytest.mark.requirement("RFC 4821 7.7", "RFC 8899 5.1.2", "RFC 8899 4.3")
def test_a_black_hole_is_survived() -> None:
    t = Trace(check=False, timestamps=False).established()
    hole = Hole(t, 1300)
    t.app.send(bytes(30_000))
    hole.run(30_000)
    assert hole.sizes[0] == 1460
    assert count(t, "path_mtu_lowered") == 1
    assert t.now_ms < 10 * SECOND
    t.finish()


def test_a_narrower_one() -> None:
    t = Trace(check=False, timestamps=False).established()
    hole = Hole(t, 600)
    t.app.send(bytes(10_000))
    hole.run(10_000)
    assert t.app.connection.info()["mss"] == 536
    assert count(t, "path_mtu_lowered") == 2
    t.finish()


@pytest.mark.requirement("RFC 4821 7.3", "RFC 8899 5.1.1")
def test_the_size_is_searched_for() -> None:
    t = Trace(check=False, timestamps=False).established()
    hole = Hole(t, 1400)
    for _ in range(30):
        t.app.send(bytes(10_000))
        hole.run(hole.got + 9_999)
        hole.turn(2 * SECOND)
    assert 1360 - 16 <= int(str(t.app.connection.info()["mss"])) <= 1360
    probes = count(t, "path_mtu_probes")
    assert 3 <= probes <= 8
    hole.sizes.clear()
    for _ in range(10):
        t.app.send(bytes(10_000))
        hole.run(hole.got + 9_999)
        hole.turn(30 * SECOND)
    assert count(t, "path_mtu_probes") == probes and max(hole.sizes) <= 1360
    t.finish()


@pytest.mark.requirement("RFC 8899 5.1.1")
def test_after_an_outage_the_size_comes_back() -> None:
    t = Trace(check=False, timestamps=False).established()
    hole = Hole(t, 0)
    t.app.send(bytes(5000))
    for _ in range(200):
        hole.turn()
    assert t.app.connection.info()["mss"] == 1240
    hole.mtu = 1500
    hole.run(5000)
    t.advance(SECOND)
    for _ in range(3):
        t.app.send(bytes(10_000))
        hole.run(hole.got + 9_999)
    assert t.app.connection.info()["mss"] == 1460
    t.finish()


def test_nothing_is_tried_after_the_fin() -> None:
    """The simulator's seed 3119: SND.NXT is past the end of the queue then, and the search sent
    octets that nobody had queued."""
    t = Trace(check=False, timestamps=False).established()
    hole = Hole(t, 1300)
    t.app.send(bytes(30_000))
    hole.run(30_000)
    t.app.shutdown()
    t.expect(None, "F.", seq=30_001)
    t.send(0, ".", seq=1, ack=30_002)
    for _ in range(8):
        t.advance(100 * SECOND)
        t.send(0, ".", seq=0, ack=30_002)  # a keep-alive probe
        t.expect(0, ".", seq=30_002, ack=1, data=0)
    t.finish()


def test_a_small_segment_that_is_lost_says_nothing_of_sizes() -> None:
    t = Trace(check=False).established()
    t.app.send(bytes(500))
    t.advance(5 * SECOND)
    assert all(len(segment.payload) == 500 for segment in t.heard())
    assert count(t, "path_mtu_lowered") == 0
    t.finish()


def test_it_can_be_off() -> None:
    t = Trace(check=False, timestamps=False, mtu_probing=False).established()
    t.app.send(bytes(5000))
    t.advance(20 * SECOND)
    assert len(t.heard()[-1].payload) == 1460
    t.finish()


@pytest.mark.requirement("RFC 1191 6.3", "RFC 8201 4")
def test_what_a_router_said_is_tried_again_after_ten_minutes() -> None:
    t = Trace(check=False, timestamps=False).established()
    t.app.send(bytes(1460))
    t.expect(0, ".", data=1460)
    error(t, code=4, seq=1, mtu=1400)
    hole = Hole(t, 1400)
    hole.run(1460)
    t.advance(590 * SECOND)
    t.app.send(bytes(10_000))
    hole.run(hole.got + 9_999)
    assert max(hole.sizes) == 1360
    t.advance(11 * SECOND)
    hole.mtu = 1500
    t.app.send(bytes(10_000))
    hole.run(hole.got + 9_999)
    t.app.send(bytes(10_000))
    hole.run(hole.got + 9_999)
    assert max(hole.sizes) == 1460 and t.app.connection.info()["mss"] == 1460
    t.finish()
