"""Segments onto the wire: headers, options, slices of the application's buffers, checksums.

Everything that leaves goes through `_finish`, which completes the checksum or leaves it to the
link. A frame whose neighbour is still unresolved will wait as a copy: it is completed here.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, sum_octets, sum_range
from cython.cimports.corten.core.field import put16, put32
from cython.cimports.corten.core.fold import fold
from cython.cimports.corten.core.frame import FRAME_SLICES, TransmitBatch
from cython.cimports.corten.core.limit import U32
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_sub
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.tcp.dsack import blocks_of
from cython.cimports.corten.tcp.ecn import (
    ECN_CWR,
    ECN_ECHO,
    ECN_SEND,
    is_new_text,
    syn_flags,
)
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.isn import TIMESTAMP_TICK_NS
from cython.cimports.corten.tcp.piece import Piece
from cython.cimports.corten.tcp.state import SYNCHRONIZED
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import (
    DSACKS_OUT,
    OCTETS_OUT,
    REPLY_QUEUE_FULL,
    RESETS_OUT,
    SEGMENTS_OUT,
)
from cython.cimports.corten.wire.tcp import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    TCP_CHECKSUM_AT,
    TCP_HEADER_LEN,
    Segment,
    emit_tcp,
)
from cython.cimports.corten.wire.tcp_option import (
    TIMESTAMPS_LEN,
    emit_sack_header,
    emit_syn_options,
    emit_timestamp,
)

if not cython.compiled:
    NO_SHIFT = 255  # Tcb.snd_shift while the peer has not offered window scaling
    OPTIONS_LEN_MAX = 40
    RESETS_MAX = 4096  # that wait for room
    ROUNDING_SLACK = 3  # by an eighth of the receive buffer windows may be rounded beyond it


@cython.cfunc
@cython.exceptval(check=False)
def timestamp_of(offset: cython.uint, now: cython.longlong) -> cython.uint:
    """TSval at an instant: milliseconds, offset for each pair of sockets (RFC 7323 5.4)."""
    return seq_add(cython.cast(cython.uint, (now // TIMESTAMP_TICK_NS) & U32), offset)


@cython.cfunc
@cython.exceptval(check=False)
def can_offload(path: Path) -> cython.bint:
    """Whether the link completes checksums, and the frame will not have to wait as a copy."""
    return path.interface.offload_checksum and path.neighbour.mac != 0


@cython.cfunc
def _finish(
    path: Path,
    at: cython.Py_ssize_t,
    header_len: cython.Py_ssize_t,
    payload_len: cython.Py_ssize_t,
    now: cython.longlong,
) -> cython.int:
    """The checksum, and the frame is closed."""
    batch: TransmitBatch = path.batch
    tcp_len: cython.uint = cython.cast(cython.uint, header_len + payload_len)
    pseudo: cython.ulonglong = path.tcp_sum + tcp_len
    if can_offload(path):
        put16(batch.headers, at + TCP_CHECKSUM_AT, fold(pseudo))
        batch.needs_checksum(path.header_len, TCP_CHECKSUM_AT)
    else:
        pseudo += sum_octets(batch.headers, at, header_len)
        if payload_len > 0:
            pseudo += _sum_slices(batch)
        put16(batch.headers, at + TCP_CHECKSUM_AT, 0xFFFF - fold(pseudo))
    path.commit(header_len, now)
    return 0


@cython.cfunc
def _sum_slices(batch: TransmitBatch) -> cython.ulonglong:
    """The sum of the open frame's slices, each shifted to where it stands."""
    total: cython.ulonglong = 0
    odd: cython.bint = False
    k: cython.Py_ssize_t
    for k in range(batch.first_slice[batch.count], batch.slices):
        length: cython.Py_ssize_t = batch.slice_len[k]
        part: cython.uint = sum_range(
            cython.cast(Memory, batch.slice_memory[k]), batch.slice_at[k], length
        )
        if odd:
            part = ((part & 0xFF) << 8) | (part >> 8)
        total += part
        if length & 1:
            odd = not odd
    return total


