"""Which of several rings a flow's frames take, where the other side is a process of this machine.

A flow has a number, the same for both directions: its addresses and ports, exclusive-or'd. It has
no key: whoever wants all its flows in one place gets that. By that number it is remembered which
ring a frame came in on: what is answered goes out on that one's twin.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.field import get8, get16, get32
from cython.cimports.corten.core.serial import U32

if not cython.compiled:
    FLOWS = 4096  # numbers there are
    SPREAD = 0x61C88647  # odd, near 2**32 by the golden ratio: neighbours end up far apart
    ETHERNET_LEN = 14
    VLAN_LEN = 4
    IPV4 = 0x0800
    IPV6 = 0x86DD
    VLAN = 0x8100


@cython.final
@cython.cclass
class Flows:
    """Where flows came in. Two that share a number share a ring: that costs a hand-over."""

    _rings: cython.uchar[::1]  # by number: 1 + the ring; 0: not known

    def __init__(self) -> None:
        self._rings = memoryview(bytearray(FLOWS))

    @cython.cfunc
    def remember(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        ring: cython.Py_ssize_t,
    ) -> cython.int:
        """The frame there came in on `ring`, below 255. 0."""
        flow: cython.uint = flow_hash(memory, at, length)
        self._rings[flow] = cython.cast(cython.uchar, ring + 1)
        return 0

    @cython.cfunc
    def ring_of(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        rings: cython.Py_ssize_t,
    ) -> cython.Py_ssize_t:
        """The ring, of so many, that the frame there goes out on."""
        flow: cython.uint = flow_hash(memory, at, length)
        known: cython.Py_ssize_t = self._rings[flow]
        return known - 1 if 0 < known <= rings else flow % rings


@cython.ccall
def flow_hash(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.uint:
    """A number below FLOWS, the same for both directions of a flow; 0 for what is no IP."""
    ip_at: cython.Py_ssize_t = at + ETHERNET_LEN
    end: cython.Py_ssize_t = at + length
    if length < 34:
        return 0
    kind: cython.uint = get16(memory, at + 12)
    if kind == VLAN:
        kind = get16(memory, at + 16)
        ip_at += VLAN_LEN
    ports_at: cython.Py_ssize_t
    protocol: cython.uint
    value: cython.uint
    if kind == IPV4 and ip_at + 20 <= end:
        value = get32(memory, ip_at + 12) ^ get32(memory, ip_at + 16)
        protocol = get8(memory, ip_at + 9)
        ports_at = ip_at + (get8(memory, ip_at) & 15) * 4
        if get16(memory, ip_at + 6) & 0x3FFF:  # a fragment: the first one alone has ports
            protocol = 0
    elif kind == IPV6 and ip_at + 40 <= end:
        value = 0
        k: cython.Py_ssize_t
        for k in range(8):
            value ^= get32(memory, ip_at + 8 + 4 * k)
        protocol = get8(memory, ip_at + 6)
        ports_at = ip_at + 40
    else:
        return 0
    if protocol in (6, 17) and ports_at + 4 <= end:
        value ^= get16(memory, ports_at) ^ get16(memory, ports_at + 2)
    wide: cython.ulonglong = value
    return cython.cast(cython.uint, wide * SPREAD & U32) >> 20
