"""Recovery that was a mistake is found out and taken back (RFC 3522, 4015, 5682, 2883)."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace, pattern
from tests.tcp.test_segment_arrives import count
from tests.trace.test_rack import MSS, RTT, at, path, sacked


def window(t: Trace) -> int:
    return int(str(t.app.connection.info()["cwnd"]))


@pytest.mark.requirement("RFC 2883 5.2", "RFC 8985 3.3.2")
def test_a_dsack_takes_a_fast_retransmission_back() -> None:
    """A segment was overtaken by three and sent again: both copies arrive."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 10 * MSS))
    assert len(t.heard()) == 10
    before = window(t)
    t.send(RTT, ".", ack=at(0), sack=[(at(1), at(10))])
    t.expect(0, ".", seq=at(0), data=MSS)
    assert window(t) < before
    t.send(10, ".", ack=at(10))
    t.send(RTT - 10, ".", ack=at(10), sack=sacked(0))
    assert window(t) >= before and count(t, "spurious_recoveries") == 1
    assert count(t, "dsacks_in") == 1
    t.finish()


@pytest.mark.requirement("RFC 5682 2.1", "RFC 4015 3.1")
def test_frto_without_sack() -> None:
    """All acknowledgements are late: after the timeout two of them move on, and nothing more is
    sent again."""
    t = Trace(congestion="reno", timestamps=False).syn_received(mss=MSS)
    t.send(RTT, ".", seq=1, ack=1)
    t.app.send(pattern(at(0), 40 * MSS))
    assert len(t.heard()) == 10
    t.expect(300, ".", seq=at(0), data=MSS)
    t.send(50, ".", ack=at(1))
    t.expect(0, ".", seq=at(10), data=MSS)
    t.expect(0, ".", seq=at(11), data=MSS)
    t.expect_nothing()
    t.send(1, ".", ack=at(2))
    assert count(t, "spurious_recoveries") == 1
    assert all((s.seq - (t.flow.iss or 0)) >= at(12) for s in t.heard())
    assert window(t) >= 10 * MSS
    t.finish()


@pytest.mark.requirement("RFC 5682 2.1")
def test_frto_finds_a_loss_real() -> None:
    """The second acknowledgement is a duplicate: the timeout was right."""
    t = Trace(congestion="reno", timestamps=False).syn_received(mss=MSS)
    t.send(RTT, ".", seq=1, ack=1)
    t.app.send(pattern(at(0), 40 * MSS))
    assert len(t.heard()) == 10
    t.expect(300, ".", seq=at(0), data=MSS)
    t.send(50, ".", ack=at(1))
    t.expect(0, ".", seq=at(10), data=MSS)
    t.expect(0, ".", seq=at(11), data=MSS)
    t.send(50, ".", ack=at(1))
    t.expect(0, ".", seq=at(1), data=MSS)
    assert count(t, "spurious_recoveries") == 0
    t.finish()


def timed_out_with_sack() -> Trace:
    """Ten segments and a probe of new data, and no word of any: the first goes again."""
    t = path(congestion="reno")
    t.app.send(pattern(at(0), 40 * MSS))
    assert len(t.heard()) == 10
    t.expect(2 * RTT + 2, ".", seq=at(10), data=MSS)
    t.expect(300, ".", seq=at(0), data=MSS)
    t.send(10, ".", ack=at(1))
    t.expect(0, ".", seq=at(11), data=MSS)
    t.expect(0, ".", seq=at(12), data=MSS)
    return t


@pytest.mark.requirement("RFC 5682 3.1")
def test_frto_with_sack() -> None:
    """Step 3b: what was never sent again is SACKed; the time-out was a mistake."""
    t = timed_out_with_sack()
    t.send(1, ".", ack=at(1), sack=sacked(2))
    assert count(t, "spurious_recoveries") == 1
    t.expect_nothing()
    assert window(t) == 10 * MSS
    t.finish()


@pytest.mark.requirement("RFC 5682 3.1")
def test_frto_with_sack_finds_a_loss_real() -> None:
    """Step 3a: only what was sent after the time-out is SACKed; the rest is lost."""
    t = timed_out_with_sack()
    t.send(RTT, ".", ack=at(1), sack=sacked(11))
    t.expect(0, ".", seq=at(1), data=MSS)
    assert count(t, "spurious_recoveries") == 0
    assert window(t) <= 3 * MSS
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 3522 3.2")
def test_an_old_timestamp_takes_a_timeout_back() -> None:
    """The first acknowledgement echoes what was sent before the retransmission."""
    t = Trace(congestion="reno").syn_received(mss=MSS, ts=True)
    t.send(RTT, ".", seq=1, ack=1)
    size = MSS - 12
    t.app.send(pattern(1, 10 * size))
    sent = t.heard()
    old = sent[0].options.timestamps
    assert old is not None
    t.expect(300, ".", seq=1, data=size)
    t.send(20, ".", ack=1 + size, ts=(t.flow.stamp_base + 420, old[0]))
    assert count(t, "spurious_recoveries") == 1
    t.expect_nothing(20)
    assert window(t) >= 10 * size
    t.finish()


@pytest.mark.requirement("RFC 3522 3.2")
def test_what_an_earlier_recovery_sent_again_says_nothing_of_this_one() -> None:
    """A recovery ends while a segment from beyond its end, lost and sent again in it, is still on
    its way. Another begins, and then that one's acknowledgement comes: it echoes what is older than
    all that this recovery has sent, and yet its loss was real."""
    t = Trace(congestion="reno", delayed_ack_ns=10**6).syn_received(mss=MSS, sack_ok=True, ts=True)
    t.send(RTT, ".", seq=1, ack=1)
    size = MSS - 12

    def begin(k: int) -> int:
        return 1 + k * size

    def acknowledge(after: float, k: int, echo: int, *runs: tuple[int, int]) -> None:
        blocks = [(begin(a), begin(b)) for a, b in runs]
        stamps = (t.flow.stamp_base + 500, echo)
        t.send(after, ".", ack=begin(k), sack=blocks, ts=stamps)

    def sent() -> dict[int, int]:
        """Which segments, and their timestamps."""
        found = {}
        for segment in t.heard():
            assert segment.options.timestamps is not None
            number = (segment.seq - (t.flow.iss or 0) - 1) // size
            found[number] = segment.options.timestamps[0]
        return found

    t.app.send(pattern(1, 60 * size))
    first = sent()
    for k in range(2, 11):  # all but the first have arrived
        acknowledge(1 if k > 2 else RTT, 0, first[1], (1, k))
    assert {0, 12, 13, 14} <= set(sent())
    acknowledge(RTT - 10, 0, first[1], (13, 14), (1, 10))
    again = sent()
    assert {0, 12} <= set(again)
    acknowledge(1, 0, first[1], (13, 15), (1, 10))
    acknowledge(RTT, 12, again[0], (13, 15))
    assert t.app.connection.info()["recovery"] == "disorder"
    acknowledge(40, 12, again[0], (16, 19), (13, 15))
    assert 15 in sent() and t.app.connection.info()["recovery"] == "fast"
    reduced = window(t)
    acknowledge(20, 15, again[12], (16, 19))
    assert count(t, "spurious_recoveries") == 0 and window(t) == reduced
    t.heard()
    t.finish()
