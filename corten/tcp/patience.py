"""How long a connection waits before it gives up: one deadline, `end_at`.

    SYN-SENT, SYN-RECEIVED   R2 of an active open (MUST-23)
    FIN-WAIT-2               the peer's FIN does not come, after `close` (after `shutdown` it may
                             take as long as it likes, as long as keep-alive finds it there)
    after `close`            `linger`: what is queued does not go
    unacknowledged data      R2, or the user timeout
    otherwise                keep-alive (RFC 9293 3.8.4, RFC 1122 4.2.3.6)

Keep-alive counts nothing: how many probes have gone follows from how long the peer has been silent
(MUST-25, MUST-26). Its probe is an acknowledgement from SND.NXT - 1 without data (SHLD-12), to
which the peer must answer where it is.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_sub
from cython.cimports.corten.tcp.cause import timed_out
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.connection import reset_connection
from cython.cimports.corten.tcp.emit import emit_ack_of, next_window, timestamp_of
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.state import CAN_SEND, FIN_WAIT_2, SYN_RECEIVED, SYN_SENT
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import KEEPALIVE_PROBES


@cython.cfunc
@cython.exceptval(check=False)
def patience_of(tcb: Tcb) -> cython.longlong:
    """R2, or what the application set in its place (MUST-21); 0: an open has limits of its own."""
    if tcb.state & (SYN_SENT | SYN_RECEIVED):
        return 0
    return tcb.config.user_timeout_ns if tcb.config.user_timeout_ns != 0 else tcb.config.r2_ns


@cython.cfunc
def patience_ends(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """`end_at` is over."""
    tcb.end_at = 0
    if tcb.state & (SYN_SENT | SYN_RECEIVED):
        timed_out(host, tcb, "connect: timed out")
    elif _is_unanswered(tcb, now):
        timed_out(host, tcb, "the peer acknowledges nothing: timed out")
    elif tcb.state == FIN_WAIT_2 and not tcb.patient:
        host.finish(tcb, TimeoutError("waiting for the peer's FIN: timed out"))
    elif tcb.fin_queued and not tcb.patient and tcb.config.linger_ns >= 0:
        reset_connection(tcb, TimeoutError("linger: what was queued did not go in time"))
    elif tcb.state & (CAN_SEND | FIN_WAIT_2) and tcb.config.keepalive_ns != 0:
        _keep_alive(host, tcb, now)


@cython.cfunc
@cython.exceptval(check=False)
def _is_unanswered(tcb: Tcb, now: cython.longlong) -> cython.bint:
    """Whether R2 is over: since the retransmission timer was set for the first time in this row."""
    return tcb.retries > 0 and tcb.retry_since != 0 and now - tcb.retry_since >= patience_of(tcb)


@cython.cfunc
def _keep_alive(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """Probe a peer that has been silent, if nothing else would find out (MUST-27)."""
    config: Config = tcb.config
    if tcb.state != FIN_WAIT_2 and (tcb.snd_una != tcb.snd_end or tcb.fin_queued):
        tcb.end_at = now + config.keepalive_ns  # retransmission and window probes ask already
        return
    due: cython.longlong = tcb.heard_at + config.keepalive_ns
    if now < due:
        tcb.end_at = due
        return
    if now - due >= config.keepalive_interval_ns * config.keepalive_count:
        timed_out(host, tcb, "keep-alive: the peer does not answer")
        return
    tcb.end_at = now + config.keepalive_interval_ns
    ports: cython.ulonglong = tcb.local_port
    emit_ack_of(
        host,
        tcb.path,
        (ports << 16) | tcb.remote_port,
        seq_sub(tcb.snd_nxt, 1),
        tcb.rcv_nxt,
        next_window(tcb),
        tcb.timestamps_ok != 0,
        timestamp_of(tcb.ts_offset, now),
        tcb.ts_recent,
        now,
    )
    host.counters.add(KEEPALIVE_PROBES)
