"""TCP options: parse and emit (RFC 9293, 3.1 and 3.2; RFC 7323; RFC 2018).

Strategy. `TcpOptions` holds what a segment's options said; `Segment` is one. Nearly every segment
carries nothing or NOP NOP Timestamps, so that layout is recognised in one comparison; any other is
walked. Each option is read by its own length and needs no alignment (MUST-64); unknown kinds are
skipped by their length (MUST-6).

Rules. An illegal length ends the walk and what came before stands (MUST-7): no later octet can be
trusted. Each round of the walk moves on by an octet at least. MSS, Window Scale and SACK-Permitted
count on a SYN only (MUST-65; RFC 7323, 2.2; RFC 2018, 2). Of an option given twice the last counts.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.field import get8, get16, get32, put32

if not cython.compiled:
    OPTION_END = 0
    OPTION_NOP = 1
    OPTION_MSS = 2
    OPTION_WINDOW_SCALE = 3
    OPTION_SACK_PERMITTED = 4
    OPTION_SACK = 5
    OPTION_TIMESTAMPS = 8
    TIMESTAMPS_LEN = 12  # with the two NOPs before it
    TCP_OPTIONS_LEN_MAX = 40
    SACK_BLOCKS_MAX = 4
    WINDOW_SHIFT_MAX = 14  # RFC 7323, 2.3
    NOP_NOP_TIMESTAMPS = 0x0101_080A
    NOP_NOP_SACK = 0x0101_0500
    NOP_NOP_SACK_PERMITTED = 0x0101_0402
    SACK_PERMITTED_TIMESTAMPS = 0x0402_080A
    NOP_WINDOW_SCALE = 0x0103_0300
    MSS_4 = 0x0204_0000


@cython.cclass
class TcpOptions:
    """What the options of one segment said; cleared and filled by `parse_options`."""

    mss: cython.uint  # 0: absent
    window_shift: cython.int  # -1: absent; at most 14
    sack_permitted: cython.bint
    has_timestamp: cython.bint
    ts_value: cython.uint
    ts_echo: cython.uint
    sack_count: cython.int
    sack_at: cython.Py_ssize_t  # block i: get32(memory, sack_at + 8 * i), and + 4 its right edge

    def __init__(self) -> None:
        clear_options(self)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def clear_options(options: TcpOptions) -> cython.void:
    options.mss = 0
    options.window_shift = -1
    options.sack_permitted = False
    options.has_timestamp = False
    options.ts_value = 0
    options.ts_echo = 0
    options.sack_count = 0
    options.sack_at = 0


@cython.ccall
def parse_options(
    options: TcpOptions,
    memory: Memory,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    is_syn: cython.bint,
) -> cython.int:
    """Clear `options` and fill it from memory[at : at + length]. 0."""
    clear_options(options)
    if length == TIMESTAMPS_LEN and get32(memory, at) == NOP_NOP_TIMESTAMPS:
        options.has_timestamp = True
        options.ts_value = get32(memory, at + 4)
        options.ts_echo = get32(memory, at + 8)
        return 0
    end: cython.Py_ssize_t = at + length
    kind: cython.uint
    option_len: cython.Py_ssize_t
    while at < end:
        kind = get8(memory, at)
        if kind == OPTION_END:
            return 0
        if kind == OPTION_NOP:
            at += 1
            continue
        if end - at < 2:
            return 0
        option_len = get8(memory, at + 1)
        if option_len < 2 or option_len > end - at:
            return 0
        if not _take(options, memory, at, kind, option_len, is_syn):
            return 0
        at += option_len
    return 0


@cython.cfunc
def _take(
    options: TcpOptions,
    memory: Memory,
    at: cython.Py_ssize_t,
    kind: cython.uint,
    option_len: cython.Py_ssize_t,
    is_syn: cython.bint,
) -> cython.bint:
    """Note one whole option; False when its length is not one its kind can have."""
    if kind == OPTION_TIMESTAMPS:
        if option_len != 10:
            return False
        options.has_timestamp = True
        options.ts_value = get32(memory, at + 2)
        options.ts_echo = get32(memory, at + 6)
    elif kind == OPTION_SACK:
        if option_len < 10 or option_len & 7 != 2:
            return False
        options.sack_at = at + 2
        options.sack_count = cython.cast(cython.int, (option_len - 2) >> 3)
    elif kind == OPTION_MSS:
        if option_len != 4:
            return False
        if is_syn:
            options.mss = get16(memory, at + 2)
    elif kind == OPTION_WINDOW_SCALE:
        if option_len != 3:
            return False
        if is_syn:
            shift: cython.int = cython.cast(cython.int, get8(memory, at + 2))
            options.window_shift = min(shift, WINDOW_SHIFT_MAX)
    elif kind == OPTION_SACK_PERMITTED:
        if option_len != 2:
            return False
        if is_syn:
            options.sack_permitted = True
    return True


@cython.ccall
def emit_timestamp(
    arena: Arena, at: cython.Py_ssize_t, value: cython.uint, echo: cython.uint
) -> cython.Py_ssize_t:
    """Write NOP NOP Timestamps (RFC 7323, 3.2; layout of appendix A); its length, 12."""
    put32(arena, at, NOP_NOP_TIMESTAMPS)
    put32(arena, at + 4, value)
    put32(arena, at + 8, echo)
    return TIMESTAMPS_LEN


@cython.ccall
def emit_syn_options(
    arena: Arena,
    at: cython.Py_ssize_t,
    mss: cython.uint,
    window_shift: cython.int,
    sack_permitted: cython.bint,
    has_timestamp: cython.bint,
    ts_value: cython.uint,
    ts_echo: cython.uint,
) -> cython.Py_ssize_t:
    """Write a SYN's options, padded by NOPs in front; their length, a multiple of 4, at most 24.

    A `window_shift` of -1 leaves Window Scale out, an `mss` of 0 the MSS.
    """
    start: cython.Py_ssize_t = at
    if mss != 0:
        put32(arena, at, MSS_4 | (mss & 0xFFFF))
        at += 4
    if has_timestamp:
        put32(arena, at, SACK_PERMITTED_TIMESTAMPS if sack_permitted else NOP_NOP_TIMESTAMPS)
        put32(arena, at + 4, ts_value)
        put32(arena, at + 8, ts_echo)
        at += 12
    elif sack_permitted:
        put32(arena, at, NOP_NOP_SACK_PERMITTED)
        at += 4
    if window_shift >= 0:
        put32(arena, at, NOP_WINDOW_SCALE | (window_shift & 15))
        at += 4
    return at - start


@cython.ccall
def emit_sack_header(arena: Arena, at: cython.Py_ssize_t, count: cython.int) -> cython.Py_ssize_t:
    """Write NOP NOP and the head of a SACK option of `count` blocks (RFC 2018, 3); its length, 4.

    The caller puts the edges behind it: put32(arena, at + 4 + 8 * i, left), then the right.
    """
    assert 0 < count <= SACK_BLOCKS_MAX, count
    put32(arena, at, NOP_NOP_SACK | (2 + 8 * count))
    return 4
