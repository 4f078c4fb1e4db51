"""Opening: CLOSED, LISTEN and SYN-SENT (RFC 9293, 3.10.1, 3.10.7.1 to 3.10.7.3)."""

from __future__ import annotations

from errno import EHOSTUNREACH

import cython
from cython.cimports.corten.core.limit import REOPEN_DISTANCE
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_le, seq_lt, seq_sub
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.connection import (
    TcpConnection,
    make_connection,
    new_connection,
)
from cython.cimports.corten.tcp.ecn import ask, take_syn
from cython.cimports.corten.tcp.emit import emit_reset, emit_syn, refuse
from cython.cimports.corten.tcp.enter import (
    become_established,
    shift_for,
    take_syn_options,
)
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.isn import initial_sequence, timestamp_offset
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.receive import receive_text
from cython.cimports.corten.tcp.segment_arrives import segment_arrives
from cython.cimports.corten.tcp.state import CLOSED, SYN_RECEIVED, SYN_SENT
from cython.cimports.corten.tcp.syn_cookie import SynCookies, read_options, write_options
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait import TimeWait
from cython.cimports.corten.tcp.time_wait_table import remove_time_wait
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    NO_ROUTE,
    REPLY_QUEUE_FULL,
    SYN_COOKIES_IN,
    SYN_COOKIES_OUT,
    SYNS_IN,
    TCP_BAD_ACK,
    TCP_BAD_STATE,
    TCP_LISTEN_OVERFLOW,
    TCP_OUT_OF_MEMORY,
)
from cython.cimports.corten.wire.tcp import ACK, FIN, RST, SYN, Segment


@cython.cfunc
def _number(tcb: Tcb, host: TcpHost, now: cython.longlong) -> cython.void:
    """ISN, timestamp offset and the first places in sequence space."""
    path: Path = tcb.path
    ports: cython.ulonglong = (
        cython.cast(cython.ulonglong, tcb.remote_port) << 16
    ) | tcb.local_port
    tcb.iss = initial_sequence(
        host.secret,
        path.remote_high,
        path.remote_low,
        path.local_high,
        path.local_low,
        ports,
        now,
    )
    tcb.ts_offset = timestamp_offset(
        host.secret, path.remote_high, path.remote_low, path.local_high, path.local_low, ports
    )
    _place(tcb)
    tcb.rcv_shift = shift_for(tcb.config.receive_buffer_max) if tcb.config.window_scale else 0


@cython.cfunc
def _begin(tcb: Tcb, host: TcpHost, now: cython.longlong) -> cython.void:
    """A SYN is to go, and to go again."""
    _number(tcb, host, now)
    tcb.sent_at = now
    tcb.syn_now = True
    tcb.rtx_at = now + tcb.rto
    host.mark(tcb)


@cython.cfunc
def opening_failed(host: TcpHost, tcb: Tcb, address: str) -> cython.void:
    """Nobody answered for a connection's first hop (RFC 4861 7.2.2); it may be open since."""
    if tcb.state == SYN_SENT:
        text = f"no way to the host: nobody on the link answers for {address}"
        host.finish(tcb, OSError(EHOSTUNREACH, text))


@cython.cfunc
@cython.exceptval(check=False)
def _place(tcb: Tcb) -> cython.void:
    tcb.snd_una = tcb.snd_sml = tcb.iss
    tcb.snd_nxt = seq_add(tcb.iss, 1)
    tcb.snd_end = tcb.snd_nxt


