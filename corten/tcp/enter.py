"""Transitions that several ways lead to: what SYN options agree on, ESTABLISHED, TIME-WAIT."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import RTO_AFTER_SYN_LOSS_NS
from cython.cimports.corten.core.serial import seq_add, seq_sub
from cython.cimports.corten.tcp.congestion import CongestionControl
from cython.cimports.corten.tcp.cubic import Cubic
from cython.cimports.corten.tcp.custom import CustomControl
from cython.cimports.corten.tcp.deadline import retime
from cython.cimports.corten.tcp.emit import NO_SHIFT
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.pacer import Pacer
from cython.cimports.corten.tcp.reno import Reno
from cython.cimports.corten.tcp.rtt import rtt_sample
from cython.cimports.corten.tcp.state import ESTABLISHED, EVENT_OPEN, OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait import TimeWait
from cython.cimports.corten.tcp.time_wait_table import add_time_wait, owe_ack
from cython.cimports.corten.wire.reason import CONNECTIONS_ACCEPTED, CONNECTIONS_OPENED
from cython.cimports.corten.wire.tcp import SYN, TCP_HEADER_LEN, Segment
from cython.cimports.corten.wire.tcp_option import TIMESTAMPS_LEN

if not cython.compiled:
    RCV_MSS_FIRST = 536  # until a larger segment came
    PEER_MSS_MIN = 64  # smaller offers would make a thousand segments of a page
    INITIAL_WINDOW_OCTETS = 14600  # RFC 6928 2


@cython.cfunc
@cython.exceptval(check=False)
def shift_for(octets: cython.Py_ssize_t) -> cython.uint:
    """The window shift with which a buffer of this size can be offered (RFC 7323 2.2)."""
    shift: cython.uint = 0
    while (octets >> shift) > 0xFFFF and shift < 14:
        shift += 1
    return shift


@cython.cfunc
@cython.exceptval(check=False)
def text_room(tcb: Tcb, mtu: cython.uint) -> cython.uint:
    """Octets of text in a packet of `mtu`, the options that every segment carries taken off."""
    room: cython.uint = mtu - tcb.path.ip_header_len - TCP_HEADER_LEN
    return room - TIMESTAMPS_LEN if tcb.timestamps_ok else room


@cython.cfunc
def take_syn_options(tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """What the peer's SYN offers, as far as we want it too."""
    tcb.peer_mss = seg.mss if seg.mss > 0 else tcb.path.default_mss
    tcb.peer_mss = max(tcb.peer_mss, PEER_MSS_MIN)
    tcb.sack_ok = tcb.config.sack and seg.sack_permitted
    tcb.timestamps_ok = tcb.config.timestamps and seg.has_timestamp
    if tcb.config.window_scale and seg.window_shift >= 0:
        tcb.snd_shift = cython.cast(cython.uint, seg.window_shift)
    else:
        tcb.snd_shift = NO_SHIFT
        tcb.rcv_shift = 0
    if tcb.timestamps_ok:
        tcb.ts_recent = seg.ts_value
        tcb.ts_recent_at = now
    room: cython.uint = tcb.path.send_mtu(now) - tcb.path.ip_header_len - TCP_HEADER_LEN
    if 0 < tcb.config.mss < room:
        room = tcb.config.mss
    tcb.snd_mss = tcb.peer_mss if tcb.peer_mss < room else room
    if tcb.timestamps_ok:
        tcb.snd_mss -= TIMESTAMPS_LEN
        room -= TIMESTAMPS_LEN
    tcb.rcv_mss = room if room < RCV_MSS_FIRST else RCV_MSS_FIRST


@cython.cfunc
def _initial_window(tcb: Tcb) -> cython.uint:
    """RFC 6928 2; one segment after a lost SYN (RFC 5681 3.1)."""
    if tcb.retries > 0:
        return tcb.snd_mss
    most: cython.uint = INITIAL_WINDOW_OCTETS
    most = max(most, 2 * tcb.snd_mss)
    window: cython.uint = tcb.config.initial_window * tcb.snd_mss
    return window if window < most or tcb.config.initial_window != 10 else most


