"""A path: everything between TCP and the wire for one pair of addresses, made ready once.

It holds the link and IP header as a template, the sums over it, and the neighbour it leads to, so
that TCP knows no address family: it asks for room (`emit`), writes its header and slices behind
it, and commits. All connections between the same two addresses share one path.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, copy, sum_octets
from cython.cimports.corten.core.field import get8, get16, put8, put16
from cython.cimports.corten.core.fold import fold
from cython.cimports.corten.core.frame import GSO_TCPV4, GSO_TCPV6, TransmitBatch
from cython.cimports.corten.core.limit import PATH_MTU_NS
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.resolution import hold, used
from cython.cimports.corten.wire.address_field import is_v4, low_v4
from cython.cimports.corten.wire.checksum import pseudo_sum
from cython.cimports.corten.wire.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from cython.cimports.corten.wire.ipv4 import IPV4_LEN, PROTOCOL_TCP, emit_ipv4
from cython.cimports.corten.wire.ipv6 import IPV6_LEN, IPV6_MTU_MIN, emit_ipv6
from cython.cimports.corten.wire.mac_field import put48
from cython.cimports.corten.wire.reason import NO_ROUTE

if not cython.compiled:
    DEFAULT_TTL = 64  # RFC 1700
    PATH_MTU_MIN = 552  # IPv4: a smaller one is a lie more often than a link
    DEFAULT_MSS = 536
    DEFAULT_MSS_V6 = 1220
    IPV4_TOTAL_LEN_AT = 2
    IPV4_CHECKSUM_AT = 10
    IPV6_PAYLOAD_LEN_AT = 4
    ECT_IPV4 = 0x02  # in the second octet: the lowest bits of the type of service
    ECT_IPV6 = 0x20  # … and of the traffic class, which lies four bits higher
    STATION_LEN = 6  # of the link header: the neighbour's address, written for each frame


@cython.final
@cython.cclass
class Path:
    """One (local, remote) pair over one interface."""

    interface: Interface
    batch: TransmitBatch
    neighbour: Neighbour
    local_high: cython.ulonglong
    local_low: cython.ulonglong
    remote_high: cython.ulonglong
    remote_low: cython.ulonglong
    mtu: cython.uint  # the link's
    header_len: cython.Py_ssize_t  # link and IP headers
    ip_header_len: cython.uint
    mtu_min: cython.uint  # what no router may lower it under
    default_mss: cython.uint  # of a peer that names none (MUST-15)
    gso_type: cython.longlong
    tcp_sum: cython.uint  # pseudo-header sum for TCP, without the length
    _lower_mtu: cython.uint  # what a router on the way said, until …; see `send_mtu`
    _lower_until: cython.longlong
    _template: Arena
    _fixed_at: cython.Py_ssize_t  # where the template starts: behind the neighbour's address
    _length_at: cython.Py_ssize_t  # from the frame's first octet: the IP header's length field
    _length_more: cython.uint  # octets of the IP header that the field counts
    _checksum_at: cython.Py_ssize_t  # of the IP header; 0: it has none
    _ip_sum: cython.uint  # of the IP header with length and checksum zero
    _headed: dict | None  # (time to live, DSCP) -> Path, where somebody asked for others

    def __init__(
        self,
        interface: Interface,
        neighbour: Neighbour,
        local: tuple[int, int],
        remote: tuple[int, int],
        flow_label: int = 0,
    ) -> None:
        self.interface = interface
        self.batch = interface.outgoing
        self.neighbour = neighbour
        self.local_high, self.local_low = local
        self.remote_high, self.remote_low = remote
        self.mtu = interface.mtu
        self._lower_mtu = interface.mtu
        self._lower_until = 0
        self._headed = None
        self._fixed_at = STATION_LEN if interface.link_len else 0
        if is_v4(self.remote_high, self.remote_low):
            self._fit_v4()
        else:
            self._fit_v6(flow_label)
        self.tcp_sum = pseudo_sum(
            self.local_high, self.local_low, self.remote_high, self.remote_low, PROTOCOL_TCP
        )

    def _fit_v4(self) -> None:
        """Make the template of an IPv4 path."""
        at: cython.Py_ssize_t = self.interface.link_len
        self.gso_type = GSO_TCPV4
        self.mtu_min = PATH_MTU_MIN
        self.default_mss = DEFAULT_MSS
        self.ip_header_len = IPV4_LEN
        self.header_len = at + IPV4_LEN
        self._length_at = at + IPV4_TOTAL_LEN_AT
        self._length_more = IPV4_LEN
        self._checksum_at = at + IPV4_CHECKSUM_AT
        self._template = Arena(self.header_len)
        self.interface.emit_link(self._template, 0, 0, ETHERTYPE_IPV4)
        emit_ipv4(
            self._template,
            at,
            low_v4(self.local_low),
            low_v4(self.remote_low),
            PROTOCOL_TCP,
            0,
            DEFAULT_TTL,
            0,
            0,
            True,
        )
        put16(self._template, self._length_at, 0)
        put16(self._template, self._checksum_at, 0)
        self._ip_sum = sum_octets(self._template, at, IPV4_LEN)

    def _fit_v6(self, flow_label: int) -> None:
        """Make the template of an IPv6 path: one flow label for all that goes on it (RFC 6437)."""
        at: cython.Py_ssize_t = self.interface.link_len
        self.gso_type = GSO_TCPV6
        self.mtu = self._lower_mtu = self.interface.mtu_v6
        self.mtu_min = IPV6_MTU_MIN
        self.default_mss = DEFAULT_MSS_V6
        self.ip_header_len = IPV6_LEN
        self.header_len = at + IPV6_LEN
        self._length_at = at + IPV6_PAYLOAD_LEN_AT
        self._length_more = 0
        self._checksum_at = 0
        self._ip_sum = 0
        self._template = Arena(self.header_len)
        self.interface.emit_link(self._template, 0, 0, ETHERTYPE_IPV6)
        emit_ipv6(
            self._template,
            at,
            self.local_high,
            self.local_low,
            self.remote_high,
            self.remote_low,
            PROTOCOL_TCP,
            0,
            self.interface.hop_limit,
            0,
            flow_label,
        )

    @cython.cfunc
    def headed(self, ttl: cython.uint, dscp: cython.uint) -> Path:
        """This path with another time to live and Diffserv code point (MUST-48, MUST-49): a path of
        its own, made once, so that sending costs the same. What routers say of it is its own too.
        """
        if ttl == DEFAULT_TTL and dscp == 0:
            return self
        if self._headed is None:
            self._headed = {}
        known = self._headed.get((ttl, dscp))
        if known is not None:
            return known
        path: Path = Path(
            self.interface,
            self.neighbour,
            (self.local_high, self.local_low),
            (self.remote_high, self.remote_low),
        )
        at: cython.Py_ssize_t = self.interface.link_len
        template: Arena = path._template
        copy(template, 0, self._template, 0, self.header_len)  # the flow label is the same
        if self.gso_type == GSO_TCPV4:
            put8(template, at + 1, dscp << 2)
            put8(template, at + 8, ttl)
            path._ip_sum = sum_octets(template, at, IPV4_LEN)
        else:
            put16(template, at, (get16(template, at) & 0xF00F) | (dscp << 6))
            put8(template, at + 7, ttl)
        self._headed[(ttl, dscp)] = path
        return path

    @cython.cfunc
    @cython.exceptval(check=False)
    def send_mtu(self, now: cython.longlong) -> cython.uint:
        """The largest packet to send: the link's MTU, or the path's while one is known."""
        return self._lower_mtu if now < self._lower_until else self.mtu

    def known_mtu(self, now: int) -> int:
        """`send_mtu`, for who looks on."""
        return self.send_mtu(now)

    @cython.cfunc
    @cython.exceptval(check=False)
    def lower_mtu(self, mtu: cython.uint, now: cython.longlong) -> cython.void:
        """A router cannot pass on more (RFC 1191, 8201); one larger than what is known is stale."""
        if mtu < self.send_mtu(now):
            self._lower_mtu = mtu
            self._lower_until = now + PATH_MTU_NS

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def emit(self, transport_len: cython.uint) -> cython.Py_ssize_t:
        """Open a frame whose transport part has `transport_len` octets; where its header goes in
        `batch.headers`. The batch must have room."""
        headers: Arena = self.batch.headers
        at: cython.Py_ssize_t = self.batch.begin()
        fixed_at: cython.Py_ssize_t = self._fixed_at
        put48(headers, at, self.neighbour.mac)  # first: where there is no station, IP covers it
        copy(headers, at + fixed_at, self._template, fixed_at, self.header_len - fixed_at)
        total_len: cython.uint = self._length_more + transport_len
        put16(headers, at + self._length_at, total_len)
        if self._checksum_at != 0:
            put16(headers, at + self._checksum_at, 0xFFFF - fold(self._ip_sum + total_len))
        return at + self.header_len

    @cython.cfunc
    def mark_capable(self, at: cython.Py_ssize_t) -> cython.int:
        """The frame just opened, whose transport header is at `at`, goes as ECT(0) (RFC 3168 5):
        beside the template, so that the others pay nothing. 0."""
        headers: Arena = self.batch.headers
        ip_at: cython.Py_ssize_t = at - self.ip_header_len
        if self._checksum_at == 0:
            put8(headers, ip_at + 1, get8(headers, ip_at + 1) | ECT_IPV6)
            return 0
        put8(headers, ip_at + 1, get8(headers, ip_at + 1) | ECT_IPV4)
        checksum_at: cython.Py_ssize_t = ip_at + IPV4_CHECKSUM_AT
        total: cython.ulonglong = 0xFFFF - get16(headers, checksum_at)
        put16(headers, checksum_at, 0xFFFF - fold(total + ECT_IPV4))
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def commit(self, transport_header_len: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        """Close the frame. While the neighbour's address is unknown it waits there instead."""
        self.batch.commit(self.header_len + transport_header_len)
        if now >= self.neighbour.fresh_until:
            if self.neighbour.mac != 0:
                used(self.interface, self.neighbour, now)
            elif not self.neighbour.is_retired or self._find_first_hop(now):
                hold(self.interface, self.neighbour, now)
        return 0

    @cython.cfunc
    def _find_first_hop(self, now: cython.longlong) -> cython.bint:
        """The first hop is none any more: take another. False, and the frame is dropped, where this
        link has none."""
        hop = self.interface.routes.next_hop(self.remote_high, self.remote_low, self.interface)
        if hop is None:
            self.batch.take_back()
            self.interface.counters.add(NO_ROUTE)
            return False
        self.neighbour = self.interface.neighbours.obtain(hop[1], hop[2], now)
        return True