@cython.cfunc
def listen_arrives(
    host: TcpHost,
    listener: Listener,
    seg: Segment,
    flow_hash: cython.ulonglong,
    ended: TimeWait | None,
    now: cython.longlong,
) -> cython.int:
    """LISTEN (3.10.7.2): first RST, second ACK, third SYN, fourth anything else.

    `ended`: the TIME-WAIT of the same sockets that this SYN reopens (RFC 6191), if there is one.
    """
    if seg.flags & RST:
        return TCP_BAD_STATE
    if seg.flags & ACK:
        return _cookie_arrives(host, listener, seg, flow_hash, now)
    if seg.flags & SYN == 0 or seg.flags & FIN:
        return TCP_BAD_STATE
    host.counters.add(SYNS_IN)
    path: Path | None = host.routes.path(
        seg.local_high, seg.local_low, seg.remote_high, seg.remote_low, now
    )
    if path is None:
        return NO_ROUTE
    cookies: str = listener.config.syn_cookies
    queue_full: cython.bint = len(host.half_open) >= host.config.syn_queue_max
    if ended is None and (cookies == "always" or (queue_full and cookies == "auto")):
        path = path.headed(listener.config.ttl, listener.config.dscp)
        return _send_cookie(host, listener, path, seg, now)
    if not _has_room(host, queue_full):
        return TCP_OUT_OF_MEMORY
    old_nxt: cython.uint = 0
    if ended is not None:
        old_nxt = ended.snd_nxt
        remove_time_wait(host, ended)
    tcb: TcpConnection = new_connection(
        host, path, listener.config, seg.local_port, seg.remote_port, flow_hash
    )
    tcb.listener = listener
    tcb.passive = True
    tcb.state = SYN_RECEIVED
    _begin(tcb, host, now)
    if ended is not None and not seq_gt(tcb.iss, old_nxt):
        tcb.iss = seq_add(old_nxt, REOPEN_DISTANCE)  # RFC 1122 4.2.2.13 (b)
        _place(tcb)
    _take_syn(host, tcb, seg, now)
    host.half_open[tcb.id] = tcb
    return ACCEPTED


@cython.cfunc
def _has_room(host: TcpHost, queue_full: cython.bint) -> cython.bint:
    """Make room for one more connection, by the oldest half-open one if it must be."""
    is_full: cython.bint = host.live >= host.config.connections_max
    if is_full and not host.half_open:
        return False
    if is_full or queue_full:
        _drop_oldest_half_open(host)
        host.counters.add(TCP_LISTEN_OVERFLOW)
    return True


@cython.cfunc
def _send_cookie(
    host: TcpHost, listener: Listener, path: Path, seg: Segment, now: cython.longlong
) -> cython.int:
    """Answer a SYN and forget it: what the SYNs agreed on goes out in the SYN-ACK. It is not sent
    again; the peer's SYN is."""
    if not path.batch.has_room():
        return REPLY_QUEUE_FULL
    tcb: TcpConnection = make_connection(
        host, path, listener.config, seg.local_port, seg.remote_port, 0
    )
    _number(tcb, host, now)
    _take_syn(host, tcb, seg, now)
    tcb.iss = _cookies_of(host).make(seg, tcb.peer_mss, now)
    write_options(tcb, now)
    emit_syn(host, tcb, ACK, now)
    host.counters.add(SYN_COOKIES_OUT)
    return ACCEPTED


@cython.cfunc
def _cookie_arrives(
    host: TcpHost,
    listener: Listener,
    seg: Segment,
    flow_hash: cython.ulonglong,
    now: cython.longlong,
) -> cython.int:
    """An acknowledgement in LISTEN: of a cookie, or of nothing (RFC 9293 3.10.7.2, second). The
    former makes the connection that its SYN would have made, and is its first segment."""
    mss: cython.uint = 0
    if listener.config.syn_cookies != "off" and seg.flags & SYN == 0:
        mss = _cookies_of(host).mss_of(seg, now)
    if mss == 0:
        refuse(host, seg, now)
        return TCP_BAD_ACK
    path: Path | None = host.routes.path(
        seg.local_high, seg.local_low, seg.remote_high, seg.remote_low, now
    )
    if path is None:
        return NO_ROUTE
    if not _has_room(host, False):
        return TCP_OUT_OF_MEMORY  # silently: it sends again what it has to say
    tcb: TcpConnection = new_connection(
        host, path, listener.config, seg.local_port, seg.remote_port, flow_hash
    )
    tcb.listener = listener
    tcb.passive = True
    tcb.state = SYN_RECEIVED
    _number(tcb, host, now)
    tcb.iss = seq_sub(seg.ack, 1)
    _place(tcb)
    tcb.sent_at = -1
    flags: cython.uint = seg.flags
    seg.mss = mss
    read_options(seg, tcb.ts_offset)
    seg.seq = seq_sub(seg.seq, 1)
    seg.flags &= ~ACK
    _take_syn(host, tcb, seg, now)
    seg.seq = tcb.rcv_nxt
    seg.flags = flags
    tcb.rcv_adv = seq_add(tcb.rcv_nxt, min(tcb.rcv_buf, 0xFFFF))
    host.counters.add(SYN_COOKIES_IN)
    return segment_arrives(host, tcb, seg, now)


