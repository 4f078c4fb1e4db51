"""Neighbour discovery, what is heard (RFC 4861 6.3.4, 7.2, 8.3; RFC 4862 5.4).

Rules. Every worker of a link hears every message, its own or relayed, and concludes the same; who
received it from the wire answers. A message makes an entry for a stranger only where he asked for
us, and is on the link.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.limit import V4_PREFIX
from cython.cimports.corten.ip.conflict import duplicate
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.nd import advertise, answer
from cython.cimports.corten.ip.neighbour import ROUTER_LOST, SEND_WAITING, Neighbour
from cython.cimports.corten.ip.slaac import Slaac
from cython.cimports.corten.ip.waiting import send_waiting
from cython.cimports.corten.wire.nd import (
    FLAG_OVERRIDE,
    FLAG_ROUTER,
    FLAG_SOLICITED,
    ND_REDIRECT,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
    NdMessage,
)
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ND_BAD_ADDRESS,
    ND_BAD_ROUTER,
    ND_CONFLICT,
    ND_LOOPED_BACK,
    ND_NOT_OURS,
    REDIRECTS_TAKEN,
)

from corten.wire.address import format_address


@cython.cfunc
def nd_arrives(
    interface: Interface,
    message: NdMessage,
    memory: Memory,
    high: cython.ulonglong,
    low: cython.ulonglong,
    station: cython.ulonglong,
    relayed: cython.bint,
    now: cython.longlong,
) -> cython.int:
    """A message that `NdMessage.parse` accepted, from (high, low) at `station`; a reason."""
    if message.type == NEIGHBOUR_SOLICITATION:
        return _solicited(interface, message, high, low, station, relayed, now)
    if message.type == NEIGHBOUR_ADVERTISEMENT:
        return _advertised(interface, message, station, now)
    if message.type == ROUTER_ADVERTISEMENT:
        return _router(interface, message, memory, high, low, now)
    if message.type == ND_REDIRECT:
        return _redirected(interface, message, high, low, now)
    return ND_NOT_OURS  # 6.1.1: hosts discard router solicitations


@cython.cfunc
def _own(interface: Interface, message: NdMessage) -> Address | None:
    """The address of ours that a message is about, be it tentative, or one of a whole prefix."""
    own: Address | None = interface.own(message.target_high, message.target_low)
    if own is not None:
        return own
    address: Address
    for address in interface.tentative:
        if address.low == message.target_low and address.high == message.target_high:
            return address
    if interface.holds(message.target_high, message.target_low):
        return Address(f"{format_address(message.target_high, message.target_low)}/128")
    return None


@cython.cfunc
def _solicited(
    interface: Interface,
    message: NdMessage,
    high: cython.ulonglong,
    low: cython.ulonglong,
    station: cython.ulonglong,
    relayed: cython.bint,
    now: cython.longlong,
) -> cython.int:
    """7.2.3, and RFC 4862 5.4.3 for an address that is being tried."""
    own: Address | None = _own(interface, message)
    if own is None:
        return ND_NOT_OURS
    from_nobody: cython.bint = high == 0 and low == 0
    if from_nobody and own.trial is not None:
        if own.trial.is_ours(message.nonce) or (
            station == interface.mac and not interface.is_leader
        ):
            return ND_LOOPED_BACK
        duplicate(interface, own, station, now)
        return ND_CONFLICT
    if own in interface.tentative:
        return ND_NOT_OURS
    if from_nobody:
        if not relayed:
            advertise(interface, own)
        return ACCEPTED
    if message.link_address != 0:
        _hear(interface, high, low, message.link_address, now)
        station = message.link_address
    if not relayed:
        answer(interface, own, station, high, low)
    return ACCEPTED


@cython.cfunc
def _hear(
    interface: Interface,
    high: cython.ulonglong,
    low: cython.ulonglong,
    mac: cython.ulonglong,
    now: cython.longlong,
) -> Neighbour | None:
    """Learn where a station is from what confirms nothing."""
    entry: Neighbour | None = interface.neighbours.find(high, low)
    if entry is None:
        if not interface.on_link(high, low):
            return None
        entry = interface.neighbours.obtain(high, low, now)
    if entry.hear(mac) == SEND_WAITING:
        send_waiting(interface, entry)
    return entry


@cython.cfunc
def _advertised(
    interface: Interface, message: NdMessage, station: cython.ulonglong, now: cython.longlong
) -> cython.int:
    """7.2.5, and RFC 4862 5.4.4."""
    own: Address | None = _own(interface, message)
    if own is not None:
        if station == interface.mac:
            return ND_LOOPED_BACK
        if own.trial is not None:
            duplicate(interface, own, station, now)
        return ND_CONFLICT
    entry: Neighbour | None = interface.neighbours.find(message.target_high, message.target_low)
    if entry is None:
        return ND_NOT_OURS
    outcome: cython.uint = entry.advertise(
        message.link_address,
        message.flags & FLAG_SOLICITED != 0,
        message.flags & FLAG_OVERRIDE != 0,
        message.flags & FLAG_ROUTER != 0,
        now,
    )
    if outcome & SEND_WAITING:
        send_waiting(interface, entry)
    if outcome & ROUTER_LOST:
        interface.hops.lose_router(entry.address_high, entry.address_low)
    return ACCEPTED


@cython.cfunc
def _router(
    interface: Interface,
    message: NdMessage,
    memory: Memory,
    high: cython.ulonglong,
    low: cython.ulonglong,
    now: cython.longlong,
) -> cython.int:
    """6.3.4. Whether a station is kept as a router does not hang on its own word alone: the table
    of neighbours must not fill with what can never be evicted."""
    slaac: Slaac | None = interface.slaac
    if slaac is None:
        return ND_NOT_OURS
    slaac.receive(message, memory, high, low, now)
    entry: Neighbour | None = interface.neighbours.find(high, low)
    listed: cython.bint = interface.hops.is_router(high, low)
    if message.link_address != 0 and (listed or entry is not None):
        entry = _hear(interface, high, low, message.link_address, now)
    if entry is not None:
        entry.is_router = True
        entry.is_first_hop = listed
    return ACCEPTED


@cython.cfunc
def _redirected(
    interface: Interface,
    message: NdMessage,
    high: cython.ulonglong,
    low: cython.ulonglong,
    now: cython.longlong,
) -> cython.int:
    """8.3: the first hop that we use says that another is better for a destination."""
    to_high: cython.ulonglong = message.destination_high
    to_low: cython.ulonglong = message.destination_low
    if not is_first_hop(interface, to_high, to_low, high, low):
        return ND_BAD_ROUTER
    if interface.owns(message.target_high, message.target_low):
        return ND_BAD_ADDRESS
    entry: Neighbour | None = interface.neighbours.find(message.target_high, message.target_low)
    if message.link_address != 0:
        if entry is None:
            entry = interface.neighbours.obtain(message.target_high, message.target_low, now)
        if entry.hear(message.link_address) == SEND_WAITING:
            send_waiting(interface, entry)
    if entry is not None and (message.target_high != to_high or message.target_low != to_low):
        entry.is_router = True
    interface.hops.redirect(to_high, to_low, message.target_high, message.target_low, high, low)
    interface.readdressed()
    interface.counters.add(REDIRECTS_TAKEN)
    return ACCEPTED


@cython.cfunc
def is_first_hop(
    interface: Interface,
    to_high: cython.ulonglong,
    to_low: cython.ulonglong,
    high: cython.ulonglong,
    low: cython.ulonglong,
) -> cython.bint:
    """Whether what goes to `to` goes through (high, low) of this link now, another station."""
    if to_high == high and to_low == low:
        return False
    hop = interface.routes.next_hop(to_high, to_low)
    return hop is not None and hop[0] is interface and (hop[1], hop[2]) == (high, low)


@cython.cfunc
def redirect_v4(
    interface: Interface,
    source: cython.uint,
    gateway: cython.uint,
    destination: cython.uint,
) -> cython.int:
    """An ICMP redirect for a host, or for a network, which counts for the host too (RFC 1122
    3.2.2.2): from the gateway in use, to one of the link."""
    by: cython.ulonglong = V4_PREFIX | gateway
    to: cython.ulonglong = V4_PREFIX | destination
    if not is_first_hop(interface, 0, to, 0, V4_PREFIX | source):
        return ND_BAD_ROUTER
    if interface.owns(0, by) or interface.is_broadcast(by) or not interface.on_link(0, by):
        return ND_BAD_ADDRESS
    interface.hops.redirect(0, to, 0, by, 0, V4_PREFIX | source)
    interface.readdressed()
    interface.counters.add(REDIRECTS_TAKEN)
    return ACCEPTED
