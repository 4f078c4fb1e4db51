"""ICMP for IPv4: parse and emit (RFC 792; RFC 1122, 3.2.2).

Errors and questions have one head; `rest` is what each type makes of it:

    0   type | code | checksum
    4   rest: identifier and sequence number, next-hop MTU (RFC 1191, 4), pointer, gateway, or 0
    8   payload: the data of an echo, or the packet that an error is about
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, copy, sum_octets
from cython.cimports.corten.core.field import get8, get32, put16, put32
from cython.cimports.corten.wire.checksum import finish
from cython.cimports.corten.wire.reason import ACCEPTED, ICMP_BAD_CHECKSUM, ICMP_SHORT

if not cython.compiled:
    ICMP_LEN = 8
    # types
    ICMP_ECHO_REPLY = 0
    ICMP_UNREACHABLE = 3
    ICMP_SOURCE_QUENCH = 4
    ICMP_REDIRECT = 5
    ICMP_ECHO = 8
    ICMP_TIME_EXCEEDED = 11
    ICMP_PARAMETER_PROBLEM = 12
    ICMP_TIMESTAMP = 13
    ICMP_TIMESTAMP_REPLY = 14
    # codes of ICMP_UNREACHABLE
    ICMP_NET_UNREACHABLE = 0
    ICMP_HOST_UNREACHABLE = 1
    ICMP_PROTOCOL_UNREACHABLE = 2
    ICMP_PORT_UNREACHABLE = 3
    ICMP_FRAGMENTATION_NEEDED = 4
    ICMP_SOURCE_ROUTE_FAILED = 5
    ICMP_COMMUNICATION_PROHIBITED = 13
    # codes of ICMP_TIME_EXCEEDED
    ICMP_TTL_EXCEEDED = 0
    ICMP_REASSEMBLY_TIMEOUT = 1


@cython.final
@cython.cclass
class Icmp:
    """One ICMP message; parsed into again and again."""

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
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the message at memory[at : at + length], its checksum verified; a reason."""
        if length < ICMP_LEN:
            return ICMP_SHORT
        self.type = get8(memory, at)
        self.code = get8(memory, at + 1)
        self.rest = get32(memory, at + 4)
        self.payload_at = at + ICMP_LEN
        self.payload_len = length - ICMP_LEN
        if sum_octets(memory, at, length) != 0xFFFF:
            return ICMP_BAD_CHECKSUM
        return ACCEPTED


@cython.ccall
@cython.exceptval(check=False)
def is_error(type: cython.uint) -> cython.bint:
    """Whether a message is an error, about which no error is sent (RFC 1122, 3.2.2)."""
    return type in (
        ICMP_UNREACHABLE,
        ICMP_SOURCE_QUENCH,
        ICMP_REDIRECT,
        ICMP_TIME_EXCEEDED,
        ICMP_PARAMETER_PROBLEM,
    )


@cython.ccall
def emit_icmp(
    arena: Arena,
    at: cython.Py_ssize_t,
    type: cython.uint,
    code: cython.uint,
    rest: cython.uint,
    source: Memory,
    source_at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Write a whole message, its checksum included; its length.

    The payload is source[source_at : source_at + length]: the data of an echo request to answer
    (with its `rest`), or the header and the first octets of the packet that an error is about.
    """
    copy(arena, at + ICMP_LEN, source, source_at, length)
    put16(arena, at, ((type & 0xFF) << 8) | (code & 0xFF))
    put16(arena, at + 2, 0)
    put32(arena, at + 4, rest)
    put16(arena, at + 2, finish(sum_octets(arena, at, ICMP_LEN + length)))
    return ICMP_LEN + length
