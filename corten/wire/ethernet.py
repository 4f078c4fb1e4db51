"""Ethernet II header: parse and emit (RFC 894).

A VLAN tag is an EtherType like any other here: `vlan.py` looks into it.

    0                 6                 12        14
    | destination     | source          | type    | payload, with padding to 46 octets
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get64, put16
from cython.cimports.corten.wire.mac_field import put48
from cython.cimports.corten.wire.reason import ACCEPTED, ETHERNET_SHORT, ETHERNET_UNKNOWN_TYPE

if not cython.compiled:
    ETHERNET_LEN = 14
    LINK_LEN_MAX = 18  # the longest header of a link: with a tag
    ETHERTYPE_IPV4 = 0x0800
    ETHERTYPE_ARP = 0x0806
    ETHERTYPE_VLAN = 0x8100
    ETHERTYPE_IPV6 = 0x86DD
    ETHERTYPE_MIN = 0x0600  # below: the length of an IEEE 802.3 frame (RFC 1122, 2.3.3)

BROADCAST_MAC = 0xFFFF_FFFF_FFFF  # for Python; compiled code cimports it from mac_field


@cython.final
@cython.cclass
class Ethernet:
    """One Ethernet header; parsed into again and again."""

    destination: cython.ulonglong
    source: cython.ulonglong
    ethertype: cython.uint
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t  # the frame's padding included: IP's total length cuts it

    def __init__(self) -> None:
        self.destination = 0
        self.source = 0
        self.ethertype = 0
        self.payload_at = 0
        self.payload_len = 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the frame at memory[at : at + length]; a reason."""
        if length < ETHERNET_LEN:
            return ETHERNET_SHORT
        ends: cython.ulonglong = get64(memory, at + 6)  # the source, and behind it the type
        self.destination = get64(memory, at) >> 16
        self.source = ends >> 16
        self.ethertype = cython.cast(cython.uint, ends & 0xFFFF)
        self.payload_at = at + ETHERNET_LEN
        self.payload_len = length - ETHERNET_LEN
        if self.ethertype < ETHERTYPE_MIN:
            return ETHERNET_UNKNOWN_TYPE
        return ACCEPTED


@cython.ccall
def emit_ethernet(
    arena: Arena,
    at: cython.Py_ssize_t,
    destination: cython.ulonglong,
    source: cython.ulonglong,
    ethertype: cython.uint,
) -> cython.Py_ssize_t:
    """Write the header at `at`; its length."""
    put48(arena, at, destination)
    put48(arena, at + 6, source)
    put16(arena, at + 12, ethertype)
    return ETHERNET_LEN
