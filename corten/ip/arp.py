"""Address resolution (RFC 826; RFC 1122 2.3.2; announcements RFC 5227 2.3).

Whoever receives an ARP message that changes or confirms an entry relays it to the other workers
of the link, so that every worker resolves from one answer. Broadcast requests for our address are
answered by the worker that receives them.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, read
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.waiting import send_waiting
from cython.cimports.corten.wire.address_field import is_v4, low_v4, v4_low
from cython.cimports.corten.wire.arp import ARP_LEN, REPLY, REQUEST, Arp
from cython.cimports.corten.wire.ethernet import ETHERTYPE_ARP, LINK_LEN_MAX
from cython.cimports.corten.wire.mac_field import BROADCAST_MAC
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ARP_CONFLICT,
    ARP_NOT_OURS,
    ARP_REPLIES_OUT,
    ARP_REQUESTS_OUT,
    REPLY_QUEUE_FULL,
)

_scratch: Arena = Arena(LINK_LEN_MAX + ARP_LEN)
_message: Arp = Arp()


@cython.cfunc
def receive_arp(
    interface: Interface, arp: Arp, relayed: cython.bint, now: cython.longlong
) -> cython.int:
    """Process one parsed ARP message; the reason it was dropped for, or ACCEPTED (RFC 826).

    `relayed`: another worker received it, and has answered where an answer was due.
    """
    sender_low: cython.ulonglong = v4_low(arp.sender_ip)
    if interface.owns(0, sender_low):
        if arp.sender_mac != interface.mac:
            return ARP_CONFLICT
        return ACCEPTED  # our own announcement, heard back
    ours: cython.bint = interface.owns(0, v4_low(arp.target_ip))
    if arp.sender_ip != 0:
        _merge(interface, arp, sender_low, ours, now)
    if not ours:
        return ARP_NOT_OURS
    if arp.operation == REQUEST and not relayed:
        _send(interface, REPLY, arp.target_ip, arp.sender_mac, arp.sender_ip, arp.sender_mac)
        interface.counters.add(ARP_REPLIES_OUT)
    return ACCEPTED


@cython.cfunc
def _merge(
    interface: Interface, arp: Arp, low: cython.ulonglong, ours: cython.bint, now: cython.longlong
) -> cython.void:
    """Learn the sender: an entry is updated always, made only for who speaks to us."""
    entry: Neighbour | None = interface.neighbours.find(0, low)
    if entry is None:
        if not ours or not interface.on_link(0, low):
            return
        entry = interface.neighbours.obtain(0, low, now)
    if entry.learn(arp.sender_mac, now):
        send_waiting(interface, entry)


@cython.cfunc
def _send(
    interface: Interface,
    operation: cython.uint,
    sender_ip: cython.uint,
    target_mac: cython.ulonglong,
    target_ip: cython.uint,
    to: cython.ulonglong,
) -> cython.void:
    """Queue one ARP message on the link."""
    at: cython.Py_ssize_t = interface.emit_link(_scratch, 0, to, ETHERTYPE_ARP)
    _message.fill(operation, interface.mac, sender_ip, target_mac, target_ip)
    _message.emit(_scratch, at)
    if not interface.outgoing.append(read(_scratch, 0, at + ARP_LEN)):
        interface.counters.add(REPLY_QUEUE_FULL)


@cython.cfunc
def request(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """Ask for a neighbour's address: first by unicast to the one in use, then by broadcast."""
    if interface.neighbours.adopt(neighbour, now):
        return
    to: cython.ulonglong = BROADCAST_MAC if neighbour.asks_everybody() else neighbour.mac
    neighbour.asked(now)
    source: Address | None = None
    address: Address
    for address in interface.addresses:
        if is_v4(address.high, address.low) and (
            source is None or address.contains(0, neighbour.address_low)
        ):
            source = address
    if source is None:
        return  # no address to ask from: it waits until there is one
    _send(interface, REQUEST, low_v4(source.low), 0, low_v4(neighbour.address_low), to)
    interface.counters.add(ARP_REQUESTS_OUT)


@cython.cfunc
def probe(interface: Interface, address: Address) -> cython.void:
    """Ask, as nobody, whether somebody has an address that we want (RFC 5227 2.1.1)."""
    _send(interface, REQUEST, 0, 0, low_v4(address.low), BROADCAST_MAC)
    interface.counters.add(ARP_REQUESTS_OUT)


@cython.cfunc
def announce_v4(interface: Interface, address: Address) -> cython.void:
    """Tell the link who we are: one request for our own address (RFC 5227 2.3)."""
    own: cython.uint = low_v4(address.low)
    _send(interface, REQUEST, own, 0, own, BROADCAST_MAC)