@cython.cfunc
def next_window(tcb: Tcb) -> cython.uint:
    """The window field to send; moves RCV.ADV (RFC 9293 3.8.6.2.2).

    The right edge never retreats, and advances only by a segment or half the buffer (MUST-39). The
    field is rounded up, so that the shift loses nothing of what was promised, as long as what is
    held exceeds the buffer by little (RFC 7323 2.4 leaves the choice).
    """
    room: cython.Py_ssize_t = tcb.rcv_buf - tcb.retained_len - tcb.slices_len
    promised: cython.uint = seq_sub(tcb.rcv_adv, tcb.rcv_nxt)
    window: cython.uint = promised
    if room > promised:
        gain: cython.Py_ssize_t = room - promised
        if gain >= tcb.snd_mss or gain >= tcb.rcv_buf // 2:
            window = cython.cast(cython.uint, room)
    field: cython.uint = (window + (1 << tcb.rcv_shift) - 1) >> tcb.rcv_shift
    slack: cython.Py_ssize_t = tcb.rcv_buf >> ROUNDING_SLACK
    if (field << tcb.rcv_shift) > room + slack and window == promised:
        # segments smaller than the rounding would otherwise move the edge on for ever
        field = window >> tcb.rcv_shift
    field = min(field, 0xFFFF)
    edge: cython.uint = seq_add(tcb.rcv_nxt, field << tcb.rcv_shift)
    if seq_gt(edge, tcb.rcv_adv):
        tcb.rcv_adv = edge
    return field


@cython.cfunc
def emit_syn(host: TcpHost, tcb: Tcb, flags: cython.uint, now: cython.longlong) -> cython.void:
    """SYN or SYN-ACK with our options (RFC 9293 3.7.1, RFC 7323 2, RFC 2018 2)."""
    path: Path = tcb.path
    headers: Arena = path.batch.headers
    options: cython.Py_ssize_t = 20
    shift: cython.int = tcb.rcv_shift if tcb.config.window_scale else -1
    sack: cython.bint = tcb.config.sack
    stamps: cython.bint = tcb.config.timestamps
    if flags & ACK:  # answer only what was offered
        if tcb.snd_shift == NO_SHIFT:
            shift = -1
        sack = tcb.sack_ok != 0
        stamps = tcb.timestamps_ok != 0
    options = 4 + (4 if shift >= 0 else 0) + (4 if sack else 0) + (TIMESTAMPS_LEN if stamps else 0)
    if sack and stamps:
        options -= 4  # SACK-permitted takes the place of the timestamps' padding
    at: cython.Py_ssize_t = path.emit(cython.cast(cython.uint, TCP_HEADER_LEN + options))
    mss: cython.uint = path.mtu - path.ip_header_len - TCP_HEADER_LEN
    if 0 < tcb.config.mss < mss:
        mss = tcb.config.mss
    used: cython.Py_ssize_t = emit_syn_options(
        headers,
        at + TCP_HEADER_LEN,
        mss,
        shift,
        sack,
        stamps,
        timestamp_of(tcb.ts_offset, now),
        tcb.ts_recent if flags & ACK else 0,
    )
    assert used == options
    window: cython.Py_ssize_t = min(tcb.rcv_buf, 0xFFFF)  # never scaled
    if tcb.ecn:
        flags |= syn_flags(tcb, flags)
    emit_tcp(
        headers,
        at,
        tcb.local_port,
        tcb.remote_port,
        tcb.iss,
        tcb.rcv_nxt if flags & ACK else 0,
        flags | SYN,
        cython.cast(cython.uint, window),
        cython.cast(cython.uint, options),
    )
    if flags & ACK:
        tcb.rcv_adv = seq_add(tcb.rcv_nxt, cython.cast(cython.uint, window))
        tcb.last_ack_sent = tcb.rcv_nxt
    host.counters.add(SEGMENTS_OUT)
    _finish(path, at, TCP_HEADER_LEN + options, 0, now)


