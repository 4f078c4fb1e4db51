"""From a next hop to a station: where a frame goes whose neighbour is not known (yet).

The one place between paths and the two protocols that ask, ARP for IPv4 (RFC 826) and neighbour
discovery for IPv6 (RFC 4861). What waits, how long, and when it is given up is the neighbour's
machine; here its wishes are carried out.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import MILLISECOND, NEVER
from cython.cimports.corten.ip.arp import request
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.nd import solicit
from cython.cimports.corten.ip.neighbour import ASK, FAILED, LAPSED, Neighbour
from cython.cimports.corten.ip.waiting import send_waiting, track, wait_for
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.reason import NEIGHBOUR_UNREACHABLE

if not cython.compiled:
    STEP_MS = 10  # between two looks at those who are asked, however many they are


@cython.cfunc
def _ask(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """One request, in the protocol of the neighbour's family."""
    if not interface.outgoing.has_room():
        return  # its timer asks again in a moment
    if is_v4(neighbour.address_high, neighbour.address_low):
        request(interface, neighbour, now)
    else:
        solicit(interface, neighbour, now)


@cython.cfunc
def hold(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """The last committed frame's next hop is unresolved: let it wait, and ask."""
    wait_for(interface, neighbour)
    if now >= neighbour.fresh_until:
        used(interface, neighbour, now)
    if neighbour.mac != 0:
        send_waiting(interface, neighbour)  # another entry of the same address knew


@cython.cfunc
def used(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """An entry past its freshness was used: it stays in use while it is verified."""
    if neighbour.use(now) == ASK:
        _ask(interface, neighbour, now)
    track(interface, neighbour)


@cython.cfunc
def attend_neighbours(interface: Interface, now: cython.longlong) -> cython.void:
    """Timers of those who are asked: ask again, or give up."""
    kept: list = []
    neighbour: Neighbour
    for neighbour in interface.asking:
        answer: cython.uint = neighbour.expire(now)
        if answer == ASK:
            _ask(interface, neighbour, now)
        elif answer in (FAILED, LAPSED):
            _give_up(interface, neighbour, answer)
        if neighbour.due_at == NEVER:
            neighbour.is_asked = False
            _drop_waiting(interface, neighbour)
            continue
        kept.append(neighbour)
        interface.wake(max(neighbour.due_at, now + STEP_MS * MILLISECOND))
    interface.asking = kept


@cython.cfunc
def _give_up(interface: Interface, neighbour: Neighbour, answer: cython.uint) -> cython.void:
    """It does not answer. Whoever uses it as a first hop looks for another (RFC 4861 7.3.3); who
    waits for a connection through it hears of it, once nobody answered at all (7.2.2)."""
    if answer == FAILED and neighbour.openers is not None:
        interface.failed.append(neighbour)
    interface.hops.lapse(neighbour.address_high, neighbour.address_low, neighbour.is_router)


@cython.cfunc
def _drop_waiting(interface: Interface, neighbour: Neighbour) -> cython.void:
    """Nobody asks any more: what still waits has no way."""
    if neighbour.waiting is not None:
        interface.counters.add(NEIGHBOUR_UNREACHABLE, len(neighbour.waiting))
        neighbour.waiting = None
