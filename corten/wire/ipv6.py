"""IPv6 fixed header: parse and emit (RFC 8200, 3).

What lies between it and the upper layer is walked by `ipv6_extension`.

    0   version, traffic class, flow label
    4   payload length | next header | hop limit
    8   source
    24  destination
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get8, get16, get32, get64, put8, put16, put32, put64
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ICMPV6_BAD_QUOTE,
    IPV6_BAD_PAYLOAD_LEN,
    IPV6_BAD_SOURCE,
    IPV6_BAD_VERSION,
    IPV6_SHORT,
)

if not cython.compiled:
    IPV6_LEN = 40
    IPV6_PAYLOAD_LEN_MAX = 65535
    IPV6_MTU_MIN = 1280  # every link carries it (5)
    PROTOCOL_ICMPV6 = 58


@cython.final
@cython.cclass
class Ipv6:
    """One IPv6 header; parsed into again and again."""

    source_high: cython.ulonglong
    source_low: cython.ulonglong
    destination_high: cython.ulonglong
    destination_low: cython.ulonglong
    traffic_class: cython.uint
    flow_label: cython.uint
    next_header: cython.uint
    hop_limit: cython.uint
    packet_len: cython.Py_ssize_t  # the fixed header and what it says follows
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t

    def __init__(self) -> None:
        self.source_high = 0
        self.source_low = 0
        self.destination_high = 0
        self.destination_low = 0
        self.traffic_class = 0
        self.flow_label = 0
        self.next_header = 0
        self.hop_limit = 0
        self.packet_len = 0
        self.payload_at = 0
        self.payload_len = 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the packet at memory[at : at + length], which may be padded; a reason."""
        if length < IPV6_LEN:
            return IPV6_SHORT
        first: cython.uint = get32(memory, at)
        if first >> 28 != 6:
            return IPV6_BAD_VERSION
        payload_len: cython.Py_ssize_t = get16(memory, at + 4)
        if payload_len > length - IPV6_LEN:
            return IPV6_BAD_PAYLOAD_LEN
        self._take(memory, at, first)
        self.payload_len = payload_len
        if not is_source_v6(self.source_high, self.source_low):
            return IPV6_BAD_SOURCE
        return ACCEPTED

    @cython.ccall
    def parse_quote(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.int:
        """Fill from a packet quoted in an ICMPv6 error, cut anywhere behind its header.

        It is one that we are said to have sent: no check of the source. `payload_len` is what is
        there, `packet_len` what was sent. ICMPV6_BAD_QUOTE where the header is not whole.
        """
        if length < IPV6_LEN or get8(memory, at) >> 4 != 6:
            return ICMPV6_BAD_QUOTE
        self._take(memory, at, get32(memory, at))
        self.payload_len = min(length - IPV6_LEN, self.packet_len - IPV6_LEN)
        return ACCEPTED

    @cython.cfunc
    def _take(self, memory: Memory, at: cython.Py_ssize_t, first: cython.uint) -> cython.void:
        self.traffic_class = (first >> 20) & 0xFF
        self.flow_label = first & 0xFFFFF
        self.packet_len = IPV6_LEN + get16(memory, at + 4)
        self.next_header = get8(memory, at + 6)
        self.hop_limit = get8(memory, at + 7)
        self.source_high = get64(memory, at + 8)
        self.source_low = get64(memory, at + 16)
        self.destination_high = get64(memory, at + 24)
        self.destination_low = get64(memory, at + 32)
        self.payload_at = at + IPV6_LEN


@cython.cfunc
@cython.exceptval(check=False)
def is_source_v6(high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
    """Whether an address may stand as a source on the wire (RFC 4291, 2.5.3 and 2.7).

    Not multicast, not loopback; not IPv4-mapped, which inside means IPv4 (RFC 6890, 2.2.3).
    The unspecified address may: duplicate address detection sends from it (RFC 4862, 5.4.2).
    """
    if high >> 56 == 0xFF:
        return False
    return not (high == 0 and low == 1) and not is_v4(high, low)


@cython.ccall
def emit_ipv6(
    arena: Arena,
    at: cython.Py_ssize_t,
    source_high: cython.ulonglong,
    source_low: cython.ulonglong,
    destination_high: cython.ulonglong,
    destination_low: cython.ulonglong,
    next_header: cython.uint,
    payload_len: cython.Py_ssize_t,
    hop_limit: cython.uint,
    traffic_class: cython.uint,
    flow_label: cython.uint,
) -> cython.Py_ssize_t:
    """Write the fixed header; its length."""
    assert 0 <= payload_len <= IPV6_PAYLOAD_LEN_MAX, payload_len
    put32(arena, at, (6 << 28) | ((traffic_class & 0xFF) << 20) | (flow_label & 0xFFFFF))
    put16(arena, at + 4, cython.cast(cython.uint, payload_len))
    put8(arena, at + 6, next_header)
    put8(arena, at + 7, hop_limit)
    put64(arena, at + 8, source_high)
    put64(arena, at + 16, source_low)
    put64(arena, at + 24, destination_high)
    put64(arena, at + 32, destination_low)
    return IPV6_LEN
