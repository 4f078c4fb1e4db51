"""The addresses of a link from the wish to the end: tried, used, deprecated, lost (RFC 4862, 5227).

An address that is being tried stands in `Interface.tentative`: it is no source, and nothing sent to
it is taken. When nobody else turns out to have it, it moves to `Interface.addresses`. An
*optimistic* one (RFC 4429) is in use while it is tried: the addresses that somebody typed in are
taken so, as a server has to be there at once after a restart, and leave again when they prove to be
another's. For IPv4 the same choice, `CLAIMED`, is to announce at once and to defend whatever comes
(RFC 5227 2.4 c).

Rules. What is lost stands in `Interface.lost` until the stack has told the connections. All workers
of a link try an address alike, each hears what the others hear, and the leader alone speaks.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import SECOND
from cython.cimports.corten.ip.arp import announce_v4, probe
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.nd import advertise, solicit_duplicate
from cython.cimports.corten.ip.probation import ANNOUNCE, SOLICIT, USE, WAIT, Claim, Duplicates
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.nd import is_link_local, solicited_node_low
from cython.cimports.corten.wire.reason import ADDRESSES_LOST

if not cython.compiled:
    # how an address is taken
    UNTRIED = 0  # ours, without a question
    CLAIMED = 1  # in use at once, and tried or defended meanwhile
    TRIED = 2  # not in use before nobody has objected


@cython.cfunc
def take(
    interface: Interface, address: Address, how: cython.int, now: cython.longlong
) -> cython.void:
    """An address is to be ours; it may stand among the link's already."""
    v4: cython.bint = is_v4(address.high, address.low)
    in_use: cython.bint = how != TRIED or interface.link_len == 0
    if address in interface.addresses:
        interface.addresses.remove(address)
    if in_use:
        interface.addresses.append(address)
    else:
        interface.tentative.append(address)
    interface.readdressed()
    if interface.link_len == 0:
        return  # a link of two: nobody else can have it, and nobody asks
    if v4:
        address.claim = Claim(interface.chance, now, how == TRIED)
        interface.wake(address.claim.due_at)
        if in_use and interface.is_leader:
            announce_v4(interface, address)
        return
    joined_at: cython.longlong = now
    if how != UNTRIED:
        retrans: cython.longlong = interface.neighbours.nd_timing.retrans_ns
        # by chance, and the same for all workers: they are to use the address at the same time
        delay = Chance(address.low ^ interface.mac).below(SECOND)
        address.trial = Duplicates(interface.chance, now, retrans, delay)
        joined_at = address.trial.due_at
        interface.wake(joined_at)
    interface.groups.join(solicited_node_low(address.low), joined_at)
    interface.wake(interface.groups.due_at)


@cython.cfunc
def lose(interface: Interface, address: Address, why: str, now: cython.longlong) -> cython.void:
    """It is not ours, or no more."""
    for held in (interface.tentative, interface.addresses):
        if address in held:
            held.remove(address)
    address.trial = None
    address.claim = None
    if not is_v4(address.high, address.low) and interface.link_len != 0:
        interface.groups.leave(solicited_node_low(address.low), now)
        interface.wake(interface.groups.due_at)
    interface.readdressed()
    interface.counters.add(ADDRESSES_LOST)
    interface.lost.append((address, why))
    interface.wake(now)


@cython.cfunc
def attend_addresses(interface: Interface, now: cython.longlong) -> cython.void:
    """Trials, claims and lifetimes that are due."""
    address: Address
    for address in list(interface.tentative) + list(interface.addresses):
        if address.valid_until <= now:
            lose(interface, address, "its lifetime is over", now)
            continue
        if address.trial is not None:
            _try(interface, address, now)
        if address.claim is not None:
            _claim(interface, address, now)
        if address.preferred_until > now:
            interface.wake(address.preferred_until)
        elif not address.deprecated:
            address.deprecated = True
            interface.readdressed()
        interface.wake(address.valid_until)


@cython.cfunc
def _try(interface: Interface, address: Address, now: cython.longlong) -> cython.void:
    """Duplicate address detection goes on (RFC 4862 5.4)."""
    trial: Duplicates | None = address.trial
    if trial is None:
        return
    wanted: cython.uint = trial.expire(now)
    interface.wake(trial.due_at)
    if wanted == SOLICIT and interface.is_leader:
        solicit_duplicate(interface, address, trial.nonce)
    if wanted != USE:
        return
    address.trial = None
    _use(interface, address)
    if interface.is_leader:
        advertise(interface, address)
    if is_link_local(address.high):
        interface.groups.report_all(now)  # with a source, and so for routers too
        interface.wake(now)


@cython.cfunc
def _claim(interface: Interface, address: Address, now: cython.longlong) -> cython.void:
    """Address conflict detection goes on (RFC 5227)."""
    claim: Claim | None = address.claim
    if claim is None:
        return
    wanted: cython.uint = claim.expire(now)
    interface.wake(claim.due_at)
    if wanted == WAIT:
        return
    if wanted & USE:
        _use(interface, address)
    if not interface.is_leader:
        return
    if wanted & SOLICIT:
        probe(interface, address)
    if wanted & ANNOUNCE:
        announce_v4(interface, address)


@cython.cfunc
def _use(interface: Interface, address: Address) -> cython.void:
    """Nobody else has it."""
    if address in interface.tentative:
        interface.tentative.remove(address)
        interface.addresses.append(address)
        interface.gained.append(address)
        interface.readdressed()


@cython.cfunc
def set_lifetimes(
    interface: Interface,
    address: Address,
    preferred_until: cython.longlong,
    valid_until: cython.longlong,
    now: cython.longlong,
) -> cython.void:
    """A router says how long an address is good for (RFC 4862 5.5.3)."""
    address.preferred_until = preferred_until
    address.valid_until = valid_until
    deprecated: cython.bint = preferred_until <= now
    if deprecated != address.deprecated:
        address.deprecated = deprecated
        interface.readdressed()
    interface.wake(preferred_until if preferred_until > now else valid_until)


@cython.cfunc
def announce(interface: Interface) -> cython.void:
    """Tell the link who we are: this worker speaks for it now."""
    address: Address
    for address in interface.addresses if interface.link_len != 0 else []:
        if is_v4(address.high, address.low):
            announce_v4(interface, address)
        else:
            advertise(interface, address)
