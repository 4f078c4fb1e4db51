"""Time exceeded, code 1: what the sender of fragment 0 is told when the rest never came (RFC 792,
RFC 1122 3.3.2, RFC 4443 3.3)."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.ip.icmp import IcmpLimiter, send_error
from cython.cimports.corten.ip.icmpv6 import send_error_v6
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.reassembly import Reporter
from cython.cimports.corten.wire.ethernet import ETHERNET_LEN, Ethernet
from cython.cimports.corten.wire.icmpv4 import ICMP_REASSEMBLY_TIMEOUT, ICMP_TIME_EXCEEDED
from cython.cimports.corten.wire.icmpv6 import ICMPV6_REASSEMBLY_TIMEOUT, ICMPV6_TIME_EXCEEDED
from cython.cimports.corten.wire.ipv4 import Ipv4
from cython.cimports.corten.wire.ipv6 import Ipv6


@cython.final
@cython.cclass
class TimeExceeded(Reporter):
    """Who sends it, at the rate of all errors of a stack."""

    _limiter: IcmpLimiter
    _link: Ethernet
    _ip: Ipv4
    _ip6: Ipv6

    def __init__(self, limiter: IcmpLimiter) -> None:
        self._limiter = limiter
        self._link = Ethernet()
        self._ip = Ipv4()
        self._ip6 = Ipv6()

    @cython.cfunc
    def reassembly_timed_out(
        self,
        interface: Interface,
        frame: Arena,
        ip_at: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.void:
        station: cython.ulonglong = 0
        to: cython.ulonglong = 0
        if ip_at >= ETHERNET_LEN:
            self._link.parse(frame, 0, frame.size)
            station = self._link.source
            to = self._link.destination
        if get8(frame, ip_at) >> 4 != 4:
            self._ip6.parse(frame, ip_at, frame.size - ip_at)
            send_error_v6(
                interface,
                self._limiter,
                to,
                station,
                self._ip6,
                frame,
                ip_at,
                ICMPV6_TIME_EXCEEDED,
                ICMPV6_REASSEMBLY_TIMEOUT,
                0,
                False,
                now,
            )
            return
        self._ip.parse_quote(frame, ip_at, frame.size - ip_at)
        send_error(
            interface,
            self._limiter,
            station,
            self._ip,
            frame,
            ip_at,
            ICMP_TIME_EXCEEDED,
            ICMP_REASSEMBLY_TIMEOUT,
            now,
        )
