"""A connection as applications hold it: the Tcb with what may be done to it.

Rules. Calls change state and mark the connection; the output pass at the end of the breath sends.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, Memory, buffer_of, copy, read
from cython.cimports.corten.core.serial import seq_add, seq_lt, seq_sub
from cython.cimports.corten.endpoint.connection import Span
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.tcp.buffer import has_send_room, queued_of, start_buffers
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.deadline import retime
from cython.cimports.corten.tcp.emit import emit_reset
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.piece import (
    GATHER_BELOW,
    Piece,
    gather,
    gathering_piece,
    piece_of,
)
from cython.cimports.corten.tcp.recovery import pipe_of
from cython.cimports.corten.tcp.state import (
    CAN_SEND,
    CLOSED,
    EVENT_DATA,
    EVENT_EOF,
    EVENT_TIMEOUT,
    FIN_WAIT_2,
    SYN_RECEIVED,
    SYN_SENT,
    SYNCHRONIZED,
)
from cython.cimports.corten.tcp.tcb import Tcb, clear_tcb
from cython.cimports.corten.wire.tcp import ACK

from corten.endpoint.error import ConnectionClosed
from corten.tcp.info import connection_info
from corten.wire.address import format_address

if not cython.compiled:
    LARGE_LEN = 4096  # octets worth a view of their own
    QUEUE_MAX = 0x3FFF_FFFF  # octets one connection may have queued
    TIMEOUT_MAX = 1_000_000_000  # seconds, 31 years: nanoseconds fit their 63 bits


@cython.final
@cython.cclass
class TcpConnection(Tcb):
    """One TCP connection (see `corten.endpoint.connection` for what each call promises)."""

    @cython.cfunc
    def attach(self, handler: object, doors: Doors) -> cython.void:
        """The handler of an active open, which has one before it is established."""
        self.handler = handler
        self.doors = doors

    # -- receiving --------------------------------------------------------------------------

    @cython.cfunc
    def ready_len(self) -> cython.Py_ssize_t:
        return self.retained_len + self.slices_len

    @cython.cfunc
    def peek(self, span: Span) -> cython.bint:
        if self.retained_len > 0:
            octets: bytes = self.retained[0]
            span.memory = buffer_of(octets)
            span.at = self.retained_at
            span.length = len(octets) - self.retained_at
            return True
        i: cython.int = self.first_slice
        if i < 0:
            return False
        host: TcpHost = self.host
        span.memory = cython.cast(Memory, host.slice_memory[i])
        span.at = host.slice_at[i]
        span.length = host.slice_len[i]
        return True

    @cython.cfunc
    def consume(self, length: cython.Py_ssize_t) -> cython.void:
        if length < 0 or length > self.retained_len + self.slices_len:
            raise ValueError(f"consume({length}): {self.retained_len + self.slices_len} are ready")
        had_retained: cython.bint = self.retained_len > 0
        if had_retained and length >= self.retained_len:
            length -= self.retained_len
            self.retained = None
            self.retained_len = self.retained_at = 0
        while length > 0 and self.retained_len > 0:
            octets: bytes = self.retained[0]
            part: cython.Py_ssize_t = len(octets) - self.retained_at
            if part > length:
                self.retained_at += length
                self.retained_len -= length
                length = 0
            else:
                self.retained.pop(0)
                self.retained_at = 0
                self.retained_len -= part
                length -= part
        if length > 0:
            self._consume_slices(length)
        if had_retained:
            self._window_may_open()

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _consume_slices(self, length: cython.Py_ssize_t) -> cython.int:
        host: TcpHost = self.host
        self.slices_len -= length
        while length > 0:
            i: cython.int = self.first_slice
            part: cython.Py_ssize_t = host.slice_len[i]
            if part > length:
                host.slice_at[i] += length
                host.slice_len[i] = part - length
                return 0
            length -= part
            self.first_slice = cython.cast(cython.int, host.slice_next[i])
        if self.first_slice < 0:
            self.last_slice = -1
        return 0

    @cython.cfunc
    def read_into(
        self, target: Arena, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        taken: cython.Py_ssize_t = 0
        span: Span = Span()
        while taken < length and self.peek(span):
            part: cython.Py_ssize_t = min(span.length, length - taken)
            copy(target, at + taken, span.memory, span.at, part)
            self.consume(part)
            taken += part
        self._window_may_open()
        return taken

    @cython.ccall
    def read_all(self) -> bytes:
        if self.retained_len == 0 and self.first_slice >= 0 and self.first_slice == self.last_slice:
            host: TcpHost = self.host
            i: cython.int = self.first_slice
            data: bytes = read(
                cython.cast(Memory, host.slice_memory[i]), host.slice_at[i], host.slice_len[i]
            )
            self.first_slice = self.last_slice = -1
            self.slices_len = 0
            self._window_may_open()
            return data
        parts: list = []
        if self.retained_len > 0:
            parts.extend(self.retained)
            parts[0] = parts[0][self.retained_at :]
        if self.first_slice >= 0:
            host = self.host
            at: cython.longlong = self.first_slice
            while at >= 0:
                memory: Memory = host.slice_memory[at]
                parts.append(_part(memory, host.slice_at[at], host.slice_len[at]))
                at = host.slice_next[at]
        self.consume(self.retained_len + self.slices_len)
        return b"".join(parts)

    @cython.cfunc
    def _window_may_open(self) -> cython.void:
        """After a read: if the window was nearly shut, the peer must hear that it opened."""
        if self.state & SYNCHRONIZED == 0:
            return
        promised: cython.Py_ssize_t = seq_sub(self.rcv_adv, self.rcv_nxt)
        if promised >= 2 * self.rcv_mss:
            return
        room: cython.Py_ssize_t = self.rcv_buf - self.retained_len - self.slices_len
        if room - promised >= min(self.rcv_buf // 2, self.rcv_mss):
            host: TcpHost = self.host
            self.ack_now = True
            host.mark(self)

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def send(self, data: object) -> cython.bint:
        if type(data) is bytes:
            return self._send_bytes(cython.cast(bytes, data))
        if isinstance(data, Buffer):
            buffer: Buffer = cython.cast(Buffer, data)
            return self.send_slice(buffer, 0, buffer.size)
        view = memoryview(data)  # type: ignore[arg-type]
        kept: cython.bint = view.readonly and view.c_contiguous and type(view.obj) is bytes
        if kept and view.nbytes >= GATHER_BELOW:
            return self.send_slice(Buffer(view.cast("B")), 0, view.nbytes)
        return self._send_bytes(view.tobytes())

    @cython.cfunc
    def _send_bytes(self, data: bytes) -> cython.bint:
        length: cython.Py_ssize_t = len(data)
        if length < GATHER_BELOW and self.last_piece is not None and self._may_queue(length):
            tail: Piece = self.last_piece
            if not gather(tail, data):
                # a header and its body, two sends, are cheaper as two slices than in an arena
                alone: cython.bint = tail is self.first_piece
                if not tail.gathers and (alone or tail.length >= GATHER_BELOW):
                    return self._append(piece_of(buffer_of(data), 0, length), length)
                return self._append(gathering_piece(data), length)
            return self._queued(length)
        if not self._may_queue(length):
            return False
        return self._append(piece_of(buffer_of(data), 0, length), length)

    @cython.cfunc
    def send_slice(
        self, buffer: Buffer, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        if at < 0 or length < 0 or at > buffer.size - length:
            raise IndexError(f"slice {at}..{at + length} of a buffer of {buffer.size}")
        if not self._may_queue(length):
            return False
        return self._append(piece_of(buffer, at, length), length)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _may_queue(self, length: cython.Py_ssize_t) -> cython.bint:
        """Whether data may still be queued; ConnectionClosed after on_close."""
        if self.closed:
            raise ConnectionClosed()
        if self.state & (CAN_SEND | SYN_SENT | SYN_RECEIVED) == 0 or self.fin_queued:
            return False
        if seq_sub(self.snd_end, self.snd_una) + length > QUEUE_MAX:
            raise ValueError(f"send: {QUEUE_MAX} octets are queued already; wait for on_writable")
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _append(self, piece: Piece, length: cython.Py_ssize_t) -> cython.bint:
        if length == 0:
            return not self.blocked
        if self.last_piece is None:
            self.first_piece = piece
        else:
            self.last_piece.next = piece
        self.last_piece = piece
        return self._queued(length)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _queued(self, length: cython.Py_ssize_t) -> cython.bint:
        """`length` more octets are in the queue: output is due."""
        self.snd_end = seq_add(self.snd_end, cython.cast(cython.uint, length))
        host: TcpHost = self.host
        host.mark(self)
        if not has_send_room(host, self, seq_sub(self.snd_end, self.snd_una)):
            self.blocked = True
        return not self.blocked

    @cython.ccall
    def queued_len(self) -> cython.Py_ssize_t:
        if self.state == CLOSED:
            return 0
        syn: cython.uint = 1 if self.state & (SYN_SENT | SYN_RECEIVED) else 0
        return queued_of(self) - syn

    # -- control ----------------------------------------------------------------------------

    @cython.ccall
    def close(self) -> cython.void:
        if self.closed:
            raise ConnectionClosed()
        if self.state == CLOSED or (self.fin_queued and not self.patient):
            return
        host: TcpHost = self.host
        if self.state == SYN_SENT:
            host.finish(self, ConnectionAbortedError("closed before it was established"))
            return
        if self.config.linger_ns == 0:
            self.abort()
            return
        self.fin_queued = True
        self.patient = False
        if self.state == FIN_WAIT_2:
            self.end_at = host.moment() + self.config.fin_wait_ns
        elif self.config.linger_ns > 0:
            self.end_at = host.moment() + self.config.linger_ns
        host.mark(self)

    @cython.ccall
    def shutdown(self) -> cython.void:
        if self.closed:
            raise ConnectionClosed()
        if self.fin_queued or self.state == CLOSED:
            return
        if self.state == SYN_SENT:
            self.close()
            return
        self.fin_queued = self.patient = True
        host: TcpHost = self.host
        host.mark(self)

    @cython.ccall
    def abort(self) -> cython.void:
        if self.closed or self.state == CLOSED:
            return
        self.reset(ConnectionAbortedError("aborted by the application"))

    @cython.cfunc
    def reset(self, error: object) -> cython.void:
        """RST to the peer (RFC 9293 3.10.5), and the connection is over."""
        host: TcpHost = self.host
        self.events = 0  # nothing but on_close follows
        if self.state != SYN_SENT:
            # where the peer may believe it (RFC 5961 3.2): at SND.NXT, but inside its window
            seq: cython.uint = self.snd_nxt
            edge: cython.uint = seq_add(self.snd_una, self.snd_wnd)
            if self.state & SYNCHRONIZED and seq_lt(edge, seq):
                seq = edge
            emit_reset(
                host,
                self.path,
                self.local_port,
                self.remote_port,
                seq,
                self.rcv_nxt,
                ACK,
                host.now,
            )
        host.finish(self, error)

    @cython.ccall
    def pause(self) -> cython.void:
        self.paused = True

    @cython.ccall
    def resume(self) -> cython.void:
        if not self.paused:
            return
        self.paused = False
        if self.closed or (self.state == CLOSED and self.error is not None):
            return  # reset or aborted: nothing but on_close follows
        if self.retained_len + self.slices_len > 0:
            self.events |= EVENT_DATA
        if self.fin_received and not self.eof_delivered:
            self.events |= EVENT_EOF
        host: TcpHost = self.host
        host.mark(self)

    @cython.ccall
    def set_timeout(self, seconds: cython.double) -> cython.void:
        if self.closed or self.state == CLOSED:
            return
        if not (seconds < 1.0 or seconds >= 1.0):
            raise ValueError("set_timeout: not a number")
        host: TcpHost = self.host
        self.user_at = 0
        self.events &= ~EVENT_TIMEOUT  # what the last one would have said counts no more
        if seconds <= 0:
            return
        seconds = min(seconds, TIMEOUT_MAX)
        self.user_at = host.moment() + cython.cast(cython.longlong, seconds * 1e9)
        retime(host, self)

    @property
    def peer(self) -> tuple[str, int]:
        path: Path = self.path
        return format_address(path.remote_high, path.remote_low), self.remote_port

    @property
    def local(self) -> tuple[str, int]:
        path: Path = self.path
        return format_address(path.local_high, path.local_low), self.local_port

    def info(self) -> dict[str, object]:
        pipe: cython.uint = pipe_of(self) if self.state & SYNCHRONIZED else 0
        host: TcpHost = self.host
        return connection_info(self, host.moment(), pipe, self.congestion.pacing_rate(self.srtt))


@cython.cfunc
def _part(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> object:
    """Octets to be joined with others: large ones where they lie, so that joining is the copy."""
    if length < LARGE_LEN:
        return read(memory, at, length)
    owner: Any = memory.owner
    return memoryview(owner)[at : at + length]


@cython.cfunc
def new_connection(
    host: TcpHost,
    path: Path,
    config: Config,
    local_port: cython.uint,
    remote_port: cython.uint,
    flow_hash: cython.ulonglong,
) -> TcpConnection:
    """A connection in CLOSED, registered, with its first values."""
    connection: TcpConnection = make_connection(
        host, path, config, local_port, remote_port, flow_hash
    )
    host.register(connection)
    return connection


@cython.cfunc
def make_connection(
    host: TcpHost,
    path: Path,
    config: Config,
    local_port: cython.uint,
    remote_port: cython.uint,
    flow_hash: cython.ulonglong,
) -> TcpConnection:
    """The same, of which the stack knows nothing yet."""
    connection: TcpConnection = TcpConnection.__new__(TcpConnection)
    clear_tcb(connection)
    connection.host = host
    connection.worker = host.loop
    connection.path = path.headed(config.ttl, config.dscp)
    connection.config = config
    connection.local_port = local_port
    connection.remote_port = remote_port
    connection.hash = flow_hash
    connection.rto = config.rto_initial_ns
    start_buffers(connection)
    return connection


@cython.cfunc
def reset_connection(tcb: Tcb, error: object) -> cython.void:
    """End a connection by RST from inside the stack: its handler failed."""
    connection: TcpConnection = cython.cast(TcpConnection, tcb)
    if connection.state != CLOSED:
        connection.reset(error)
