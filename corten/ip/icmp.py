"""ICMPv4 for a host: echo replies, and the errors a host must send (RFC 792, RFC 1122 3.2.2).

An error is never sent about an ICMP error, a broadcast, a link-layer broadcast, a fragment other
than the first, or a source that is no single host; and never faster than the bucket of its link
allows: `RATE_BURST` at once, `ICMP_INTERVAL_NS` between, with some chance in it so that nobody
can read our traffic from what is left of it (CVE-2020-25705).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, read
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.core.limit import ICMP_INTERVAL_NS, V4_PREFIX
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.wire.ethernet import ETHERTYPE_IPV4
from cython.cimports.corten.wire.icmpv4 import (
    ICMP_ECHO,
    ICMP_ECHO_REPLY,
    ICMP_LEN,
    ICMP_UNREACHABLE,
    Icmp,
    emit_icmp,
    is_error,
)
from cython.cimports.corten.wire.ipv4 import IPV4_LEN, PROTOCOL_ICMP, Ipv4, emit_ipv4
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ICMP_BROADCAST_ECHO,
    ICMP_ECHO_REPLIES,
    ICMP_ERRORS_OUT,
    ICMP_RATE_LIMITED,
    ICMP_UNKNOWN_TYPE,
    REPLY_QUEUE_FULL,
)

if not cython.compiled:
    RATE_BURST = 50
    QUOTE_LEN_MAX = 548  # RFC 1812 4.3.2.3: as much as fits in 576 octets
    REPLY_LEN_MAX = 65536

_scratch: Arena = Arena(REPLY_LEN_MAX + 64)


@cython.final
@cython.cclass
class IcmpLimiter:
    """A token bucket whose size is drawn anew whenever it runs empty."""

    _tokens: cython.longlong
    _last: cython.longlong
    _chance: Chance

    def __init__(self, chance: Chance) -> None:
        self._tokens = RATE_BURST
        self._last = 0
        self._chance = chance

    @cython.cfunc
    def allow(self, now: cython.longlong) -> cython.bint:
        """Take a token, if there is one."""
        gained: cython.longlong = (now - self._last) // ICMP_INTERVAL_NS
        if gained > 0:
            self._tokens = min(RATE_BURST, self._tokens + gained)
            self._last = now
        if self._tokens <= 0:
            return False
        self._tokens -= 1
        if self._tokens == 0:
            self._tokens = -cython.cast(cython.longlong, self._chance.below(4))
        return True


@cython.cfunc
def receive_icmp(
    interface: Interface, source_mac: cython.ulonglong, ip: Ipv4, icmp: Icmp, memory: Memory
) -> cython.int:
    """Answer an echo request; the reason the message was dropped for, or ACCEPTED."""
    if icmp.type != ICMP_ECHO:
        return ICMP_UNKNOWN_TYPE
    own: cython.ulonglong = V4_PREFIX | ip.destination
    if interface.is_broadcast(own):
        return ICMP_BROADCAST_ECHO
    _send(
        interface,
        source_mac,
        ip.destination,
        ip.source,
        emit_icmp(
            _scratch,
            interface.link_len + IPV4_LEN,
            ICMP_ECHO_REPLY,
            0,
            icmp.rest,
            memory,
            icmp.payload_at,
            icmp.payload_len,
        ),
    )
    interface.counters.add(ICMP_ECHO_REPLIES)
    return ACCEPTED


@cython.cfunc
def send_unreachable(
    interface: Interface,
    limiter: IcmpLimiter,
    source_mac: cython.ulonglong,
    ip: Ipv4,
    memory: Memory,
    ip_at: cython.Py_ssize_t,
    code: cython.uint,
    now: cython.longlong,
) -> cython.void:
    """Destination unreachable about the packet at `ip_at` (RFC 1122 3.2.2.1), if it may be sent."""
    send_error(interface, limiter, source_mac, ip, memory, ip_at, ICMP_UNREACHABLE, code, now)


@cython.cfunc
def send_error(
    interface: Interface,
    limiter: IcmpLimiter,
    source_mac: cython.ulonglong,
    ip: Ipv4,
    memory: Memory,
    ip_at: cython.Py_ssize_t,
    type: cython.uint,
    code: cython.uint,
    now: cython.longlong,
) -> cython.void:
    """An error about the packet at `ip_at`, parsed into `ip`, if it may be sent."""
    if interface.is_broadcast(V4_PREFIX | ip.destination):
        return
    if ip.protocol == PROTOCOL_ICMP and (
        ip.payload_len < ICMP_LEN or is_error(get8(memory, ip.payload_at))
    ):
        return
    if not limiter.allow(now):
        interface.counters.add(ICMP_RATE_LIMITED)
        return
    quote: cython.Py_ssize_t = min(cython.cast(cython.Py_ssize_t, ip.total_len), QUOTE_LEN_MAX)
    at: cython.Py_ssize_t = interface.link_len + IPV4_LEN
    length: cython.Py_ssize_t = emit_icmp(_scratch, at, type, code, 0, memory, ip_at, quote)
    _send(interface, source_mac, ip.destination, ip.source, length)
    interface.counters.add(ICMP_ERRORS_OUT)


@cython.cfunc
def _send(
    interface: Interface,
    to: cython.ulonglong,
    source: cython.uint,
    destination: cython.uint,
    length: cython.Py_ssize_t,
) -> cython.void:
    """Queue the ICMP message that lies in the scratch, back to the station it came from."""
    at: cython.Py_ssize_t = interface.emit_link(_scratch, 0, to, ETHERTYPE_IPV4)
    emit_ipv4(
        _scratch,
        at,
        source,
        destination,
        PROTOCOL_ICMP,
        cython.cast(cython.uint, length),
        64,
        0,
        0,
        length + IPV4_LEN <= interface.mtu,
    )
    total: cython.Py_ssize_t = IPV4_LEN + length
    if total > interface.mtu or not interface.outgoing.append(read(_scratch, 0, at + total)):
        interface.counters.add(REPLY_QUEUE_FULL)
