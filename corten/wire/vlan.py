"""The tag of a virtual LAN: parse and emit (IEEE 802.1Q, 9.6).

0      12       14                          16
| MACs | 0x8100 | priority 3, DEI 1, VID 12 | type | payload
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get16, put16
from cython.cimports.corten.wire.ethernet import (
    ETHERNET_LEN,
    ETHERTYPE_MIN,
    ETHERTYPE_VLAN,
    Ethernet,
    emit_ethernet,
)
from cython.cimports.corten.wire.reason import ETHERNET_SHORT, ETHERNET_UNKNOWN_TYPE

if not cython.compiled:
    TAG_LEN = 4
    VLAN_LEN = 18  # of the whole link header
    VID_MASK = 0xFFF
    VID_MAX = 4094  # 4095 is reserved; 0 is no VLAN, only a priority


@cython.ccall
def parse_vlan(link: Ethernet, memory: Memory) -> cython.int:
    """Take off the tag of a frame that `link` was parsed from: its type and payload are then those
    behind the tag. The VLAN (0: only a priority), or minus the reason."""
    if link.payload_len < TAG_LEN:
        return -ETHERNET_SHORT
    vid: cython.uint = get16(memory, link.payload_at) & VID_MASK
    link.ethertype = get16(memory, link.payload_at + 2)
    link.payload_at += TAG_LEN
    link.payload_len -= TAG_LEN
    if link.ethertype < ETHERTYPE_MIN:
        return -ETHERNET_UNKNOWN_TYPE
    return cython.cast(cython.int, vid)


@cython.ccall
def emit_vlan(
    arena: Arena,
    at: cython.Py_ssize_t,
    destination: cython.ulonglong,
    source: cython.ulonglong,
    vid: cython.uint,
    ethertype: cython.uint,
) -> cython.Py_ssize_t:
    """Write a link header with a tag; its length."""
    emit_ethernet(arena, at, destination, source, ETHERTYPE_VLAN)
    put16(arena, at + ETHERNET_LEN, vid & VID_MASK)
    put16(arena, at + ETHERNET_LEN + 2, ethertype)
    return VLAN_LEN
