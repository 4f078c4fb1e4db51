"""One end of one connection, as an onlooker knows it: what it has sent, and what it has heard.

Strategy. The checker judges each end by these two lists alone. It never looks into a stack, so it
cannot share a stack's mistake. All positions are offsets: the SYN is at 0, the first octet of data
at 1, and they do not wrap; `own` offsets count from the end's ISS, `peer` offsets from the IRS.

Rules. `hear` believes nothing: it notes what a segment would tell any correct receiver. Where the
onlooker cannot know whether the end took a segment, the note is the one that forbids less.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace

from corten.sim.packet import ACK, FIN, RST, SYN, Options, Segment

DUPLICATE_ACKS = 3


def near(value: int, base: int, reference: int) -> int:
    """The offset from `base` of a 32-bit sequence number, nearest to the offset `reference`."""
    distance = (value - base - reference) & 0xFFFFFFFF
    return reference + (distance - (1 << 32) if distance >> 31 else distance)


class Intervals:
    """A set of offsets, as sorted disjoint ranges."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.ends: list[int] = []

    def add(self, start: int, end: int) -> bool:
        """Include start..end; whether any of it is new."""
        if start >= end or self.covers(start, end):
            return False
        first = bisect_left(self.ends, start)
        last = bisect_right(self.starts, end)
        if first < last:
            start, end = min(start, self.starts[first]), max(end, self.ends[last - 1])
        self.starts[first:last] = [start]
        self.ends[first:last] = [end]
        return True

    def covers(self, start: int, end: int) -> bool:
        """Whether all of start..end is included."""
        i = bisect_right(self.starts, start) - 1
        return i >= 0 and self.ends[i] >= end

    def frontier(self, start: int = 0) -> int:
        """The first offset from `start` on that is not included."""
        i = bisect_right(self.starts, start) - 1
        return self.ends[i] if i >= 0 and self.ends[i] > start else start


@dataclass(slots=True)
class Piece:
    """A range of what was sent, with the time of its last transmission."""

    start: int
    end: int
    sent_ns: int
    beyond_window: bool  # a window probe: it may be sent again as soon as the window opens
    again: bool = False  # it was not the first transmission
    tsval: int | None = None  # the timestamp it was sent with


def _echoes(piece: Piece, tsecr: int | None) -> bool:
    """Whether an acknowledgement is of this transmission (RFC 7323 4.1), and no earlier one."""
    if tsecr is None or piece.tsval is None:
        return False
    return (tsecr - piece.tsval) & 0xFFFFFFFF < 1 << 31


