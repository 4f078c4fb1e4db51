"""From a next hop to a station: where a frame goes whose neighbour is not known (yet).

The one place between paths and the two protocols that ask, ARP for IPv4 (RFC 826) and neighbour
discovery for IPv6 (RFC 4861). What waits, how long, and when it is given up is the same for both.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.arp import announce_v4, request
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.nd import solicit
from cython.cimports.corten.ip.neighbour import (
    REQUESTS_MAX,
    STATIC,
    UNICAST_REQUESTS,
    UNRESOLVED,
    Neighbour,
)
from cython.cimports.corten.ip.waiting import send_waiting, wait_for
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.reason import NEIGHBOUR_UNREACHABLE


@cython.cfunc
def _ask(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """One request, in the protocol of the neighbour's family."""
    if is_v4(neighbour.address_high, neighbour.address_low):
        request(interface, neighbour, now)
    else:
        solicit(interface, neighbour, now)


@cython.cfunc
def hold(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """The last committed frame's next hop is unresolved: let it wait, and ask."""
    wait_for(interface, neighbour, now)
    if neighbour.should_request(now):
        _ask(interface, neighbour, now)
    if neighbour.mac != 0:
        send_waiting(interface, neighbour)  # another entry of the same address knew


@cython.cfunc
def ask_again(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """An entry past its freshness was used: it stays in use while it is asked for."""
    if neighbour.state == STATIC or not neighbour.should_request(now):
        return
    if neighbour.requests >= UNICAST_REQUESTS + REQUESTS_MAX:
        neighbour.state = UNRESOLVED
        neighbour.mac = 0
        neighbour.fresh_until = 0
        neighbour.requests = 0
    if interface.outgoing.has_room():
        _ask(interface, neighbour, now)


@cython.cfunc
def resolve(interface: Interface, now: cython.longlong) -> cython.void:
    """Once a second while anything waits: ask again, give up after `REQUESTS_MAX`."""
    neighbour: Neighbour
    for neighbour in list(interface.unresolved):
        if not neighbour.should_request(now):
            continue
        if neighbour.requests >= REQUESTS_MAX:
            waiting: list = neighbour.waiting or []
            interface.counters.add(NEIGHBOUR_UNREACHABLE, len(waiting))
            neighbour.waiting = None
            interface.unresolved.remove(neighbour)
        elif interface.outgoing.has_room():
            _ask(interface, neighbour, now)


@cython.cfunc
def announce(interface: Interface) -> cython.void:
    """Tell the link who we are, an address at a time."""
    address: Address
    for address in interface.addresses:
        if is_v4(address.high, address.low):
            announce_v4(interface, address)
