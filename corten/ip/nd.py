"""Neighbour discovery, what is sent: solicitations, advertisements (RFC 4861, 4 and 7.2).

Rules. A solicitation goes to the target's solicited-node group until its address is known, then to
the station itself; it says our own link-layer address, but for one from nobody (RFC 4861 7.2.2) and
never from an address that may still be a duplicate (RFC 4429 3.2). An advertisement of such an
address does not override (RFC 4429 3.3). Hop limit 255 throughout: a router in between would show.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, read
from cython.cimports.corten.core.limit import LINK_GROUPS_HIGH
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.ethernet import ETHERTYPE_IPV6, LINK_LEN_MAX
from cython.cimports.corten.wire.ipv6 import IPV6_LEN, PROTOCOL_ICMPV6, emit_ipv6
from cython.cimports.corten.wire.nd import (
    FLAG_OVERRIDE,
    FLAG_SOLICITED,
    ND_HOP_LIMIT,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    OPTION_NONCE,
    OPTION_SOURCE_ADDRESS,
    OPTION_TARGET_ADDRESS,
    emit_neighbour,
    emit_option,
    emit_router_solicitation,
    group_mac,
    is_link_local,
    seal,
    solicited_node_low,
)
from cython.cimports.corten.wire.reason import (
    ND_ADVERTISEMENTS_OUT,
    ND_SOLICITATIONS_OUT,
    REPLY_QUEUE_FULL,
)

if not cython.compiled:
    MESSAGE_LEN_MAX = 64
    ALL_NODES_LOW = 1
    ALL_ROUTERS_LOW = 2
    SOURCE_AT = 8  # of an IPv6 header

_scratch: Arena = Arena(LINK_LEN_MAX + IPV6_LEN + MESSAGE_LEN_MAX)


@cython.cfunc
def _send(
    interface: Interface,
    to: cython.ulonglong,
    source_high: cython.ulonglong,
    source_low: cython.ulonglong,
    high: cython.ulonglong,
    low: cython.ulonglong,
    length: cython.Py_ssize_t,
) -> cython.void:
    """Queue the message that lies in the scratch, behind its headers, for station `to`."""
    at: cython.Py_ssize_t = interface.emit_link(_scratch, 0, to, ETHERTYPE_IPV6)
    emit_ipv6(
        _scratch,
        at,
        source_high,
        source_low,
        high,
        low,
        PROTOCOL_ICMPV6,
        length,
        ND_HOP_LIMIT,
        0,
        0,
    )
    seal(_scratch, at + IPV6_LEN, length, source_high, source_low, high, low)
    if not interface.outgoing.append(read(_scratch, 0, at + IPV6_LEN + length)):
        interface.counters.add(REPLY_QUEUE_FULL)


@cython.cfunc
def _to_group(
    interface: Interface, own: Address | None, low: cython.ulonglong, length: cython.Py_ssize_t
) -> cython.void:
    """The message in the scratch to ff02::`low`, from an address of ours or from nobody."""
    source_high: cython.ulonglong = 0 if own is None else own.high
    source_low: cython.ulonglong = 0 if own is None else own.low
    _send(interface, group_mac(low), source_high, source_low, LINK_GROUPS_HIGH, low, length)


@cython.cfunc
def solicit(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """Ask for a neighbour's address, or whether it is still there (7.2.2, 7.3.3)."""
    if interface.link_len == 0 or interface.neighbours.adopt(neighbour, now):
        return
    everybody: cython.bint = neighbour.asks_everybody()
    neighbour.asked(now)
    own: Address | None = own_for(interface, neighbour)
    if own is None:
        return  # no address to ask from: it waits until there is one
    high: cython.ulonglong = neighbour.address_high
    low: cython.ulonglong = neighbour.address_low
    at: cython.Py_ssize_t = interface.link_len + IPV6_LEN
    length: cython.Py_ssize_t = emit_neighbour(_scratch, at, NEIGHBOUR_SOLICITATION, 0, high, low)
    length += emit_option(_scratch, at + length, OPTION_SOURCE_ADDRESS, interface.mac)
    if everybody:
        _to_group(interface, own, solicited_node_low(low), length)
    else:
        _send(interface, neighbour.mac, own.high, own.low, high, low, length)
    interface.counters.add(ND_SOLICITATIONS_OUT)


@cython.cfunc
def own_for(interface: Interface, neighbour: Neighbour) -> Address | None:
    """From which address to ask: that of the packet that waits, else one of the target's scope."""
    best: Address | None = None
    waiting: bytes = b""
    if neighbour.waiting is not None:
        at: cython.Py_ssize_t = interface.link_len + SOURCE_AT
        waiting = neighbour.waiting[len(neighbour.waiting) - 1][at : at + 16]
    local: cython.bint = is_link_local(neighbour.address_high)
    address: Address
    for address in interface.addresses:
        if is_v4(address.high, address.low) or address.trial is not None:
            continue
        if waiting == address.octets:
            return address
        if best is None or is_link_local(address.high) == local:
            best = address
    return best


@cython.cfunc
def solicit_duplicate(
    interface: Interface, address: Address, nonce: cython.ulonglong
) -> cython.void:
    """Ask, from nobody, whether somebody has an address that we want (RFC 4862 5.4.2)."""
    at: cython.Py_ssize_t = interface.link_len + IPV6_LEN
    length: cython.Py_ssize_t = emit_neighbour(
        _scratch, at, NEIGHBOUR_SOLICITATION, 0, address.high, address.low
    )
    length += emit_option(_scratch, at + length, OPTION_NONCE, nonce)
    _to_group(interface, None, solicited_node_low(address.low), length)
    interface.counters.add(ND_SOLICITATIONS_OUT)


@cython.cfunc
def solicit_routers(interface: Interface, own: Address | None) -> cython.void:
    """Ask the routers to say what they have to say (6.3.7), from nobody while there is no `own`."""
    at: cython.Py_ssize_t = interface.link_len + IPV6_LEN
    length: cython.Py_ssize_t = emit_router_solicitation(_scratch, at)
    if own is not None:
        length += emit_option(_scratch, at + length, OPTION_SOURCE_ADDRESS, interface.mac)
    _to_group(interface, own, ALL_ROUTERS_LOW, length)
    interface.counters.add(ND_SOLICITATIONS_OUT)


@cython.cfunc
def answer(
    interface: Interface,
    address: Address,
    station: cython.ulonglong,
    high: cython.ulonglong,
    low: cython.ulonglong,
) -> cython.void:
    """Advertise an address of ours to who asked for it (7.2.4)."""
    length: cython.Py_ssize_t = _advertisement(interface, address, FLAG_SOLICITED)
    _send(interface, station, address.high, address.low, high, low, length)


@cython.cfunc
def advertise(interface: Interface, address: Address) -> cython.void:
    """Advertise an address of ours to everybody, unasked (7.2.6), or to one who has none."""
    length: cython.Py_ssize_t = _advertisement(interface, address, 0)
    _to_group(interface, address, ALL_NODES_LOW, length)


@cython.cfunc
def _advertisement(interface: Interface, address: Address, flags: cython.uint) -> cython.Py_ssize_t:
    if address.trial is None:
        flags |= FLAG_OVERRIDE
    interface.counters.add(ND_ADVERTISEMENTS_OUT)
    at: cython.Py_ssize_t = interface.link_len + IPV6_LEN
    length: cython.Py_ssize_t = emit_neighbour(
        _scratch, at, NEIGHBOUR_ADVERTISEMENT, flags, address.high, address.low
    )
    return length + emit_option(_scratch, at + length, OPTION_TARGET_ADDRESS, interface.mac)
