"""Somebody else has, or wants, an address of ours: what follows (RFC 4862 5.4.3, 5227 2.4)."""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.address import lose
from cython.cimports.corten.ip.arp import announce_v4
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.probation import ANNOUNCE, GIVE_UP
from cython.cimports.corten.ip.slaac import Slaac
from cython.cimports.corten.wire.address_field import v4_low
from cython.cimports.corten.wire.arp import Arp

from corten.wire.address import format_mac


@cython.cfunc
def duplicate(
    interface: Interface, address: Address, station: cython.ulonglong, now: cython.longlong
) -> cython.void:
    """An address that is being tried is another station's: we do without it, or make the next."""
    lose(interface, address, f"{format_mac(station)} has it, too", now)
    slaac: Slaac | None = interface.slaac
    if address.is_auto and slaac is not None:
        slaac.duplicated(address, now)


@cython.cfunc
def arp_conflict(
    interface: Interface, arp: Arp, relayed: cython.bint, now: cython.longlong
) -> cython.void:
    """An ARP message whose sender has an address of ours, or probes for one that we probe for."""
    if arp.sender_mac == interface.mac:
        return  # our own, heard back
    address: Address
    for address in interface.tentative + interface.addresses:
        if address.claim is None or address.high != 0:
            continue
        ours: cython.bint = address.low == v4_low(arp.sender_ip)
        probed: cython.bint = arp.sender_ip == 0 and address.low == v4_low(arp.target_ip)
        if not ours and not (probed and not address.claim.is_used):
            continue
        answer: cython.uint = address.claim.conflict(now)
        if answer == ANNOUNCE and not relayed:
            announce_v4(interface, address)
        elif answer == GIVE_UP:
            lose(interface, address, f"{format_mac(arp.sender_mac)} has it, too", now)
