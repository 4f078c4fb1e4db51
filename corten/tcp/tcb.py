"""The transmission control block: the variables of one connection (RFC 9293, 3.3.1). Data only.

`ack`, `output`, `recovery`, `receive` and `timer` work on it and need not import one another.
Relations that always hold in a synchronized state (checked by `TcpHost.check` in tests):

    SND.UNA <= SND.NXT <= SND.END (+ 1 for a FIN)      RCV.NXT <= RCV.ADV
    queued octets = SND.END - SND.UNA                  armed_at <= every deadline that is set
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.endpoint.connection import Connection
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.congestion import CongestionControl
from cython.cimports.corten.tcp.flight import Flight
from cython.cimports.corten.tcp.limited import Limited
from cython.cimports.corten.tcp.mtu_search import MtuSearch
from cython.cimports.corten.tcp.pacer import Pacer
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.rate import Rate
from cython.cimports.corten.tcp.reassembly import Reassembly
from cython.cimports.corten.tcp.repair import Repair


@cython.cclass
class Tcb(Connection):
    """One connection's variables; `TcpConnection` adds what an application may do with it."""

    # -- who
    host: Any  # the TcpHost, which holds this: its type would be a circle
    path: Path
    config: Config
    listener: Any  # of a passive open, for its factory and its count; else None
    hash: cython.ulonglong  # of the flow key, in the table
    id: cython.int  # position in TcpHost.connections
    timer: cython.int  # in the wheel
    local_port: cython.ushort
    remote_port: cython.ushort
    state: cython.ushort
    ecn: cython.ushort  # see `ecn`; 0: not agreed

    # -- yes or no, and small numbers: an octet each, all together, for there may be a million
    active: cython.uchar  # in TcpHost.active
    events: cython.uchar  # to be told, of `state`'s EVENT_…
    paused: cython.uchar
    blocked: cython.uchar  # `send` answered False: on_writable is owed
    closed: cython.uchar  # on_close was delivered
    eof_delivered: cython.uchar
    passive: cython.uchar  # SYN_RECEIVED came from LISTEN (MUST-11)
    fin_queued: cython.uchar  # `close` was called: FIN at snd_end
    fin_sent: cython.uchar
    patient: cython.uchar  # `shutdown` was called, not `close`: FIN-WAIT-2 has no limit
    fin_received: cython.uchar  # the peer's FIN is in order and consumed
    ack_now: cython.uchar
    syn_now: cython.uchar  # in SYN-SENT and SYN-RECEIVED: our SYN goes (again)
    snd_shift: cython.uchar  # what the peer's windows are shifted by
    rcv_shift: cython.uchar
    sack_ok: cython.uchar
    timestamps_ok: cython.uchar
    recovery: cython.uchar  # OPEN, DISORDER, FAST, LOSS
    is_probing: cython.uchar  # rtx_at sends a tail loss probe

    # -- send sequence space
    iss: cython.uint
    snd_una: cython.uint  # oldest unacknowledged
    snd_nxt: cython.uint  # next new octet; never goes back: `flight` knows what goes again
    snd_end: cython.uint  # after the last octet the application queued (the FIN's place)
    snd_wnd: cython.uint  # octets, already scaled
    snd_wl1: cython.uint  # SEG.SEQ of the last window update
    snd_wl2: cython.uint  # SEG.ACK of the last window update
    snd_sml: cython.uint  # end of the last segment below a whole one, for Nagle
    max_snd_wnd: cython.uint  # the largest window the peer ever gave
    snd_mss: cython.uint  # payload octets of a segment, options taken off
    peer_mss: cython.uint  # what the peer's SYN said
    search: MtuSearch | None  # while snd_mss is below what the link takes; see `path_mtu`
    snd_buf: cython.uint  # octets queued at which `send` answers False

    # -- send queue: a chain of pieces from SND.UNA
    first_piece: Piece | None
    last_piece: Piece | None
    next_piece: Piece | None  # where SND.NXT lies
    next_offset: cython.Py_ssize_t  # octets of next_piece before SND.NXT
    first_offset: cython.Py_ssize_t  # octets of first_piece before SND.UNA

    # -- receive sequence space
    irs: cython.uint
    rcv_nxt: cython.uint
    rcv_adv: cython.uint  # the right edge advertised; never retreats (SHLD-14)
    rcv_buf: cython.uint  # octets: bounds the window and what may be held; see `buffer`
    tune_seq: cython.uint  # when RCV.NXT gets here the buffer's size is looked at
    tune_at: cython.longlong  # when it was last
    last_ack_sent: cython.uint
    unacked_len: cython.uint  # octets received in order since the last acknowledgement sent
    rcv_mss: cython.uint  # the largest segment seen: every second one is acknowledged
    duplicate_acks_due: cython.uint  # one for each out-of-order segment of a peer without SACK
    duplicates: Any  # None, or (start, end) of what came again and is to be told
    quick_acks: cython.uint  # so many acknowledgements are not delayed
    challenges: cython.uint  # answers to what did not fit, since `challenged_at`
    challenged_at: cython.longlong

    # -- receive queue: what earlier breaths left, then slices of this breath's frames
    retained: Any  # None, or a list of bytes
    retained_at: cython.Py_ssize_t  # octets of retained[0] already consumed
    retained_len: cython.Py_ssize_t
    first_slice: cython.int  # -1: none; an index into TcpHost's slices
    last_slice: cython.int
    slices_len: cython.Py_ssize_t
    reassembly: Reassembly | None  # made on the first out-of-order segment

    # -- options agreed
    cwr_end: cython.uint  # the last reduction's SND.NXT, while ECN_ROUND says so
    delivered_ce: cython.uint  # octets acknowledged with ECE
    ts_recent: cython.uint
    ts_offset: cython.uint
    ts_recent_at: cython.longlong

    # -- round trip (RFC 6298), nanoseconds
    srtt: cython.longlong  # 0: no sample yet
    rttvar: cython.longlong
    rto: cython.longlong
    min_rtt: cython.longlong  # the smallest measured; 0: none yet
    last_rtt: cython.longlong  # what the last acknowledgement measured; 0: nothing
    rtt_at: cython.longlong  # when the last sample was taken: the next is of what was sent since

    # -- loss recovery
    congestion: CongestionControl
    pacer: Pacer | None  # of a connection that is paced
    recover: cython.uint  # recovery ends when this is acknowledged
    duplicate_acks: cython.uint  # of a peer without SACK
    flight: Flight | None  # records of what is in flight; None: one frame at the most
    repair: Repair | None  # what loss recovery remembers, made with the first doubt
    retries: cython.uint  # timeouts in a row
    retry_since: cython.longlong  # when the first of them happened
    sent_at: cython.longlong  # when data last left
    sent_flight: cython.uint  # what was in flight when new data last left, and the window then
    sent_window: cython.uint
    delivered: cython.longlong  # octets the peer has, as far as it said so, by SACK too
    delivered_at: cython.longlong  # when it last did, or something was sent with nothing in flight
    first_sent_at: cython.longlong  # when what it acknowledged last was sent

    # -- what `info` tells beside all this
    received: cython.longlong  # octets in order, all told
    received_at: cython.longlong  # when text came last
    segments_in: cython.uint
    segments_out: cython.uint
    busy_ns: cython.longlong  # of the times before `busy_at`
    busy_at: cython.longlong  # data is queued or in flight since; 0: none is
    rate: Rate | None  # of delivery; made with the second frame in flight
    limited: Limited | None  # by something else than the network

    # -- deadlines, nanoseconds on the stack's clock; 0: not set
    armed_at: cython.longlong  # what the wheel knows, at or before the earliest below
    rtx_at: cython.longlong  # retransmission, tail loss probe, or window probe
    rto_at: cython.longlong  # … when it would be a retransmission
    reo_at: cython.longlong  # RACK's reordering timer
    ack_at: cython.longlong  # delayed acknowledgement
    user_at: cython.longlong  # set_timeout
    pace_at: cython.longlong  # new data may leave
    end_at: cython.longlong  # SYN_SENT's limit, FIN_WAIT_2, linger, keep-alive: see `patience`
    heard_at: cython.longlong  # when the peer's last segment came

    error: Any  # what on_close will say; before, the last soft error


