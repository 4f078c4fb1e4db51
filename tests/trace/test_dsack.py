"""Duplicates are told of: the examples of RFC 2883, octet 0 of the text being sequence number 1."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

SEGMENT = 500


def receiving(upto: int, **options: object) -> Trace:
    """An end that has received and acknowledged everything before `upto`."""
    t = Trace(timestamps=False, **options).established(sack_ok=True)
    for at in range(0, upto, SEGMENT):
        t.send(0, ".", seq=1 + at, data=SEGMENT)
    t.advance(100)
    t.heard()
    return t


def came(t: Trace, start: int, end: int) -> None:
    """The peer sends octets start..end of the text."""
    t.send(1, ".", seq=1 + start, data=end - start)


def told(t: Trace, ack: int, *blocks: tuple[int, int]) -> None:
    """The stack acknowledges `ack` with these blocks, in the numbers of the text."""
    sack = [(1 + start, 1 + end) for start, end in blocks]
    t.expect(0, ".", ack=1 + ack, sack=sack)


@pytest.mark.requirement("RFC 2883 4.1.1")
def test_a_duplicate_segment() -> None:
    t = receiving(4000)
    came(t, 3000, 3500)
    told(t, 4000, (3000, 3500))
    t.expect_nothing(500)
    t.finish()


@pytest.mark.requirement("RFC 2883 4.1.2")
def test_a_duplicate_beside_a_hole() -> None:
    t = receiving(4000)
    came(t, 4500, 5000)
    told(t, 4000, (4500, 5000))
    came(t, 3000, 3500)
    told(t, 4000, (3000, 3500), (4500, 5000))
    t.finish()


@pytest.mark.requirement("RFC 2883 4.1.3")
def test_a_duplicate_of_an_out_of_order_segment() -> None:
    t = receiving(4000)
    came(t, 4500, 5000)
    told(t, 4000, (4500, 5000))
    came(t, 5000, 5500)
    told(t, 4000, (4500, 5500))
    came(t, 5000, 5500)
    told(t, 4000, (5000, 5500), (4500, 5500))
    t.finish()


@pytest.mark.requirement("RFC 2883 4.2.1")
def test_a_part_that_was_there() -> None:
    t = receiving(1000)
    came(t, 2000, 2500)
    told(t, 1000, (2000, 2500))
    came(t, 1000, 1500)
    told(t, 1500, (2000, 2500))
    came(t, 1000, 2000)
    told(t, 2500, (1000, 1500))
    t.finish()


@pytest.mark.requirement("RFC 2883 4.2.2")
def test_two_parts_that_were_there_below() -> None:
    t = receiving(1000)
    came(t, 3000, 3500)
    told(t, 1000, (3000, 3500))
    came(t, 1000, 1500)
    told(t, 1500, (3000, 3500))
    came(t, 2000, 2500)
    told(t, 1500, (2000, 2500), (3000, 3500))
    came(t, 1000, 2500)
    told(t, 2500, (1000, 1500), (3000, 3500))
    t.finish()


@pytest.mark.requirement("RFC 2883 4.2.3")
def test_two_parts_that_were_there_above() -> None:
    t = receiving(1000)
    came(t, 3500, 4000)
    told(t, 1000, (3500, 4000))
    came(t, 1500, 2000)
    told(t, 1000, (1500, 2000), (3500, 4000))
    came(t, 2500, 3000)
    told(t, 1000, (2500, 3000), (1500, 2000), (3500, 4000))
    came(t, 1500, 3000)
    told(t, 1000, (1500, 2000), (1500, 3000), (3500, 4000))
    t.finish()


@pytest.mark.requirement("RFC 2883 4")
def test_each_duplicate_is_told_of_once() -> None:
    """(2): two duplicates in one breath are two acknowledgements; later ones are silent of them."""
    t = receiving(4000)
    with t.breath():
        t.send(0, ".", seq=1 + 3000, data=SEGMENT)
        t.send(0, ".", seq=1 + 3000, data=SEGMENT)
    told(t, 4000, (3000, 3500))
    told(t, 4000, (3000, 3500))
    came(t, 4500, 5000)
    told(t, 4000, (4500, 5000))
    t.finish()


@pytest.mark.requirement("RFC 2883 4")
def test_a_peer_without_sack_hears_of_nothing() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, ".", seq=1, data=1000)
    t.expect(40, ".", ack=1001)
    t.send(0, ".", seq=1, data=1000)
    t.expect(0, ".", ack=1001, sack=[])
    t.expect_nothing(500)
    t.finish()


def test_a_fin_that_comes_again() -> None:
    t = Trace(timestamps=False).established(sack_ok=True)
    t.send(0, "F.", seq=1, data=10)
    t.expect(None, ".", ack=12)
    t.send(0, "F.", seq=1, data=10)
    t.expect(0, ".", ack=12, sack=[(1, 12)])
    t.finish()


def test_who_loses_is_answered_at_once() -> None:
    """After a sign of loss acknowledgements are not delayed: the sender may have one segment."""
    t = receiving(1000)
    came(t, 1500, 2000)
    told(t, 1000, (1500, 2000))
    came(t, 1000, 1500)
    told(t, 2000)
    for i in range(15):
        came(t, 2000 + 500 * i, 2500 + 500 * i)
        told(t, 2500 + 500 * i)
    t.finish()
