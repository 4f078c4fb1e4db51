"""One connection as a time-sequence diagram knows it: what was sent when, acknowledged when, lost.

Strategy. From the packets of a run or of a capture the flow that carries most octets is taken, or
one that is named. Positions are octets from its first sequence number; they do not wrap.

Rules. The packets are read by the simulator's own eyes (`packet.py`): a diagram may be used to find
what the stack did wrong. What is no TCP is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from corten.endpoint.error import CortenError
from corten.sim.end import near
from corten.sim.packet import ACK, SYN, Malformed, Segment, decode
from corten.wire import pcapng

Flow = tuple[str, int, str, int]
ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


@dataclass
class Sequence:
    """The diagram's lines; instants in seconds, positions in octets."""

    flow: Flow
    sent: list[tuple[float, int, int]] = field(default_factory=list)  # instant, from, to
    again: list[tuple[float, int, int]] = field(default_factory=list)  # … for the second time
    lost: list[tuple[float, int]] = field(default_factory=list)
    acked: list[tuple[float, int]] = field(default_factory=list)
    window: list[tuple[float, int]] = field(default_factory=list)
    sacked: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def title(self) -> str:
        source, source_port, target, target_port = self.flow
        return f"{source}.{source_port} > {target}.{target_port}"


Seen = tuple[float, Segment, bool]  # instant, what, whether it was lost


def from_trace(packets: Iterable[tuple[int, str, int, bytes, str]]) -> Sequence:
    """Of a run: `network.trace.packets()`. Beyond a router a packet is not counted again, nor is
    its loss there seen."""
    seen = []
    senders: dict[Flow, str] = {}
    for now, name, _, frame, fate in packets:
        segment = _segment(frame)
        if segment is None or senders.setdefault(segment.flow, name) != name:
            continue  # a router's copy
        lost = any(word in fate for word in ("lost", "queue full", "link down", "larger"))
        seen.append((now / 1e9, segment, lost))
    return _sequence(seen)


def from_pcapng(path: str | Path) -> Sequence:
    """Of a capture. CortenError where it cannot be read, or has no TCP."""
    try:
        packets = pcapng.read(Path(path).read_bytes())
    except OSError as error:
        raise CortenError(f"{path}: {error.strerror}") from None
    except pcapng.PcapngError as error:
        raise CortenError(f"{path}: {error}") from None
    start = packets[0].time_ns if packets else 0
    frames = []
    for packet in packets:
        frame = packet.frame
        if packet.link_type == pcapng.RAW and frame:
            frame = bytes(12) + ETHERTYPES.get(frame[0] >> 4, b"\0\0") + frame
        name, _, fate = packet.comment.partition(":")
        frames.append((packet.time_ns - start, name.partition(" #")[0], 0, frame, fate))
    return from_trace(frames)


def _segment(frame: bytes) -> Segment | None:
    try:
        return decode(frame, strict=False)
    except (Malformed, IndexError):  # silent: it is no TCP that could be drawn
        return None


def _sequence(seen: list[Seen]) -> Sequence:
    """The diagram of the flow that carries most."""
    sizes: dict[Flow, int] = {}
    for _, segment, _ in seen:
        sizes[segment.flow] = sizes.get(segment.flow, 0) + segment.span
    if not sizes:
        raise CortenError("no TCP in these packets: there is nothing to draw")
    found = Sequence(max(sizes, key=lambda flow: sizes[flow]))
    back = found.flow[2:] + found.flow[:2]
    first: int | None = None
    high = shift = 0
    for instant, segment, lost in seen:
        if segment.flow == found.flow and segment.span:
            first = segment.seq if first is None else first
            high = _take_data(found, instant, segment, lost, first, high)
        elif segment.flow == back and segment.flags & SYN:
            shift = segment.options.wscale or 0
        if segment.flow == back and first is not None and segment.flags & ACK and not lost:
            _take_ack(found, instant, segment, first, high, shift)
    return found


def _take_data(
    found: Sequence, instant: float, segment: Segment, lost: bool, first: int, high: int
) -> int:
    start = near(segment.seq, first, high)
    end = start + segment.span
    (found.again if start < high else found.sent).append((instant, start, end))
    if lost:
        found.lost.append((instant, start))
    return max(high, end)


def _take_ack(
    found: Sequence, instant: float, segment: Segment, first: int, high: int, shift: int
) -> None:
    acked = near(segment.ack, first, high)
    found.acked.append((instant, acked))
    scaled = 0 if segment.flags & SYN else shift
    found.window.append((instant, acked + (segment.window << scaled)))
    for left, right in segment.options.sack:
        found.sacked.append((instant, near(left, first, high), near(right, first, high)))


__all__ = ["Sequence", "from_pcapng", "from_trace"]
