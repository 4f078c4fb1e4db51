"""The ACK field of an acceptable segment (RFC 9293, 3.10.7.4, fifth; RFC 5961 5).

What it may do: release what was sent, move the window, take a round-trip sample, feed congestion
control, carry loss recovery on.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import TIMESTAMP_ECHO_MAX
from cython.cimports.corten.core.serial import seq_ge, seq_gt, seq_le, seq_lt, seq_sub
from cython.cimports.corten.tcp.buffer import low_water
from cython.cimports.corten.tcp.ecn import ECN_HOLD
from cython.cimports.corten.tcp.emit import timestamp_of
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.isn import TIMESTAMP_TICK_NS
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.recovery import (
    note_sack,
    on_duplicate,
    on_progress,
    on_timeout,
)
from cython.cimports.corten.tcp.rtt import compute_rto, rtt_sample
from cython.cimports.corten.tcp.sample import AckSample
from cython.cimports.corten.tcp.state import EVENT_WRITABLE, FAST, LOSS, OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import ACCEPTED, DUPLICATE_ACKS_IN, TCP_BAD_ACK
from cython.cimports.corten.wire.tcp import FIN, SYN, Segment


@cython.cfunc
def acknowledge(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Take in SEG.ACK and SEG.WND of a synchronized connection. ACCEPTED, or why the segment is
    to be dropped after an acknowledgement has been marked."""
    if seq_gt(seg.ack, tcb.snd_nxt):
        return TCP_BAD_ACK  # something not yet sent
    if seq_lt(seg.ack, tcb.snd_una) and seq_sub(tcb.snd_una, seg.ack) > tcb.max_snd_wnd:
        return TCP_BAD_ACK  # RFC 5961 5.2: older than anything that can still be under way
    fresh: cython.bint = False
    if seg.sack_count > 0 and tcb.sack_ok:
        fresh = note_sack(tcb, seg)
    old_window: cython.uint = tcb.snd_wnd
    window: cython.uint = seg.window << tcb.snd_shift
    # RFC 9293 3.10.7.4, and whenever SND.UNA moves: were the window's left edge to move alone, its
    # right one would lie beyond what the peer ever offered
    if seq_lt(tcb.snd_una, seg.ack) or (
        tcb.snd_una == seg.ack
        and (
            seq_lt(tcb.snd_wl1, seg.seq)
            or (tcb.snd_wl1 == seg.seq and seq_le(tcb.snd_wl2, seg.ack))
        )
    ):
        _update_window(host, tcb, seg, window, now)
    if seq_gt(seg.ack, tcb.snd_una):
        _advance(host, tcb, seg, now)
        if fresh:
            on_duplicate(host, tcb, fresh, now)
    elif _is_duplicate(tcb, seg, window, old_window):
        host.counters.add(DUPLICATE_ACKS_IN)
        on_duplicate(host, tcb, fresh, now)
    elif fresh:
        on_duplicate(host, tcb, fresh, now)
    if tcb.snd_wnd == 0 and tcb.config.user_timeout_ns == 0 and not tcb.fin_queued:
        # a shut window whose probes are answered may last for ever (MUST-37), but for who has
        # closed, or has set a user timeout (RFC 5482 3)
        tcb.retry_since = 0
    return ACCEPTED


@cython.cfunc
@cython.exceptval(check=False)
def _is_duplicate(
    tcb: Tcb, seg: Segment, window: cython.uint, old_window: cython.uint
) -> cython.bint:
    """RFC 5681 2: data outstanding, no data carried, no SYN or FIN, same ACK, same window."""
    return (
        seg.ack == tcb.snd_una
        and tcb.snd_una != tcb.snd_nxt
        and seg.payload_len == 0
        and seg.flags & (SYN | FIN) == 0
        and window == old_window
    )


@cython.cfunc
def _update_window(
    host: TcpHost, tcb: Tcb, seg: Segment, window: cython.uint, now: cython.longlong
) -> cython.void:
    """SND.WND, SND.WL1, SND.WL2; a window that opens lets output run."""
    tcb.snd_wl1 = seg.seq
    tcb.snd_wl2 = seg.ack
    if window > tcb.snd_wnd:
        host.mark(tcb)
        if tcb.snd_wnd == 0:
            _end_probing(tcb, now)
    tcb.snd_wnd = window
    tcb.max_snd_wnd = max(tcb.max_snd_wnd, window)