@cython.cfunc
@cython.exceptval(check=False)
def _sack_blocks_max(path: Path, options: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """How many SACK blocks fit beside the other options (RFC 2018 3): 4, beside timestamps 3,
    and fewer where the link is very narrow."""
    room: cython.Py_ssize_t = OPTIONS_LEN_MAX - options
    narrow: cython.Py_ssize_t = path.mtu - path.ip_header_len - TCP_HEADER_LEN - options
    room = min(room, narrow)
    return (room - 4) // 8 if room >= 12 else 0


@cython.cfunc
def emit_ack(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, with SACK blocks while there are holes (RFC 2018 4)."""
    path: Path = tcb.path
    headers: Arena = path.batch.headers
    blocks: list | None = None
    options: cython.Py_ssize_t = TIMESTAMPS_LEN if tcb.timestamps_ok else 0
    if tcb.sack_ok and (tcb.reassembly is not None or tcb.duplicates is not None):
        if tcb.duplicates is not None:
            host.counters.add(DSACKS_OUT)
        blocks = blocks_of(tcb, _sack_blocks_max(path, options))
        if blocks:
            options += 4 + 8 * len(blocks)
    at: cython.Py_ssize_t = path.emit(cython.cast(cython.uint, TCP_HEADER_LEN + options))
    to: cython.Py_ssize_t = at + TCP_HEADER_LEN
    if tcb.timestamps_ok:
        emit_timestamp(headers, to, timestamp_of(tcb.ts_offset, now), tcb.ts_recent)
        to += TIMESTAMPS_LEN
    if blocks:
        emit_sack_header(headers, to, len(blocks))
        to += 4
        for start, end in blocks:
            put32(headers, to, start)
            put32(headers, to + 4, end)
            to += 8
    seq: cython.uint = tcb.snd_nxt
    if (
        tcb.snd_wnd == 0
        and seq_sub(seq, tcb.snd_una) == 1
        and tcb.state & SYNCHRONIZED != 0
        and not tcb.fin_sent
    ):
        seq = tcb.snd_una  # beyond the probe of a shut window the peer takes nothing, not even this
    _header(tcb, at, seq, ACK, options)
    host.counters.add(SEGMENTS_OUT)
    _finish(path, at, TCP_HEADER_LEN + options, 0, now)


@cython.cfunc
def _header(
    tcb: Tcb,
    at: cython.Py_ssize_t,
    seq: cython.uint,
    flags: cython.uint,
    options: cython.Py_ssize_t,
) -> cython.int:
    """The fixed header of a segment that acknowledges RCV.NXT: nothing is owed after it."""
    if tcb.ecn & ECN_ECHO:
        flags |= ECE
    emit_tcp(
        tcb.path.batch.headers,
        at,
        tcb.local_port,
        tcb.remote_port,
        seq,
        tcb.rcv_nxt,
        flags,
        next_window(tcb),
        cython.cast(cython.uint, options),
    )
    tcb.segments_out += 1
    tcb.last_ack_sent = tcb.rcv_nxt
    tcb.ack_now = False
    tcb.unacked_len = 0
    tcb.ack_at = 0
    return 0


@cython.cfunc
def emit_data(
    host: TcpHost,
    tcb: Tcb,
    seq: cython.uint,
    piece: Piece | None,
    offset: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    fin: cython.bint,
    now: cython.longlong,
) -> cython.Py_ssize_t:
    """A segment of `length` octets (cut to 16 slices) from `offset` of `piece`, which lies at
    `seq`; `fin`: a FIN behind the last of them, if all go. Returns how many octets went."""
    path: Path = tcb.path
    batch: TransmitBatch = path.batch
    sendable: cython.Py_ssize_t = _sliceable(piece, offset, length)
    if sendable < length:
        length = sendable
        fin = False
    flags: cython.uint = ACK
    capable: cython.bint = False
    if tcb.ecn & ECN_SEND:
        capable = is_new_text(tcb, seq, length)
        if capable and tcb.ecn & ECN_CWR:
            tcb.ecn &= ~ECN_CWR
            flags |= CWR
            if length > tcb.snd_mss:  # one segment says it, not each that a link cuts
                length = tcb.snd_mss
                fin = False
    if fin:
        flags |= FIN
    if seq_add(seq, cython.cast(cython.uint, length)) == tcb.snd_end and length > 0:
        flags |= PSH
    options: cython.Py_ssize_t = TIMESTAMPS_LEN if tcb.timestamps_ok else 0
    header_len: cython.Py_ssize_t = TCP_HEADER_LEN + options
    at: cython.Py_ssize_t = path.emit(cython.cast(cython.uint, header_len + length))
    if capable:
        path.mark_capable(at)
    if tcb.timestamps_ok:
        emit_timestamp(
            batch.headers, at + TCP_HEADER_LEN, timestamp_of(tcb.ts_offset, now), tcb.ts_recent
        )
    _header(tcb, at, seq, flags, options)
    left: cython.Py_ssize_t = length
    while left > 0:
        assert piece is not None  # `_sliceable` found them all
        part: cython.Py_ssize_t = piece.length - offset
        part = min(part, left)
        if part > 0:
            batch.add_slice(piece.memory, piece.at + offset, part)
        left -= part
        piece = piece.next
        offset = 0
    if length > tcb.snd_mss:
        batch.needs_segmentation(path.gso_type, tcb.snd_mss)
        count: cython.Py_ssize_t = (length + tcb.snd_mss - 1) // tcb.snd_mss
        tcb.segments_out += cython.cast(cython.uint, count - 1)
        host.counters.add(SEGMENTS_OUT, count)
    else:
        host.counters.add(SEGMENTS_OUT)
    host.counters.add(OCTETS_OUT, length)
    _finish(path, at, header_len, length, now)
    return length


@cython.cfunc
@cython.exceptval(check=False)
def _sliceable(
    piece: Piece | None, offset: cython.Py_ssize_t, length: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """How many of `length` octets fit a frame's slices."""
    count: cython.int = 0
    found: cython.Py_ssize_t = 0
    while piece is not None and found < length and count < FRAME_SLICES:
        found += piece.length - offset
        offset = 0
        count += 1
        piece = piece.next
    return found if found < length else length


@cython.cfunc
def emit_reset(
    host: TcpHost,
    path: Path,
    local_port: cython.uint,
    remote_port: cython.uint,
    seq: cython.uint,
    ack: cython.uint,
    flags: cython.uint,
    now: cython.longlong,
) -> cython.void:
    """A RST without options (RFC 9293 3.10.7.1). When the batch is full it waits for the output
    pass, with a bounded number of others."""
    if not path.batch.has_room():
        if len(host.resets_owed) < RESETS_MAX:
            host.resets_owed.append((path, local_port, remote_port, seq, ack, flags))
        else:
            host.counters.add(REPLY_QUEUE_FULL)
        return
    at: cython.Py_ssize_t = path.emit(TCP_HEADER_LEN)
    emit_tcp(path.batch.headers, at, local_port, remote_port, seq, ack, flags | RST, 0, 0)
    host.counters.add(RESETS_OUT)
    host.counters.add(SEGMENTS_OUT)
    _finish(path, at, TCP_HEADER_LEN, 0, now)


@cython.cfunc
def send_owed_resets(host: TcpHost, now: cython.longlong) -> cython.bint:
    """Send those that found no room. False: still full, flush and call again."""
    owed: list = host.resets_owed
    while owed:
        path: Path = owed[len(owed) - 1][0]
        if not path.batch.has_room():
            return False
        path, local_port, remote_port, seq, ack, flags = owed.pop()
        emit_reset(host, path, local_port, remote_port, seq, ack, flags, now)
    return True


@cython.cfunc
def refuse(host: TcpHost, seg: Segment, now: cython.longlong) -> cython.void:
    """Answer a segment that belongs to nothing here (RFC 9293 3.10.7.1): RST, never to a RST."""
    if seg.flags & RST:
        return
    path: Path | None = host.routes.path(
        seg.local_high, seg.local_low, seg.remote_high, seg.remote_low, now
    )
    if path is None:
        return
    if seg.flags & ACK:
        emit_reset(host, path, seg.local_port, seg.remote_port, seg.ack, 0, 0, now)
    else:
        emit_reset(
            host, path, seg.local_port, seg.remote_port, 0, seq_add(seg.seq, seg.length()), ACK, now
        )


@cython.cfunc
def emit_ack_of(
    host: TcpHost,
    path: Path,
    ports: cython.ulonglong,
    seq: cython.uint,
    ack: cython.uint,
    window: cython.uint,
    timestamps: cython.bint,
    ts_value: cython.uint,
    ts_echo: cython.uint,
    now: cython.longlong,
) -> cython.void:
    """A bare acknowledgement for TIME-WAIT, which is no Tcb. `ports`: local << 16 | remote."""
    if not path.batch.has_room():
        host.counters.add(REPLY_QUEUE_FULL)
        return
    options: cython.uint = TIMESTAMPS_LEN if timestamps else 0
    at: cython.Py_ssize_t = path.emit(TCP_HEADER_LEN + options)
    if timestamps:
        emit_timestamp(path.batch.headers, at + TCP_HEADER_LEN, ts_value, ts_echo)
    emit_tcp(
        path.batch.headers,
        at,
        cython.cast(cython.uint, ports >> 16),
        cython.cast(cython.uint, ports & 0xFFFF),
        seq,
        ack,
        ACK,
        window,
        options,
    )
    host.counters.add(SEGMENTS_OUT)
    _finish(path, at, TCP_HEADER_LEN + options, 0, now)
