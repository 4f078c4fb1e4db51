"""A fragment, and the datagram it is a piece of: what is known of them, and what is wrong with them
(RFC 791 3.2, RFC 8200 4.5, RFC 1858). `reassembly` keeps them."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, read, sum_octets
from cython.cimports.corten.core.field import get8, get16, put8, put16
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.wire.address_field import v4_low
from cython.cimports.corten.wire.ipv4 import IPV4_DONT_FRAGMENT, PROTOCOL_TCP, Ipv4
from cython.cimports.corten.wire.ipv6 import Ipv6
from cython.cimports.corten.wire.ipv6_extension import Extensions
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    FRAGMENT_BAD_LENGTH,
    FRAGMENT_TINY,
    FRAGMENT_TOO_LONG,
)

if not cython.compiled:
    PACKET_LEN_MAX = 65535
    IPV6_HEADER_LEN = 40  # which its length field does not count
    TCP_FLAGS_END = 16  # the first fragment of a segment holds its flags (RFC 1858 3.2.1)
    ANY_PROTOCOL = 256
    DATAGRAM_COST = 768  # of keeping one, its pieces aside
    ECN_CE = 3
    MASK_NOT_ECT = 1
    MASK_CE = 8


@cython.final
@cython.cclass
class Fragment:
    """The fragment in hand; filled again for each. Positions are in the frame's memory."""

    source_high: cython.ulonglong
    source_low: cython.ulonglong
    destination_high: cython.ulonglong
    destination_low: cython.ulonglong
    protocol: cython.uint  # of IPv4; ANY_PROTOCOL for IPv6, where it does not name a datagram
    identification: cython.uint
    frame_at: cython.Py_ssize_t
    ip_at: cython.Py_ssize_t
    head_end: cython.Py_ssize_t  # where the headers end that every fragment repeats
    next_header_at: cython.Py_ssize_t  # IPv6: the last of them's next header; IPv4: unused
    next_header: cython.uint  # what the fragmented part begins with
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t
    offset: cython.Py_ssize_t  # of the payload in the whole datagram's
    more: cython.bint
    ecn: cython.uint

    def __init__(self) -> None:
        self.source_high = 0
        self.source_low = 0
        self.destination_high = 0
        self.destination_low = 0
        self.protocol = 0
        self.identification = 0
        self.frame_at = 0
        self.ip_at = 0
        self.head_end = 0
        self.next_header_at = 0
        self.next_header = 0
        self.payload_at = 0
        self.payload_len = 0
        self.offset = 0
        self.more = False
        self.ecn = 0

    @cython.ccall
    def fill_v4(
        self, ip: Ipv4, frame_at: cython.Py_ssize_t, ip_at: cython.Py_ssize_t
    ) -> cython.void:
        """From a parsed IPv4 header."""
        self.source_low = v4_low(ip.source)
        self.destination_low = v4_low(ip.destination)
        self.protocol = ip.protocol
        self.identification = ip.identification
        self.frame_at = frame_at
        self.ip_at = ip_at
        self.head_end = ip.payload_at
        self.next_header_at = frame_at
        self.payload_at = ip.payload_at
        self.payload_len = ip.payload_len
        self.offset = ip.fragment_at
        self.more = ip.more_fragments
        self.ecn = ip.tos & 3

    @cython.ccall
    def fill_v6(
        self,
        ip: Ipv6,
        extensions: Extensions,
        frame_at: cython.Py_ssize_t,
        ip_at: cython.Py_ssize_t,
    ) -> cython.void:
        """From a parsed IPv6 header and the fragment header that a walk has stopped at."""
        self.source_high = ip.source_high
        self.source_low = ip.source_low
        self.destination_high = ip.destination_high
        self.destination_low = ip.destination_low
        self.protocol = ANY_PROTOCOL
        self.identification = extensions.identification
        self.frame_at = frame_at
        self.ip_at = ip_at
        self.head_end = extensions.fragment_at
        self.next_header_at = extensions.fragment_named_at
        self.next_header = extensions.next_header
        self.payload_at = extensions.upper_at
        self.payload_len = extensions.upper_len
        self.offset = extensions.fragment_offset
        self.more = extensions.more_fragments
        self.ecn = ip.traffic_class & 3


@cython.final
@cython.cclass
class Piece:
    """Octets start..end of a datagram: `octets` without its first `skip`."""

    start: cython.Py_ssize_t
    end: cython.Py_ssize_t
    octets: bytes
    skip: cython.Py_ssize_t

    def __init__(self, start: int, end: int, octets: bytes, skip: int) -> None:
        self.start = start
        self.end = end
        self.octets = octets
        self.skip = skip


