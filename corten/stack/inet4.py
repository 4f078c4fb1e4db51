"""An IPv4 packet to whom it is for: ICMP, TCP, UDP, or nobody (RFC 1122 3.2).

A fragment waits for the others of its datagram, at the worker that they all are handed to; the
datagram then comes here once more, whole.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.fragment import Fragment
from cython.cimports.corten.ip.icmp import IcmpLimiter, receive_icmp, send_unreachable
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.nd_arrives import redirect_v4
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.stack.arrival import Arrival
from cython.cimports.corten.stack.transport import Transport
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.wire.address_field import v4_low
from cython.cimports.corten.wire.icmpv4 import (
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_PORT_UNREACHABLE,
    ICMP_PROTOCOL_UNREACHABLE,
    ICMP_REDIRECT,
    ICMP_SOURCE_QUENCH,
    Icmp,
    is_error,
)
from cython.cimports.corten.wire.ipv4 import (
    IPV4_LEN,
    PROTOCOL_ICMP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    Ipv4,
)
from cython.cimports.corten.wire.mac_field import is_group_mac
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    HANDED_OVER,
    ICMP_BAD_QUOTE,
    IPV4_BAD_SOURCE,
    IPV4_FRAGMENT,
    IPV4_NOT_OURS,
    IPV4_UNKNOWN_PROTOCOL,
    SEGMENT_DONE,
    TCP_TO_BROADCAST,
    UDP_NO_ENDPOINT,
)


@cython.final
@cython.cclass
class Inet4:
    """The IPv4 layer's packet in hand."""

    arrival: Arrival
    transport: Transport
    limiter: IcmpLimiter
    ip: Ipv4
    quote: Ipv4
    icmp: Icmp
    fragment: Fragment
    reassembly: Reassembly

    def __init__(
        self,
        host: TcpHost,
        udp: UdpHost,
        echo: EchoHost,
        reassembly: Reassembly,
        arrival: Arrival,
        limiter: IcmpLimiter,
    ) -> None:
        self.arrival = arrival
        self.transport = Transport(host, udp, echo, arrival)
        self.fragment = Fragment()
        self.reassembly = reassembly
        self.limiter = limiter
        self.ip = Ipv4()
        self.quote = Ipv4()
        self.icmp = Icmp()

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def receive(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """The packet that `arrival` found in frame i; a reason."""
        ip: Ipv4 = self.ip
        interface: Interface = self.arrival.interface
        at: cython.Py_ssize_t = self.arrival.link.payload_at
        reason: cython.int = ip.parse(batch.arena, at, self.arrival.link.payload_len)
        ours: cython.bint = reason == IPV4_BAD_SOURCE and interface.is_loopback
        if reason != ACCEPTED and reason != IPV4_FRAGMENT and not ours:
            return reason
        local: cython.ulonglong = v4_low(ip.destination)
        broadcast: cython.bint = False
        if not interface.owns(0, local) and not interface.is_loopback:
            broadcast = interface.is_broadcast(local)
            if not broadcast:
                return IPV4_NOT_OURS
        remote: cython.ulonglong = v4_low(ip.source)
        foreign: cython.bint = not interface.owns(0, remote) and not interface.is_broadcast(remote)
        if not foreign and not interface.is_loopback:
            return IPV4_BAD_SOURCE
        if ip.is_fragment:
            return self._fragment(batch, i, now)
        if ip.protocol == PROTOCOL_TCP:
            if broadcast or is_group_mac(self.arrival.link.destination):
                return TCP_TO_BROADCAST
            self.transport.seg.remote_low = remote
            self.transport.seg.local_low = local
            self.transport.seg.ecn = ip.tos & 3
            return self.transport.segment(batch, i, ip.payload_at, ip.payload_len, now)
        if is_group_mac(self.arrival.link.destination) and not broadcast:
            return IPV4_NOT_OURS  # RFC 1122 3.3.6: a link broadcast of a unicast packet
        if ip.protocol == PROTOCOL_UDP:
            self.transport.udp.remote_high = self.transport.udp.local_high = 0
            self.transport.udp.remote_low = remote
            self.transport.udp.local_low = local
            reason = self.transport.datagram(batch, i, ip.payload_at, ip.payload_len)
            if reason == UDP_NO_ENDPOINT:
                self._unreachable(batch.arena, at, ICMP_PORT_UNREACHABLE, now)
            return reason
        if ip.protocol == PROTOCOL_ICMP:
            return self._icmp(batch, i, now)
        self._unreachable(batch.arena, at, ICMP_PROTOCOL_UNREACHABLE, now)
        return IPV4_UNKNOWN_PROTOCOL

    @cython.cfunc
    def _fragment(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """A piece of a datagram: to the worker that puts it together, which may be this one."""
        ip: Ipv4 = self.ip
        host: TcpHost = self.transport.host
        arrival: Arrival = self.arrival
        names: cython.ulonglong = (ip.protocol << 16) | ip.identification
        hash: cython.ulonglong = host.flow_key.flow(0, ip.source, 0, ip.destination, names)
        if self.transport.gather(batch, i, hash):
            return HANDED_OVER
        self.fragment.fill_v4(ip, batch.frame_at[i], arrival.link.payload_at)
        reason: cython.int = self.reassembly.add(arrival.interface, self.fragment, batch.arena, now)
        if reason != ACCEPTED:
            return reason
        tried: cython.ulonglong = arrival.take_whole(self.reassembly)
        reason = self.receive(self.reassembly.whole, 0, now)
        arrival.give_back(tried)
        return reason

    @cython.cfunc
    def _icmp(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        icmp: Icmp = self.icmp
        reason: cython.int = icmp.parse(batch.arena, self.ip.payload_at, self.ip.payload_len)
        if reason != ACCEPTED:
            return reason
        if icmp.type == ICMP_REDIRECT:
            return self._redirect(batch.arena)  # none of a connection's troubles
        if is_error(icmp.type) and icmp.type != ICMP_SOURCE_QUENCH:  # which asks for nothing: 6633
            return self._icmp_error(batch, i, now)
        ip: Ipv4 = self.ip
        if icmp.type == ICMP_ECHO_REPLY:
            self.transport.seg.remote_low = v4_low(ip.source)
            self.transport.seg.local_low = v4_low(ip.destination)
            at: cython.Py_ssize_t = icmp.payload_at
            return self.transport.echo_reply(batch, i, icmp.rest, at, icmp.payload_len, ip.ttl, now)
        if icmp.type == ICMP_ECHO and self._is_long(ip):
            self.transport.echo.answer(
                (0, v4_low(ip.destination)),
                (0, v4_low(ip.source)),
                icmp.rest,
                batch.arena,
                icmp.payload_at,
                icmp.payload_len,
                now,
            )
            return SEGMENT_DONE
        station: cython.ulonglong = self.arrival.link.source
        return receive_icmp(self.arrival.interface, station, self.ip, icmp, batch.arena)

    @cython.cfunc
    def _is_long(self, ip: Ipv4) -> cython.bint:
        """Whether the answer to a request for one of our addresses does not fit in one frame."""
        interface: Interface = self.arrival.interface
        return ip.payload_len + IPV4_LEN > interface.mtu and interface.owns(
            0, v4_low(ip.destination)
        )

    @cython.cfunc
    def _redirect(self, arena: Arena) -> cython.int:
        """The gateway in use names a better one for what we have sent (RFC 1122 3.2.2.2)."""
        icmp: Icmp = self.icmp
        quote: Ipv4 = self.quote
        arrival: Arrival = self.arrival
        reason: cython.int = quote.parse_quote(arena, icmp.payload_at, icmp.payload_len)
        if reason != ACCEPTED:
            return reason
        if icmp.code > 3 or not arrival.interface.owns(0, v4_low(quote.source)):
            return ICMP_BAD_QUOTE
        reason = redirect_v4(arrival.interface, self.ip.source, icmp.rest, quote.destination)
        if reason == ACCEPTED:
            arrival.relay(self.transport.host.exchange, arena)
        return reason

    @cython.cfunc
    def _icmp_error(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """An error about something we are said to have sent."""
        icmp: Icmp = self.icmp
        quote: Ipv4 = self.quote
        reason: cython.int = quote.parse_quote(batch.arena, icmp.payload_at, icmp.payload_len)
        if reason != ACCEPTED:
            return reason
        if quote.protocol != PROTOCOL_TCP and quote.fragment_at != 0:
            return ICMP_BAD_QUOTE  # what is quoted is no header
        self.transport.seg.local_low = v4_low(quote.source)
        self.transport.seg.remote_low = v4_low(quote.destination)
        return self.transport.error(
            batch,
            i,
            quote.protocol,
            quote.payload_at,
            quote.payload_len,
            quote.total_len,
            icmp.type,
            icmp.code,
            icmp.rest & 0xFFFF,
            now,
        )

    @cython.cfunc
    def _unreachable(
        self, arena: Arena, ip_at: cython.Py_ssize_t, code: cython.uint, now: cython.longlong
    ) -> cython.void:
        """A protocol or port that nobody speaks here (RFC 1122 3.2.2.1)."""
        station: cython.ulonglong = self.arrival.link.source
        send_unreachable(
            self.arrival.interface, self.limiter, station, self.ip, arena, ip_at, code, now
        )
