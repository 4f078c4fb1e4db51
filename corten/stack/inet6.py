"""An IPv6 packet to whom it is for: ICMPv6, TCP, UDP, or nobody (RFC 8200, RFC 4443).

The destination must be an address of the link the packet came on (the strong host model, RFC 1122
3.3.4.2), or a group that this link listens to. What carries its upper layer right behind the fixed
header never meets the extension headers. A fragment waits for the others of its datagram, which
then comes here once more, whole; in it another fragment is not looked into.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.fragment import Fragment
from cython.cimports.corten.ip.icmp import IcmpLimiter
from cython.cimports.corten.ip.icmpv6 import receive_echo, send_error_v6
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.mld import receive_query
from cython.cimports.corten.ip.nd_arrives import nd_arrives
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.stack.arrival import Arrival
from cython.cimports.corten.stack.transport import Transport
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.wire.address_field import is_group_v6
from cython.cimports.corten.wire.checksum import pseudo_sum
from cython.cimports.corten.wire.icmpv6 import (
    ICMPV6_BAD_FIELD,
    ICMPV6_ECHO,
    ICMPV6_ECHO_REPLY,
    ICMPV6_INFORMATION,
    ICMPV6_PARAMETER_PROBLEM,
    ICMPV6_PORT_UNREACHABLE,
    ICMPV6_REDIRECT,
    ICMPV6_TOO_BIG,
    ICMPV6_UNREACHABLE,
    MLD_QUERY,
    ROUTER_SOLICITATION,
    Icmpv6,
    error_v4,
)
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP
from cython.cimports.corten.wire.ipv6 import IPV6_LEN, IPV6_MTU_MIN, PROTOCOL_ICMPV6, Ipv6
from cython.cimports.corten.wire.ipv6_extension import FRAGMENT, NO_PROBLEM, Extensions
from cython.cimports.corten.wire.mac_field import is_group_mac
from cython.cimports.corten.wire.mld import has_alert
from cython.cimports.corten.wire.nd import NEIGHBOUR_ADVERTISEMENT, NdMessage
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    FRAGMENT_TOO_LONG,
    HANDED_OVER,
    ICMPV6_BAD_MTU,
    ICMPV6_BAD_QUOTE,
    ICMPV6_UNKNOWN_TYPE,
    IPV6_BAD_EXTENSION,
    IPV6_BAD_SOURCE,
    IPV6_FRAGMENT,
    IPV6_NOT_OURS,
    ND_MALFORMED,
    ND_NOT_OURS,
    SEGMENT_DONE,
    TCP_TO_BROADCAST,
    UDP_NO_ENDPOINT,
)

if not cython.compiled:
    PAYLOAD_LEN_AT = 4  # in the fixed header
    OFFSET_AT = 2  # in a fragment header
    GATHER_SHIFT = 32


@cython.final
@cython.cclass
class Inet6:
    """The IPv6 layer's packet in hand."""

    arrival: Arrival
    transport: Transport
    limiter: IcmpLimiter
    ip: Ipv6
    extensions: Extensions
    quote: Ipv6
    quoted: Extensions
    icmp: Icmpv6
    fragment: Fragment
    reassembly: Reassembly
    message: NdMessage

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
        self.ip = Ipv6()
        self.extensions = Extensions()
        self.quote = Ipv6()
        self.quoted = Extensions()
        self.icmp = Icmpv6()
        self.message = NdMessage()

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def receive(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """The packet that `arrival` found in frame i; a reason."""
        ip: Ipv6 = self.ip
        interface: Interface = self.arrival.interface
        at: cython.Py_ssize_t = self.arrival.link.payload_at
        reason: cython.int = ip.parse(batch.arena, at, self.arrival.link.payload_len)
        if interface.is_loopback and reason in (ACCEPTED, IPV6_BAD_SOURCE):
            return self._for_us(batch, i, at, now)
        if reason != ACCEPTED:
            return reason
        if is_group_v6(ip.destination_high):
            if not interface.listens(ip.destination_high, ip.destination_low):
                return IPV6_NOT_OURS
        elif is_group_mac(self.arrival.link.destination) or not interface.owns(
            ip.destination_high, ip.destination_low
        ):
            return IPV6_NOT_OURS  # RFC 1122 3.3.6, for IPv6 too
        if ip.next_header != PROTOCOL_ICMPV6 and interface.owns(ip.source_high, ip.source_low):
            return IPV6_BAD_SOURCE
        return self._for_us(batch, i, at, now)

    @cython.cfunc
    def _for_us(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.int:
        """The packet at `at` is for us; on the loopback from us, too."""
        ip: Ipv6 = self.ip
        if ip.next_header == PROTOCOL_TCP:
            return self._tcp(batch, i, ip.payload_at, ip.payload_len, now)
        reason: cython.int = self.extensions.walk(batch.arena, at, ip)
        if self.arrival.is_whole:
            self.extensions.has_fragment = True  # it came in fragments (RFC 6980)
        if reason == IPV6_FRAGMENT:
            return self._fragment(batch, i, now)
        if reason != ACCEPTED:
            return self._stopped(batch, i, reason, now)
        return self._upper(batch, i, now)

    @cython.cfunc
    def _upper(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        """The upper layer that the extension headers led to."""
        extensions: Extensions = self.extensions
        if extensions.next_header == PROTOCOL_TCP:
            return self._tcp(batch, i, extensions.upper_at, extensions.upper_len, now)
        if extensions.next_header == PROTOCOL_ICMPV6:
            return self._icmp(batch, i, now)
        return self._udp(batch, i, now)

    @cython.cfunc
    def _udp(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        ip: Ipv6 = self.ip
        udp: UdpHost = self.transport.udp
        if ip.source_high == 0 and ip.source_low == 0:
            return IPV6_BAD_SOURCE
        udp.remote_high = ip.source_high
        udp.remote_low = ip.source_low
        udp.local_high = ip.destination_high
        udp.local_low = ip.destination_low
        at: cython.Py_ssize_t = self.extensions.upper_at
        reason: cython.int = self.transport.datagram(batch, i, at, self.extensions.upper_len)
        if reason == UDP_NO_ENDPOINT:
            self._error(batch.arena, ICMPV6_UNREACHABLE, ICMPV6_PORT_UNREACHABLE, 0, False, now)
        return reason

    @cython.cfunc
    def _fragment(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """A piece of a datagram: to the worker that puts it together, which may be this one."""
        ip: Ipv6 = self.ip
        host: TcpHost = self.transport.host
        arrival: Arrival = self.arrival
        extensions: Extensions = self.extensions
        if arrival.is_whole:
            return IPV6_BAD_EXTENSION
        names: cython.ulonglong = FRAGMENT
        hash: cython.ulonglong = host.flow_key.flow(
            ip.source_high,
            ip.source_low,
            ip.destination_high,
            ip.destination_low,
            (names << GATHER_SHIFT) | extensions.identification,
        )
        if self.transport.gather(batch, i, hash):
            return HANDED_OVER
        self.fragment.fill_v6(ip, extensions, batch.frame_at[i], arrival.link.payload_at)
        reason: cython.int = self.reassembly.add(arrival.interface, self.fragment, batch.arena, now)
        if reason != ACCEPTED:
            self._refused_fragment(batch.arena, reason, now)
            return reason
        tried: cython.ulonglong = arrival.take_whole(self.reassembly)
        reason = self.receive(self.reassembly.whole, 0, now)
        arrival.give_back(tried)
        return reason

    @cython.cfunc
    def _refused_fragment(
        self, arena: Arena, reason: cython.int, now: cython.longlong
    ) -> cython.void:
        """What RFC 8200 4.5 wants reported of a fragment: a length that is no multiple of 8, or
        that makes too long a packet."""
        pointer: cython.uint = PAYLOAD_LEN_AT
        if reason == FRAGMENT_TOO_LONG:
            at: cython.Py_ssize_t = self.extensions.fragment_at - self.arrival.link.payload_at
            pointer = cython.cast(cython.uint, at + OFFSET_AT)
        elif not self.fragment.more or self.fragment.payload_len & 7 == 0:
            return
        self._error(arena, ICMPV6_PARAMETER_PROBLEM, ICMPV6_BAD_FIELD, pointer, False, now)

    @cython.cfunc
    def _stopped(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, reason: cython.int, now: cython.longlong
    ) -> cython.int:
        """The headers led nowhere: report what is to be reported."""
        extensions: Extensions = self.extensions
        if extensions.code != NO_PROBLEM:
            self._error(
                batch.arena,
                ICMPV6_PARAMETER_PROBLEM,
                extensions.code,
                extensions.pointer,
                extensions.report_group,
                now,
            )
        return reason

    @cython.cfunc
    def _error(
        self,
        arena: Arena,
        type: cython.uint,
        code: cython.uint,
        rest: cython.uint,
        about_group: cython.bint,
        now: cython.longlong,
    ) -> cython.void:
        """An error about the packet in hand."""
        send_error_v6(
            self.arrival.interface,
            self.limiter,
            self.arrival.link.destination,
            self.arrival.link.source,
            self.ip,
            arena,
            self.arrival.link.payload_at,
            type,
            code,
            rest,
            about_group,
            now,
        )

    @cython.cfunc
    def _tcp(
        self,
        batch: ReceiveBatch,
        i: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.int:
        ip: Ipv6 = self.ip
        if is_group_v6(ip.destination_high):
            return TCP_TO_BROADCAST  # MUST-57
        if ip.source_high == 0 and ip.source_low == 0:
            return IPV6_BAD_SOURCE  # MUST-63
        self.transport.seg.remote_high = ip.source_high
        self.transport.seg.remote_low = ip.source_low
        self.transport.seg.local_high = ip.destination_high
        self.transport.seg.local_low = ip.destination_low
        self.transport.seg.ecn = ip.traffic_class & 3
        return self.transport.segment(batch, i, at, length, now)

    @cython.cfunc
    def _icmp(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        ip: Ipv6 = self.ip
        icmp: Icmpv6 = self.icmp
        reason: cython.int = icmp.parse(
            batch.arena,
            self.extensions.upper_at,
            self.extensions.upper_len,
            pseudo_sum(
                ip.source_high,
                ip.source_low,
                ip.destination_high,
                ip.destination_low,
                PROTOCOL_ICMPV6,
            ),
        )
        if reason != ACCEPTED:
            return reason
        if icmp.type != NEIGHBOUR_ADVERTISEMENT and self.arrival.interface.owns(
            ip.source_high, ip.source_low
        ):
            return IPV6_BAD_SOURCE  # who advertises himself so is a rival: nd_arrives sees to him
        if icmp.type < ICMPV6_INFORMATION:
            return self._icmp_error(batch, i, now)
        if icmp.type == ICMPV6_ECHO_REPLY:
            self._take_addresses(
                ip.source_high, ip.source_low, ip.destination_high, ip.destination_low
            )
            at: cython.Py_ssize_t = icmp.payload_at
            return self.transport.echo_reply(
                batch, i, icmp.rest, at, icmp.payload_len, ip.hop_limit, now
            )
        if icmp.type == ICMPV6_ECHO:
            if self._is_long(ip):
                self.transport.echo.answer(
                    (ip.destination_high, ip.destination_low),
                    (ip.source_high, ip.source_low),
                    icmp.rest,
                    batch.arena,
                    icmp.payload_at,
                    icmp.payload_len,
                    now,
                )
                return SEGMENT_DONE
            station: cython.ulonglong = self.arrival.link.source
            return receive_echo(self.arrival.interface, station, ip, icmp, batch.arena)
        if ROUTER_SOLICITATION <= icmp.type <= ICMPV6_REDIRECT:
            return self._neighbours(batch.arena, now)
        if icmp.type == MLD_QUERY:
            return self._groups(batch.arena, now)
        return ICMPV6_UNKNOWN_TYPE

    @cython.cfunc
    @cython.exceptval(check=False)
    def _take_addresses(
        self,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> cython.void:
        self.transport.seg.remote_high = remote_high
        self.transport.seg.remote_low = remote_low
        self.transport.seg.local_high = local_high
        self.transport.seg.local_low = local_low

    @cython.cfunc
    def _is_long(self, ip: Ipv6) -> cython.bint:
        """Whether the answer to a request for one of our addresses does not fit in one frame."""
        interface: Interface = self.arrival.interface
        return self.extensions.upper_len + IPV6_LEN > interface.mtu and interface.owns(
            ip.destination_high, ip.destination_low
        )

    @cython.cfunc
    def _neighbours(self, arena: Arena, now: cython.longlong) -> cython.int:
        """Neighbour discovery, never in fragments (RFC 6980 5); the other workers hear it too."""
        ip: Ipv6 = self.ip
        arrival: Arrival = self.arrival
        message: NdMessage = self.message
        if self.extensions.has_fragment:
            return ND_MALFORMED
        reason: cython.int = message.parse(
            arena,
            self.extensions.upper_at,
            self.extensions.upper_len,
            ip.hop_limit,
            ip.source_high,
            ip.source_low,
            ip.destination_high,
            ip.destination_low,
        )
        if reason != ACCEPTED:
            return reason
        reason = nd_arrives(
            arrival.interface,
            message,
            arena,
            ip.source_high,
            ip.source_low,
            arrival.link.source,
            arrival.tried != 0,
            now,
        )
        if reason != ND_NOT_OURS or message.type == NEIGHBOUR_ADVERTISEMENT:
            self.arrival.relay(self.transport.host.exchange, arena)
        return reason

    @cython.cfunc
    def _groups(self, arena: Arena, now: cython.longlong) -> cython.int:
        """A multicast listener query: whoever leads answers it."""
        ip: Ipv6 = self.ip
        reason: cython.int = receive_query(
            self.arrival.interface,
            arena,
            self.extensions.upper_at,
            self.extensions.upper_len,
            ip.source_high,
            ip.hop_limit,
            ip.next_header == 0 and has_alert(arena, ip.payload_at, self.extensions.upper_at),
            now,
        )
        if reason == ACCEPTED:
            self.arrival.relay(self.transport.host.exchange, arena)
        return reason

    @cython.cfunc
    def _icmp_error(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """An error about something we are said to have sent."""
        icmp: Icmpv6 = self.icmp
        quote: Ipv6 = self.quote
        quoted: Extensions = self.quoted
        reason: cython.int = quote.parse_quote(batch.arena, icmp.payload_at, icmp.payload_len)
        if reason != ACCEPTED:
            return reason
        if not quoted.skim(batch.arena, icmp.payload_at, quote):
            return ICMPV6_BAD_QUOTE
        if quoted.next_header not in (PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMPV6):
            return ICMPV6_BAD_QUOTE
        if icmp.type == ICMPV6_TOO_BIG and icmp.rest < IPV6_MTU_MIN:
            return ICMPV6_BAD_MTU
        said: cython.uint = error_v4(icmp.type, icmp.code)
        self._take_addresses(
            quote.destination_high, quote.destination_low, quote.source_high, quote.source_low
        )
        return self.transport.error(
            batch,
            i,
            quoted.next_header,
            quoted.upper_at,
            quoted.upper_len,
            quote.packet_len,
            said >> 8,
            said & 0xFF,
            icmp.rest,
            now,
        )
