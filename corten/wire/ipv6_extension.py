"""IPv6 extension headers: from the fixed header to the upper layer (RFC 8200, 4).

Every one but the fragment header begins with

    0   next header | length in 8 octets, without the first 8 | …

`Extensions.walk` processes them strictly in order, in any order and any number of times, hop-by-hop
options only first. It stops at the first that is none (`next_header`, at `upper_at`), or at a
fragment header that says more than "whole" (RFC 6946). What must be answered with a parameter
problem leaves `code` and `pointer` behind. `skim` goes to the upper layer without processing.

Rules. At most `HEADERS_MAX` headers of `CHAIN_LEN_MAX` octets are walked (RFC 8504, 5.3): every
round moves on by 8 octets at least, and lengths are computed in full width. AH, ESP and what else
we do not speak is an unknown next header.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.field import get8, get16, get32
from cython.cimports.corten.wire.icmpv6 import (
    ICMPV6_BAD_FIELD,
    ICMPV6_BAD_FIRST_FRAGMENT,
    ICMPV6_BAD_NEXT_HEADER,
    ICMPV6_BAD_OPTION,
)
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP
from cython.cimports.corten.wire.ipv6 import PROTOCOL_ICMPV6, Ipv6
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    IPV6_BAD_EXTENSION,
    IPV6_BAD_OPTION,
    IPV6_EXTENSIONS_LIMIT,
    IPV6_FRAGMENT,
    IPV6_NO_NEXT_HEADER,
    IPV6_OPTION_REFUSED,
    IPV6_ROUTING,
    IPV6_UNKNOWN_NEXT_HEADER,
)

if not cython.compiled:
    HOP_BY_HOP = 0
    ROUTING = 43
    FRAGMENT = 44
    NO_NEXT_HEADER = 59
    DESTINATION_OPTIONS = 60
    NEXT_HEADER_AT = 6  # in the fixed header
    HEADERS_MAX = 8
    CHAIN_LEN_MAX = 2048
    FRAGMENT_LEN = 8
    UPPER_LEN_TCP = 20
    UPPER_LEN = 8  # of UDP and ICMP
    # options
    PAD1 = 0
    # the upper two bits of an option's type: what to do when it is not known
    ACTION_SKIP = 0
    ACTION_DISCARD = 1
    ACTION_REPORT = 2
    ACTION_REPORT_UNICAST = 3
    NO_PROBLEM = 255  # `code` where nothing is to be reported


@cython.final
@cython.cclass
class Extensions:
    """Where the headers of the packet in hand lead; walked into again and again."""

    next_header: cython.uint  # of the upper layer, or of a fragment's payload
    next_header_at: cython.Py_ssize_t  # where that number stands, in memory
    upper_at: cython.Py_ssize_t
    upper_len: cython.Py_ssize_t
    # a parameter problem to report: its code or NO_PROBLEM, and where, from the packet's start
    code: cython.uint
    pointer: cython.uint
    report_group: cython.bint  # even when the packet was sent to a group
    # a fragment header that says more than "whole"; `next_header_at` points at it
    has_fragment: cython.bint  # there was a fragment header at all, be it one that says "whole"
    fragment_at: cython.Py_ssize_t  # where it lies
    fragment_named_at: cython.Py_ssize_t  # and where the header ahead of it says so
    fragment_offset: cython.Py_ssize_t  # octets
    more_fragments: cython.bint
    identification: cython.uint

    def __init__(self) -> None:
        self.next_header = 0
        self.next_header_at = 0
        self.upper_at = 0
        self.upper_len = 0
        self.code = NO_PROBLEM
        self.pointer = 0
        self.report_group = False
        self.has_fragment = False
        self.fragment_at = 0
        self.fragment_named_at = 0
        self.fragment_offset = 0
        self.more_fragments = False
        self.identification = 0

    @cython.ccall
    def walk(self, memory: Memory, ip_at: cython.Py_ssize_t, ip: Ipv6) -> cython.int:
        """Process the headers behind the fixed one at `ip_at`; a reason.

        ACCEPTED: `next_header` is TCP, UDP or ICMPv6, and lies at `upper_at`. IPV6_FRAGMENT: the
        packet is a fragment, its payload lies there. Else nothing but `code` is of use.
        """
        self._begin(ip_at, ip)
        end: cython.Py_ssize_t = ip.payload_at + ip.payload_len
        reason: cython.int = ACCEPTED
        count: cython.int = 0
        while not _is_upper(self.next_header):
            if self.next_header == NO_NEXT_HEADER:
                return IPV6_NO_NEXT_HEADER
            if not _is_known(self.next_header) or (
                self.next_header == HOP_BY_HOP and self.next_header_at != ip_at + NEXT_HEADER_AT
            ):
                self._problem(ICMPV6_BAD_NEXT_HEADER, self.next_header_at - ip_at)
                return IPV6_UNKNOWN_NEXT_HEADER
            count += 1
            length: cython.Py_ssize_t = _header_len(memory, self.next_header, self.upper_at, end)
            if length == 0:
                return IPV6_BAD_EXTENSION
            chain_len: cython.Py_ssize_t = self.upper_at + length - ip.payload_at
            if count > HEADERS_MAX or chain_len > CHAIN_LEN_MAX:
                return IPV6_EXTENSIONS_LIMIT
            reason = self._process(memory, ip_at, length, end)
            if reason != ACCEPTED:
                return reason
        return ACCEPTED

    @cython.cfunc
    def _begin(self, ip_at: cython.Py_ssize_t, ip: Ipv6) -> cython.void:
        self.next_header = ip.next_header
        self.next_header_at = ip_at + NEXT_HEADER_AT
        self.upper_at = ip.payload_at
        self.upper_len = ip.payload_len
        self.code = NO_PROBLEM
        self.report_group = False
        self.has_fragment = False

    @cython.cfunc
    @cython.exceptval(check=False)
    def _problem(self, code: cython.uint, pointer: cython.Py_ssize_t) -> cython.void:
        self.code = code
        self.pointer = cython.cast(cython.uint, pointer)

    @cython.cfunc
    def _process(
        self,
        memory: Memory,
        ip_at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """One header of `length` octets at `upper_at`, and on to the next."""
        at: cython.Py_ssize_t = self.upper_at
        kind: cython.uint = self.next_header
        if kind == FRAGMENT:
            self.fragment_named_at = self.next_header_at
        self.next_header = get8(memory, at)
        self.next_header_at = at
        self.upper_at = at + length
        self.upper_len = end - self.upper_at
        if kind == ROUTING:
            if get8(memory, at + 3) != 0:  # segments left: type 0 is as unknown as others (5095)
                self._problem(ICMPV6_BAD_FIELD, at + 2 - ip_at)
                return IPV6_ROUTING
            return ACCEPTED
        if kind == FRAGMENT:
            return self._fragment(memory, at, end)
        return self._options(memory, ip_at, at + 2, at + length)

    @cython.cfunc
    def _fragment(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.int:
        """A fragment header (4.5). A first fragment must hold all headers (RFC 7112, 5)."""
        field: cython.uint = get16(memory, at + 2)
        self.has_fragment = True
        self.fragment_at = at
        self.fragment_offset = field & 0xFFF8
        self.more_fragments = field & 1 != 0
        self.identification = get32(memory, at + 4)
        if self.fragment_offset == 0:
            if not self.more_fragments:
                return ACCEPTED  # whole, whatever else carries its identification (RFC 6946)
            if not _holds_chain(memory, self.next_header, self.upper_at, end):
                self._problem(ICMPV6_BAD_FIRST_FRAGMENT, 0)
                return IPV6_BAD_EXTENSION
        return IPV6_FRAGMENT

    @cython.cfunc
    def _options(
        self,
        memory: Memory,
        ip_at: cython.Py_ssize_t,
        at: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """The options of one header (4.2): padding is all that we know of them."""
        while at < end:
            kind: cython.uint = get8(memory, at)
            if kind == PAD1:
                at += 1
                continue
            if end - at < 2:
                return IPV6_BAD_OPTION
            option_len: cython.Py_ssize_t = get8(memory, at + 1)
            if option_len > end - at - 2:
                return IPV6_BAD_OPTION
            action: cython.uint = kind >> 6
            if action != ACTION_SKIP:
                if action != ACTION_DISCARD:
                    self._problem(ICMPV6_BAD_OPTION, at - ip_at)
                    self.report_group = action == ACTION_REPORT
                return IPV6_OPTION_REFUSED
            at += 2 + option_len
        return ACCEPTED

    @cython.ccall
    def skim(self, memory: Memory, ip_at: cython.Py_ssize_t, ip: Ipv6) -> cython.bint:
        """Find the upper layer of a packet, cut anywhere, that is not processed: one quoted in an
        error, or one that an error is to be about. False where headers are missing, or it is not
        the first fragment."""
        self._begin(ip_at, ip)
        end: cython.Py_ssize_t = ip.payload_at + ip.payload_len
        for _ in range(HEADERS_MAX + 1):
            if not _is_known(self.next_header):
                return True
            length: cython.Py_ssize_t = _header_len(memory, self.next_header, self.upper_at, end)
            if length == 0:
                return False
            if self.next_header == FRAGMENT and get16(memory, self.upper_at + 2) & 0xFFF8 != 0:
                return False
            self.next_header_at = self.upper_at
            self.next_header = get8(memory, self.upper_at)
            self.upper_at += length
            self.upper_len = end - self.upper_at
        return False


@cython.cfunc
@cython.exceptval(check=False)
def _is_upper(next_header: cython.uint) -> cython.bint:
    return next_header in (PROTOCOL_TCP, PROTOCOL_ICMPV6, PROTOCOL_UDP)


@cython.cfunc
@cython.exceptval(check=False)
def _is_known(next_header: cython.uint) -> cython.bint:
    """Whether it is an extension header that we can read."""
    return next_header in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS)


@cython.cfunc
def _header_len(
    memory: Memory, kind: cython.uint, at: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Octets of the extension header at `at`; 0 when it is not all there."""
    if end - at < FRAGMENT_LEN:
        return 0
    length: cython.Py_ssize_t = FRAGMENT_LEN
    if kind != FRAGMENT:
        length += 8 * get8(memory, at + 1)
    return length if length <= end - at else 0


@cython.cfunc
def _holds_chain(
    memory: Memory, next_header: cython.uint, at: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.bint:
    """Whether all headers up to the upper layer's, this one included, end before `end`."""
    for _ in range(HEADERS_MAX):
        if not _is_known(next_header):
            break
        length: cython.Py_ssize_t = _header_len(memory, next_header, at, end)
        if length == 0:
            return False
        next_header = get8(memory, at)
        at += length
    if next_header == PROTOCOL_TCP:
        return end - at >= UPPER_LEN_TCP
    if _is_upper(next_header):
        return end - at >= UPPER_LEN
    return True
