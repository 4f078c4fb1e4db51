"""The ACK field of an acceptable segment (RFC 9293, 3.10.7.4, fifth; RFC 5961 5).

What it may do: release what was sent, move the window, take a round-trip sample, feed congestion
control, carry loss recovery on.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import TIMESTAMP_ECHO_MAX
from cython.cimports.corten.core.serial import seq_gt, seq_le, seq_lt, seq_sub
from cython.cimports.corten.tcp.buffer import low_water, queued_of
from cython.cimports.corten.tcp.ecn import ECN_HOLD
from cython.cimports.corten.tcp.emit import timestamp_of
from cython.cimports.corten.tcp.flight import News
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.isn import TIMESTAMP_TICK_NS
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.rate import Rate
from cython.cimports.corten.tcp.recovery import after_ack, note_disorder, resend_everything
from cython.cimports.corten.tcp.rtt import compute_rto, rtt_sample
from cython.cimports.corten.tcp.sack import flight_of, take_blocks, take_cumulative
from cython.cimports.corten.tcp.sample import AckSample
from cython.cimports.corten.tcp.state import EVENT_WRITABLE, OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.tlp import start_timer
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    DSACKS_IN,
    DUPLICATE_ACKS_IN,
    TCP_BAD_ACK,
)
from cython.cimports.corten.wire.tcp import FIN, SYN, Segment


@cython.cfunc
def acknowledge(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Take in SEG.ACK and SEG.WND of a synchronized connection. ACCEPTED, or why the segment is
    to be dropped after an acknowledgement has been marked."""
    if seq_gt(seg.ack, tcb.snd_nxt):
        return TCP_BAD_ACK  # something not yet sent
    if seq_lt(seg.ack, tcb.snd_una) and seq_sub(tcb.snd_una, seg.ack) > tcb.max_snd_wnd:
        return TCP_BAD_ACK  # RFC 5961 5.2: older than anything that can still be under way
    blocks: cython.bint = seg.sack_count > 0 and tcb.sack_ok != 0
    if tcb.recovery != OPEN or blocks:
        flight_of(host, tcb)
    if tcb.flight is not None:
        host.news.clear()
    octets: cython.uint = 0
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
        octets = _advance(host, tcb, seg, now)
    elif _is_duplicate(tcb, seg, window, old_window):
        _duplicate(host, tcb)
    if tcb.recovery != OPEN or blocks:
        octets = _look_closer(host, tcb, seg, octets, blocks, now)
    if tcb.flight is not None:
        _take_rate(tcb, host.news, now)
    if octets > 0:
        _let_grow(host, tcb, octets, now)
    if tcb.flight is not None and tcb.snd_una == tcb.snd_nxt:
        host.spare_flight(tcb)
    if tcb.snd_wnd == 0 and tcb.config.user_timeout_ns == 0 and not tcb.fin_queued:
        # a shut window whose probes are answered may last for ever (MUST-37), but for who has
        # closed, or has set a user timeout (RFC 5482 3)
        tcb.retry_since = 0
    if tcb.blocked and queued_of(tcb) <= low_water(tcb):
        # also when SND.UNA has not moved: in recovery SACKs alone let new data go
        tcb.blocked = False
        tcb.events |= EVENT_WRITABLE
        host.mark(tcb)
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
def _duplicate(host: TcpHost, tcb: Tcb) -> cython.void:
    """A duplicate acknowledgement: by itself it matters to a peer without SACK (RFC 8985 needs
    none), and to a tail loss probe."""
    host.counters.add(DUPLICATE_ACKS_IN)
    if not tcb.sack_ok:
        flight_of(host, tcb)
        if tcb.recovery == OPEN:
            host.news.clear()
            note_disorder(tcb)
    host.news.duplicate = True


@cython.cfunc
def _look_closer(
    host: TcpHost,
    tcb: Tcb,
    seg: Segment,
    octets: cython.uint,
    blocks: cython.bint,
    now: cython.longlong,
) -> cython.uint:
    """SACK blocks, or something else in doubt: loss recovery. Answers what lets the window grow."""
    if blocks:
        take_blocks(tcb, flight_of(host, tcb), host.news, seg, now)
        if host.news.dsack:
            host.counters.add(DSACKS_IN)
    grown: cython.uint = after_ack(host, tcb, seg, octets, now)
    if octets > 0 and tcb.snd_una != tcb.snd_nxt:
        start_timer(tcb, now)
    return grown


@cython.cfunc
def _update_window(
    host: TcpHost, tcb: Tcb, seg: Segment, window: cython.uint, now: cython.longlong
) -> cython.int:
    """SND.WND, SND.WL1, SND.WL2; a window that opens lets output run."""
    tcb.snd_wl1 = seg.seq
    tcb.snd_wl2 = seg.ack
    if window > tcb.snd_wnd:
        host.mark(tcb)
        if tcb.snd_wnd == 0:
            _end_probing(host, tcb, now)
    tcb.snd_wnd = window
    tcb.max_snd_wnd = max(tcb.max_snd_wnd, window)
    return 0