NO_CONTROL: CongestionControl = CongestionControl(1, 0)  # until ESTABLISHED


@cython.cfunc
def clear_tcb(tcb: Tcb) -> cython.void:
    """Give every variable its first value (C zeroes them, the interpreter does not). `path` and
    `config` are given by who makes the connection."""
    tcb.handler = tcb.worker = tcb.host = tcb.listener = tcb.error = None
    tcb.doors = None
    tcb.congestion = NO_CONTROL
    tcb.flight = None
    tcb.repair = None
    tcb.is_probing = False
    tcb.reassembly = None
    tcb.pacer = None
    tcb.pace_at = 0
    tcb.limited = None
    tcb.rate = None
    tcb.received = tcb.received_at = tcb.busy_ns = tcb.busy_at = 0
    tcb.segments_in = tcb.segments_out = 0
    tcb.retained = None
    tcb.first_piece = tcb.last_piece = tcb.next_piece = None
    tcb.hash = tcb.id = 0
    tcb.timer = -1
    tcb.local_port = tcb.remote_port = tcb.state = 0
    tcb.passive = False
    _clear_send(tcb)
    _clear_receive(tcb)
    tcb.ecn = tcb.cwr_end = tcb.delivered_ce = 0
    tcb.sack_ok = tcb.timestamps_ok = False
    tcb.ts_recent = tcb.ts_offset = 0
    tcb.ts_recent_at = 0
    tcb.srtt = tcb.rttvar = tcb.rto = tcb.min_rtt = tcb.last_rtt = 0
    tcb.rtt_at = 0
    tcb.recovery = tcb.recover = 0
    tcb.duplicate_acks = tcb.retries = 0
    tcb.retry_since = tcb.sent_at = 0
    tcb.delivered = tcb.delivered_at = tcb.first_sent_at = 0
    tcb.sent_flight = tcb.sent_window = 0
    tcb.rto_at = tcb.armed_at = tcb.rtx_at = tcb.reo_at = tcb.ack_at = tcb.user_at = tcb.end_at = (
        tcb.heard_at
    ) = 0
    tcb.active = tcb.eof_delivered = tcb.closed = False
    tcb.events = 0