@cython.final
@cython.cclass
class Datagram:
    """One datagram in pieces. Fragment 0 is kept with its whole frame: its headers are the
    datagram's, and it is what an error quotes."""

    key: tuple
    interface: Interface
    deadline: cython.longlong
    pieces: list  # of Piece, in order
    cost: cython.Py_ssize_t
    received: cython.Py_ssize_t
    total: cython.Py_ssize_t  # -1: the last fragment is not here
    ecn: cython.uint  # a bit for each codepoint seen
    is_spoilt: cython.bint
    link_len: cython.Py_ssize_t  # of fragment 0's frame
    head_len: cython.Py_ssize_t
    next_header_at: cython.Py_ssize_t
    next_header: cython.uint

    def __init__(self, key: tuple, interface: Interface, deadline: int) -> None:
        self.key = key
        self.interface = interface
        self.deadline = deadline
        self.pieces = []
        self.cost = DATAGRAM_COST
        self.received = 0
        self.total = -1
        self.ecn = 0
        self.is_spoilt = False
        self.link_len = 0
        self.head_len = 0
        self.next_header_at = 0
        self.next_header = 0

    @cython.cfunc
    def place(self, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The first piece that starts at `start` or after it."""
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = len(self.pieces)
        while low < high:
            middle: cython.Py_ssize_t = (low + high) >> 1
            if cython.cast(Piece, self.pieces[middle]).start < start:
                low = middle + 1
            else:
                high = middle
        return low

    @cython.cfunc
    def ends_agree(self, end: cython.Py_ssize_t, more: cython.bint) -> cython.bint:
        """Whether a fragment up to `end` fits what is known of the datagram's end."""
        if more:
            return self.total < 0 or end < self.total
        if self.total >= 0:
            return self.total == end
        count: cython.Py_ssize_t = len(self.pieces)
        return count == 0 or cython.cast(Piece, self.pieces[count - 1]).end <= end

    @cython.cfunc
    def first(self) -> Piece | None:
        """Fragment 0, if it is here."""
        if not self.pieces:
            return None
        piece: Piece = self.pieces[0]
        return piece if piece.start == 0 else None


@cython.final
@cython.cclass
class Source:
    """What one source makes us keep."""

    octets: cython.Py_ssize_t
    datagrams: dict  # key -> Datagram, oldest first

    def __init__(self) -> None:
        self.octets = 0
        self.datagrams = {}


@cython.cfunc
def refusal(fragment: Fragment) -> cython.int:
    """What is wrong with a fragment by itself; ACCEPTED otherwise."""
    length: cython.Py_ssize_t = fragment.payload_len
    if length == 0 or (fragment.more and length & 7 != 0):
        return FRAGMENT_BAD_LENGTH
    packet_len: cython.Py_ssize_t = fragment.head_end - fragment.ip_at + fragment.offset + length
    if fragment.protocol == ANY_PROTOCOL:
        packet_len -= IPV6_HEADER_LEN
    if packet_len > PACKET_LEN_MAX:
        return FRAGMENT_TOO_LONG
    if fragment.protocol == PROTOCOL_TCP and (
        (fragment.offset == 0 and length < TCP_FLAGS_END) or 0 < fragment.offset < TCP_FLAGS_END
    ):
        return FRAGMENT_TINY
    return ACCEPTED


@cython.cfunc
def is_again(piece: Piece, fragment: Fragment, memory: Arena) -> cython.bint:
    """Whether a fragment is one that we have, octet by octet (RFC 8200 4.5 lets it be ignored)."""
    length: cython.Py_ssize_t = piece.end - piece.start
    if piece.start != fragment.offset or length != fragment.payload_len:
        return False
    return piece.octets[piece.skip :] == read(memory, fragment.payload_at, length)


@cython.cfunc
def mend_v4(
    frame: Arena, at: cython.Py_ssize_t, header_len: cython.Py_ssize_t, datagram: Datagram
) -> cython.void:
    """The header of a whole datagram: its length, no fragment, congestion seen by any (RFC 3168
    5.3), its checksum."""
    put16(frame, at + 2, cython.cast(cython.uint, header_len + datagram.total))
    put16(frame, at + 6, get16(frame, at + 6) & IPV4_DONT_FRAGMENT)
    if datagram.ecn & MASK_CE:
        put8(frame, at + 1, get8(frame, at + 1) | ECN_CE)
    put16(frame, at + 10, 0)
    put16(frame, at + 10, 0xFFFF - sum_octets(frame, at, header_len))


@cython.cfunc
def mend_v6(
    frame: Arena, at: cython.Py_ssize_t, headers_len: cython.Py_ssize_t, datagram: Datagram
) -> cython.void:
    """As for IPv4; and the fragment header is gone from the chain (RFC 8200 4.5)."""
    put16(frame, at + 4, cython.cast(cython.uint, headers_len - IPV6_HEADER_LEN + datagram.total))
    put8(frame, datagram.next_header_at, datagram.next_header)
    if datagram.ecn & MASK_CE:
        put8(frame, at + 1, get8(frame, at + 1) | (ECN_CE << 4))
