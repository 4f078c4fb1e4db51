"""What is due on a link, whatever it is: one deadline and one timer of the wheel for each."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.ip.address import CLAIMED, TRIED, UNTRIED, attend_addresses, take
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.mld import attend_groups
from cython.cimports.corten.ip.resolution import attend_neighbours
from cython.cimports.corten.ip.slaac import Slaac
from cython.cimports.corten.wire.address_field import is_v4


@cython.cfunc
def begin(
    interface: Interface,
    how: cython.int,
    acd: cython.bint,
    key: bytes | None,
    now: cython.longlong,
) -> cython.void:
    """The link is up: take its addresses, each family's as asked. `key`: configure IPv6 as well."""
    address: Address
    for address in list(interface.addresses):
        if is_v4(address.high, address.low):
            take(interface, address, TRIED if acd else CLAIMED, now)
        else:
            take(interface, address, how, now)
    if key is not None:
        slaac: Slaac = Slaac(interface, key, how != UNTRIED)
        interface.slaac = slaac
        slaac.begin(now)
    attend_groups(interface, now)


@cython.cfunc
def attend(interface: Interface, now: cython.longlong) -> cython.void:
    """The interface's deadline is over: do what is due; `due_at` is the next one's."""
    interface.due_at = interface.armed_at = NEVER
    attend_groups(interface, now)  # before the solicitation: a switch has to know who listens
    attend_addresses(interface, now)
    attend_neighbours(interface, now)
    slaac: Slaac | None = interface.slaac
    if slaac is not None:
        interface.wake(interface.hops.expire(now))
        slaac.attend(now)