@cython.cfunc
def _clear_send(tcb: Tcb) -> cython.void:
    tcb.iss = tcb.snd_una = tcb.snd_nxt = tcb.snd_end = tcb.snd_wnd = 0
    tcb.snd_wl1 = tcb.snd_wl2 = tcb.max_snd_wnd = tcb.snd_shift = 0
    tcb.snd_mss = tcb.peer_mss = tcb.snd_buf = tcb.snd_sml = 0
    tcb.fin_queued = tcb.fin_sent = tcb.patient = tcb.blocked = False
    tcb.search = None
    tcb.next_offset = tcb.first_offset = 0


@cython.cfunc
def _clear_receive(tcb: Tcb) -> cython.void:
    tcb.irs = tcb.rcv_nxt = tcb.rcv_adv = tcb.rcv_shift = tcb.last_ack_sent = 0
    tcb.unacked_len = tcb.rcv_mss = tcb.duplicate_acks_due = tcb.quick_acks = 0
    tcb.duplicates = None
    tcb.challenges = tcb.challenged_at = 0
    tcb.rcv_buf = tcb.tune_seq = tcb.tune_at = 0
    tcb.ack_now = tcb.syn_now = tcb.fin_received = tcb.paused = False
    tcb.retained_at = tcb.retained_len = tcb.slices_len = 0
    tcb.first_slice = tcb.last_slice = -1
