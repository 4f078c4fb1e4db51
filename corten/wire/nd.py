"""Neighbour discovery for IPv6: parse and emit (RFC 4861, 4; RFC 8106, 7527, 4191).

    0   type | code | checksum
    4   flags: R S O of an advertisement; hop limit, M O Prf, router lifetime of a router's
    8   target (NS, NA, redirect), or reachable time | retransmission timer (RA)
    24  destination (redirect)
    …   options: kind | length in eights of octets | …

Strategy. One `NdMessage` is parsed into again and again. What can stand in it once is a field; of
the options that may come often (prefixes, name servers, search lists) it keeps where they lie, as
many as `OPTIONS_KEPT` of each kind: whoever wants one reads it from there.

Rules. `parse` does all that RFC 4861 6.1, 7.1 and 8.1 ask but for what needs the host's tables, and
for the checksum, which is ICMPv6's. Unknown options are skipped by their length; one of length 0,
or past the end, drops the message. A known option of a length that is not its own is skipped too.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, sum_octets
from cython.cimports.corten.core.field import get8, get16, get32, get64, put8, put16, put32, put64
from cython.cimports.corten.wire.checksum import finish, pseudo_sum
from cython.cimports.corten.wire.ipv6 import PROTOCOL_ICMPV6
from cython.cimports.corten.wire.mac_field import get48, is_group_mac, put48
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ND_BAD_ADDRESS,
    ND_BAD_HOP_LIMIT,
    ND_BAD_ROUTER,
    ND_MALFORMED,
)

if not cython.compiled:
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOUR_SOLICITATION = 135
    NEIGHBOUR_ADVERTISEMENT = 136
    ND_REDIRECT = 137
    ND_HOP_LIMIT = 255
    # options
    OPTION_SOURCE_ADDRESS = 1
    OPTION_TARGET_ADDRESS = 2
    OPTION_PREFIX = 3
    OPTION_REDIRECTED_HEADER = 4
    OPTION_MTU = 5
    OPTION_NONCE = 14
    OPTION_RDNSS = 25
    OPTION_DNSSL = 31
    OPTIONS_KEPT = 16  # of each kind that may come often, in one message
    # lengths of messages before their options (RFC 4861 6.1, 7.1, 8.1)
    ROUTER_SOLICITATION_LEN = 8
    ROUTER_ADVERTISEMENT_LEN = 16
    NEIGHBOUR_LEN = 24
    REDIRECT_LEN = 40
    LINK_ADDRESS_LEN = 8  # options
    PREFIX_LEN = 32
    # bits of an advertisement's flags, in the octet that they lie in
    FLAG_ROUTER = 0x80
    FLAG_SOLICITED = 0x40
    FLAG_OVERRIDE = 0x20
    # bits of a prefix option's flags
    FLAG_ON_LINK = 0x80
    FLAG_AUTONOMOUS = 0x40


@cython.final
@cython.cclass
class NdMessage:
    """One message; parsed into again and again. Positions are in the memory parsed from."""

    type: cython.uint
    flags: cython.uint  # R, S, O of a neighbour advertisement
    target_high: cython.ulonglong
    target_low: cython.ulonglong
    destination_high: cython.ulonglong  # of a redirect
    destination_low: cython.ulonglong
    hop_limit: cython.uint  # a router advertises these; 0: unspecified
    preference: cython.int  # 1, 0, -1 (RFC 4191 2.1)
    router_lifetime: cython.uint  # seconds
    reachable_ms: cython.uint
    retrans_ms: cython.uint
    mtu: cython.uint  # 0: not said
    link_address: cython.ulonglong  # of the source, or of the target; 0: not said
    nonce: cython.ulonglong  # RFC 7527; 0: none
    prefixes: list  # where each prefix option lies
    rdnss: list
    dnssl: list

    def __init__(self) -> None:
        self.type = 0
        self.prefixes = []
        self.rdnss = []
        self.dnssl = []
        self._clear()

    @cython.cfunc
    @cython.exceptval(check=False)
    def _clear(self) -> cython.void:
        self.flags = 0
        self.target_high = self.target_low = 0
        self.destination_high = self.destination_low = 0
        self.hop_limit = 0
        self.preference = 0
        self.router_lifetime = 0
        self.reachable_ms = self.retrans_ms = 0
        self.mtu = 0
        self.link_address = 0
        self.nonce = 0

    @cython.ccall
    def parse(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        hop_limit: cython.uint,
        source_high: cython.ulonglong,
        source_low: cython.ulonglong,
        destination_high: cython.ulonglong,
        destination_low: cython.ulonglong,
    ) -> cython.int:
        """Fill from the ICMPv6 message at memory[at : at + length], which came in a packet with
        these addresses and this hop limit; a reason."""
        if length < ROUTER_SOLICITATION_LEN:
            return ND_MALFORMED
        self._clear()
        self.type = get8(memory, at)
        if hop_limit != ND_HOP_LIMIT:
            return ND_BAD_HOP_LIMIT
        if get8(memory, at + 1) != 0:
            return ND_MALFORMED
        fixed_len: cython.Py_ssize_t = _fixed_len(self.type)
        if fixed_len == 0 or length < fixed_len:
            return ND_MALFORMED
        unspecified: cython.bint = source_high == 0 and source_low == 0
        if self.type in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
            self.flags = get8(memory, at + 4)
            self.target_high = get64(memory, at + 8)
            self.target_low = get64(memory, at + 16)
            if _is_group(self.target_high):
                return ND_BAD_ADDRESS
            if self.type == NEIGHBOUR_ADVERTISEMENT:
                if unspecified or (_is_group(destination_high) and self.flags & FLAG_SOLICITED):
                    return ND_BAD_ADDRESS
            elif unspecified and not is_solicited_node(destination_high, destination_low):
                return ND_BAD_ADDRESS
        elif self.type in (ROUTER_ADVERTISEMENT, ND_REDIRECT):
            if not is_link_local(source_high):
                return ND_BAD_ROUTER
            if self.type == ROUTER_ADVERTISEMENT:
                self._router(memory, at)
            else:
                self.target_high = get64(memory, at + 8)
                self.target_low = get64(memory, at + 16)
                self.destination_high = get64(memory, at + 24)
                self.destination_low = get64(memory, at + 32)
                if not self._is_sound_redirect():
                    return ND_BAD_ADDRESS
        if not self._options(memory, at + fixed_len, at + length):
            return ND_MALFORMED
        if self.link_address != 0 and (unspecified or is_group_mac(self.link_address)):
            return ND_BAD_ADDRESS
        return ACCEPTED

    @cython.cfunc
    def _router(self, memory: Memory, at: cython.Py_ssize_t) -> cython.void:
        """The fixed part of a router advertisement (4.2; RFC 4191 2.2)."""
        self.prefixes.clear()
        self.rdnss.clear()
        self.dnssl.clear()
        self.hop_limit = get8(memory, at + 4)
        self.router_lifetime = get16(memory, at + 6)
        self.reachable_ms = get32(memory, at + 8)
        self.retrans_ms = get32(memory, at + 12)
        preference: cython.uint = (get8(memory, at + 5) >> 3) & 3
        if preference == 1:
            self.preference = 1
        elif preference == 3:
            self.preference = -1

    @cython.cfunc
    @cython.exceptval(check=False)
    def _is_sound_redirect(self) -> cython.bint:
        """8.1: to a router's link-local address, or to the destination itself."""
        if _is_group(self.destination_high) or _is_group(self.target_high):
            return False
        return is_link_local(self.target_high) or (
            self.target_high == self.destination_high and self.target_low == self.destination_low
        )

    @cython.cfunc
    def _options(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.bint:
        """Walk the options; False when they do not fill the message exactly."""
        of_target: cython.bint = self.type in (NEIGHBOUR_ADVERTISEMENT, ND_REDIRECT)
        own: cython.uint = OPTION_TARGET_ADDRESS if of_target else OPTION_SOURCE_ADDRESS
        while at < end:
            if at + 2 > end:
                return False
            kind: cython.uint = get8(memory, at)
            length: cython.Py_ssize_t = get8(memory, at + 1) * 8
            if length == 0 or at + length > end:
                return False
            if kind == own and length == LINK_ADDRESS_LEN:
                self.link_address = get48(memory, at + 2)
            elif kind == OPTION_NONCE and length >= 8:
                self.nonce = get48(memory, at + 2)
            elif self.type == ROUTER_ADVERTISEMENT:
                self._router_option(memory, at, kind, length)
            at += length
        return True

    @cython.cfunc
    def _router_option(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        kind: cython.uint,
        length: cython.Py_ssize_t,
    ) -> cython.void:
        """What only a router says: the link's MTU, and where prefixes and name servers stand."""
        if kind == OPTION_MTU and length == 8:
            self.mtu = get32(memory, at + 4)
        elif kind == OPTION_PREFIX and length == PREFIX_LEN:
            _keep(self.prefixes, at)
        elif kind == OPTION_RDNSS and length >= 24 and length % 16 == 8:
            _keep(self.rdnss, at)
        elif kind == OPTION_DNSSL and length >= 16:
            _keep(self.dnssl, at)


@cython.cfunc
def _keep(positions: list, at: cython.Py_ssize_t) -> cython.void:
    if len(positions) < OPTIONS_KEPT:
        positions.append(at)


@cython.cfunc
@cython.exceptval(check=False)
def _fixed_len(type: cython.uint) -> cython.Py_ssize_t:
    """How long a message of this type is before its options; 0 for another."""
    if type in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
        return NEIGHBOUR_LEN
    if type == ROUTER_ADVERTISEMENT:
        return ROUTER_ADVERTISEMENT_LEN
    if type == ND_REDIRECT:
        return REDIRECT_LEN
    return ROUTER_SOLICITATION_LEN if type == ROUTER_SOLICITATION else 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_group(high: cython.ulonglong) -> cython.bint:
    return high >> 56 == 0xFF


@cython.ccall
@cython.exceptval(check=False)
def is_link_local(high: cython.ulonglong) -> cython.bint:
    """Whether an address with this upper half is in fe80::/10 (RFC 4291, 2.5.6)."""
    return high >> 54 == 0x3FA


@cython.ccall
@cython.exceptval(check=False)
def is_solicited_node(high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
    """Whether an address is in ff02::1:ff00:0/104 (RFC 4291, 2.7.1)."""
    group: cython.ulonglong = 0xFF02
    return high == group << 48 and low >> 24 == 0x1FF


@cython.ccall
@cython.exceptval(check=False)
def solicited_node_low(low: cython.ulonglong) -> cython.ulonglong:
    """The lower half of the solicited-node group of an address; the upper is ff02:: (2.7.1)."""
    group: cython.ulonglong = 0x1FF
    return (group << 24) | (low & 0xFF_FFFF)


@cython.ccall
@cython.exceptval(check=False)
def group_mac(low: cython.ulonglong) -> cython.ulonglong:
    """The Ethernet address of an IPv6 group: 33:33 and its last 32 bits (RFC 2464, 7)."""
    prefix: cython.ulonglong = 0x3333
    mask: cython.uint = 0xFFFF_FFFF
    return (prefix << 32) | (low & mask)


# -- emitting ------------------------------------------------------------------------------


@cython.cfunc
def emit_neighbour(
    arena: Arena,
    at: cython.Py_ssize_t,
    type: cython.uint,
    flags: cython.uint,
    target_high: cython.ulonglong,
    target_low: cython.ulonglong,
) -> cython.Py_ssize_t:
    """A neighbour solicitation or advertisement without options; its length. `seal` it."""
    put32(arena, at, (type & 0xFF) << 24)
    put32(arena, at + 4, flags << 24)
    put64(arena, at + 8, target_high)
    put64(arena, at + 16, target_low)
    return NEIGHBOUR_LEN


@cython.cfunc
def emit_router_solicitation(arena: Arena, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """A router solicitation without options; its length. `seal` it."""
    kind: cython.uint = ROUTER_SOLICITATION
    put32(arena, at, kind << 24)
    put32(arena, at + 4, 0)
    return ROUTER_SOLICITATION_LEN


@cython.cfunc
def emit_option(
    arena: Arena, at: cython.Py_ssize_t, kind: cython.uint, octets: cython.ulonglong
) -> cython.Py_ssize_t:
    """An option of six octets: a link-layer address or a nonce; its length."""
    put8(arena, at, kind)
    put8(arena, at + 1, 1)
    put48(arena, at + 2, octets)
    return LINK_ADDRESS_LEN


@cython.cfunc
def seal(
    arena: Arena,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    source_high: cython.ulonglong,
    source_low: cython.ulonglong,
    destination_high: cython.ulonglong,
    destination_low: cython.ulonglong,
) -> cython.void:
    """Put the checksum into the whole ICMPv6 message at `at` (RFC 4443, 2.3)."""
    put16(arena, at + 2, 0)
    pseudo: cython.uint = pseudo_sum(
        source_high, source_low, destination_high, destination_low, PROTOCOL_ICMPV6
    )
    total: cython.ulonglong = pseudo + cython.cast(cython.uint, length)
    put16(arena, at + 2, finish(total + sum_octets(arena, at, length)))
