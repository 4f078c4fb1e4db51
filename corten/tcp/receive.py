"""Text and FIN of an acceptable segment (RFC 9293, 3.10.7.4, seventh and eighth).

In order, octets are the handler's where they lie in the frame; out of order they are copied into
the reassembly queue. Nothing is acknowledged here: the connection is marked.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_add, seq_ge, seq_gt, seq_lt, seq_sub
from cython.cimports.corten.tcp.buffer import tune_receive
from cython.cimports.corten.tcp.dsack import QUICK_ACKS, note_queued, note_unacceptable
from cython.cimports.corten.tcp.host import TcpHost, retain_octets
from cython.cimports.corten.tcp.reassembly import Reassembly
from cython.cimports.corten.tcp.state import (
    CAN_RECEIVE,
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    EVENT_DATA,
    EVENT_EOF,
    FIN_WAIT_1,
    FIN_WAIT_2,
)
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    OCTETS_IN,
    OUT_OF_ORDER,
    TCP_DATA_AFTER_FIN,
    TCP_REASSEMBLY_FULL,
)
from cython.cimports.corten.wire.tcp import FIN, SYN, Segment

if not cython.compiled:
    REASSEMBLY_FACTOR = 2  # true cost of what is kept, in receive buffers
    NO_BOUND = 0x7FFF_FFFF
    DUPLICATES_MAX = 64  # duplicate acknowledgements owed in one breath at the most


@cython.cfunc
def receive_text(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Seventh: take in the segment's octets, and its FIN if all before it is here. ACCEPTED, or
    why some of it could not be kept."""
    fin: cython.bint = seg.flags & FIN != 0
    if seg.payload_len == 0 and not fin:
        return ACCEPTED
    if tcb.state & CAN_RECEIVE == 0:
        tcb.ack_now = True  # nothing can come after a FIN
        host.mark(tcb)
        return TCP_DATA_AFTER_FIN
    seq: cython.uint = seq_add(seg.seq, 1) if seg.flags & SYN else seg.seq
    at: cython.Py_ssize_t = seg.payload_at
    length: cython.Py_ssize_t = seg.payload_len
    if seq_lt(seq, tcb.rcv_nxt):
        stale: cython.Py_ssize_t = seq_sub(tcb.rcv_nxt, seq)
        note_unacceptable(tcb, seg)
        if stale > length or (stale == length and not fin):
            tcb.ack_now = True
            host.mark(tcb)
            return ACCEPTED
        seq = tcb.rcv_nxt
        at += stale
        length -= stale
        tcb.ack_now = True  # part of it is a retransmission: say what we have
    room: cython.Py_ssize_t = seq_sub(tcb.rcv_adv, seq)
    if length > room:
        length = room
        fin = False
        tcb.ack_now = True
    tcb.received_at = now
    _note_size(tcb, seg)
    host.mark(tcb)
    if tcb.end_at != 0 and tcb.state == FIN_WAIT_2 and not tcb.patient:
        tcb.end_at = now + tcb.config.fin_wait_ns  # the peer is alive
    if seq != tcb.rcv_nxt:
        return _keep_early(host, tcb, seg, seq, at, length, fin)
    if tcb.reassembly is not None and length > 0:
        return _fill(host, tcb, seg, seq, at, length, fin, now)
    if length > 0:
        host.counters.add(OCTETS_IN, length)
        tcb.received += length
        host.add_slice(tcb, seg.memory, at, length)
        tcb.rcv_nxt = seq_add(seq, cython.cast(cython.uint, length))
        tcb.unacked_len += cython.cast(cython.uint, length)
        tcb.events |= EVENT_DATA
        if seq_ge(tcb.rcv_nxt, tcb.tune_seq):
            tune_receive(host, tcb, now)
    if fin:
        receive_fin(host, tcb, now)
    return ACCEPTED


@cython.cfunc
@cython.exceptval(check=False)
def _note_size(tcb: Tcb, seg: Segment) -> cython.void:
    """The largest segment seen: every second one of that size is acknowledged at once."""
    size: cython.uint = cython.cast(
        cython.uint, seg.gso_size if seg.gso_size > 0 else seg.payload_len
    )
    tcb.rcv_mss = max(tcb.rcv_mss, size)


