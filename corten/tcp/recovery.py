"""Loss recovery: what is lost, what is still in the network, when recovery begins and ends.

With SACK by RFC 6675, without by RFC 6582 (NewReno), after a timeout by RFC 6298 and RFC 5681.
One account serves all three: `pipe`, the octets believed to be in the network:

    SND.NXT - SND.UNA  -  SACKed  -  lost  +  retransmitted

Without SACK each duplicate acknowledgement counts as one segment SACKed somewhere, which is
RFC 5681's window inflation seen from the other side.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.field import get32
from cython.cimports.corten.core.interval import Ranges
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_le, seq_lt, seq_sub
from cython.cimports.corten.tcp.ecn import has_reduced, note_reduction
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.state import FAST, LOSS, OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import FAST_RETRANSMITS
from cython.cimports.corten.wire.tcp import Segment

if not cython.compiled:
    DUPLICATE_THRESHOLD = 3  # RFC 5681 3.2, RFC 6675 2
    RANGES_MAX = 256  # of one scoreboard: a peer that reports more is not believed


@cython.cfunc
def note_sack(tcb: Tcb, seg: Segment) -> cython.bint:
    """Take a segment's SACK blocks into the scoreboard (RFC 6675 4, Update). True when they told
    something new. Blocks outside what is outstanding are ignored: stale, or a lie."""
    fresh: cython.bint = False
    i: cython.int
    for i in range(seg.sack_count):
        start: cython.uint = get32(seg.memory, seg.sack_at + 8 * i)
        end: cython.uint = get32(seg.memory, seg.sack_at + 8 * i + 4)
        if not seq_lt(start, end) or seq_gt(end, tcb.snd_nxt):
            continue
        if seq_le(end, seg.ack) or seq_lt(start, tcb.snd_una):
            continue  # a duplicate SACK (RFC 2883), or below what is acknowledged
        if tcb.sacked is None:
            tcb.sacked = Ranges(RANGES_MAX)
        if tcb.sacked.add(start, end) > 0:
            fresh = True
    if fresh:
        _find_lost(tcb)
    return fresh


@cython.cfunc
def _find_lost(tcb: Tcb) -> cython.void:
    """RFC 6675 4, IsLost: what lies below three SACKed ranges, or below more than two segments'
    worth of SACKed octets. Sets `sack_lost`: all that is not SACKed under it is lost."""
    board: Ranges | None = tcb.sacked
    if board is None:
        return
    octets: cython.uint = 0
    count: cython.int = 0
    i: cython.Py_ssize_t = board.count - 1
    while i >= 0:
        octets += seq_sub(board.end(i), board.start(i))
        count += 1
        if count >= DUPLICATE_THRESHOLD or octets > (DUPLICATE_THRESHOLD - 1) * tcb.snd_mss:
            if seq_gt(board.start(i), tcb.sack_lost):
                tcb.sack_lost = board.start(i)
            return
        i -= 1


@cython.cfunc
def lost_edge(tcb: Tcb) -> cython.uint:
    """Everything not SACKed from SND.UNA to here is to be retransmitted."""
    if tcb.recovery == LOSS:
        return tcb.recover
    if tcb.recovery == OPEN:
        return tcb.snd_una
    first: cython.uint = seq_add(tcb.snd_una, tcb.snd_mss)  # the segment at SND.UNA is lost
    if seq_gt(first, tcb.recover):
        first = tcb.recover  # it may be short, and what was sent since is not known to be lost
    if tcb.sack_ok and seq_gt(tcb.sack_lost, first):
        return tcb.sack_lost
    return first


@cython.cfunc
def _sacked_between(tcb: Tcb, start: cython.uint, end: cython.uint) -> cython.uint:
    """SACKed octets in [start, end)."""
    board: Ranges | None = tcb.sacked
    if board is None:
        return 0
    total: cython.uint = 0
    i: cython.Py_ssize_t
    for i in range(board.count):
        low: cython.uint = board.start(i)
        high: cython.uint = board.end(i)
        if seq_lt(low, start):
            low = start
        if seq_gt(high, end):
            high = end
        if seq_lt(low, high):
            total += seq_sub(high, low)
    return total


@cython.cfunc
def pipe_of(tcb: Tcb) -> cython.uint:
    """Octets believed to be in the network (RFC 6675 4, SetPipe)."""
    outstanding: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    if tcb.recovery == OPEN and tcb.sacked is None and tcb.duplicate_acks == 0:
        return outstanding
    edge: cython.uint = lost_edge(tcb)
    gone: cython.uint = seq_sub(edge, tcb.snd_una)
    rtx: cython.uint = 0
    if seq_gt(tcb.rtx_nxt, tcb.snd_una) and tcb.recovery != OPEN:
        upto: cython.uint = tcb.rtx_nxt if seq_lt(tcb.rtx_nxt, edge) else edge
        rtx = seq_sub(upto, tcb.snd_una) - _sacked_between(tcb, tcb.snd_una, upto)
    if tcb.sacked is not None:
        gone -= _sacked_between(tcb, tcb.snd_una, edge)
        gone += tcb.sacked.total
    elif not tcb.sack_ok and tcb.recovery != LOSS:
        most: cython.uint = tcb.duplicate_acks
        if tcb.recovery == OPEN and most > DUPLICATE_THRESHOLD - 1:
            most = DUPLICATE_THRESHOLD - 1  # limited transmit (RFC 3042)
        gone += most * tcb.snd_mss
    return outstanding + rtx - gone if outstanding + rtx > gone else 0


@cython.cfunc
def next_lost(tcb: Tcb) -> cython.uint:
    """The first octet to retransmit (RFC 6675 4, NextSeg rule 1); `lost_edge` if there is none."""
    edge: cython.uint = lost_edge(tcb)
    at: cython.uint = tcb.rtx_nxt if seq_gt(tcb.rtx_nxt, tcb.snd_una) else tcb.snd_una
    if not seq_lt(at, edge):
        return edge
    if tcb.sacked is None:
        return at
    return tcb.sacked.first_gap(at, edge)


@cython.cfunc
def on_duplicate(
    host: TcpHost, tcb: Tcb, fresh_sack: cython.bint, now: cython.longlong
) -> cython.void:
    """A duplicate acknowledgement (RFC 5681 2), or one with news in its SACK blocks."""
    if tcb.sack_ok and not fresh_sack:
        return
    outstanding: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    most: cython.uint = outstanding
    if tcb.recovery == FAST:
        most = seq_sub(tcb.recover, tcb.snd_una)
    if tcb.duplicate_acks * tcb.snd_mss <= most:
        tcb.duplicate_acks += 1  # not for ever: spoofed ones would let out all there is (RFC 5681)
    host.mark(tcb)
    if tcb.recovery != OPEN:
        return
    if not tcb.sack_ok and not seq_gt(tcb.snd_una, tcb.recover):
        return  # RFC 6582 3.2 (1): they may answer what the last recovery sent twice
    lost: cython.bint = tcb.sack_ok and seq_gt(tcb.sack_lost, tcb.snd_una)
    if tcb.duplicate_acks >= DUPLICATE_THRESHOLD or lost:
        _enter_fast(host, tcb, outstanding, now)


@cython.cfunc
def _enter_fast(
    host: TcpHost, tcb: Tcb, outstanding: cython.uint, now: cython.longlong
) -> cython.void:
    tcb.recovery = FAST
    tcb.recover = tcb.snd_nxt
    tcb.rtx_nxt = tcb.snd_una
    tcb.rtt_at = 0  # Karn
    if not has_reduced(tcb):
        tcb.congestion.on_loss(outstanding, now)
        note_reduction(tcb)
    host.counters.add(FAST_RETRANSMITS)


@cython.cfunc
def on_progress(tcb: Tcb, acked: cython.uint) -> cython.void:
    """SND.UNA moved on by `acked`: end recovery, or go on with the next hole."""
    if tcb.sacked is not None:
        tcb.sacked.remove_below(tcb.snd_una)
        if tcb.sacked.count == 0:
            tcb.sacked = None
    if seq_lt(tcb.sack_lost, tcb.snd_una):
        tcb.sack_lost = tcb.snd_una
    if tcb.recovery == OPEN:
        tcb.duplicate_acks = 0
        # kept near, as serial numbers compare within half their space, and below: see on_duplicate
        tcb.recover = seq_sub(tcb.snd_una, 1)
        tcb.rtx_nxt = tcb.snd_una
        return
    if not seq_lt(tcb.snd_una, tcb.recover):
        tcb.recovery = OPEN
        tcb.duplicate_acks = 0
        return
    if tcb.recovery == FAST and not tcb.sack_ok:
        # RFC 6582 3.2 (3), partial acknowledgement: the next segment is lost too
        tcb.rtx_nxt = tcb.snd_una
        left: cython.uint = acked // tcb.snd_mss
        tcb.duplicate_acks = tcb.duplicate_acks - left + 1 if tcb.duplicate_acks > left else 1


@cython.cfunc
def on_timeout(tcb: Tcb) -> cython.void:
    """The retransmission timer expired: everything outstanding counts as lost. What was SACKed is
    forgotten: the peer may have dropped it (RFC 2018 8)."""
    tcb.recovery = LOSS
    tcb.recover = tcb.snd_nxt
    tcb.rtx_nxt = tcb.snd_una
    tcb.sacked = None
    tcb.sack_lost = tcb.snd_una
    tcb.duplicate_acks = 0
    tcb.rtt_at = 0