@cython.cfunc
def _end_probing(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """A shut window opened: the back-off is over, and a probe that was refused goes again."""
    tcb.retries = 0
    compute_rto(tcb, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
    if tcb.snd_una == tcb.snd_nxt:
        tcb.rtx_at = 0
    else:
        resend_everything(host, tcb)
        tcb.rtx_at = now + tcb.rto


@cython.cfunc
def _advance(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.uint:
    """SND.UNA moves to SEG.ACK; how many octets are acknowledged."""
    octets: cython.uint = seq_sub(seg.ack, tcb.snd_una)
    if tcb.fin_sent and seg.ack == tcb.snd_nxt:
        octets -= 1  # the FIN
    if tcb.flight is not None:
        take_cumulative(tcb, flight_of(host, tcb), host.news, seg, now)
    _sample(host, tcb, seg, now)
    tcb.snd_una = seg.ack
    release_acked(tcb, octets)
    if tcb.flight is None:
        tcb.delivered += octets
    tcb.delivered_at = now
    tcb.retries = 0  # but the RTO stays backed off until a sample says otherwise (Karn)
    if tcb.recovery == OPEN:
        # kept near, as serial numbers compare within half their space, and below: see RFC 6582 3.2
        tcb.recover = seq_sub(seg.ack, 1)
    if tcb.snd_una == tcb.snd_nxt:
        tcb.rtx_at = 0  # RFC 6298 5.2
        tcb.reo_at = 0
    else:
        start_timer(tcb, now)  # 5.3
    tcb.path.neighbour.confirm(now)
    if tcb.snd_nxt != tcb.snd_end or tcb.fin_queued:
        host.mark(tcb)
    return octets


@cython.cfunc
def _let_grow(
    host: TcpHost,
    tcb: Tcb,
    octets: cython.uint,
    now: cython.longlong,
) -> cython.int:
    """Congestion control hears of `octets`, if the window was the limit."""
    if tcb.congestion.wants_all or _window_limited(tcb):
        tell_control(host, tcb, octets, tcb.last_rtt, now)
    else:
        tcb.congestion.app_limited = True
        if tcb.congestion.window > tcb.congestion.initial_window:
            tcb.congestion.note_limited(octets, tcb.srtt, now)
    return 0


@cython.cfunc
def _take_rate(tcb: Tcb, news: News, now: cython.longlong) -> cython.int:
    """What this acknowledgement delivered, and how fast. 0."""
    if news.acked + news.sacked == 0:
        return 0
    tcb.delivered += news.acked + news.sacked
    tcb.delivered_at = now
    if news.sent_at < 0:
        return 0  # nobody knows which transmission it was
    tcb.first_sent_at = news.sent_at
    if tcb.rate is None:
        tcb.rate = Rate()
    tcb.rate.take(news, tcb.delivered, tcb.min_rtt, now)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def _window_limited(tcb: Tcb) -> cython.bint:
    """Whether the congestion window was what held us back when we last sent (RFC 9438 5.8, RFC
    7661), and it was not reduced in this round for a mark (RFC 3168 6.1.2). Not now: of several
    acknowledgements in a breath only the first would find the flight full."""
    if tcb.ecn & ECN_HOLD:
        return False
    window: cython.uint = tcb.congestion.window
    if window < tcb.congestion.ssthresh:
        return tcb.sent_flight >= window // 2
    return tcb.sent_flight + tcb.snd_mss >= tcb.sent_window


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
    if tcb.congestion.wants_rate and tcb.rate is not None:
        tcb.rate.tell(sample)
    return tcb.congestion.on_ack(sample)


@cython.cfunc
def _sample(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """A round-trip sample once a window: of the oldest segment that was sent once, or from
    timestamps where all were sent again (RFC 6298 3, RFC 7323 4.3). `last_rtt` is told to
    congestion control for each acknowledgement."""
    rtt: cython.longlong = now - tcb.sent_at
    most: cython.longlong = rtt
    if tcb.flight is not None:
        rtt = host.news.rtt
        most = host.news.rtt_most
    tcb.last_rtt = max(rtt, 0)
    if rtt < 0:
        _sample_timestamp(tcb, seg, now)
    elif now - most >= tcb.rtt_at:
        rtt_sample(tcb, most, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
        tcb.rtt_at = now
    return 0


@cython.cfunc
def _sample_timestamp(tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """Karn's rule leaves what was sent again to the timestamps."""
    if not tcb.timestamps_ok or not seg.has_timestamp or seg.ts_echo == 0:
        return
    ticks: cython.uint = seq_sub(timestamp_of(tcb.ts_offset, now), seg.ts_echo)
    if ticks < TIMESTAMP_ECHO_MAX:
        elapsed: cython.longlong = ticks
        elapsed *= TIMESTAMP_TICK_NS
        rtt_sample(tcb, elapsed, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
        tcb.last_rtt = elapsed
        tcb.rtt_at = now


@cython.cfunc
def release_acked(tcb: Tcb, octets: cython.uint) -> cython.int:
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
    return 0
