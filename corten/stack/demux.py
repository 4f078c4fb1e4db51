"""From a frame to whom it is for: Ethernet, ARP, IPv4, ICMP, TCP (one pass, nothing allocated).

Each layer is parsed into an object that is used again for the next frame. A layer answers a
reason; the frame that goes no further is counted under it.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.field import get16, get32
from cython.cimports.corten.core.frame import CHECKSUM_GOOD, ReceiveBatch
from cython.cimports.corten.ip.arp import receive_arp
from cython.cimports.corten.ip.icmp import IcmpLimiter, receive_icmp, send_unreachable
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.tcp.emit import refuse
from cython.cimports.corten.tcp.handshake import listen_arrives, syn_sent_arrives
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.icmp_error import icmp_error_arrives
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.segment_arrives import segment_arrives
from cython.cimports.corten.tcp.state import SYN_SENT
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait_table import time_wait_arrives
from cython.cimports.corten.wire.address_field import v4_low
from cython.cimports.corten.wire.arp import Arp
from cython.cimports.corten.wire.checksum import pseudo_sum_v4
from cython.cimports.corten.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, Ethernet
from cython.cimports.corten.wire.icmpv4 import (
    ICMP_PORT_UNREACHABLE,
    ICMP_PROTOCOL_UNREACHABLE,
    ICMP_SOURCE_QUENCH,
    Icmp,
    is_error,
)
from cython.cimports.corten.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Ipv4
from cython.cimports.corten.wire.mac_field import BROADCAST_MAC, is_group_mac
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ARP_NOT_OURS,
    ETHERNET_NOT_OURS,
    ETHERNET_UNKNOWN_TYPE,
    FRAMES_IN,
    HANDED_OVER,
    ICMP_BAD_QUOTE,
    IPV4_BAD_SOURCE,
    IPV4_NOT_OURS,
    IPV4_UNKNOWN_PROTOCOL,
    SEGMENT_DONE,
    SEGMENTS_IN,
    TCP_BAD_CHECKSUM,
    TCP_NO_CONNECTION,
    TCP_TO_BROADCAST,
)
from cython.cimports.corten.wire.tcp import ACK, FIN, RST, SYN, Segment, verify_checksum

if not cython.compiled:
    QUOTED_LEN = 8  # of the quoted segment, at the least: ports and sequence number


@cython.final
@cython.cclass
class Demux:
    """The parsed layers of the frame in hand, and whom they are handed to."""

    host: TcpHost
    limiter: IcmpLimiter
    ethernet: Ethernet
    arp: Arp
    ip: Ipv4
    quote: Ipv4
    icmp: Icmp
    seg: Segment
    interface: Interface
    tried: cython.ulonglong  # workers that have seen the frame in hand

    def __init__(self, host: TcpHost, limiter: IcmpLimiter) -> None:
        self.host = host
        self.limiter = limiter
        self.ethernet = Ethernet()
        self.arp = Arp()
        self.ip = Ipv4()
        self.quote = Ipv4()
        self.icmp = Icmp()
        self.seg = Segment()
        self.tried = 0

    @cython.cfunc
    def receive(
        self,
        interface: Interface,
        batch: ReceiveBatch,
        tried: cython.ulonglong,
        now: cython.longlong,
    ) -> cython.void:
        """Every frame of a batch, in order."""
        self.interface = interface
        self.tried = tried
        i: cython.Py_ssize_t
        for i in range(batch.count):
            reason: cython.int = self._frame(batch, i, now)
            if reason != ACCEPTED and reason != SEGMENT_DONE:
                interface.counters.add(reason)
        interface.counters.add(FRAMES_IN, batch.count)

    @cython.cfunc
    def _frame(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        ethernet: Ethernet = self.ethernet
        reason: cython.int = ethernet.parse(batch.arena, batch.frame_at[i], batch.frame_len[i])
        if reason != ACCEPTED:
            return reason
        if ethernet.destination != self.interface.mac and ethernet.destination != BROADCAST_MAC:
            return ETHERNET_NOT_OURS
        if ethernet.ethertype == ETHERTYPE_IPV4:
            return self._ipv4(batch, i, now)
        if ethernet.ethertype == ETHERTYPE_ARP:
            return self._arp(batch.arena, now)
        return ETHERNET_UNKNOWN_TYPE

    @cython.cfunc
    def _arp(self, arena: Arena, now: cython.longlong) -> cython.int:
        at: cython.Py_ssize_t = self.ethernet.payload_at
        reason: cython.int = self.arp.parse(arena, at, self.ethernet.payload_len)
        if reason != ACCEPTED:
            return reason
        reason = receive_arp(self.interface, self.arp, self.tried != 0, now)
        if self.tried == 0 and reason in (ACCEPTED, ARP_NOT_OURS):
            length: cython.Py_ssize_t = self.ethernet.payload_len
            self.host.exchange.neighbour(self.interface.index, arena, at - 14, length + 14)
        return reason

    @cython.cfunc
    def _ipv4(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        ip: Ipv4 = self.ip
        interface: Interface = self.interface
        arena: Arena = batch.arena
        at: cython.Py_ssize_t = self.ethernet.payload_at
        reason: cython.int = ip.parse(arena, at, self.ethernet.payload_len)
        if reason != ACCEPTED:
            return reason
        local: cython.ulonglong = v4_low(ip.destination)
        broadcast: cython.bint = False
        if not interface.owns(0, local):
            broadcast = interface.is_broadcast(local)
            if not broadcast:
                return IPV4_NOT_OURS
        remote: cython.ulonglong = v4_low(ip.source)
        if interface.owns(0, remote) or interface.is_broadcast(remote):
            return IPV4_BAD_SOURCE
        if ip.protocol == PROTOCOL_TCP:
            if broadcast or is_group_mac(self.ethernet.destination):
                return TCP_TO_BROADCAST
            self.seg.remote_low = remote
            self.seg.local_low = local
            return self._tcp(batch, i, now)
        if is_group_mac(self.ethernet.destination) and not broadcast:
            return IPV4_NOT_OURS  # RFC 1122 3.3.6: a link broadcast of a unicast packet
        if ip.protocol == PROTOCOL_ICMP:
            reason = self.icmp.parse(arena, ip.payload_at, ip.payload_len)
            if reason != ACCEPTED:
                return reason
            if is_error(self.icmp.type) and self.icmp.type != ICMP_SOURCE_QUENCH:
                return self._icmp_error(batch, i, now)
            return receive_icmp(interface, self.ethernet.source, ip, self.icmp, arena)
        code: cython.uint = ICMP_PROTOCOL_UNREACHABLE
        if ip.protocol == PROTOCOL_UDP:
            code = ICMP_PORT_UNREACHABLE
        send_unreachable(interface, self.limiter, self.ethernet.source, ip, arena, at, code, now)
        return IPV4_UNKNOWN_PROTOCOL

    @cython.cfunc
    def _icmp_error(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """An error about something we are said to have sent: to its connection (MUST-54), which
        may be another worker's."""
        icmp: Icmp = self.icmp
        quote: Ipv4 = self.quote
        host: TcpHost = self.host
        seg: Segment = self.seg
        reason: cython.int = quote.parse_quote(batch.arena, icmp.payload_at, icmp.payload_len)
        if reason != ACCEPTED:
            return reason
        if quote.protocol != PROTOCOL_TCP or quote.payload_len < QUOTED_LEN:
            return ICMP_BAD_QUOTE
        seg.local_low = v4_low(quote.source)
        seg.remote_low = v4_low(quote.destination)
        seg.local_port = get16(batch.arena, quote.payload_at)
        seg.remote_port = get16(batch.arena, quote.payload_at + 2)
        seq: cython.uint = get32(batch.arena, quote.payload_at + 4)
        flow_hash: cython.ulonglong = host.hash_of(seg)
        tcb: Tcb | None = host.find(seg, flow_hash)
        if tcb is None:
            taken: cython.bint = host.exchange.offer(
                flow_hash,
                batch.arena,
                batch.frame_at[i],
                batch.frame_len[i],
                batch.frame_flags[i],
                batch.frame_gso[i],
                self.interface.index,
                self.tried,
            )
            return HANDED_OVER if taken else ICMP_BAD_QUOTE
        return icmp_error_arrives(
            host, tcb, icmp.type, icmp.code, icmp.rest & 0xFFFF, seq, quote.total_len, now
        )

    @cython.cfunc
    def _tcp(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        """RFC 9293 3.10.7: which connection, and which state it is in."""
        seg: Segment = self.seg
        ip: Ipv4 = self.ip
        host: TcpHost = self.host
        reason: cython.int = seg.parse(batch.arena, ip.payload_at, ip.payload_len)
        if reason != ACCEPTED:
            return reason
        seg.gso_size = batch.frame_gso[i]
        if batch.frame_flags[i] & CHECKSUM_GOOD == 0 and not verify_checksum(
            seg, pseudo_sum_v4(ip.source, ip.destination, PROTOCOL_TCP)
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
        if ended is None and host.exchange.offer(
            flow_hash,
            batch.arena,
            batch.frame_at[i],
            batch.frame_len[i],
            batch.frame_flags[i],
            batch.frame_gso[i],
            self.interface.index,
            self.tried,
        ):
            return HANDED_OVER
        listener: Listener | None = host.find_listener(seg)
        if listener is not None:
            return listen_arrives(host, listener, seg, flow_hash, ended, now)
        if ended is not None:
            return time_wait_arrives(host, ended, seg, now)  # nobody would reopen it
        refuse(host, seg, now)
        return TCP_NO_CONNECTION
