"""IPv4 header: parse and emit (RFC 791, 3.1; RFC 1122, 3.2.1; RFC 1812, 5.2.2).

    0   version, IHL | type of service | total length
    4   identification                 | flags, fragment offset
    8   time to live | protocol        | header checksum
    12  source
    16  destination
    20  options, padding

Everything is checked before anything is believed, in the order of the reasons: lengths first, then
the checksum, the source, and what we do not do (source routes). Unknown options are ignored.
IPV4_FRAGMENT comes last: of a fragment everything else is right. What lies behind the total length
is the link's padding and never payload.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, sum_octets
from cython.cimports.corten.core.field import get8, get32, get64, put16, put32
from cython.cimports.corten.core.fold import fold, halves
from cython.cimports.corten.core.limit import U32
from cython.cimports.corten.wire.address import is_host_v4
from cython.cimports.corten.wire.checksum import finish
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ICMP_BAD_QUOTE,
    IPV4_BAD_CHECKSUM,
    IPV4_BAD_HEADER_LEN,
    IPV4_BAD_OPTION,
    IPV4_BAD_SOURCE,
    IPV4_BAD_TOTAL_LEN,
    IPV4_BAD_VERSION,
    IPV4_FRAGMENT,
    IPV4_SHORT,
    IPV4_SOURCE_ROUTE,
)

if not cython.compiled:
    IPV4_LEN = 20
    IPV4_PACKET_LEN_MAX = 65535
    PROTOCOL_ICMP = 1
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17
    IPV4_DONT_FRAGMENT = 0x4000
    IPV4_MORE_FRAGMENTS = 0x2000
    IPV4_FRAGMENT_OFFSET = 0x1FFF
    # option kinds, copied flag included (RFC 791, 3.1)
    IPV4_OPTION_END = 0
    IPV4_OPTION_NOP = 1
    IPV4_OPTION_LOOSE_ROUTE = 131
    IPV4_OPTION_STRICT_ROUTE = 137


@cython.final
@cython.cclass
class Ipv4:
    """One IPv4 header; parsed into again and again.

    From IPV4_BAD_CHECKSUM on a refused packet's fields are set, so that it can be counted, traced
    or answered; before that reason they are those of an earlier packet.
    """

    source: cython.uint
    destination: cython.uint
    protocol: cython.uint
    ttl: cython.uint
    tos: cython.uint
    header_len: cython.Py_ssize_t
    total_len: cython.Py_ssize_t
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t
    identification: cython.uint
    dont_fragment: cython.bint
    is_fragment: cython.bint
    more_fragments: cython.bint
    fragment_at: cython.Py_ssize_t  # where the payload lies in the whole datagram's

    def __init__(self) -> None:
        self.source = 0
        self.destination = 0
        self.protocol = 0
        self.ttl = 0
        self.tos = 0
        self.header_len = 0
        self.total_len = 0
        self.payload_at = 0
        self.payload_len = 0
        self.identification = 0
        self.dont_fragment = False
        self.is_fragment = False
        self.more_fragments = False
        self.fragment_at = 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def parse(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        verify_checksum: cython.bint = True,
    ) -> cython.int:
        """Fill from the packet at memory[at : at + length], which may be padded; a reason."""
        if length < IPV4_LEN:
            return IPV4_SHORT
        first: cython.ulonglong = get64(memory, at)
        if first >> 60 != 4:
            return IPV4_BAD_VERSION
        header_len: cython.Py_ssize_t = _header_len(first)
        if header_len < IPV4_LEN or header_len > length:
            return IPV4_BAD_HEADER_LEN
        total_len: cython.Py_ssize_t = _total_len(first)
        if total_len < header_len or total_len > length:
            return IPV4_BAD_TOTAL_LEN
        second: cython.ulonglong = get64(memory, at + 8)
        self._take(first, second, get32(memory, at + 16), at + header_len)
        self.payload_len = total_len - header_len
        if verify_checksum:
            total: cython.ulonglong = halves(first) + halves(second) + self.destination
            if header_len > IPV4_LEN:
                total += sum_octets(memory, at + IPV4_LEN, header_len - IPV4_LEN)
            if fold(total) != 0xFFFF:
                return IPV4_BAD_CHECKSUM
        if not is_host_v4(self.source):
            return IPV4_BAD_SOURCE
        if header_len > IPV4_LEN:
            reason: cython.int = walk_options(memory, at + IPV4_LEN, header_len - IPV4_LEN)
            if reason != ACCEPTED:
                return reason
        return IPV4_FRAGMENT if self.is_fragment else ACCEPTED

    @cython.ccall
    def parse_quote(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.int:
        """Fill from a packet quoted in an ICMP error, cut anywhere behind its header (RFC 792).

        It is one that we are said to have sent: no checksum and no source check. `payload_len` is
        what is there, `total_len` what was sent. ICMP_BAD_QUOTE where not even the header is whole.
        """
        if length < IPV4_LEN:
            return ICMP_BAD_QUOTE
        first: cython.ulonglong = get64(memory, at)
        header_len: cython.Py_ssize_t = _header_len(first)
        total_len: cython.Py_ssize_t = _total_len(first)
        if first >> 60 != 4 or header_len < IPV4_LEN or header_len > length:
            return ICMP_BAD_QUOTE
        if total_len < header_len:
            return ICMP_BAD_QUOTE
        self._take(first, get64(memory, at + 8), get32(memory, at + 16), at + header_len)
        self.payload_len = min(length, total_len) - header_len
        return ACCEPTED

    @cython.cfunc
    @cython.exceptval(check=False)
    def _take(
        self,
        first: cython.ulonglong,
        second: cython.ulonglong,
        destination: cython.uint,
        payload_at: cython.Py_ssize_t,
    ) -> cython.void:
        """The fixed header: the words at 0 and 8, and what is at 16."""
        self.header_len = _header_len(first)
        self.total_len = _total_len(first)
        self.payload_at = payload_at
        self.tos = cython.cast(cython.uint, (first >> 48) & 0xFF)
        self.identification = cython.cast(cython.uint, (first >> 16) & 0xFFFF)
        fragment: cython.uint = cython.cast(cython.uint, first & 0xFFFF)
        self.dont_fragment = fragment & IPV4_DONT_FRAGMENT != 0
        self.more_fragments = fragment & IPV4_MORE_FRAGMENTS != 0
        self.fragment_at = (fragment & IPV4_FRAGMENT_OFFSET) * 8
        self.is_fragment = fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET) != 0
        self.ttl = cython.cast(cython.uint, second >> 56)
        self.protocol = cython.cast(cython.uint, (second >> 48) & 0xFF)
        self.source = cython.cast(cython.uint, second & U32)
        self.destination = destination


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _header_len(first: cython.ulonglong) -> cython.Py_ssize_t:
    return cython.cast(cython.Py_ssize_t, (first >> 56) & 15) * 4


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _total_len(first: cython.ulonglong) -> cython.Py_ssize_t:
    return cython.cast(cython.Py_ssize_t, (first >> 32) & 0xFFFF)


@cython.cfunc
def walk_options(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
    """Refuse source routes (RFC 7126, 4.3 and 4.4) and options that run past the header's end.

    Every other option is ignored (RFC 1122, 3.2.1.8). Each round moves on by one octet at least.
    """
    end: cython.Py_ssize_t = at + length
    kind: cython.uint
    option_len: cython.Py_ssize_t
    while at < end:
        kind = get8(memory, at)
        if kind == IPV4_OPTION_END:
            break
        if kind == IPV4_OPTION_NOP:
            at += 1
            continue
        if kind in (IPV4_OPTION_LOOSE_ROUTE, IPV4_OPTION_STRICT_ROUTE):
            return IPV4_SOURCE_ROUTE
        if end - at < 2:
            return IPV4_BAD_OPTION
        option_len = get8(memory, at + 1)
        if option_len < 2 or option_len > end - at:
            return IPV4_BAD_OPTION
        at += option_len
    return ACCEPTED


@cython.ccall
def emit_ipv4(
    arena: Arena,
    at: cython.Py_ssize_t,
    source: cython.uint,
    destination: cython.uint,
    protocol: cython.uint,
    payload_len: cython.Py_ssize_t,
    ttl: cython.uint,
    tos: cython.uint,
    identification: cython.uint,
    dont_fragment: cython.bint,
) -> cython.Py_ssize_t:
    """Write a header without options, its checksum included; its length."""
    assert 0 <= payload_len <= IPV4_PACKET_LEN_MAX - IPV4_LEN, payload_len
    first: cython.uint = 0x4500 | (tos & 0xFF)
    total_len: cython.uint = cython.cast(cython.uint, IPV4_LEN + payload_len)
    fragment: cython.uint = IPV4_DONT_FRAGMENT if dont_fragment else 0
    fifth: cython.uint = ((ttl & 0xFF) << 8) | (protocol & 0xFF)
    identification &= 0xFFFF
    total: cython.ulonglong = first + total_len + identification + fragment + fifth
    total += (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF)
    put16(arena, at, first)
    put16(arena, at + 2, total_len)
    put16(arena, at + 4, identification)
    put16(arena, at + 6, fragment)
    put16(arena, at + 8, fifth)
    put16(arena, at + 10, finish(total))
    put32(arena, at + 12, source)
    put32(arena, at + 16, destination)
    return IPV4_LEN
