"""Neighbour discovery for IPv6 (RFC 4861): who has an address, and whether it still answers.

Static entries alone resolve so far: a request leaves no trace but its count.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import Neighbour


@cython.cfunc
def solicit(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """Ask for a neighbour's address, as `arp.request` does for IPv4."""
    interface.neighbours.adopt(neighbour, now)
    neighbour.asked(now)