@cython.cfunc
def _cookies_of(host: TcpHost) -> SynCookies:
    """Made when the first is needed."""
    if host.cookies is None:
        host.cookies = SynCookies(host.secret)
    return cython.cast(SynCookies, host.cookies)


@cython.cfunc
def _take_syn(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """The peer's sequence space and its offers."""
    tcb.irs = seg.seq
    tcb.rcv_nxt = seq_add(seg.seq, 1)
    tcb.rcv_adv = tcb.rcv_nxt
    tcb.last_ack_sent = tcb.rcv_nxt
    take_syn_options(tcb, seg, now)
    take_syn(host, tcb, seg)


@cython.cfunc
def _drop_oldest_half_open(host: TcpHost) -> cython.void:
    """A flood of SYNs displaces itself: whoever answers within a round trip gets in."""
    for oldest in host.half_open.values():
        tcb: Tcb = oldest
        tcb.state = CLOSED
        host.remove(tcb)
        return


@cython.cfunc
def open_active(
    host: TcpHost,
    path: Path,
    config: Config,
    local_port: cython.uint,
    remote_port: cython.uint,
    flow_hash: cython.ulonglong,
    now: cython.longlong,
) -> TcpConnection:
    """Active OPEN (3.10.1): SYN-SENT; `output` sends the SYN."""
    tcb: TcpConnection = new_connection(host, path, config, local_port, remote_port, flow_hash)
    tcb.state = SYN_SENT
    tcb.end_at = now + config.syn_timeout_ns
    ask(tcb)
    _begin(tcb, host, now)
    return tcb


@cython.cfunc
def syn_sent_arrives(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """SYN-SENT (3.10.7.3): first ACK, second RST, (third security,) fourth SYN."""
    good_ack: cython.bint = False
    if seg.flags & ACK:
        if seq_le(seg.ack, tcb.iss) or seq_gt(seg.ack, tcb.snd_nxt):
            if seg.flags & RST == 0:
                emit_reset(host, tcb.path, tcb.local_port, tcb.remote_port, seg.ack, 0, 0, now)
            return TCP_BAD_ACK
        good_ack = True
    if seg.flags & RST:
        if good_ack:
            host.finish(tcb, ConnectionRefusedError("connection refused"))
            return ACCEPTED
        return TCP_BAD_STATE
    if seg.flags & SYN == 0:
        return TCP_BAD_STATE
    _take_syn(host, tcb, seg, now)
    tcb.rcv_adv = seq_add(tcb.rcv_nxt, min(tcb.rcv_buf, 0xFFFF))
    if good_ack and seq_lt(tcb.snd_una, seg.ack):
        become_established(host, tcb, seg, now)
        tcb.ack_now = True
        return _text_of_syn(host, tcb, seg, now)
    tcb.state = SYN_RECEIVED  # simultaneous open: the same ISS, now with an ACK
    tcb.passive = False
    tcb.syn_now = True
    host.mark(tcb)
    return ACCEPTED


@cython.cfunc
def _text_of_syn(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """A SYN-ACK may carry text or a FIN: it starts one after the SYN."""
    if seg.payload_len == 0 and seg.flags & FIN == 0:
        return ACCEPTED
    seg.seq = seq_add(seg.seq, 1)
    seg.flags &= ~SYN
    return receive_text(host, tcb, seg, now)