class Ledger:
    """When each unacknowledged octet was last sent."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def overlapping(self, start: int, end: int) -> list[Piece]:
        return [piece for piece in self.pieces if piece.start < end and start < piece.end]

    def put(
        self, start: int, end: int, now: int, beyond_window: bool, tsval: int | None = None
    ) -> None:
        kept = []
        again = bool(self.overlapping(start, end))
        for piece in self.pieces:
            if piece.end <= start or piece.start >= end:
                kept.append(piece)
                continue
            if piece.start < start:
                kept.append(replace(piece, end=start))
            if piece.end > end:
                kept.append(replace(piece, start=end))
        kept.append(Piece(start, end, now, beyond_window, again, tsval))
        kept.sort(key=lambda piece: piece.start)
        self.pieces = kept

    def forget(self, acked: int) -> None:
        """Octets before `acked` are done with."""
        while self.pieces and self.pieces[0].end <= acked:
            self.pieces.pop(0)


@dataclass(slots=True)
class Breath:
    """What the end heard and said since its host last finished a breath."""

    heard: list[Segment] = field(default_factory=list)
    acks_said: int = 0


class End:
    """The onlooker's notes about one end of one connection."""

    def __init__(self, host: str, flow: tuple[str, int, str, int]) -> None:
        self.host = host
        self.flow = flow  # as in the segments this end sends
        self.breath = Breath()
        self.syns_heard: dict[int, Options] = {}
        # -- said, in own offsets
        self.iss: int | None = None
        self.syn = Options()  # the options of the last SYN sent
        self.syn_times: list[int] = []
        self.syn_ack_sent = False
        self.snd_max = 0
        self.fin_at: int | None = None
        self.ledger = Ledger()
        self.stream = bytearray()  # octets sent from `stream_at` on, to compare what is sent again
        self.stream_at = 1
        self.tsval: int | None = None
        self.first_tsval: int | None = None
        self.tsecr: int | None = None
        # -- said about the peer's octets, in peer offsets
        self.ack_sent = 0
        self.edge_sent: int | None = None
        # -- heard
        self.irs: int | None = None
        self.peer_syn = Options()
        self.heard = Intervals()  # the peer's octets that this end may have
        self.sure = 0  # it must have all before this; what came early it may have had no room for
        self.peer_fin_at: int | None = None
        self.fin_heard_ns = 0
        self.tsvals_heard: set[int] = set()
        self.tsval_last: int | None = None
        self.acked = 0
        self.edge_heard: int | None = None
        self.window_heard = 0  # the largest among acknowledgements that moved it on
        # -- reasons to send again
        self.duplicate_acks = 0
        self.sacked = Intervals()
        self.recover: int | None = None
        self.evidence_ns = -1
        self.timeout_ns = -1
        self.timeouts: list[int] = []
        self.syn_sent_ns = 0
        self.min_rtt_ns: int | None = None  # of what was sent once and acknowledged, and the SYN
        self.probe_edge: int | None = None  # of the tail loss probe under way
        # -- what is owed
        self.owed_since: int | None = None
        self.owed_octets = 0
        self.owed_to = 0
        # -- how it ended
        self.dead = False
        self.may_reset = False

    @property
    def scaled(self) -> bool:
        return self.syn.wscale is not None and self.peer_syn.wscale is not None

    @property
    def timestamped(self) -> bool:
        return self.syn.timestamps is not None and self.peer_syn.timestamps is not None

    @property
    def selective(self) -> bool:
        return self.syn.sack_permitted and self.peer_syn.sack_permitted

    @property
    def own_shift(self) -> int:
        return min(self.syn.wscale or 0, 14) if self.scaled else 0

    @property
    def peer_shift(self) -> int:
        return min(self.peer_syn.wscale or 0, 14) if self.scaled else 0

    @property
    def closed(self) -> bool:
        """Both FINs are over and acknowledged, as far as this end can know."""
        return (
            self.fin_at is not None
            and self.acked > self.fin_at
            and self.peer_fin_at is not None
            and self.ack_sent > self.peer_fin_at
        )

    @property
    def over(self) -> bool:
        """Another connection may follow with the same addresses and ports."""
        return self.dead or self.closed or self.irs is None

    def own_offset(self, seq: int) -> int:
        assert self.iss is not None
        return near(seq, self.iss, max(self.snd_max, self.acked))

    def peer_offset(self, seq: int) -> int:
        assert self.irs is not None
        return near(seq, self.irs, max(self.ack_sent, 0))

    def frontier(self) -> int:
        """Where the peer's octets that this end has heard stop being contiguous."""
        return self.heard.frontier(0)

    # -- hearing ----------------------------------------------------------------------------

    def hear(self, segment: Segment, now: int, certain: bool) -> None:
        """Note a segment that reached this end intact. `certain`: it was surely for this end."""
        if certain:
            self.breath.heard.append(segment)
        if segment.flags & SYN:
            self.syns_heard[segment.seq] = segment.options
            if segment.options.timestamps:
                self.tsvals_heard.add(segment.options.timestamps[0])
        if self.iss is None:
            return
        if self.irs is None and not self._learn_irs(segment):
            return
        if segment.flags & SYN and segment.seq != self.irs:
            return
        if segment.flags & RST:
            self._hear_reset(segment, certain)
            return
        if segment.options.timestamps:
            self.tsvals_heard.add(segment.options.timestamps[0])
        if segment.flags & ACK:
            self._hear_ack(segment, now)
        self._hear_octets(segment, now, certain)
        if segment.options.timestamps:
            self._note_latest(segment.options.timestamps[0])

    def _note_latest(self, tsval: int) -> None:
        if self.tsval_last is None or (tsval - self.tsval_last) & 0xFFFFFFFF < 1 << 31:
            self.tsval_last = tsval

    def _learn_irs(self, segment: Segment) -> bool:
        """In SYN-SENT the peer's SYN tells its ISN; an acceptable RST ends the attempt."""
        acceptable = segment.flags & ACK and self.own_offset(segment.ack) == self.snd_max
        if segment.flags & RST:
            self.dead = self.dead or bool(acceptable)
            return False
        if not segment.flags & SYN or (segment.flags & ACK and not acceptable):
            return False
        self.learn(segment.seq)
        return True

    def learn(self, irs: int) -> None:
        self.irs = irs
        self.peer_syn = self.syns_heard[irs]
        self.heard.add(0, 1)
        self.sure = 1
        if self.peer_syn.timestamps:
            self.tsvals_heard.add(self.peer_syn.timestamps[0])

    def _hear_reset(self, segment: Segment, certain: bool) -> None:
        at = self.peer_offset(segment.seq)
        exact = at == self.frontier() == max(self.sure, self.ack_sent) and (
            self.edge_sent is None or at <= self.edge_sent
        )
        if exact and certain and not self.closed:
            self.dead = True

    def _hear_ack(self, segment: Segment, now: int) -> None:
        acked = self.own_offset(segment.ack)
        if acked > self.snd_max or acked < 0:
            return
        shift = 0 if segment.flags & SYN else self.peer_shift
        edge = acked + (segment.window << shift)
        if self.edge_heard is None or edge > self.edge_heard:
            self.edge_heard = edge
        at = self.peer_offset(segment.seq)
        next_one = at in (
            self.frontier(),
            self.ack_sent,
        )  # RCV.NXT, whether a probe was taken or not
        if self.edge_sent is not None and at >= self.edge_sent and not next_one:
            return  # not acceptable: at the very edge of a window that is not empty
        if segment.span and at + segment.span <= self.ack_sent:
            return  # nor is what came before as a whole: its ACK does not count (RFC 9293 3.10.7.4)
        if acked > self.acked:
            self.window_heard = max(self.window_heard, edge - acked)
            stamps = segment.options.timestamps
            self._hear_progress(acked, stamps[1] if stamps else None, now)
        elif acked == self.acked and not segment.span and self.snd_max > acked:
            self.duplicate_acks += 1
            if self.duplicate_acks >= DUPLICATE_ACKS:
                self._found_loss(now)
        self.timeouts.clear()
        if segment.options.sack:
            self._hear_sack(segment, now)

    def _hear_progress(self, acked: int, tsecr: int | None, now: int) -> None:
        self._measure(acked, tsecr, now)
        self.acked = acked
        self.duplicate_acks = 0
        self.ledger.forget(acked)
        if self.probe_edge is not None and acked >= self.probe_edge:
            self.probe_edge = None
        if self.recover is not None and acked < self.recover:
            self.evidence_ns = now  # a partial acknowledgement (RFC 6582 3.2)
        else:
            self.recover = None
        if len(self.stream) > 1 << 20 and acked > self.stream_at:
            del self.stream[: acked - self.stream_at]
            self.stream_at = acked

    def _take_rtt(self, rtt: int) -> None:
        self.min_rtt_ns = rtt if self.min_rtt_ns is None else min(rtt, self.min_rtt_ns)

    def _measure(self, acked: int, tsecr: int | None, now: int) -> None:
        if self.acked == 0:
            self._take_rtt(now - self.syn_sent_ns)
        for piece in self.ledger.pieces:
            if piece.end > acked:
                break
            if piece.again:
                # what was sent before it should have come before it (RFC 8985 6.2)
                self.evidence_ns = max(self.evidence_ns, piece.sent_ns)
            if not piece.again or _echoes(piece, tsecr):
                self._take_rtt(now - piece.sent_ns)

    def _hear_sack(self, segment: Segment, now: int) -> None:
        news = False
        for left, right in segment.options.sack:
            start, end = self.own_offset(left), self.own_offset(right)
            if self.acked <= start < end <= self.snd_max:
                news = self.sacked.add(start, end) or news
        if news:
            self._found_loss(now)  # one is enough, when its time has come (RFC 8985 6.2)

    def _found_loss(self, now: int) -> None:
        self.evidence_ns = now
        if self.recover is None:
            self.recover = self.snd_max

    def _hear_octets(self, segment: Segment, now: int, certain: bool) -> None:
        start = self.peer_offset(segment.seq)
        end = start + segment.span
        if segment.flags & FIN and self.peer_fin_at is None:
            self.peer_fin_at = end - 1
            self.fin_heard_ns = now
        before = max(self.sure, self.ack_sent)
        inside = self.edge_sent is not None and start + len(segment.payload) <= self.edge_sent
        certain = certain and inside and self._would_take(segment)
        if end > start:
            self.heard.add(start, end)
            if certain and start <= before:
                self.sure = max(before, end)
        in_order = end - before if start <= before else 0
        if not certain or in_order <= 0 or segment.flags & SYN:
            return
        self.owed_octets += in_order
        self.owed_to = end
        if self.owed_since is None:
            self.owed_since = now

    def _would_take(self, segment: Segment) -> bool:
        """Whether any correct stack takes this segment's octets."""
        if not segment.flags & ACK or self.dead or self.closed:
            return False
        oldest = self.acked - self.window_heard  # RFC 5961 5.2
        if not oldest <= self.own_offset(segment.ack) <= self.snd_max:
            return False
        stamps = segment.options.timestamps
        if self.timestamped and stamps is None:
            return False
        if stamps and self.tsval_last is not None:
            return (stamps[0] - self.tsval_last) & 0xFFFFFFFF < 1 << 31
        return True
