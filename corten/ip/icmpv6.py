"""ICMPv6 for a host: echo replies, and the errors a host must send (RFC 4443).

An error quotes as much as fits in 1280 octets (2.4 (c)). None is sent about an error or a redirect,
a packet that went to a group or to all stations of the link (but for an option that demands it), or
a source that is no single host (2.4 (e)); and none faster than the bucket that ICMPv4 shares.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, read
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.ip.icmp import IcmpLimiter
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.wire.address_field import is_group_v6, is_link_local_v6, is_v4
from cython.cimports.corten.wire.ethernet import ETHERTYPE_IPV6
from cython.cimports.corten.wire.icmpv6 import (
    ICMPV6_ECHO_REPLY,
    ICMPV6_LEN,
    Icmpv6,
    emit_icmpv6,
    is_error_v6,
)
from cython.cimports.corten.wire.ipv6 import (
    IPV6_LEN,
    PROTOCOL_ICMPV6,
    Ipv6,
    emit_ipv6,
)
from cython.cimports.corten.wire.ipv6_extension import Extensions
from cython.cimports.corten.wire.mac_field import is_group_mac
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ICMP_ECHO_REPLIES,
    ICMP_ERRORS_OUT,
    ICMP_RATE_LIMITED,
    ICMPV6_UNKNOWN_TYPE,
    REPLY_QUEUE_FULL,
)

if not cython.compiled:
    REPLY_LEN_MAX = 65536
    QUOTE_LEN_MAX = 1232  # of 1280 octets, without the headers of IPv6 and ICMPv6
    HOP_LIMIT = 64

_scratch: Arena = Arena(REPLY_LEN_MAX + 128)
_quoted: Extensions = Extensions()


@cython.cfunc
def receive_echo(
    interface: Interface, station: cython.ulonglong, ip: Ipv6, icmp: Icmpv6, memory: Memory
) -> cython.int:
    """Answer an echo request, one to a group too (4.2); ACCEPTED, or why there is no answer."""
    if ip.source_high == 0 and ip.source_low == 0:
        return ICMPV6_UNKNOWN_TYPE  # nobody to answer
    if not _fill(
        interface, ip, ICMPV6_ECHO_REPLY, 0, icmp.rest, memory, icmp.payload_at, icmp.payload_len
    ):
        return ICMPV6_UNKNOWN_TYPE
    _send(interface, station, ICMPV6_LEN + icmp.payload_len)
    interface.counters.add(ICMP_ECHO_REPLIES)
    return ACCEPTED


@cython.cfunc
def send_error_v6(
    interface: Interface,
    limiter: IcmpLimiter,
    link_destination: cython.ulonglong,
    station: cython.ulonglong,
    ip: Ipv6,
    memory: Memory,
    ip_at: cython.Py_ssize_t,
    type: cython.uint,
    code: cython.uint,
    rest: cython.uint,
    about_group: cython.bint,
    now: cython.longlong,
) -> cython.void:
    """An error about the packet at `ip_at`, which `station` sent to `link_destination`, if it may
    be sent. `about_group`: even when the packet went to a group."""
    if not about_group and (is_group_v6(ip.destination_high) or is_group_mac(link_destination)):
        return
    if ip.source_high == 0 and ip.source_low == 0:
        return
    is_icmp: cython.bint = (
        _quoted.skim(memory, ip_at, ip) and _quoted.next_header == PROTOCOL_ICMPV6
    )
    if is_icmp and (_quoted.upper_len < 1 or is_error_v6(get8(memory, _quoted.upper_at))):
        return
    if not limiter.allow(now):
        interface.counters.add(ICMP_RATE_LIMITED)
        return
    quote: cython.Py_ssize_t = min(ip.packet_len, QUOTE_LEN_MAX)
    if not _fill(interface, ip, type, code, rest, memory, ip_at, quote):
        return
    _send(interface, station, ICMPV6_LEN + quote)
    interface.counters.add(ICMP_ERRORS_OUT)


@cython.cfunc
def _fill(
    interface: Interface,
    ip: Ipv6,
    type: cython.uint,
    code: cython.uint,
    rest: cython.uint,
    memory: Memory,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.bint:
    """Write the answer to a packet into the scratch: from the address it was sent to, or from one
    of ours when that is a group (2.2). False when there is none."""
    own_high: cython.ulonglong = ip.destination_high
    own_low: cython.ulonglong = ip.destination_low
    if is_group_v6(own_high):
        own: Address | None = _own_for(interface, ip.source_high)
        if own is None:
            return False
        own_high = own.high
        own_low = own.low
    ip_at: cython.Py_ssize_t = interface.link_len
    emit_icmpv6(
        _scratch,
        ip_at + IPV6_LEN,
        own_high,
        own_low,
        ip.source_high,
        ip.source_low,
        type,
        code,
        rest,
        memory,
        at,
        length,
    )
    emit_ipv6(
        _scratch,
        ip_at,
        own_high,
        own_low,
        ip.source_high,
        ip.source_low,
        PROTOCOL_ICMPV6,
        ICMPV6_LEN + length,
        HOP_LIMIT,
        0,
        0,
    )
    return True


@cython.cfunc
def _own_for(interface: Interface, remote_high: cython.ulonglong) -> Address | None:
    """Which of our addresses answers what came to a group: one of the sender's scope, or any."""
    found: Address | None = None
    address: Address
    for address in interface.addresses:
        if is_v4(address.high, address.low):
            continue
        if is_link_local_v6(address.high) == is_link_local_v6(remote_high):
            return address
        if found is None:
            found = address
    return found


@cython.cfunc
def _send(
    interface: Interface, station: cython.ulonglong, length: cython.Py_ssize_t
) -> cython.void:
    """Queue the message of `length` octets in the scratch, back to the station it came from."""
    at: cython.Py_ssize_t = interface.emit_link(_scratch, 0, station, ETHERTYPE_IPV6)
    total: cython.Py_ssize_t = IPV6_LEN + length
    if total > interface.mtu or not interface.outgoing.append(read(_scratch, 0, at + total)):
        interface.counters.add(REPLY_QUEUE_FULL)
