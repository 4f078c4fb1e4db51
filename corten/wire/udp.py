"""UDP header: parse and emit (RFC 768; RFC 1122, 4.1; RFC 8200, 8.1).

    0   source port | destination port
    4   length, header included | checksum
    8   payload

What lies behind the length is not part of the datagram. A checksum of 0 says that there is none:
allowed over IPv4, refused over IPv6 by whoever knows the family. One that comes out as 0 is sent as
0xFFFF, which is the same number in one's complement.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, sum_octets
from cython.cimports.corten.core.field import get16, put16
from cython.cimports.corten.core.fold import fold
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    UDP_BAD_LENGTH,
    UDP_BAD_PORT,
    UDP_SHORT,
)

if not cython.compiled:
    UDP_LEN = 8


@cython.final
@cython.cclass
class Udp:
    """One UDP header; parsed into again and again."""

    source_port: cython.uint
    destination_port: cython.uint
    length: cython.uint  # header and payload
    checksum: cython.uint  # 0: none
    header_at: cython.Py_ssize_t
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t

    def __init__(self) -> None:
        self.source_port = 0
        self.destination_port = 0
        self.length = 0
        self.checksum = 0
        self.header_at = 0
        self.payload_at = 0
        self.payload_len = 0

    @cython.ccall
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the datagram at memory[at : at + length]; a reason. The checksum is not
        looked at: `verify_udp` does."""
        if length < UDP_LEN:
            return UDP_SHORT
        self.header_at = at
        self.source_port = get16(memory, at)
        self.destination_port = get16(memory, at + 2)
        self.length = get16(memory, at + 4)
        self.checksum = get16(memory, at + 6)
        self.payload_at = at + UDP_LEN
        self.payload_len = 0
        if self.length < UDP_LEN or self.length > length:
            return UDP_BAD_LENGTH
        self.payload_len = self.length - UDP_LEN
        if self.destination_port == 0:
            return UDP_BAD_PORT
        return ACCEPTED


@cython.ccall
def verify_udp(udp: Udp, memory: Memory, pseudo_sum: cython.uint) -> cython.bint:
    """Whether the checksum of a parsed datagram is right; `pseudo_sum` is without the length."""
    total: cython.ulonglong = pseudo_sum + udp.length
    total += sum_octets(memory, udp.header_at, udp.length)
    return fold(total) == 0xFFFF


@cython.ccall
def emit_udp(
    arena: Arena,
    at: cython.Py_ssize_t,
    source_port: cython.uint,
    destination_port: cython.uint,
    payload_len: cython.Py_ssize_t,
    checksum_sum: cython.ulonglong,
) -> cython.Py_ssize_t:
    """Write a header; its length.

    `checksum_sum` is the sum of the pseudo-header (without the length) and of the payload.
    """
    assert 0 <= payload_len <= 0xFFFF - UDP_LEN, payload_len
    length: cython.uint = cython.cast(cython.uint, payload_len) + UDP_LEN
    total: cython.ulonglong = checksum_sum + source_port + destination_port + 2 * length
    checksum: cython.uint = 0xFFFF - fold(total)
    put16(arena, at, source_port)
    put16(arena, at + 2, destination_port)
    put16(arena, at + 4, length)
    put16(arena, at + 6, checksum if checksum != 0 else 0xFFFF)
    return UDP_LEN
