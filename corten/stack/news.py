"""What a link found out that connections have to hear, and the log: addresses and first hops."""

from __future__ import annotations

import logging

import cython
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.stack.removal import end_address
from cython.cimports.corten.tcp.handshake import opening_failed
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.udp.host import UdpHost

from corten.wire.address import format_address

log = logging.getLogger("corten.link")


@cython.cfunc
def tell(host: TcpHost, udp: UdpHost, interface: Interface) -> cython.void:
    """Say what has come up on a link since the last time."""
    if interface.failed:
        _tell_failures(host, interface)
    address: Address
    for address in interface.gained:
        if interface.is_leader:
            log.info("link %s: address %s", interface.name, address.text())
    interface.gained.clear()
    for address, why in interface.lost:
        text = f"link {interface.name}: address {address.text()} given up: {why}"
        if interface.is_leader:
            log.warning(text)
        end_address(host, udp, address, text)
    interface.lost.clear()


@cython.cfunc
def _tell_failures(host: TcpHost, interface: Interface) -> cython.void:
    """Connections that wait for a first hop hear that nobody answers for it."""
    neighbour: Neighbour
    for neighbour in interface.failed:
        hop: str = format_address(neighbour.address_high, neighbour.address_low)
        for opener in neighbour.openers or []:
            opening_failed(host, cython.cast(Tcb, opener), hop)
        neighbour.openers = None
    interface.failed.clear()
