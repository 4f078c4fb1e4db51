"""What the stack sends is well made, whatever it was told to use: an invariant over whole lives."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from corten.sim.packet import SYN, Segment, decode
from corten.sim.script import Trace, pattern

MSS_KIND, WSCALE_KIND, SACK_OK_KIND = 2, 3, 4
ONLY_ON_SYNS = {MSS_KIND, WSCALE_KIND, SACK_OK_KIND}


def options_of(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and octets of each option, as they stand; what follows END must be zero."""
    header = frame[34 : 34 + (frame[46] >> 4) * 4]
    at = 20
    while at < len(header):
        kind = header[at]
        if kind == 0:
            assert not any(header[at:]), "octets after END (RFC 9293 3.1, MUST-69)"
            return
        length = 1 if kind == 1 else header[at + 1]
        assert kind == 1 or length >= 2, "an option without a length (MUST-68)"
        assert at + length <= len(header)
        yield kind, header[at : at + length]
        at += length


class Wire:
    """Everything that the stack sends, as octets."""

    def __init__(self, t: Trace) -> None:
        self.frames: list[bytes] = []
        send = t.link.send

        def record(now: int, port: object, frame: bytes) -> None:
            if port is t.port:
                self.frames.append(frame)
            send(now, port, frame)  # type: ignore[arg-type]

        t.link.send = record  # type: ignore[method-assign]

    def segments(self) -> list[tuple[bytes, Segment]]:
        """The TCP segments; `decode` raises where a checksum is wrong."""
        decoded = [(frame, decode(frame)) for frame in self.frames]
        return [(frame, segment) for frame, segment in decoded if segment is not None]


def life(t: Trace, active: bool, **offer: object) -> None:
    """Open, data of odd and even lengths both ways, holes, a repetition, and the end."""
    t.established(active=active, **offer)
    for length in (1, 2, 3, 1459, 1460, 5001):
        t.app.send(pattern(1, length))
    t.advance(1)
    t.heard()
    t.send(0, ".", ack=t.flow.heard)
    t.send(0, "P.", seq=2001, data=501)  # a hole: SACK, where it was agreed
    t.send(0, "P.", seq=4001, data=501)
    t.send(0, "P.", seq=1, data=2000)
    t.advance(500)
    t.send(0, "R.", seq=1)  # inside no window any more, or answered by a challenge
    t.send(0, ".", ack=t.flow.heard)
    t.app.close()
    t.advance(3000)  # the FIN, and the FIN again
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-2", "MUST-65", "MUST-68", "MUST-69", "MUST-4", "MAY-3", "SHLD-5",
                         "RFC 7323 2.2", "RFC 7323 3.2", "RFC 2018 2")  # fmt: skip
@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize(
    ("stamps", "sack", "scale"), list(itertools.product((False, True), repeat=3))
)
def test_every_segment_of_a_life(stamps: bool, sack: bool, scale: bool, active: bool) -> None:
    t = Trace(check=False, receive_buffer=65535)
    wire = Wire(t)
    life(t, active, ts=stamps or None, sack_ok=sack, wscale=3 if scale else None)
    segments = wire.segments()
    assert len(segments) > 15
    for frame, segment in segments:
        kinds = {kind for kind, _ in options_of(frame)}
        if segment.flags & SYN:
            assert MSS_KIND in kinds
        else:
            assert not kinds & ONLY_ON_SYNS
        if not segment.flags & SYN and not segment.flags & 4:
            assert (8 in kinds) == stamps
        assert sack or 5 not in kinds
    assert any(segment.options.sack for _, segment in segments) == sack


@pytest.mark.requirement("SHLD-27", "SHLD-28", "MUST-61")
def test_small_sends_leave_as_full_segments_and_one_push() -> None:
    t = Trace(timestamps=False).established(mss=1000)
    with t.breath():
        for _ in range(250):
            t.app.connection.send(b"0123456789")
    for i in range(2):
        t.expect(0, ".", seq=1 + 1000 * i, data=1000)
    t.expect(0, "P.", seq=2001, data=500)
    t.finish()


@pytest.mark.requirement("MUST-19", "RFC 5681 3.1", "MUST-18")
def test_slow_start_and_what_a_time_out_leaves_of_it() -> None:
    """Doubled by each round trip; one segment, and twice the time, after it went unanswered."""
    t = Trace(check=False, timestamps=False, congestion="reno", initial_window=2)
    t.established(mss=1000, win=65535)
    t.app.send(bytes(100_000))
    for full in (2, 4, 8):
        assert [len(s.payload) for s in t.heard()] == [1000] * full
        t.advance(50)
        for i in range(full):  # each of them acknowledged
            t.send(0, ".", ack=t.flow.acked + 1000 * (i + 1) + 1)
        t.flow.acked += 1000 * full
    assert len(t.heard()) == 16
    seen: list[float] = []
    start = t.now_ms
    while len(seen) < 4:
        t.advance(1)
        seen += [t.now_ms - start for s in t.heard() if s.seq - (t.flow.iss or 0) == 14_001]
    gaps = [b - a for a, b in itertools.pairwise(seen)]
    assert gaps[1] == pytest.approx(2 * gaps[0], rel=0.05)
    assert gaps[2] == pytest.approx(2 * gaps[1], rel=0.05)
    assert t.app.connection.info()["cwnd"] == 1000
    t.finish()


@pytest.mark.requirement("MAY-18", "MUST-19")
@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_congestion_control_can_be_chosen(name: str) -> None:
    t = Trace(congestion=name).established()
    assert t.app.connection.info()["congestion"] == name
    t.finish()
