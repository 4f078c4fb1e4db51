"""Selective acknowledgement, the sender's side (RFC 2018, RFC 2883 5, RFC 6675 4 Update).

What an acknowledgement delivers is taken from the records of the flight: first what it covers
cumulatively, then its SACK blocks from the lowest to the highest, so that a segment that arrives
below one already delivered shows reordering and nothing else does (RFC 8985 6.2, step 3).

Rules. A block is believed if it lies in what is outstanding, beyond SND.UNA. Of a super-segment
only whole segments count. Each octet is looked at when it is first reported, and never again.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.field import get32
from cython.cimports.corten.core.serial import (
    seq_add,
    seq_ge,
    seq_gt,
    seq_le,
    seq_lt,
    seq_sub,
)
from cython.cimports.corten.tcp.emit import timestamp_of
from cython.cimports.corten.tcp.flight import AGAIN, LIMITED, LOST, SACKED, Flight, News
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.repair import Repair
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import SACK_RENEGINGS
from cython.cimports.corten.wire.tcp import Segment


@cython.cfunc
def flight_of(host: TcpHost, tcb: Tcb) -> Flight:
    """The records of what is in flight; where only `sent_at` spoke for the one frame, made."""
    flight: Flight | None = tcb.flight
    if flight is not None:
        return flight
    flight = host.spare_flights.pop() if host.spare_flights else Flight()
    assert flight is not None  # of the list of them
    flight.clear(tcb.snd_una)
    if tcb.snd_una != tcb.snd_nxt:
        flight.push(tcb.snd_nxt, 0, tcb.sent_at, tcb.delivered, tcb.sent_at, tcb.sent_at)
    tcb.flight = flight
    return flight


@cython.cfunc
def repair_of(tcb: Tcb) -> Repair:
    """What loss recovery remembers; made with the first doubt."""
    repair: Repair | None = tcb.repair
    if repair is None:
        repair = tcb.repair = Repair()
    return repair


@cython.cfunc
@cython.exceptval(check=False)
def sent_after(
    a_at: cython.longlong, a_end: cython.uint, b_at: cython.longlong, b_end: cython.uint
) -> cython.bint:
    """RACK_sent_after: the sequence space breaks the ties of one instant (RFC 8985 6.2)."""
    return a_at > b_at or (a_at == b_at and seq_gt(a_end, b_end))


@cython.cfunc
def _delivered(
    tcb: Tcb, flight: Flight, news: News, seg: Segment, i: cython.Py_ssize_t, end: cython.uint,
    now: cython.longlong,
) -> cython.int:  # fmt: skip
    """Record i, as far as `end`, has arrived: RACK_update, RACK_detect_reordering (RFC 8985 6.2,
    steps 2 and 3), and what the delivery rate is measured by. 0."""
    sent_at: cython.longlong = flight.sent_at(i)
    rtt: cython.longlong = now - sent_at
    flags: cython.uint = flight.flags(i)
    if flags & AGAIN:
        if rtt < tcb.min_rtt:
            return 0
        if tcb.timestamps_ok and seq_lt(seg.ts_echo, timestamp_of(tcb.ts_offset, sent_at)):
            return 0  # an earlier transmission is what arrived
    else:
        if not seq_gt(end, tcb.recover):
            news.original = True
        if news.rtt < 0 or rtt < news.rtt:
            news.rtt = rtt
        news.rtt_most = max(news.rtt_most, rtt)
        if seq_lt(end, flight.fack):
            repair_of(tcb).reordering_seen = True
    if seq_gt(end, flight.fack):
        flight.fack = end
    if news.sent_at < 0 or sent_after(sent_at, end, news.sent_at, news.sent_end):
        flight.rack_rtt = rtt
        news.sent_at = sent_at
        news.sent_end = end
        news.prior_delivered = flight.snapshot(i, 1)
        news.prior_at = flight.snapshot(i, 2)
        news.prior_sent_at = flight.snapshot(i, 3)
        news.limited = flags & LIMITED != 0
    if sent_after(sent_at, end, flight.rack_sent_at, flight.rack_end):
        flight.rack_sent_at = sent_at
        flight.rack_end = end
    return 0


@cython.cfunc
def take_cumulative(
    tcb: Tcb, flight: Flight, news: News, seg: Segment, now: cython.longlong
) -> cython.int:
    """SEG.ACK moves SND.UNA, which still stands where it was: what it covers has arrived. 0."""
    ack: cython.uint = seg.ack
    start: cython.uint = tcb.snd_una
    news.advanced = seq_sub(ack, start)
    i: cython.Py_ssize_t = 0
    gone: cython.Py_ssize_t = 0
    while i < flight.count and seq_lt(start, ack):
        end: cython.uint = flight.end(i)
        whole: cython.bint = seq_le(end, ack)
        upto: cython.uint = end if whole else ack
        length: cython.uint = seq_sub(upto, start)
        flags: cython.uint = flight.flags(i)
        if flags & SACKED:
            flight.sacked_len -= length
            flight.sacked_segments -= cython.cast(
                cython.int, (length + tcb.snd_mss - 1) // tcb.snd_mss
            )
        else:
            if flags & LOST:
                flight.lost_len -= length
            if flags & AGAIN:
                news.repaired += length
            news.acked += length
            _delivered(tcb, flight, news, seg, i, upto, now)
        if not whole:
            break
        gone += 1
        start = end
        i += 1
    flight.drop(gone)
    if flight.sacked.count > 0:
        flight.sacked.remove_below(ack)
    if flight.sacked_len == 0 or flight.sacked_segments < 0:
        flight.sacked_segments = 0
    if seq_lt(flight.lost_at, ack):
        flight.lost_at = ack
    if seq_lt(flight.judged, ack):
        flight.judged = ack
    return 0


@cython.cfunc
def take_blocks(
    tcb: Tcb, flight: Flight, news: News, seg: Segment, now: cython.longlong
) -> cython.int:
    """A segment's SACK blocks, after SND.UNA moved. 0."""
    first: cython.int = 0
    if _reports_duplicate(tcb, seg):
        news.dsack = True
        news.dsack_start = get32(seg.memory, seg.sack_at)
        news.dsack_end = get32(seg.memory, seg.sack_at + 4)
        repair_of(tcb).dsack_seen = True
        first = 1
    done: cython.uint = 0
    _turn: cython.int
    for _turn in range(first, seg.sack_count):
        lowest: cython.int = -1
        low: cython.uint = 0
        i: cython.int
        for i in range(first, seg.sack_count):
            start: cython.uint = get32(seg.memory, seg.sack_at + 8 * i)
            if (done >> i) & 1 == 0 and (lowest < 0 or seq_lt(start, low)):
                lowest = i
                low = start
        done |= 1 << lowest
        end: cython.uint = get32(seg.memory, seg.sack_at + 8 * lowest + 4)
        if seq_lt(low, end) and seq_gt(low, tcb.snd_una) and not seq_gt(end, tcb.snd_nxt):
            _take_block(tcb, flight, news, seg, low, end, now)
    return 0


