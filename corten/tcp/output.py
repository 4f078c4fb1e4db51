"""What a connection sends, once a breath: retransmissions, new data, FIN, acknowledgements.

Nothing here is called while a segment arrives: input marks the connection, the output pass at
the end of the batch sends what is due, so that one acknowledgement answers a whole burst and data
carries it where there is any.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.frame import TransmitBatch
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_le, seq_lt, seq_sub
from cython.cimports.corten.tcp.deadline import retime
from cython.cimports.corten.tcp.emit import can_offload, emit_ack, emit_data, emit_syn
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.limited import (
    LIMITED_BY_PEER,
    LIMITED_BY_QUEUE,
    LIMITED_NOT,
    Limited,
)
from cython.cimports.corten.tcp.pacing import note_paced, paced_room
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.recovery import lost_edge, next_lost, pipe_of
from cython.cimports.corten.tcp.state import (
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    LAST_ACK,
    OPEN,
    SYN_RECEIVED,
    SYN_SENT,
)
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import RETRANSMITTED_SEGMENTS, ZERO_WINDOW_PROBES
from cython.cimports.corten.wire.tcp import ACK

if not cython.compiled:
    SUPER_LEN = 65455  # octets of one super-segment at the most: an IP packet less its headers
    QUICK_SEGMENTS = 2  # an acknowledgement at least every second full segment (SHLD-19)


@cython.cfunc
def output(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Send what is due. False: the batch is full, flush it and call again."""
    if tcb.state == CLOSED:
        return True
    batch: TransmitBatch = tcb.path.batch
    if not batch.has_room():
        return False
    if tcb.state == SYN_SENT or tcb.state == SYN_RECEIVED:
        if tcb.syn_now:
            tcb.syn_now = tcb.ack_now = False
            emit_syn(host, tcb, ACK if tcb.state == SYN_RECEIVED else 0, now)
        elif tcb.ack_now:
            emit_ack(host, tcb, now)
        retime(host, tcb)
        return True
    if not _duplicate_acks(host, tcb, now):
        return False
    room: cython.bint = True
    if tcb.recovery != OPEN:
        room = _retransmit(host, tcb, now)
    if room and (tcb.snd_nxt != tcb.snd_end or tcb.fin_queued):
        room = _send_new(host, tcb, now)
    if not room:
        return False
    if not _acknowledge(host, tcb, now):
        return False
    retime(host, tcb)
    return True