@cython.cfunc
def _end_probing(tcb: Tcb, now: cython.longlong) -> cython.void:
    """A shut window opened: the back-off is over, and a probe that was refused goes again."""
    tcb.retries = 0
    compute_rto(tcb, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
    if tcb.snd_una == tcb.snd_nxt:
        tcb.rtx_at = 0
    else:
        on_timeout(tcb)
        tcb.rtx_at = now + tcb.rto


@cython.cfunc
def _advance(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """SND.UNA moves to SEG.ACK."""
    acked: cython.uint = seq_sub(seg.ack, tcb.snd_una)
    in_flight: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    octets: cython.uint = acked
    if tcb.fin_sent and seg.ack == tcb.snd_nxt:
        octets -= 1  # the FIN
    rtt: cython.longlong = _sample(tcb, seg, now)
    tcb.snd_una = seg.ack
    release_acked(tcb, octets)
    before: cython.uint = tcb.recovery
    on_progress(tcb, acked)
    if octets > 0 and before != FAST:
        if tcb.congestion.wants_all or _window_limited(tcb, in_flight):
            if before == LOSS:
                octets = min(octets, tcb.snd_mss)  # most arrived long ago (RFC 3465 2.3, L = 1)
            tell_control(host, tcb, octets, rtt, now)
        else:
            tcb.congestion.app_limited = True
            if tcb.congestion.window > tcb.congestion.initial_window:
                tcb.congestion.note_limited(octets, tcb.srtt, now)
    tcb.retries = 0  # but the RTO stays backed off until a sample says otherwise (Karn)
    tcb.rtx_at = now + tcb.rto if tcb.snd_una != tcb.snd_nxt else 0  # 5.2, 5.3
    tcb.path.neighbour.confirm(now)
    if tcb.blocked and seq_sub(tcb.snd_end, tcb.snd_una) <= low_water(tcb):
        tcb.blocked = False
        tcb.events |= EVENT_WRITABLE
        host.mark(tcb)
    if tcb.snd_nxt != tcb.snd_end or tcb.fin_queued or tcb.recovery != OPEN:
        host.mark(tcb)


@cython.cfunc
@cython.exceptval(check=False)
def _window_limited(tcb: Tcb, in_flight: cython.uint) -> cython.bint:
    """Whether the congestion window was what held us back (RFC 9438 5.8, RFC 7661), and it was not
    reduced in this round for a mark (RFC 3168 6.1.2)."""
    if tcb.ecn & ECN_HOLD:
        return False
    window: cython.uint = tcb.congestion.window
    if window < tcb.congestion.ssthresh:
        return in_flight >= window // 2
    return in_flight + tcb.snd_mss >= window


@cython.cfunc
def tell_control(
    host: TcpHost,
    tcb: Tcb,
    octets: cython.uint,
    rtt: cython.longlong,
    now: cython.longlong,
) -> cython.int:
    """`on_ack`, with all that an algorithm may want to know of this acknowledgement."""
    sample: AckSample = host.sample
    sample.now = now
    sample.acked = octets
    sample.in_flight = seq_sub(tcb.snd_nxt, tcb.snd_una)
    sample.rtt = rtt
    sample.srtt = tcb.srtt
    sample.min_rtt = tcb.min_rtt
    return tcb.congestion.on_ack(sample)


@cython.cfunc
def _sample(tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.longlong:
    """One round-trip sample a window from a timed segment; from timestamps where that was
    retransmitted (RFC 6298 3, RFC 7323 4.3). The sample, or 0."""
    elapsed: cython.longlong = 0
    if tcb.rtt_at != 0:
        if seq_ge(seg.ack, tcb.rtt_seq):
            elapsed = now - tcb.rtt_at
            rtt_sample(tcb, elapsed, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
            tcb.rtt_at = 0
    elif tcb.timestamps_ok and seg.has_timestamp and seg.ts_echo != 0:
        ticks: cython.uint = seq_sub(timestamp_of(tcb.ts_offset, now), seg.ts_echo)
        if ticks < TIMESTAMP_ECHO_MAX:
            elapsed = ticks
            elapsed *= TIMESTAMP_TICK_NS
            rtt_sample(tcb, elapsed, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
    return elapsed


@cython.cfunc
def release_acked(tcb: Tcb, octets: cython.uint) -> cython.void:
    """Let go of the pieces that are acknowledged to the last octet."""
    tcb.first_offset += octets
    piece: Piece | None = tcb.first_piece
    while piece is not None and tcb.first_offset >= piece.length:
        if piece is tcb.next_piece:
            tcb.next_piece = piece.next
            tcb.next_offset -= piece.length
        tcb.first_offset -= piece.length
        following: Piece | None = piece.next
        piece.next = None
        piece = following
    tcb.first_piece = piece
    if piece is None:
        tcb.last_piece = None
        tcb.next_piece = None
        tcb.first_offset = 0
        tcb.next_offset = 0
