"""TCP header: parse and emit (RFC 9293, 3.1).

    0   source port | destination port
    4   sequence number
    8   acknowledgment number
    12  data offset, reserved | flags | window
    16  checksum | urgent pointer
    20  options, padding

A worker owns one `Segment` and parses into it again and again. It is seen from our side: the source
port of the packet is `remote_port`. Who calls `parse` sets the addresses, `gso_size` and
`checksum_good`, which lie outside the segment, for each packet before it is used.

The urgent pointer is not kept: urgent data is delivered in line (RFC 6093, 6).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, sum_octets
from cython.cimports.corten.core.field import get64, put8, put16, put32
from cython.cimports.corten.core.fold import fold
from cython.cimports.corten.core.limit import U32
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    TCP_BAD_DATA_OFFSET,
    TCP_BAD_PORT,
    TCP_SHORT,
)
from cython.cimports.corten.wire.tcp_option import TcpOptions, clear_options, parse_options

if not cython.compiled:
    TCP_HEADER_LEN = 20
    TCP_HEADER_LEN_MAX = 60
    TCP_CHECKSUM_AT = 16  # where the checksum lies in the header
    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


@cython.final
@cython.cclass
class Segment(TcpOptions):
    """One received segment, and where it lies. Options: see `TcpOptions`."""

    memory: Memory
    remote_high: cython.ulonglong  # writable
    remote_low: cython.ulonglong  # writable
    local_high: cython.ulonglong  # writable
    local_low: cython.ulonglong  # writable
    remote_port: cython.uint
    local_port: cython.uint
    seq: cython.uint
    ack: cython.uint
    flags: cython.uint
    window: cython.uint  # as it stands in the header, not scaled
    header_len: cython.Py_ssize_t
    payload_at: cython.Py_ssize_t
    payload_len: cython.Py_ssize_t
    ecn: cython.uint  # writable; the IP header's codepoint (RFC 3168 5)
    gso_size: cython.Py_ssize_t  # writable; payload of each segment merged here, else 0
    checksum_good: cython.bint  # writable; need not be verified

    def __init__(self) -> None:
        TcpOptions.__init__(self)
        self.memory = _NOWHERE
        self.remote_high = 0
        self.remote_low = 0
        self.local_high = 0
        self.local_low = 0
        self.remote_port = 0
        self.local_port = 0
        self.seq = 0
        self.ack = 0
        self.flags = 0
        self.window = 0
        self.header_len = 0
        self.payload_at = 0
        self.payload_len = 0
        self.ecn = 0
        self.gso_size = 0
        self.checksum_good = False

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the segment at memory[at : at + length]; a reason. Checksum not verified."""
        if length < TCP_HEADER_LEN:
            return TCP_SHORT
        second: cython.ulonglong = get64(memory, at + 8)  # the second eight octets of the header
        header_len: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, (second >> 28) & 15) * 4
        if header_len < TCP_HEADER_LEN or header_len > length:
            return TCP_BAD_DATA_OFFSET
        self.memory = memory
        self.header_len = header_len
        self.payload_at = at + header_len
        self.payload_len = length - header_len
        first: cython.ulonglong = get64(memory, at)
        self.remote_port = cython.cast(cython.uint, first >> 48)
        self.local_port = cython.cast(cython.uint, (first >> 32) & 0xFFFF)
        self.seq = cython.cast(cython.uint, first & U32)
        self.ack = cython.cast(cython.uint, second >> 32)
        self.flags = cython.cast(cython.uint, (second >> 16) & 0xFF)
        self.window = cython.cast(cython.uint, second & 0xFFFF)
        if header_len > TCP_HEADER_LEN:
            parse_options(
                self,
                memory,
                at + TCP_HEADER_LEN,
                header_len - TCP_HEADER_LEN,
                self.flags & SYN != 0,
            )
        else:
            clear_options(self)
        if self.remote_port == 0 or self.local_port == 0:
            return TCP_BAD_PORT
        return ACCEPTED

    @cython.ccall
    @cython.exceptval(check=False)
    def length(self) -> cython.uint:
        """SEG.LEN: the sequence numbers that the segment takes up, SYN and FIN included."""
        taken: cython.uint = cython.cast(cython.uint, self.payload_len)
        return taken + (self.flags & FIN) + ((self.flags & SYN) >> 1)


_NOWHERE = Memory(b"")


@cython.ccall
def verify_checksum(segment: Segment, pseudo_sum: cython.uint) -> cython.bint:
    """Whether the checksum is right (MUST-3); `pseudo_sum` as in `checksum`, without length."""
    length: cython.Py_ssize_t = segment.header_len + segment.payload_len
    at: cython.Py_ssize_t = segment.payload_at - segment.header_len
    total: cython.ulonglong = pseudo_sum
    total += cython.cast(cython.ulonglong, length)
    total += sum_octets(segment.memory, at, length)
    return fold(total) == 0xFFFF


@cython.ccall
def emit_tcp(
    arena: Arena,
    at: cython.Py_ssize_t,
    source_port: cython.uint,
    destination_port: cython.uint,
    seq: cython.uint,
    ack: cython.uint,
    flags: cython.uint,
    window: cython.uint,
    options_len: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Write the fixed header, checksum 0; its length. The options, already padded, follow it."""
    assert 0 <= options_len <= TCP_HEADER_LEN_MAX - TCP_HEADER_LEN and options_len & 3 == 0
    put16(arena, at, source_port)
    put16(arena, at + 2, destination_port)
    put32(arena, at + 4, seq)
    put32(arena, at + 8, ack)
    put8(arena, at + 12, cython.cast(cython.uint, (TCP_HEADER_LEN + options_len) << 2))
    put8(arena, at + 13, flags)
    put16(arena, at + 14, window)
    put32(arena, at + 16, 0)
    return TCP_HEADER_LEN
