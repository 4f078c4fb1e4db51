"""ICMP for IPv6: parse and emit (RFC 4443; its checksum covers a pseudo-header, 2.3).

One head for all; `rest` is what each type makes of it:

    0   type | code | checksum
    4   rest: identifier and sequence number, MTU, pointer, or 0
    8   payload: the data of an echo, or the packet that an error is about

Types under 128 are errors. Above the wire there is one vocabulary for what an error means, that of
ICMPv4: `error_v4` translates as RFC 7915 5.2 does, so that a transport learns no second one.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, copy, sum_octets
from cython.cimports.corten.core.field import get8, get32, put16, put32
from cython.cimports.corten.wire.checksum import finish, pseudo_sum
from cython.cimports.corten.wire.icmpv4 import (
    ICMP_COMMUNICATION_PROHIBITED,
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_HOST_UNREACHABLE,
    ICMP_NET_UNREACHABLE,
    ICMP_PARAMETER_PROBLEM,
    ICMP_PORT_UNREACHABLE,
    ICMP_PROTOCOL_UNREACHABLE,
    ICMP_TIME_EXCEEDED,
    ICMP_UNREACHABLE,
)
from cython.cimports.corten.wire.ipv6 import PROTOCOL_ICMPV6
from cython.cimports.corten.wire.reason import ACCEPTED, ICMPV6_BAD_CHECKSUM, ICMPV6_SHORT

if not cython.compiled:
    ICMPV6_LEN = 8
    # errors
    ICMPV6_UNREACHABLE = 1
    ICMPV6_TOO_BIG = 2
    ICMPV6_TIME_EXCEEDED = 3
    ICMPV6_PARAMETER_PROBLEM = 4
    # the rest
    ICMPV6_INFORMATION = 128  # from here on nothing is an error
    ICMPV6_ECHO = 128
    ICMPV6_ECHO_REPLY = 129
    MLD_QUERY = 130
    MLD_DONE = 132
    ROUTER_SOLICITATION = 133
    ICMPV6_REDIRECT = 137
    MLD_REPORT_V2 = 143
    # codes of ICMPV6_UNREACHABLE
    ICMPV6_NO_ROUTE = 0
    ICMPV6_PROHIBITED = 1
    ICMPV6_BEYOND_SCOPE = 2
    ICMPV6_ADDRESS_UNREACHABLE = 3
    ICMPV6_PORT_UNREACHABLE = 4
    ICMPV6_SOURCE_FAILED_POLICY = 5
    ICMPV6_REJECT_ROUTE = 6
    # codes of ICMPV6_TIME_EXCEEDED
    ICMPV6_HOP_LIMIT_EXCEEDED = 0
    ICMPV6_REASSEMBLY_TIMEOUT = 1
    # codes of ICMPV6_PARAMETER_PROBLEM
    ICMPV6_BAD_FIELD = 0
    ICMPV6_BAD_NEXT_HEADER = 1
    ICMPV6_BAD_OPTION = 2
    ICMPV6_BAD_FIRST_FRAGMENT = 3  # RFC 7112


@cython.final
@cython.cclass
class Icmpv6:
    """One ICMPv6 message; parsed into again and again."""

    type: cython.uint
    code: cython.uint
    rest: cython.uint
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t

    def __init__(self) -> None:
        self.type = 0
        self.code = 0
        self.rest = 0
        self.payload_at = 0
        self.payload_len = 0

    @cython.ccall
    def parse(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        pseudo: cython.uint,
    ) -> cython.int:
        """Fill from the message at memory[at : at + length], its checksum verified; a reason.

        `pseudo`: the pseudo-header's sum without the length (`checksum.pseudo_sum`).
        """
        if length < ICMPV6_LEN:
            return ICMPV6_SHORT
        self.type = get8(memory, at)
        self.code = get8(memory, at + 1)
        self.rest = get32(memory, at + 4)
        self.payload_at = at + ICMPV6_LEN
        self.payload_len = length - ICMPV6_LEN
        total: cython.ulonglong = sum_octets(memory, at, length)
        total += pseudo
        total += cython.cast(cython.ulonglong, length)
        if finish(total) != 0:
            return ICMPV6_BAD_CHECKSUM
        return ACCEPTED


@cython.ccall
@cython.exceptval(check=False)
def is_error_v6(type: cython.uint) -> cython.bint:
    """Whether no error is sent about a message: it is one, or a redirect (RFC 4443, 2.4 (e))."""
    return type < ICMPV6_INFORMATION or type == ICMPV6_REDIRECT


@cython.ccall
@cython.exceptval(check=False)
def error_v4(type: cython.uint, code: cython.uint) -> cython.uint:
    """What an error says, in ICMPv4's words: type << 8 | code (RFC 7915, 5.2).

    Where that text has one word for several, the word that programs know is kept: no route is an
    unreachable network, and what a policy refuses is prohibited.
    """
    if type == ICMPV6_UNREACHABLE:
        unreachable: cython.uint = ICMP_UNREACHABLE << 8
        if code == ICMPV6_NO_ROUTE:
            return unreachable | ICMP_NET_UNREACHABLE
        if code in (ICMPV6_PROHIBITED, ICMPV6_SOURCE_FAILED_POLICY, ICMPV6_REJECT_ROUTE):
            return unreachable | ICMP_COMMUNICATION_PROHIBITED
        if code == ICMPV6_PORT_UNREACHABLE:
            return unreachable | ICMP_PORT_UNREACHABLE
        return unreachable | ICMP_HOST_UNREACHABLE
    if type == ICMPV6_TOO_BIG:
        return (ICMP_UNREACHABLE << 8) | ICMP_FRAGMENTATION_NEEDED
    if type == ICMPV6_TIME_EXCEEDED:
        return (ICMP_TIME_EXCEEDED << 8) | (code & 0xFF)
    if type == ICMPV6_PARAMETER_PROBLEM and code == ICMPV6_BAD_NEXT_HEADER:
        return (ICMP_UNREACHABLE << 8) | ICMP_PROTOCOL_UNREACHABLE
    return ICMP_PARAMETER_PROBLEM << 8


@cython.ccall
def emit_icmpv6(
    arena: Arena,
    at: cython.Py_ssize_t,
    source_high: cython.ulonglong,
    source_low: cython.ulonglong,
    destination_high: cython.ulonglong,
    destination_low: cython.ulonglong,
    type: cython.uint,
    code: cython.uint,
    rest: cython.uint,
    memory: Memory,
    memory_at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Write a whole message, its checksum included, from one address to another; its length.

    The payload is memory[memory_at : memory_at + length]: the data of an echo to answer, or the
    packet that an error is about.
    """
    copy(arena, at + ICMPV6_LEN, memory, memory_at, length)
    put16(arena, at, ((type & 0xFF) << 8) | (code & 0xFF))
    put16(arena, at + 2, 0)
    put32(arena, at + 4, rest)
    whole: cython.Py_ssize_t = ICMPV6_LEN + length
    total: cython.ulonglong = sum_octets(arena, at, whole)
    total += pseudo_sum(source_high, source_low, destination_high, destination_low, PROTOCOL_ICMPV6)
    total += cython.cast(cython.ulonglong, whole)
    put16(arena, at + 2, finish(total))
    return whole