@cython.cfunc
def _duplicate_acks(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Duplicate acknowledgements, before any data: with holes they carry SACK blocks; a peer
    without SACK gets one for each out-of-order segment (or it could never retransmit fast)."""
    if tcb.reassembly is None:
        tcb.duplicate_acks_due = 0
        return True
    while tcb.duplicate_acks_due > 0:
        if not tcb.path.batch.has_room():
            return False
        emit_ack(host, tcb, now)
        tcb.duplicate_acks_due -= 1
    return True


@cython.cfunc
def _acknowledge(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Acknowledge now, or later (RFC 9293 3.8.6.3)."""
    if tcb.unacked_len >= QUICK_SEGMENTS * tcb.rcv_mss:
        tcb.ack_now = True
    if tcb.ack_now:
        if not tcb.path.batch.has_room():
            return False
        emit_ack(host, tcb, now)
    elif tcb.unacked_len > 0 and tcb.ack_at == 0:
        tcb.ack_at = now + tcb.config.delayed_ack_ns
    return True


@cython.cfunc
def _segment_max(tcb: Tcb) -> cython.Py_ssize_t:
    """Octets of one frame: a segment, or as many whole ones as a super-segment holds."""
    if tcb.path.interface.offload_segmentation and can_offload(tcb.path):
        return SUPER_LEN - SUPER_LEN % tcb.snd_mss
    return tcb.snd_mss


@cython.cfunc
def _send_new(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """New data as far as the windows and silly-window avoidance allow; False: the batch is full."""
    batch: TransmitBatch = tcb.path.batch
    if tcb.snd_una == tcb.snd_nxt and now - tcb.sent_at > tcb.rto and tcb.sent_at != 0:
        tcb.congestion.on_idle(tcb.config.initial_window * tcb.snd_mss)
    if tcb.busy_at == 0:
        tcb.busy_at = now
    pipe: cython.uint = pipe_of(tcb)
    largest: cython.Py_ssize_t = _segment_max(tcb)
    while not tcb.fin_sent:
        edge: cython.uint = seq_add(tcb.snd_una, tcb.snd_wnd)
        usable: cython.Py_ssize_t = 0
        if seq_gt(edge, tcb.snd_nxt):
            usable = seq_sub(edge, tcb.snd_nxt)
        waiting: cython.Py_ssize_t = seq_sub(tcb.snd_end, tcb.snd_nxt)
        allowed: cython.Py_ssize_t = 0
        if tcb.congestion.window > pipe:
            allowed = tcb.congestion.window - pipe
        length: cython.Py_ssize_t = min(waiting, usable, allowed)
        if tcb.pacer is not None and length > 0:
            length = min(length, paced_room(tcb, tcb.pacer, largest, now))
        length = min(length, largest)
        length = _avoid_silly(tcb, length, waiting, usable, allowed)
        fin: cython.bint = tcb.fin_queued and length == waiting and usable > length
        if length <= 0 and not fin:
            if usable < waiting + tcb.fin_queued and tcb.snd_una == tcb.snd_nxt and tcb.rtx_at == 0:
                tcb.rtx_at = now + tcb.rto  # the window is shut: probe (RFC 9293 3.8.6.1)
            if tcb.limited is not None or tcb.blocked or usable < waiting:
                _note_limit(tcb, waiting, usable, allowed, now)
            break
        if not batch.has_room():
            return False
        sent: cython.uint = _send_one(host, tcb, length, fin, now)
        if tcb.pacer is not None:
            note_paced(tcb.pacer, sent, now)
        pipe += sent
    return True


@cython.cfunc
def _note_limit(
    tcb: Tcb,
    waiting: cython.Py_ssize_t,
    usable: cython.Py_ssize_t,
    allowed: cython.Py_ssize_t,
    now: cython.longlong,
) -> cython.int:
    """Why this output pass sends no more, if it is not for the network's sake. 0."""
    kind: cython.uint = LIMITED_NOT
    if usable < waiting and usable <= allowed:
        kind = LIMITED_BY_PEER
    elif waiting == 0 and tcb.blocked and allowed > 0:
        kind = LIMITED_BY_QUEUE
    if tcb.limited is None:
        if kind == LIMITED_NOT:
            return 0
        tcb.limited = Limited()
    tcb.limited.change(kind, now)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _avoid_silly(
    tcb: Tcb,
    length: cython.Py_ssize_t,
    waiting: cython.Py_ssize_t,
    usable: cython.Py_ssize_t,
    allowed: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Sender's silly-window avoidance (RFC 9293 3.8.6.2.1) and Nagle: how many octets to send."""
    if length <= 0:
        return 0
    mss: cython.Py_ssize_t = tcb.snd_mss
    if length >= mss:
        if length == waiting and not (
            tcb.config.nagle and length % mss != 0 and tcb.snd_nxt != tcb.snd_una
        ):
            return length
        return length - length % mss  # the rest rides with what comes after it
    idle: cython.bint = tcb.snd_nxt == tcb.snd_una
    if length == waiting and (idle or not tcb.config.nagle or tcb.fin_queued):
        return length
    if length == usable and usable < waiting and 2 * length >= tcb.max_snd_wnd:
        return length
    if idle and length == allowed and allowed <= usable:
        return length  # nothing is in flight: a window below one segment must not stop us
    return 0


@cython.cfunc
def _send_one(
    host: TcpHost, tcb: Tcb, length: cython.Py_ssize_t, fin: cython.bint, now: cython.longlong
) -> cython.uint:
    """Send new data from SND.NXT and move on; how much sequence space it took."""
    piece: Piece | None = tcb.next_piece
    if length > 0:
        if piece is None:
            piece = tcb.first_piece
            tcb.next_offset = tcb.first_offset
        while piece is not None and tcb.next_offset >= piece.length:
            tcb.next_offset -= piece.length
            piece = piece.next
    sent: cython.Py_ssize_t = emit_data(
        host, tcb, tcb.snd_nxt, piece, tcb.next_offset, length, fin, now
    )
    if sent < length:
        fin = False
    tcb.next_piece = piece
    tcb.next_offset += sent
    taken: cython.uint = cython.cast(cython.uint, sent)
    if fin:
        taken += 1
        tcb.fin_sent = True
        tcb.state = FIN_WAIT_1 if tcb.state == ESTABLISHED else LAST_ACK
    tcb.snd_nxt = seq_add(tcb.snd_nxt, taken)
    tcb.sent_at = now
    if tcb.rtt_at == 0 and tcb.recovery == OPEN:
        tcb.rtt_at = now
        tcb.rtt_seq = tcb.snd_nxt
    if tcb.rtx_at == 0 or tcb.snd_una == seq_sub(tcb.snd_nxt, taken):
        tcb.rtx_at = now + tcb.rto
    return taken


@cython.cfunc
def _retransmit(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Send again what is lost, as far as the congestion window allows; False: the batch is full.

    The first retransmission of a recovery goes in any case (RFC 6675 5, step 4.3).
    """
    if tcb.snd_wnd == 0:
        return True  # what lies in a shut window would only be dropped again: the timer probes
    pipe: cython.uint = pipe_of(tcb)
    largest: cython.Py_ssize_t = _segment_max(tcb)
    while True:
        edge: cython.uint = lost_edge(tcb)
        seq: cython.uint = next_lost(tcb)
        if not seq_lt(seq, edge):
            return True
        first: cython.bint = seq_le(tcb.rtx_nxt, tcb.snd_una)
        allowed: cython.Py_ssize_t = 0
        if tcb.congestion.window > pipe:
            allowed = tcb.congestion.window - pipe
        if first and allowed < tcb.snd_mss:
            allowed = tcb.snd_mss
        end: cython.uint = edge
        if tcb.sacked is not None:
            end = tcb.sacked.gap_end(seq, edge)
        length: cython.Py_ssize_t = min(cython.cast(cython.Py_ssize_t, seq_sub(end, seq)), largest)
        if length > allowed:
            length = allowed - allowed % tcb.snd_mss
        if length <= 0:
            return True
        if not tcb.path.batch.has_room():
            return False
        pipe += resend(host, tcb, seq, length, now)


@cython.cfunc
def resend(
    host: TcpHost, tcb: Tcb, seq: cython.uint, length: cython.Py_ssize_t, now: cython.longlong
) -> cython.uint:
    """Send sequence space [seq, seq + length) again; how much of it went."""
    fin: cython.bint = False
    octets: cython.Py_ssize_t = length
    if tcb.fin_sent and seq_gt(seq_add(seq, cython.cast(cython.uint, length)), tcb.snd_end):
        fin = True
        octets -= 1
    piece: Piece | None = tcb.first_piece
    offset: cython.Py_ssize_t = tcb.first_offset + seq_sub(seq, tcb.snd_una)
    while piece is not None and offset >= piece.length:
        offset -= piece.length
        piece = piece.next
    if piece is None:
        offset = 0
    sent: cython.Py_ssize_t = emit_data(host, tcb, seq, piece, offset, octets, fin, now)
    taken: cython.uint = cython.cast(cython.uint, sent)
    if fin and sent == octets:
        taken += 1
    tcb.rtx_nxt = seq_add(seq, taken)
    tcb.rtt_at = 0  # Karn
    tcb.sent_at = now
    if tcb.rtx_at == 0 or seq == tcb.snd_una:
        # never again within an RTO of its last transmission (RFC 6298 5)
        tcb.rtx_at = now + tcb.rto
    host.counters.add(
        RETRANSMITTED_SEGMENTS, (sent + tcb.snd_mss - 1) // tcb.snd_mss if sent else 1
    )
    return taken


@cython.cfunc
def send_probe(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """The window is shut, or opened by too little to be worth a segment: send what it holds, at
    least one octet, or the FIN (RFC 9293 3.8.6.1, 3.8.6.2.1 (4))."""
    if not tcb.path.batch.has_room():
        return
    if tcb.snd_una != tcb.snd_nxt:
        resend(host, tcb, tcb.snd_una, 1, now)
        tcb.rtx_nxt = tcb.snd_una
        host.counters.add(ZERO_WINDOW_PROBES)
        return
    waiting: cython.Py_ssize_t = seq_sub(tcb.snd_end, tcb.snd_nxt)
    length: cython.Py_ssize_t = min(waiting, max(1, tcb.snd_wnd), tcb.snd_mss)
    if length <= 0 and not tcb.fin_queued:
        tcb.rtx_at = 0
        return
    at: cython.longlong = tcb.rtx_at
    _send_one(host, tcb, length, length == 0, now)
    tcb.rtx_at = at
    tcb.rtt_at = 0
    host.counters.add(ZERO_WINDOW_PROBES)