@cython.cfunc
def _control_for(host: TcpHost, tcb: Tcb) -> CongestionControl:
    """The congestion control that the settings choose, begun."""
    choice = tcb.config.congestion
    if choice == "cubic":
        control: CongestionControl = Cubic.__new__(Cubic)
    elif choice == "reno":
        control = Reno.__new__(Reno)
    else:
        custom: CustomControl = CustomControl.__new__(CustomControl)
        custom.start(tcb.snd_mss, _initial_window(tcb))
        return custom.adopt(choice, tcb.id, host.failed_controls)
    control.start(tcb.snd_mss, _initial_window(tcb))
    if tcb.config.pacing:
        control.pace()
    elif tcb.path.interface.offload_segmentation:
        control.lift_ack_limit()
    return control


@cython.cfunc
def become_established(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """Our SYN is acknowledged (RFC 9293 3.10.7.3, 3.10.7.4 fifth): data may flow."""
    tcb.state = ESTABLISHED
    host.half_open.pop(tcb.id, None)
    if tcb.snd_shift == NO_SHIFT:
        tcb.snd_shift = 0
    tcb.congestion = _control_for(host, tcb)
    if tcb.congestion.is_paced:
        tcb.pacer = Pacer()
    if tcb.retries == 0 and tcb.sent_at >= 0:  # of a cookie it is not known
        rtt_sample(tcb, now - tcb.sent_at, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
    elif tcb.retries > 0 and (tcb.rto < RTO_AFTER_SYN_LOSS_NS or tcb.srtt == 0):
        tcb.rto = RTO_AFTER_SYN_LOSS_NS  # RFC 6298 5.7
    tcb.retries = 0
    tcb.rtx_at = 0
    tcb.is_probing = False
    tcb.heard_at = tcb.tune_at = now
    tcb.tune_seq = seq_add(tcb.rcv_nxt, tcb.rcv_buf // 2)
    tcb.end_at = now + tcb.config.keepalive_ns if tcb.config.keepalive_ns != 0 else 0
    tcb.error = None
    tcb.recovery = OPEN
    tcb.snd_una = seq_add(tcb.iss, 1)
    tcb.recover = tcb.iss
    tcb.rtt_at = now
    tcb.sent_at = tcb.delivered_at = now
    tcb.snd_wnd = seg.window << (0 if seg.flags & SYN else tcb.snd_shift)
    tcb.max_snd_wnd = tcb.snd_wnd
    tcb.snd_wl1 = seg.seq
    tcb.snd_wl2 = seg.ack
    tcb.path.neighbour.confirm(now)
    host.counters.add(CONNECTIONS_ACCEPTED if tcb.passive else CONNECTIONS_OPENED)
    tcb.events |= EVENT_OPEN
    host.mark(tcb)
    retime(host, tcb)


@cython.cfunc
def enter_time_wait(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """Both FINs are done and ours was first: a TimeWait stays, the Tcb goes (RFC 9293 3.6)."""
    ended: TimeWait = TimeWait.__new__(TimeWait)
    ended.path = tcb.path
    ended.hash = tcb.hash
    ended.local_port = tcb.local_port
    ended.remote_port = tcb.remote_port
    ended.snd_nxt = tcb.snd_nxt
    ended.rcv_nxt = tcb.rcv_nxt
    ended.rcv_wnd = seq_sub(tcb.rcv_adv, tcb.rcv_nxt)
    ended.window = ended.rcv_wnd >> tcb.rcv_shift
    ended.timestamps_ok = tcb.timestamps_ok != 0
    ended.ts_recent = tcb.ts_recent
    ended.ts_offset = tcb.ts_offset
    ended.until = now + tcb.config.time_wait_ns
    ended.queued_until = ended.until
    ended.ack_due = False
    add_time_wait(host, ended)
    if tcb.ack_now:
        owe_ack(host, ended)
    host.finish(tcb, None)
