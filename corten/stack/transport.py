"""What stands above IP and knows no address family: TCP's segments and UDP's datagrams, and errors
about them.

Each family has a Transport of its own, so that the addresses of its segments start where the
family's do: it sets `seg`'s addresses (`udp`'s, of datagrams), and hands over the octets behind its
header.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.field import get8, get16, get32
from cython.cimports.corten.core.frame import CHECKSUM_GOOD, ReceiveBatch
from cython.cimports.corten.ip.cause import cause_of
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.stack.arrival import Arrival
from cython.cimports.corten.tcp.emit import refuse
from cython.cimports.corten.tcp.handshake import listen_arrives, syn_sent_arrives
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.icmp_error import icmp_error_arrives
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.segment_arrives import segment_arrives
from cython.cimports.corten.tcp.state import SYN_SENT
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait_table import time_wait_arrives
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import Port
from cython.cimports.corten.udp.receive import error_arrives, keep_datagram, parse_datagram
from cython.cimports.corten.wire.checksum import pseudo_sum
from cython.cimports.corten.wire.icmpv4 import ICMP_ECHO
from cython.cimports.corten.wire.icmpv6 import ICMPV6_ECHO
from cython.cimports.corten.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP
from cython.cimports.corten.wire.ipv6 import PROTOCOL_ICMPV6
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ECHO_UNKNOWN,
    HANDED_OVER,
    ICMP_BAD_QUOTE,
    SEGMENT_DONE,
    SEGMENTS_IN,
    TCP_BAD_CHECKSUM,
    TCP_NO_CONNECTION,
    UDP_NO_ENDPOINT,
    WORKER_LEAVING,
)
from cython.cimports.corten.wire.tcp import ACK, FIN, RST, SYN, Segment, verify_checksum

if not cython.compiled:
    QUOTED_LEN = 8  # of a quoted segment, at the least: ports and sequence number


@cython.final
@cython.cclass
class Transport:
    """The segment in hand of one family, and the TCP and UDP it is for."""

    host: TcpHost
    udp: UdpHost
    echo: EchoHost
    arrival: Arrival
    seg: Segment

    def __init__(self, host: TcpHost, udp: UdpHost, echo: EchoHost, arrival: Arrival) -> None:
        self.host = host
        self.udp = udp
        self.echo = echo
        self.arrival = arrival
        self.seg = Segment()

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def segment(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.int:
        """RFC 9293 3.10.7: which connection, and which state it is in. The segment lies at `at`
        in frame i; `seg` has its addresses."""
        seg: Segment = self.seg
        host: TcpHost = self.host
        reason: cython.int = seg.parse(batch.arena, at, length)
        if reason != ACCEPTED:
            return reason
        seg.gso_size = batch.frame_gso[i]
        if batch.frame_flags[i] & CHECKSUM_GOOD == 0 and not verify_checksum(
            seg,
            pseudo_sum(
                seg.remote_high, seg.remote_low, seg.local_high, seg.local_low, PROTOCOL_TCP
            ),
        ):
            return TCP_BAD_CHECKSUM
        host.counters.add(SEGMENTS_IN)
        flow_hash: cython.ulonglong = host.hash_of(seg)
        tcb: Tcb | None = host.find(seg, flow_hash)
        if tcb is not None:
            if tcb.state == SYN_SENT:
                return syn_sent_arrives(host, tcb, seg, now)
            return segment_arrives(host, tcb, seg, now)
        return self._no_connection(batch, i, flow_hash, now)

    @cython.cfunc
    def _no_connection(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        flow_hash: cython.ulonglong,
        now: cython.longlong,
    ) -> cython.int:
        """TIME-WAIT, another worker's, LISTEN, or CLOSED: in this order."""
        seg: Segment = self.seg
        host: TcpHost = self.host
        ended = host.found_time_wait
        is_syn: cython.bint = seg.flags & (SYN | ACK | RST | FIN) == SYN
        if ended is not None and not (is_syn and ended.may_reopen(seg)):
            return time_wait_arrives(host, ended, seg, now)
        if ended is None and self._offer(batch, i, flow_hash):
            return HANDED_OVER
        if is_syn and host.exchange.is_leaving and ended is None:
            return HANDED_OVER if self._pass_on(batch, i, flow_hash) else WORKER_LEAVING
        listener: Listener | None = host.find_listener(seg)
        if listener is not None:
            if self.arrival.tried != 0 and ended is None and self._give_back(batch, i):
                return HANDED_OVER  # a filter was wrong: what begins, begins where it arrived
            return listen_arrives(host, listener, seg, flow_hash, ended, now)
        if ended is not None:
            return time_wait_arrives(host, ended, seg, now)  # nobody would reopen it
        refuse(host, seg, now)
        return TCP_NO_CONNECTION

    @cython.cfunc
    def error(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        protocol: cython.uint,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        packet_len: cython.Py_ssize_t,
        type: cython.uint,
        code: cython.uint,
        mtu: cython.uint,
        now: cython.longlong,
    ) -> cython.int:
        """An ICMP error, in ICMPv4's words, about a packet we are said to have sent: to whom it
        concerns (MUST-54), who may be another worker's. `length` octets behind its IP header are
        quoted at `at` in frame i; the packet had `packet_len`; `seg` has its addresses."""
        if length < QUOTED_LEN:
            return ICMP_BAD_QUOTE
        if protocol == PROTOCOL_TCP:
            return self._segment_error(batch, i, at, packet_len, type, code, mtu, now)
        if protocol == PROTOCOL_UDP:
            return self._datagram_error(batch, i, at, packet_len, type, code, mtu, now)
        if protocol in (PROTOCOL_ICMP, PROTOCOL_ICMPV6):
            return self._echo_error(batch, i, at, type, code)
        return ICMP_BAD_QUOTE

    @cython.cfunc
    def _segment_error(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        packet_len: cython.Py_ssize_t,
        type: cython.uint,
        code: cython.uint,
        mtu: cython.uint,
        now: cython.longlong,
    ) -> cython.int:
        host: TcpHost = self.host
        seg: Segment = self.seg
        seg.local_port = get16(batch.arena, at)
        seg.remote_port = get16(batch.arena, at + 2)
        seq: cython.uint = get32(batch.arena, at + 4)
        flow_hash: cython.ulonglong = host.hash_of(seg)
        tcb: Tcb | None = host.find(seg, flow_hash)
        if tcb is None:
            return HANDED_OVER if self._offer(batch, i, flow_hash) else ICMP_BAD_QUOTE
        return icmp_error_arrives(host, tcb, type, code, mtu, seq, packet_len, now)

    @cython.cfunc
    def gather(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, flow_hash: cython.ulonglong
    ) -> cython.bint:
        """Whether the fragment in frame i is for another worker to put together, and is there."""
        interface: Interface = self.arrival.interface
        if self.host.exchange.workers < 2 or self.arrival.tried != 0 or interface.steering.gathers:
            return False
        return self.host.exchange.gather(
            flow_hash,
            batch.arena,
            batch.frame_at[i],
            batch.frame_len[i],
            interface.index,
        )

    @cython.cfunc
    def _give_back(self, batch: ReceiveBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Whether the worker that got frame i from the wire has it again."""
        return self.host.exchange.give_back(
            batch.arena,
            batch.frame_at[i],
            batch.frame_len[i],
            batch.frame_flags[i],
            batch.frame_gso[i],
            self.arrival.interface.index,
            self.arrival.tried,
        )

    @cython.cfunc
    def _offer(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, flow_hash: cython.ulonglong
    ) -> cython.bint:
        """Whether another worker takes the whole frame i."""
        return self.host.exchange.offer(
            flow_hash,
            batch.arena,
            batch.frame_at[i],
            batch.frame_len[i],
            batch.frame_flags[i],
            batch.frame_gso[i],
            self.arrival.interface.index,
            self.arrival.tried,
        )

    @cython.cfunc
    def _pass_on(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, flow_hash: cython.ulonglong
    ) -> cython.bint:
        """Whether another worker takes the connection that frame i begins."""
        return self.host.exchange.pass_on(
            flow_hash,
            batch.arena,
            batch.frame_at[i],
            batch.frame_len[i],
            batch.frame_flags[i],
            batch.frame_gso[i],
            self.arrival.interface.index,
            self.arrival.tried,
        )

    @cython.cfunc
    def datagram(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
    ) -> cython.int:
        """A UDP datagram at `at` in frame i; `udp` has its addresses. UDP_NO_ENDPOINT: nobody's,
        and its sender may be told."""
        udp: UdpHost = self.udp
        reason: cython.int = parse_datagram(udp, batch.arena, at, length, batch.frame_flags[i])
        if reason != ACCEPTED:
            return reason
        port: Port | None = self._owner(batch, i, udp.udp.source_port, udp.udp.destination_port)
        if port is None:
            return HANDED_OVER if self.arrival.is_given else UDP_NO_ENDPOINT
        reason = keep_datagram(udp, port, batch.arena)
        return SEGMENT_DONE if reason == ACCEPTED else reason

    @cython.cfunc
    def _datagram_error(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        packet_len: cython.Py_ssize_t,
        type: cython.uint,
        code: cython.uint,
        mtu: cython.uint,
        now: cython.longlong,
    ) -> cython.int:
        udp: UdpHost = self.udp
        udp.remote_high = self.seg.remote_high
        udp.remote_low = self.seg.remote_low
        udp.local_high = self.seg.local_high
        udp.local_low = self.seg.local_low
        remote_port: cython.uint = get16(batch.arena, at + 2)
        port: Port | None = self._owner(batch, i, remote_port, get16(batch.arena, at))
        if port is None:
            return HANDED_OVER if self.arrival.is_given else ICMP_BAD_QUOTE
        return error_arrives(udp, port, remote_port, type, code, mtu, packet_len, now)

    @cython.cfunc
    def _owner(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        remote_port: cython.uint,
        local_port: cython.uint,
    ) -> Port | None:
        """Whose the flow in hand is: an endpoint with that peer, here or on another worker, before
        one without, here or there. None with `is_given`: another worker has the frame now."""
        udp: UdpHost = self.udp
        flow_hash: cython.ulonglong = udp.flow_hash(
            udp.remote_high,
            udp.remote_low,
            remote_port,
            udp.local_high,
            udp.local_low,
            local_port,
        )
        self.arrival.is_given = False
        port: Port | None = udp.find_connected(remote_port, local_port, flow_hash)
        if port is not None:
            return port
        if self._offer(batch, i, flow_hash):
            self.arrival.is_given = True
            return None
        port = udp.find_bound(local_port)
        if port is None:
            self.arrival.is_given = self._offer(batch, i, udp.port_hash(local_port))
        return port

    @cython.cfunc
    def echo_reply(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        rest: cython.uint,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        ttl: cython.uint,
        now: cython.longlong,
    ) -> cython.int:
        """An echo reply with `length` octets of data at `at` in frame i; addresses in `seg`."""
        ping = self._ping(rest >> 16)
        if ping is None:
            return self._no_ping(batch, i, rest >> 16)
        self.echo.replied(ping, rest & 0xFFFF, batch.arena, at, length, ttl, now)
        return SEGMENT_DONE

    @cython.cfunc
    def _echo_error(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        type: cython.uint,
        code: cython.uint,
    ) -> cython.int:
        """Of an echo request: of no other message do we send any."""
        if get8(batch.arena, at) not in (ICMP_ECHO, ICMPV6_ECHO):
            return ICMP_BAD_QUOTE
        rest: cython.uint = get32(batch.arena, at + 4)
        ping = self._ping(rest >> 16)
        if ping is None:
            reason: cython.int = self._no_ping(batch, i, rest >> 16)
            return reason if reason == HANDED_OVER else ICMP_BAD_QUOTE
        self.echo.failed(ping, rest & 0xFFFF, cause_of(type, code))
        return ACCEPTED

    @cython.cfunc
    def _ping(self, identifier: cython.uint) -> object:
        seg: Segment = self.seg
        return self.echo.find(
            identifier, seg.remote_high, seg.remote_low, seg.local_high, seg.local_low
        )

    @cython.cfunc
    def _no_ping(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, identifier: cython.uint
    ) -> cython.int:
        """Another worker may be waiting for it."""
        if self._offer(batch, i, self.echo.hash_of(identifier)):
            return HANDED_OVER
        return ECHO_UNKNOWN