@cython.cfunc
def _keep_early(
    host: TcpHost,
    tcb: Tcb,
    seg: Segment,
    seq: cython.uint,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    fin: cython.bint,
) -> cython.int:
    """A hole lies before it: keep it, and say at once what is missing (SHLD-31, RFC 5681 4.2)."""
    host.counters.add(OUT_OF_ORDER)
    if tcb.reassembly is None:
        tcb.reassembly = Reassembly(tcb.rcv_nxt)
    queue: Reassembly | None = tcb.reassembly
    assert queue is not None  # there is a hole
    if fin:
        queue.note_fin(seq_add(seq, cython.cast(cython.uint, length)))
    whole: cython.bint = True
    tcb.quick_acks = QUICK_ACKS
    if length > 0:
        note_queued(tcb, queue.ranges, seq, length)
        whole = queue.add(seq, seg.memory, at, length, REASSEMBLY_FACTOR * tcb.rcv_buf)
    if tcb.sack_ok:
        tcb.duplicate_acks_due = 1
    elif tcb.duplicate_acks_due < DUPLICATES_MAX:
        tcb.duplicate_acks_due += 1
    if queue.is_empty():
        tcb.reassembly = None
        tcb.ack_now = True
    return ACCEPTED if whole else TCP_REASSEMBLY_FULL


@cython.cfunc
def _fill(
    host: TcpHost,
    tcb: Tcb,
    seg: Segment,
    seq: cython.uint,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    fin: cython.bint,
    now: cython.longlong,
) -> cython.int:
    """The first hole is filled, from its beginning. By way of the queue, so that where octets came
    twice the first ones stand."""
    queue: Reassembly | None = tcb.reassembly
    assert queue is not None  # there is a hole to fill
    if fin:
        queue.note_fin(seq_add(seq, cython.cast(cython.uint, length)))
    if seq == seg.seq:  # or its first run was what lay before RCV.NXT
        note_queued(tcb, queue.ranges, seq, length)
    queue.add(seq, seg.memory, at, length, NO_BOUND)  # all of it leaves the queue at once
    fin = _continue(host, tcb)
    if seq_ge(tcb.rcv_nxt, tcb.tune_seq):
        tune_receive(host, tcb, now)
    if fin:
        receive_fin(host, tcb, now)
    return ACCEPTED


@cython.cfunc
def _continue(host: TcpHost, tcb: Tcb) -> cython.bint:
    """Take what continues the stream from the queue. True when its FIN is due."""
    queue: Reassembly | None = tcb.reassembly
    if queue is None:
        return False
    tcb.ack_now = True
    while True:
        chunk: bytes | None = queue.take(tcb.rcv_nxt)
        if chunk is None:
            break
        host.retain(tcb)  # in order: first what lies in this breath's frames
        retain_octets(tcb, chunk)
        tcb.rcv_nxt = seq_add(tcb.rcv_nxt, cython.cast(cython.uint, len(chunk)))
        tcb.events |= EVENT_DATA
        host.counters.add(OCTETS_IN, len(chunk))
        tcb.received += len(chunk)
    fin: cython.bint = queue.take_fin(tcb.rcv_nxt)
    if queue.is_empty():
        tcb.reassembly = None
    elif tcb.sack_ok:
        tcb.duplicate_acks_due = 1  # text that carries the acknowledgement carries no SACK blocks
    return fin


@cython.cfunc
def receive_fin(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """Eighth: the FIN is in order. TIME-WAIT is entered by `segment_arrives`."""
    tcb.rcv_nxt = seq_add(tcb.rcv_nxt, 1)
    if seq_gt(tcb.rcv_nxt, tcb.rcv_adv):
        tcb.rcv_adv = tcb.rcv_nxt
    tcb.fin_received = True
    tcb.reassembly = None
    tcb.ack_now = True
    tcb.events |= EVENT_EOF
    if tcb.state == ESTABLISHED:
        tcb.state = CLOSE_WAIT
    elif tcb.state == FIN_WAIT_1:
        tcb.state = CLOSING  # our FIN is not acknowledged, or FIN_WAIT_2 would be the state
    elif tcb.state == FIN_WAIT_2:
        tcb.end_at = 0
