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
from cython.cimports.corten.tcp.flight import LIMITED, LOST, Flight
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.limited import (
    LIMITED_BY_PEER,
    LIMITED_BY_QUEUE,
    LIMITED_NOT,
    Limited,
)
from cython.cimports.corten.tcp.pacing import note_paced, paced_room
from cython.cimports.corten.tcp.path_mtu import note_path_probe, probe_due
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.rate import Rate
from cython.cimports.corten.tcp.recovery import pipe_of
from cython.cimports.corten.tcp.repair import FRTO_SECOND, Repair
from cython.cimports.corten.tcp.sack import flight_of, repair_of
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
from cython.cimports.corten.tcp.tlp import note_probe, start_probe, start_timer
from cython.cimports.corten.tcp.undo import note_resent
from cython.cimports.corten.wire.reason import (
    LOSS_PROBES,
    RETRANSMITTED_SEGMENTS,
    ZERO_WINDOW_PROBES,
)
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
    if tcb.duplicate_acks_due > 0 and not _duplicate_acks(host, tcb, now):
        return False
    room: cython.bint = True
    if tcb.recovery != OPEN:
        room = _repair(host, tcb, now)
    if room and not tcb.fin_sent and (tcb.snd_nxt != tcb.snd_end or tcb.fin_queued):
        room = _send_new(host, tcb, now)
    if not room:
        return False
    if not _acknowledge(host, tcb, now):
        return False
    retime(host, tcb)
    return True


@cython.cfunc
def _duplicate_acks(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Duplicate acknowledgements, before any data: with holes they carry SACK blocks, and for each
    segment that came again a D-SACK; a peer without SACK gets one for each out-of-order segment (or
    it could never retransmit fast)."""
    if tcb.reassembly is None and tcb.duplicates is None:
        tcb.duplicate_acks_due = 0
        return True
    while tcb.duplicate_acks_due > 0:
        if not tcb.path.batch.has_room():
            return False
        emit_ack(host, tcb, now)
        if tcb.duplicates is None:
            tcb.duplicate_acks_due -= 1
    return True


@cython.cfunc
def _acknowledge(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Acknowledge now, or later (RFC 9293 3.8.6.3)."""
    if tcb.unacked_len >= QUICK_SEGMENTS * tcb.rcv_mss:
        tcb.ack_now = True
    elif tcb.quick_acks > 0 and tcb.unacked_len > 0:
        tcb.quick_acks -= 1
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
    if tcb.snd_una == tcb.snd_nxt and now - tcb.sent_at > tcb.rto:
        tcb.congestion.on_idle(tcb.config.initial_window * tcb.snd_mss)
    if tcb.busy_at == 0:
        tcb.busy_at = now
    pipe: cython.uint = pipe_of(tcb)
    if tcb.search is not None:
        pipe += _probe_path(host, tcb, pipe, now)
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
        fin: cython.bint = tcb.fin_queued != 0 and length == waiting and usable > length
        if length <= 0 and not fin:
            if usable < waiting + tcb.fin_queued and tcb.snd_una == tcb.snd_nxt and tcb.rtx_at == 0:
                tcb.rtx_at = now + tcb.rto  # the window is shut: probe (RFC 9293 3.8.6.1)
            if tcb.limited is not None or tcb.blocked or usable < waiting:
                _note_limit(tcb, waiting, usable, allowed, now)
            if waiting == 0 and tcb.rate is not None and allowed > 0:
                tcb.rate.limited_until = tcb.delivered + max(pipe, 1)
            break
        if not batch.has_room():
            return False
        sent: cython.uint = _send_one(host, tcb, length, fin, now)
        if tcb.pacer is not None:
            note_paced(tcb.pacer, sent, now)
        pipe += sent
    return True


@cython.cfunc
def _probe_path(host: TcpHost, tcb: Tcb, pipe: cython.uint, now: cython.longlong) -> cython.uint:
    """One segment larger than what is known to pass, when it is time; what it took."""
    size: cython.uint = probe_due(tcb, now)
    edge: cython.uint = seq_add(tcb.snd_una, tcb.snd_wnd)
    if (
        size <= tcb.snd_mss
        or seq_sub(tcb.snd_end, tcb.snd_nxt) < size
        or seq_lt(edge, seq_add(tcb.snd_nxt, size))
        or tcb.congestion.window < pipe + size
        or not tcb.path.batch.has_room()
    ):
        return 0
    known: cython.uint = tcb.snd_mss
    tcb.snd_mss = size  # so that it leaves as one
    sent: cython.uint = _send_one(host, tcb, size, False, now)
    tcb.snd_mss = known
    if sent == size:
        note_path_probe(host, tcb, size)
    return sent


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
            tcb.config.nagle and length % mss != 0 and _has_small_out(tcb)
        ):
            return length
        return length - length % mss  # the rest rides with what comes after it
    idle: cython.bint = tcb.snd_nxt == tcb.snd_una
    if length == waiting and (
        idle or not tcb.config.nagle or tcb.fin_queued or not _has_small_out(tcb)
    ):
        return length
    if length == usable and usable < waiting and 2 * length >= tcb.max_snd_wnd:
        return length
    if idle and length == allowed and allowed <= usable:
        return length  # nothing is in flight: a window below one segment must not stop us
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _has_small_out(tcb: Tcb) -> cython.bint:
    """Whether a segment below a whole one is unacknowledged: Nagle waits for that one alone, so
    that the end of a large write need not (RFC 9293 A.3)."""
    return seq_lt(tcb.snd_una, tcb.snd_sml) and seq_le(tcb.snd_sml, tcb.snd_nxt)


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
    _note_sent(host, tcb, seq_add(tcb.snd_nxt, taken), now)
    if tcb.config.nagle and sent % tcb.snd_mss != 0:
        tcb.snd_sml = tcb.snd_nxt
    return taken


