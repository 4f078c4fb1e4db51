"""What expiry means: retransmission, window probe, delayed acknowledgement, the application's own.

Expiry changes state and marks the connection; the output pass sends. The one exception is the
window probe, which is a retransmission of nothing that is lost and so is sent from here.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.cause import report_trouble, timed_out
from cython.cimports.corten.tcp.deadline import retime
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.output import send_probe
from cython.cimports.corten.tcp.path_mtu import suspect_black_hole
from cython.cimports.corten.tcp.patience import patience_ends, patience_of
from cython.cimports.corten.tcp.recovery import on_probe_timer, on_reorder_timer, on_timeout
from cython.cimports.corten.tcp.rtt import back_off
from cython.cimports.corten.tcp.state import (
    CLOSED,
    EVENT_TIMEOUT,
    SYN_RECEIVED,
    SYN_SENT,
)
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import DELAYED_ACKS, RETRANSMISSION_TIMEOUTS

if not cython.compiled:
    DOUBT_AFTER = 3  # timeouts in a row: the station may have another address now (R1)


@cython.cfunc
def expire(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """The wheel says that a deadline of this connection may be over: see which."""
    tcb.armed_at = 0
    if tcb.state == CLOSED:
        return
    if tcb.end_at != 0 and tcb.end_at <= now:
        patience_ends(host, tcb, now)
        if tcb.state == CLOSED:
            return
    if tcb.ack_at != 0 and tcb.ack_at <= now:
        tcb.ack_at = 0
        tcb.ack_now = True
        host.counters.add(DELAYED_ACKS)
        host.mark(tcb)
    if tcb.pace_at != 0 and tcb.pace_at <= now:
        tcb.pace_at = 0
        host.mark(tcb)
    if tcb.user_at != 0 and tcb.user_at <= now:
        tcb.user_at = 0
        tcb.events |= EVENT_TIMEOUT
        host.mark(tcb)
    if tcb.reo_at != 0 and tcb.reo_at <= now:
        tcb.reo_at = 0
        on_reorder_timer(host, tcb, now)
    if tcb.rtx_at != 0 and tcb.rtx_at <= now:
        tcb.rtx_at = 0
        if tcb.is_probing and tcb.snd_una != tcb.snd_nxt and tcb.snd_wnd > 0:
            on_probe_timer(host, tcb, now)
        else:
            _retransmission_timeout(host, tcb, now)
    if tcb.state != CLOSED:
        retime(host, tcb)


@cython.cfunc
def _retransmission_timeout(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """RFC 6298 5.4 to 5.7, or a window probe (RFC 9293 3.8.6.1) when nothing is outstanding."""
    limit: cython.longlong = patience_of(tcb)
    if tcb.retries == 0:
        tcb.retry_since = max(1, now - tcb.rto)  # when the timer was set
        if limit != 0:
            tcb.error = None  # what a router said of an earlier trouble
    elif tcb.retry_since == 0:
        tcb.retry_since = now  # a probe of a shut window was answered since
    if limit != 0 and now - tcb.retry_since >= limit:
        timed_out(host, tcb, "the peer acknowledges nothing: timed out")
        return
    tcb.retries += 1
    if tcb.retries >= DOUBT_AFTER:
        tcb.path.neighbour.doubt(now)
    if tcb.retries == DOUBT_AFTER:
        report_trouble(host, tcb)
    back_off(tcb, tcb.config.rto_max_ns)
    tcb.rtx_at = now + tcb.rto
    if limit != 0 and (tcb.end_at == 0 or tcb.end_at > tcb.retry_since + limit):
        tcb.end_at = tcb.retry_since + limit
    if tcb.state == SYN_RECEIVED:
        if tcb.passive and tcb.retries > tcb.config.syn_ack_retries:
            _forget_half_open(host, tcb)
            return
        tcb.syn_now = True
    elif tcb.state == SYN_SENT:
        tcb.syn_now = True
    elif tcb.snd_una == tcb.snd_nxt or tcb.snd_wnd == 0:
        send_probe(host, tcb, now)
        return
    else:
        suspect_black_hole(host, tcb, now)
        on_timeout(host, tcb, now)
    host.counters.add(RETRANSMISSION_TIMEOUTS)
    host.mark(tcb)


@cython.cfunc
def _forget_half_open(host: TcpHost, tcb: Tcb) -> cython.void:
    """Nobody completed the handshake. Of a passive open there is no handler that has to know."""
    if tcb.passive:
        tcb.state = CLOSED
        host.remove(tcb)
    else:
        host.finish(tcb, TimeoutError("connect: timed out"))