@cython.cfunc
def _reports_duplicate(tcb: Tcb, seg: Segment) -> cython.bint:
    """Whether the first block is a D-SACK (RFC 2883 4, 5): it lies below the acknowledgement of the
    same segment, or inside the second block; and where we have sent something."""
    start: cython.uint = get32(seg.memory, seg.sack_at)
    end: cython.uint = get32(seg.memory, seg.sack_at + 4)
    if not seq_lt(start, end) or seq_gt(end, tcb.snd_nxt):
        return False
    if seq_lt(start, tcb.snd_una) and seq_sub(tcb.snd_una, start) > tcb.max_snd_wnd:
        return False  # longer ago than anything can be under way (RFC 5961 5.2)
    if seq_le(end, seg.ack):
        return True
    if seg.sack_count < 2:
        return False
    return seq_ge(start, get32(seg.memory, seg.sack_at + 8)) and seq_le(
        end, get32(seg.memory, seg.sack_at + 12)
    )


@cython.cfunc
def _take_block(
    tcb: Tcb, flight: Flight, news: News, seg: Segment, start: cython.uint, end: cython.uint,
    now: cython.longlong,
) -> cython.int:  # fmt: skip
    """What is new of one block. 0."""
    at: cython.uint = flight.sacked.first_gap(start, end)
    while seq_lt(at, end):
        stop: cython.uint = flight.sacked.gap_end(at, end)
        if flight.sacked.add(at, stop) == 0:
            return 0  # more ranges than a peer can have: not believed
        k: cython.Py_ssize_t = flight.sacked.find(at)
        low: cython.uint = flight.sacked.start(k)
        high: cython.uint = flight.sacked.end(k)
        i: cython.Py_ssize_t = flight.find(at)
        while i < flight.count and seq_lt(flight.start(i, tcb.snd_una), stop):
            if flight.flags(i) & SACKED == 0:
                i = _sack_record(tcb, flight, news, seg, i, low, high, now)
            i += 1
        at = flight.sacked.first_gap(stop, end)
    return 0


@cython.cfunc
def _sack_record(
    tcb: Tcb, flight: Flight, news: News, seg: Segment, i: cython.Py_ssize_t,
    low: cython.uint, high: cython.uint, now: cython.longlong,
) -> cython.Py_ssize_t:  # fmt: skip
    """The peer has low..high, which touches record i: mark as many whole segments of it as that
    covers. Answers where the part that follows begins, less one."""
    start: cython.uint = flight.start(i, tcb.snd_una)
    end: cython.uint = flight.end(i)
    mss: cython.uint = tcb.snd_mss
    skip: cython.uint = 0
    if seq_gt(low, start):
        skip = (seq_sub(low, start) + mss - 1) // mss * mss
    upto: cython.uint = seq_sub(end, start)
    if seq_lt(high, end):
        upto = seq_sub(high, start) // mss * mss
    if skip >= upto:
        return i
    if upto < seq_sub(end, start):
        flight.split(i, seq_add(start, upto))
    if skip > 0:
        flight.split(i, seq_add(start, skip))
        i += 1
    flags: cython.uint = flight.flags(i)
    length: cython.uint = flight.mark_sacked(i, tcb.snd_una, mss)
    news.sacked += length
    if flags & AGAIN:
        news.repaired += length
    _delivered(tcb, flight, news, seg, i, flight.end(i), now)
    return i


@cython.cfunc
def notice_reneging(host: TcpHost, tcb: Tcb, flight: Flight) -> cython.bint:
    """RFC 2018 8: the acknowledgement stops right below what was SACKed, so the peer does not have
    that any more. True when it is so: what was SACKed is lost."""
    if flight.count == 0 or flight.flags(0) & SACKED == 0:
        return False
    flight.forget_sacks(tcb.snd_una)
    host.counters.add(SACK_RENEGINGS)
    return True
