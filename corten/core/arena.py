"""Packet memory: the arena that frames lie in, and the immutable buffers that applications send.

Strategy. Both are a `Memory`: a base, a size, and the object that owns the octets. Compiled, the
base is a pointer; plain, it is the memoryview itself, so that `base[at]` reads the same. Everything
above reaches octets through `corten.core.field` (loads and stores) or the functions here, each of
which checks its range first: a wrong offset raises IndexError, it never reads.

Rules. This file, `field.py` and the drivers are the only places where a pointer is followed. A
pointer never outlives its owner: the owner stands beside it. Nothing here knows a protocol.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.fold import fold

if cython.compiled:
    from cython.cimports.cpython.memoryview import PyMemoryView_GET_BUFFER
    from cython.cimports.libc.string import memcpy, memmove


@cython.cfunc
def out_of_range(
    at: cython.Py_ssize_t, length: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.int:
    """Say which octets were asked for; never returns normally."""
    raise IndexError(f"octets {at}..{at + length} of a memory of {size}")


@cython.cclass
class Memory:
    """Octets at a fixed place: `size` of them, kept alive by `owner`."""

    _base: cython.p_uchar
    size: cython.Py_ssize_t
    owner: object

    def __init__(self, owner: object, writable: bool = False) -> None:
        view = memoryview(owner).cast("B")  # type: ignore[arg-type]
        if writable and view.readonly:
            raise ValueError("an arena needs writable memory")
        self.owner = view
        self.size = view.nbytes
        if cython.compiled:
            self._base = cython.cast(cython.p_uchar, PyMemoryView_GET_BUFFER(view).buf)
        else:
            self._base = view

    def __len__(self) -> int:
        return self.size

    def octets(self, at: cython.Py_ssize_t = 0, length: cython.Py_ssize_t = -1) -> bytes:
        """A copy of `length` octets from `at` (to the end when negative). IndexError outside."""
        if length < 0:
            length = self.size - at
        return read(self, at, length)


@cython.final
@cython.cclass
class Arena(Memory):
    """Writable packet memory: a bytearray of `size` octets, or any writable buffer given."""

    def __init__(self, size: cython.Py_ssize_t = 0, over: object = None) -> None:
        Memory.__init__(self, bytearray(size) if over is None else over, True)

    def store(self, at: cython.Py_ssize_t, data: bytes) -> None:
        """Copy `data` in at `at`. IndexError where it does not fit. For tests and slow paths."""
        write(self, at, data)


@cython.final
@cython.cclass
class Buffer(Memory):
    """Immutable octets that an application sends: kept, not copied, until acknowledged.

    `sums` is empty, or a table of prefix sums (`with_sums`): entry i is the folded
    one's-complement sum of the first i 16-bit words, so that the sum of any range costs two loads
    where the link does not offload checksums (the ancestor's idea).
    """

    _sums: cython.ushort[::1]
    has_sums: cython.bint

    def __init__(self, owner: object) -> None:
        self.has_sums = False
        if cython.compiled and type(owner) is bytes:
            self.owner = owner
            self.size = len(cython.cast(bytes, owner))
            self._base = cython.cast(cython.p_uchar, cython.cast(bytes, owner))
            return
        view = memoryview(owner)  # type: ignore[arg-type]
        if not view.readonly:
            raise ValueError("a Buffer is read-only: pass bytes, or memoryview(...).toreadonly()")
        Memory.__init__(self, view)

    def with_sums(self) -> Buffer:
        """Make the prefix sums (as much memory again as the data) and return self."""
        words: cython.Py_ssize_t = self.size // 2
        table = array("H", bytes(2 * (words + 1)))
        sums: cython.ushort[::1] = memoryview(table)
        total: cython.uint = 0
        i: cython.Py_ssize_t
        for i in range(words):
            total += (cython.cast(cython.uint, self._base[2 * i]) << 8) | self._base[2 * i + 1]
            total = (total & 0xFFFF) + (total >> 16)
            sums[i + 1] = total
        self._sums = sums
        self.has_sums = True
        return self


@cython.cfunc
def buffer_of(data: bytes) -> Buffer:
    """A Buffer over bytes, without the cost of a call through Python."""
    buffer: Buffer = Buffer.__new__(Buffer)
    buffer.owner = data
    buffer.size = len(data)
    buffer.has_sums = False
    if cython.compiled:
        buffer._base = cython.cast(cython.p_uchar, data)
    else:
        buffer._base = memoryview(data)
    return buffer


@cython.cfunc
def read(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> bytes:
    """`length` octets from `at` as bytes."""
    if at < 0 or length < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    if not cython.compiled:
        return bytes(memory._base[at : at + length])
    return memory._base[at : at + length]


@cython.cfunc
def write(memory: Arena, at: cython.Py_ssize_t, data: bytes) -> cython.int:
    """Copy the whole of `data` in at `at`; 0."""
    length: cython.Py_ssize_t = len(data)
    if at < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    if cython.compiled:
        memcpy(memory._base + at, cython.cast(cython.p_uchar, data), length)
    else:
        memory._base[at : at + length] = data
    return 0


@cython.ccall
def copy(
    target: Arena,
    target_at: cython.Py_ssize_t,
    source: Memory,
    source_at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
) -> cython.int:
    """Copy `length` octets between memories; the ranges may overlap. 0."""
    if length < 0 or target_at < 0 or target_at > target.size - length:
        out_of_range(target_at, length, target.size)
    if source_at < 0 or source_at > source.size - length:
        out_of_range(source_at, length, source.size)
    if cython.compiled:
        memmove(target._base + target_at, source._base + source_at, length)
    else:
        target._base[target_at : target_at + length] = source._base[source_at : source_at + length]
    return 0


@cython.ccall
def sum_octets(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.uint:
    """The folded one's-complement sum of a range, read as big-endian 16-bit words (RFC 1071).

    A last odd octet counts as the high half of a word. Not inverted.
    """
    if at < 0 or length < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    if not cython.compiled:
        padded = bytes(memory._base[at : at + length]) + b"\0" * (length & 1)
        number = int.from_bytes(padded, "big")
        return number % 65535 or (65535 if number else 0)
    return _sum_pointer(memory._base + at, length)


@cython.cfunc
@cython.exceptval(check=False)
def _sum_pointer(  # pragma: no cover: pointers are of the compiled module alone
    octets: cython.p_uchar, length: cython.Py_ssize_t
) -> cython.uint:
    """Sixteen octets a step in the machine's own order, swapped at the end (RFC 1071, 2 (B)).

    Two totals, so that neither waits for the other; a tail of four, because an IPv4 header has one.
    """
    total: cython.ulonglong = 0
    other_total: cython.ulonglong = 0
    word: cython.ulonglong = 0
    other: cython.ulonglong = 0
    half: cython.uint = 0
    at: cython.Py_ssize_t = 0
    while length - at >= 16:
        memcpy(cython.address(word), octets + at, 8)
        memcpy(cython.address(other), octets + at + 8, 8)
        total += (word >> 32) + cython.cast(cython.uint, word)
        other_total += (other >> 32) + cython.cast(cython.uint, other)
        at += 16
    total += other_total
    if length - at >= 8:
        memcpy(cython.address(word), octets + at, 8)
        total += (word >> 32) + cython.cast(cython.uint, word)
        at += 8
    if length - at >= 4:
        memcpy(cython.address(half), octets + at, 4)
        total += half
        at += 4
    if at < length:
        half = 0
        memcpy(cython.address(half), octets + at, length - at)
        total += half
    total = (total >> 32) + cython.cast(cython.uint, total)
    folded: cython.uint = fold(total)
    probe: cython.ushort = 1
    if cython.cast(cython.p_uchar, cython.address(probe))[0] == 1:  # little-endian; folded away
        folded = ((folded & 0xFF) << 8) | (folded >> 8)
    return folded


@cython.ccall
def sum_range(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.uint:
    """As `sum_octets`, through the prefix sums where the memory is a Buffer that has them.

    Congruent to it, not always equal: of octets that are all zero either may say 0 or 65535, which
    are the same number in one's complement.
    """
    if not isinstance(memory, Buffer):
        return sum_octets(memory, at, length)
    buffer: Buffer = cython.cast(Buffer, memory)
    if not buffer.has_sums or length < 4:
        return sum_octets(memory, at, length)
    if at < 0 or at > memory.size - length:
        out_of_range(at, length, memory.size)
    swap: cython.bint = at & 1 != 0
    first: cython.Py_ssize_t = (at + 1) // 2
    last: cython.Py_ssize_t = (at + length) // 2
    total: cython.uint = buffer._sums[last] + 65535 - buffer._sums[first]
    if swap:
        # the range starts in the middle of a word of the table: sum it shifted by one, then swap
        total = fold(total + (cython.cast(cython.uint, buffer._base[at])))
    if (at + length) & 1:
        total += cython.cast(cython.uint, buffer._base[at + length - 1]) << 8
    total = fold(total)
    if swap:
        total = ((total & 0xFF) << 8) | (total >> 8)
    return total


def checksum_of(data: bytes) -> int:
    """The Internet checksum of `data`, inverted, as it stands in a header (RFC 1071). For tests."""
    return 0xFFFF - sum_octets(Memory(data), 0, len(data))
