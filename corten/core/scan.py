"""Scans over a Memory: runs of octets of a class, comparison, a digest.

Strategy. A parser of text spends its time in loops over octets. Each function here checks the
whole range once and then follows the pointer; the class of an octet is a table of 256 bit sets
that the caller makes, so nothing here knows a protocol.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory, out_of_range

if cython.compiled:
    from cython.cimports.libc.string import memcmp, memcpy


@cython.final
@cython.cclass
class Classes:
    """For each octet, the set of classes that it belongs to, as bits."""

    table: Memory

    def __init__(self, table: bytes) -> None:
        if len(table) != 256:
            raise ValueError("a class table has one entry for each of the 256 octets")
        self.table = Memory(table)


@cython.ccall
def skip_class(
    memory: Memory,
    at: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    classes: Classes,
    wanted: cython.uint,
) -> cython.Py_ssize_t:
    """The first position in at..end whose octet is in none of the `wanted` classes, or `end`."""
    if at < 0 or end < at or end > memory.size:
        out_of_range(at, end - at, memory.size)
    octets: cython.p_uchar = memory._base
    table: cython.p_uchar = classes.table._base
    while at < end and table[octets[at]] & wanted:
        at += 1
    return at


@cython.ccall
def skip_text(memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The first position in at..end that holds a control octet other than HTAB, or `end`.

    Controls are 0..31 and 127. Compiled, eight octets a step: a word without one is skipped whole.
    """
    if at < 0 or end < at or end > memory.size:
        out_of_range(at, end - at, memory.size)
    octets: cython.p_uchar = memory._base
    if cython.compiled:
        at = _skip_words(octets, at, end)
    while at < end and ((octets[at] >= 32 and octets[at] != 127) or octets[at] == 9):
        at += 1
    return at


@cython.cfunc
@cython.exceptval(check=False)
def _skip_words(  # pragma: no cover: pointers are of the compiled module alone
    octets: cython.p_uchar, at: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Skip words of eight octets none of which is a control (compiled only).

    In `(word - 32s) & ~word & high bits` an octet below 32 leaves its high bit set; in the same
    with 1s, of `word ^ 127s`, an octet of 127 does. A borrow may flag the octet above a control,
    never hide one: whatever is flagged is looked at one by one.
    """
    ones: cython.ulonglong = 0x0101010101010101
    highs: cython.ulonglong = ones << 7
    word: cython.ulonglong = 0
    rubout: cython.ulonglong = 0
    while end - at >= 8:
        memcpy(cython.address(word), octets + at, 8)
        rubout = word ^ ones * 127
        if ((word - ones * 32) & ~word & highs) | ((rubout - ones) & ~rubout & highs):
            break
        at += 8
    return at


@cython.ccall
def same_octets(memory: Memory, at: cython.Py_ssize_t, data: bytes) -> cython.bint:
    """Whether the octets at `at` are those of `data`. IndexError when fewer lie there."""
    length: cython.Py_ssize_t = len(data)
    if at < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    if cython.compiled:
        return memcmp(memory._base + at, cython.cast(cython.p_uchar, data), length) == 0
    return bytes(memory._base[at : at + length]) == data


@cython.ccall
def same_folded(memory: Memory, at: cython.Py_ssize_t, lower: bytes) -> cython.bint:
    """As `same_octets`, but A..Z equals a..z; `lower` must hold no capital letter."""
    length: cython.Py_ssize_t = len(lower)
    if at < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    octets: cython.p_uchar = memory._base
    octet: cython.uint
    i: cython.Py_ssize_t
    for i in range(length):
        octet = octets[at + i]
        if octet >= 65 and octet <= 90:
            octet += 32
        if octet != cython.cast(cython.uchar, lower[i]):
            return False
    return True


@cython.ccall
def digest_octets(
    memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
) -> cython.ulonglong:
    """64 bits that differ when the octets do, but for chance and for whoever tries: no secret is in
    it. The upper ones are the better ones. Not the same in both modes, nor on every machine."""
    if at < 0 or length < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    if cython.compiled:
        return _digest_words(memory._base + at, length)
    return hash(bytes(memory._base[at : at + length])) & 0xFFFF_FFFF_FFFF_FFFF


@cython.cfunc
@cython.exceptval(check=False)
def _digest_words(  # pragma: no cover: pointers are of the compiled module alone
    octets: cython.p_uchar, length: cython.Py_ssize_t
) -> cython.ulonglong:
    """Words of eight octets, the last with what there is: each is added, multiplied and folded."""
    factor: cython.ulonglong = 0x9E3779B97F4A7C15
    digest: cython.ulonglong = cython.cast(cython.ulonglong, length) * factor
    word: cython.ulonglong = 0
    while length >= 8:
        memcpy(cython.address(word), octets, 8)
        digest = (digest ^ word) * factor
        digest ^= digest >> 32
        octets += 8
        length -= 8
    word = 0
    if length > 0:
        memcpy(cython.address(word), octets, length)
        digest = (digest ^ word) * factor
        digest ^= digest >> 32
    return digest * factor