@cython.cfunc
def _note_sent(host: TcpHost, tcb: Tcb, end: cython.uint, now: cython.longlong) -> cython.int:
    """New data as far as `end` has been sent (RFC 8985 6.1), and SND.NXT moves there."""
    begins: cython.bint = tcb.snd_una == tcb.snd_nxt
    if begins:
        tcb.first_sent_at = tcb.delivered_at = now
    if tcb.flight is not None or not begins:
        if tcb.rate is None:
            tcb.rate = Rate()
        limited: cython.bint = tcb.rate.limited_until != 0
        flight_of(host, tcb).push(
            end,
            LIMITED if limited else 0,
            now,
            tcb.delivered,
            tcb.delivered_at,
            tcb.first_sent_at,
        )
    tcb.snd_nxt = end
    tcb.sent_at = now
    tcb.sent_flight = seq_sub(end, tcb.snd_una)
    tcb.sent_window = tcb.congestion.window
    if tcb.rtx_at == 0 or begins:
        start_timer(tcb, now)
    elif tcb.is_probing:
        start_probe(tcb, now)
    return 0


@cython.cfunc
def _repair(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.bint:
    """What loss recovery has to send: a probe, or what is lost; False: the batch is full."""
    repair: Repair = repair_of(tcb)
    if tcb.snd_una == tcb.snd_nxt:
        repair.tlp_due = False  # all of it has arrived since: there is nothing to keep records of
        return True
    flight: Flight = flight_of(host, tcb)
    if repair.tlp_due:
        return _probe_loss(host, tcb, flight, repair, now)
    if flight.lost_len == 0 or repair.frto == FRTO_SECOND:
        return True
    return _retransmit(host, tcb, flight, now)


@cython.cfunc
def _retransmit(host: TcpHost, tcb: Tcb, flight: Flight, now: cython.longlong) -> cython.bint:
    """Send again what is lost, as far as the congestion window allows; False: the batch is full."""
    pipe: cython.uint = pipe_of(tcb)
    largest: cython.Py_ssize_t = _segment_max(tcb)
    edge: cython.uint = seq_add(tcb.snd_una, tcb.snd_wnd)
    i: cython.Py_ssize_t = flight.find(flight.lost_at)
    while flight.lost_len > 0:
        while i < flight.count and flight.flags(i) & LOST == 0:
            i += 1
        assert i < flight.count  # `lost_at` is never beyond what is lost
        seq: cython.uint = flight.start(i, tcb.snd_una)
        flight.lost_at = seq
        # what lies beyond a shrunk window would only be dropped again (RFC 9293 SHLD-16)
        if not seq_lt(seq, edge):
            return True
        length: cython.Py_ssize_t = _lost_run(tcb, flight, i, largest)
        length = min(length, cython.cast(cython.Py_ssize_t, seq_sub(edge, seq)))
        allowed: cython.Py_ssize_t = 0
        if tcb.congestion.window > pipe:
            allowed = tcb.congestion.window - pipe
        if allowed < tcb.snd_mss and _goes_anyhow(tcb, seq):
            allowed = tcb.snd_mss
        if length > allowed:
            length = allowed - allowed % tcb.snd_mss
        if length <= 0:
            return True
        if not tcb.path.batch.has_room():
            return False
        pipe += resend(host, tcb, seq, length, now)
        i = flight.find(seq)
    return True


@cython.cfunc
def _goes_anyhow(tcb: Tcb, seq: cython.uint) -> cython.bint:
    """The first retransmission of a recovery whatever the window says (RFC 6675 5, step 4.3), and
    without SACK that of each partial acknowledgement (RFC 6582 3.2 (3))."""
    if seq != tcb.snd_una:
        return False
    return not tcb.sack_ok or repair_of(tcb).prr_resent == 0


@cython.cfunc
def _lost_run(
    tcb: Tcb, flight: Flight, i: cython.Py_ssize_t, largest: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Octets that are lost from record i on without a gap, `largest` at the most."""
    seq: cython.uint = flight.start(i, tcb.snd_una)
    length: cython.Py_ssize_t = 0
    while i < flight.count and flight.flags(i) & LOST and length < largest:
        length = seq_sub(flight.end(i), seq)
        i += 1
    return min(length, largest)


@cython.cfunc
def _probe_loss(
    host: TcpHost, tcb: Tcb, flight: Flight, repair: Repair, now: cython.longlong
) -> cython.bint:
    """TLP_send_probe (RFC 8985 7.3): a segment of new data where the peer's window takes one, else
    the last one again; False: the batch is full."""
    if tcb.snd_una == tcb.snd_nxt or tcb.snd_wnd == 0:
        repair.tlp_due = False
        return True
    if not tcb.path.batch.has_room():
        return False
    waiting: cython.Py_ssize_t = seq_sub(tcb.snd_end, tcb.snd_nxt)
    length: cython.Py_ssize_t = min(waiting, tcb.snd_mss)
    edge: cython.uint = seq_add(tcb.snd_una, tcb.snd_wnd)
    is_new: cython.bint = length > 0 and not tcb.fin_sent
    if is_new and not seq_lt(seq_add(tcb.snd_nxt, cython.cast(cython.uint, length - 1)), edge):
        is_new = False
    if is_new:
        _send_one(host, tcb, length, False, now)
    else:
        last: cython.Py_ssize_t = flight.count - 1
        start: cython.uint = flight.start(last, tcb.snd_una)
        # of a super-segment its last segment
        skip: cython.uint = (seq_sub(tcb.snd_nxt, start) - 1) // tcb.snd_mss * tcb.snd_mss
        start = seq_add(start, skip)
        resend(host, tcb, start, seq_sub(tcb.snd_nxt, start), now)
    note_probe(tcb, repair, not is_new)
    tcb.is_probing = False
    tcb.rtx_at = now + tcb.rto
    host.counters.add(LOSS_PROBES)
    return True


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
    flight: Flight = flight_of(host, tcb)
    note_resent(tcb, repair_of(tcb), seq, taken, now)
    flight.mark_sent(seq, seq_add(seq, taken), tcb.snd_una, now)
    tcb.sent_at = now
    if tcb.rtx_at == 0 or seq == tcb.snd_una:
        # never again within an RTO of its last transmission (RFC 6298 5)
        tcb.rtx_at = now + tcb.rto
        tcb.is_probing = False
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
    tcb.is_probing = False
    host.counters.add(ZERO_WINDOW_PROBES)
