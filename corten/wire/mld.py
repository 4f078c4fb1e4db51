"""Multicast listener discovery, the listener's side: queries in, reports out (RFC 3810, RFC 2710).

    0   type | code | checksum
    4   maximum response code | reserved          a query; of version 1 it ends after the group
    8   group, all zeros: general
    24  flags, robustness | interval | number of sources …

    0   143 | 0 | checksum                        a report of version 2
    4   reserved | number of records
    8   kind | 0 | 0 sources | group              each record, 20 octets

A report goes behind a hop-by-hop header of Router Alert (RFC 2711) and padding: `emit_alert`.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get8, get16, get64, put8, put16, put32, put64
from cython.cimports.corten.wire.reason import ACCEPTED, MLD_MALFORMED

if not cython.compiled:
    MLD_QUERY = 130
    MLD_V1_REPORT = 131
    MLD_V1_DONE = 132
    MLD_V2_REPORT = 143
    MLD_V1_LEN = 24
    MLD_QUERY_LEN = 28
    MLD_REPORT_LEN = 8  # before its records
    MLD_RECORD_LEN = 20
    ALERT_LEN = 8
    ROUTER_ALERT = 5  # options of a hop-by-hop header
    PAD1 = 0
    # kinds of records (5.2.12)
    MODE_IS_EXCLUDE = 2
    CHANGE_TO_INCLUDE = 3
    CHANGE_TO_EXCLUDE = 4


@cython.final
@cython.cclass
class MldQuery:
    """One query; parsed into again and again."""

    group_high: cython.ulonglong
    group_low: cython.ulonglong
    response_ms: cython.uint  # the longest delay of an answer
    is_v1: cython.bint

    def __init__(self) -> None:
        self.group_high = 0
        self.group_low = 0
        self.response_ms = 0
        self.is_v1 = False

    @cython.ccall
    def parse(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """Fill from the ICMPv6 message at memory[at : at + length]; a reason (RFC 3810, 8.1)."""
        if length != MLD_V1_LEN and length < MLD_QUERY_LEN:
            return MLD_MALFORMED
        self.is_v1 = length == MLD_V1_LEN
        code: cython.uint = get16(memory, at + 4)
        if self.is_v1 or code < 0x8000:
            self.response_ms = code
        else:
            self.response_ms = ((code & 0xFFF) | 0x1000) << (((code >> 12) & 7) + 3)
        self.group_high = get64(memory, at + 8)
        self.group_low = get64(memory, at + 16)
        return ACCEPTED


@cython.ccall
def has_alert(memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """Whether the hop-by-hop header at `at`, which has been walked once, holds Router Alert."""
    length: cython.Py_ssize_t = (get8(memory, at + 1) + 1) * 8
    end = min(end, at + length)
    at += 2
    while at + 2 <= end:
        if get8(memory, at) == ROUTER_ALERT:
            return True
        at += 1 if get8(memory, at) == PAD1 else 2 + get8(memory, at + 1)
    return False


@cython.cfunc
def emit_alert(arena: Arena, at: cython.Py_ssize_t, next_header: cython.uint) -> cython.Py_ssize_t:
    """A hop-by-hop header with Router Alert of MLD (RFC 2711, 2.1); its length."""
    put8(arena, at, next_header)
    put8(arena, at + 1, 0)
    put32(arena, at + 2, 0x0502_0000)
    put16(arena, at + 6, 0x0100)
    return ALERT_LEN


@cython.cfunc
def emit_report(arena: Arena, at: cython.Py_ssize_t, count: cython.uint) -> cython.Py_ssize_t:
    """The head of a report of `count` records; its length. Its checksum is `nd.seal`'s."""
    kind: cython.uint = MLD_V2_REPORT
    put32(arena, at, kind << 24)
    put32(arena, at + 4, count)
    return MLD_REPORT_LEN


@cython.cfunc
def emit_record(
    arena: Arena,
    at: cython.Py_ssize_t,
    kind: cython.uint,
    high: cython.ulonglong,
    low: cython.ulonglong,
) -> cython.Py_ssize_t:
    """One record of a report: a group, no sources; its length."""
    put32(arena, at, kind << 24)
    put64(arena, at + 4, high)
    put64(arena, at + 12, low)
    return MLD_RECORD_LEN


@cython.cfunc
def emit_v1(
    arena: Arena,
    at: cython.Py_ssize_t,
    type: cython.uint,
    high: cython.ulonglong,
    low: cython.ulonglong,
) -> cython.Py_ssize_t:
    """A report or Done of version 1 (RFC 2710, 3); its length."""
    put32(arena, at, type << 24)
    put32(arena, at + 4, 0)
    put64(arena, at + 8, high)
    put64(arena, at + 16, low)
    return MLD_V1_LEN
