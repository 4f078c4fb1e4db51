"""The flow table: from the keyed hash of a flow to the number of its connection.

Strategy. Open addressing with linear probing over two arrays, of 64-bit hashes and of 32-bit values
(12 octets a slot, at most three quarters full). The caller compares the keys: the table finds every
value filed under exactly this hash.

Growth never pauses. The new arrays are made beside the old ones, from memory that the kernel
clears page by page on first touch; each `insert` and `remove` moves `STEP` slots over, and later
gives a piece of the old memory back. Meanwhile a look-up tries the new arrays, then the old. In the
new ones a removal closes the gap by shifting back (no tombstones to wade through, ever); in the old
ones, which only empty, a slot that has been moved or removed is marked `MOVED`.

Rules. A position is good until the next `insert` or `remove`. Hashes come from `siphash` under a
secret key: whoever can choose them can make every look-up slow.
"""

from __future__ import annotations

import mmap

import cython

if not cython.compiled:
    EMPTY = 0  # values are stored plus one, so that memory of zeros is an empty table
    MOVED = -1
    STEP = 8  # slots moved a change; 2 would do before the next growth could begin
    SMALLEST = 16  # slots
    PAGE_CLEARED = 65536  # octets: from here on memory is the kernel's, cleared on first touch


@cython.cfunc
def _zeros(length: cython.Py_ssize_t) -> object:
    """`length` writable octets of zeros, without touching them where that would take long."""
    if length < PAGE_CLEARED:
        return bytearray(length)
    return mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


@cython.final
@cython.cclass
class FlowTable:
    """Values (0 to 2**31 - 2) under 64-bit hashes; `capacity`: how many to expect."""

    _mask: cython.Py_ssize_t
    _hashes: cython.ulonglong[::1]
    _values: cython.int[::1]
    _size: cython.Py_ssize_t
    _count: cython.Py_ssize_t
    _smallest: cython.Py_ssize_t
    _old_size: cython.Py_ssize_t  # 0: there are no old arrays
    _old_mask: cython.Py_ssize_t
    _cursor: cython.Py_ssize_t  # old slots below it are empty or MOVED
    _old_hashes: cython.ulonglong[::1]
    _old_values: cython.int[::1]
    _blocks: list  # the memory of the new arrays
    _old_blocks: list
    _retired: list  # memory of arrays that are no longer used, given back piece by piece

    def __init__(self, capacity: cython.Py_ssize_t = 0) -> None:
        size: cython.Py_ssize_t = SMALLEST
        while 4 * capacity > 3 * size:
            size *= 2
        self._smallest = size
        self._count = 0
        self._blocks = []
        self._old_blocks = []
        self._retired = []
        self._drop_old()
        self._make(size)

    def __len__(self) -> int:
        return self._count

    @property
    def slots(self) -> int:
        """How many slots there are, of 12 octets each, old arrays included."""
        return self._size + self._old_size

    @cython.cfunc
    def _make(self, size: cython.Py_ssize_t) -> cython.void:
        """New, empty arrays of `size` slots."""
        hashes, values = _zeros(8 * size), _zeros(4 * size)
        self._hashes = memoryview(hashes).cast("Q")  # type: ignore[arg-type]
        self._values = memoryview(values).cast("i")  # type: ignore[arg-type]
        self._blocks = [hashes, values]
        self._size = size
        self._mask = size - 1

    @cython.cfunc
    def _drop_old(self) -> cython.void:
        """Let go of the old arrays."""
        self._retired += [block for block in self._old_blocks if isinstance(block, mmap.mmap)]
        self._old_blocks = []
        self._old_hashes = memoryview(bytearray(8)).cast("Q")
        self._old_values = memoryview(bytearray(4)).cast("i")
        self._old_size = 0
        self._old_mask = 0
        self._cursor = 0

    # -- looking up -------------------------------------------------------------------------

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def first(self, hash: cython.ulonglong) -> cython.longlong:
        """The position of a value filed under `hash`, or -1."""
        mask: cython.ulonglong = self._mask
        return self._seek(hash, cython.cast(cython.Py_ssize_t, hash & mask))

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def next(self, hash: cython.ulonglong, position: cython.longlong) -> cython.longlong:
        """The position of another value under the same hash, after `position`, or -1."""
        if position < self._size:
            return self._seek(hash, (position + 1) & self._mask)
        return self._seek_old(hash, (position - self._size + 1) & self._old_mask)

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def value_at(self, position: cython.longlong) -> cython.int:
        """The value at a position that `first` or `next` has just given; IndexError for others."""
        stored: cython.int = EMPTY
        if 0 <= position < self._size:
            stored = self._values[position]
        elif position >= 0:
            stored = self._old_values[position - self._size]
        if stored <= EMPTY:
            raise IndexError(f"nothing at position {position}")
        return stored - 1

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _seek(self, hash: cython.ulonglong, at: cython.Py_ssize_t) -> cython.longlong:
        """Probe the new arrays from slot `at`, then the old ones."""
        while self._values[at] != EMPTY:
            if self._hashes[at] == hash:
                return at
            at = (at + 1) & self._mask
        if self._old_size == 0:
            return -1
        mask: cython.ulonglong = self._old_mask
        return self._seek_old(hash, cython.cast(cython.Py_ssize_t, hash & mask))

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _seek_old(self, hash: cython.ulonglong, at: cython.Py_ssize_t) -> cython.longlong:
        """Probe the old arrays from slot `at`."""
        while self._old_values[at] != EMPTY:
            if self._old_hashes[at] == hash and self._old_values[at] != MOVED:
                return self._size + at
            at = (at + 1) & self._old_mask
        return -1

    # -- changing ---------------------------------------------------------------------------

    @cython.ccall
    def insert(self, hash: cython.ulonglong, value: cython.int) -> cython.void:
        """File `value` under `hash`, beside whatever is there. ValueError outside 0..2**31 - 2."""
        largest: cython.int = 0x7FFF_FFFE
        if value < 0 or value > largest:
            raise ValueError(f"a value of 0 to {largest}, not {value}")
        self._migrate()
        if 4 * (self._count + 1) > 3 * self._size:
            self._resize(2 * self._size)
        self._put(hash, value + 1)
        self._count += 1

    @cython.ccall
    def remove(self, hash: cython.ulonglong, value: cython.int) -> cython.bint:
        """Take `value` out from under `hash`; False when it is not there."""
        self._migrate()
        at: cython.longlong = self.first(hash)
        while at >= 0 and self.value_at(at) != value:
            at = self.next(hash, at)
        if at < 0:
            return False
        if at >= self._size:
            self._old_values[at - self._size] = MOVED
        else:
            self._close_gap(at)
        self._count -= 1
        if 8 * self._count < self._size and self._size > self._smallest and self._old_size == 0:
            self._resize(self._size // 2)
        return True

    @cython.cfunc
    def _put(self, hash: cython.ulonglong, stored: cython.int) -> cython.void:
        """Store in the first empty slot of the new arrays."""
        mask: cython.ulonglong = self._mask
        at: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, hash & mask)
        while self._values[at] != EMPTY:
            at = (at + 1) & self._mask
        self._hashes[at] = hash
        self._values[at] = stored

    @cython.cfunc
    def _close_gap(self, gap: cython.Py_ssize_t) -> cython.void:
        """Empty a slot of the new arrays; what was pushed past it moves back (Knuth 6.4, R)."""
        mask: cython.ulonglong = self._mask
        at: cython.Py_ssize_t = (gap + 1) & self._mask
        while self._values[at] != EMPTY:
            home: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, self._hashes[at] & mask)
            if ((at - home) & self._mask) >= ((at - gap) & self._mask):
                self._hashes[gap] = self._hashes[at]
                self._values[gap] = self._values[at]
                gap = at
            at = (at + 1) & self._mask
        self._values[gap] = EMPTY

    # -- growing and shrinking --------------------------------------------------------------

    @cython.cfunc
    def _resize(self, size: cython.Py_ssize_t) -> cython.void:
        """Begin to move to arrays of another size."""
        assert self._old_size == 0, "the last move ended long before the next is due"
        self._old_blocks = self._blocks
        self._old_hashes = self._hashes
        self._old_values = self._values
        self._old_size = self._size
        self._old_mask = self._mask
        self._cursor = 0
        self._make(size)
        self._migrate()

    @cython.cfunc
    def _migrate(self) -> cython.void:
        """Move the next `STEP` slots of the old arrays, if there are any."""
        if self._old_size == 0:
            if self._retired:
                self._give_back()
            return
        i: cython.Py_ssize_t = self._cursor
        last: cython.Py_ssize_t = min(i + STEP, self._old_size)
        while i < last:
            if self._old_values[i] > EMPTY:
                self._put(self._old_hashes[i], self._old_values[i])
                self._old_values[i] = MOVED
            i += 1
        self._cursor = last
        if last == self._old_size:
            self._drop_old()

    @cython.cfunc
    def _give_back(self) -> cython.void:
        """Return a piece of retired memory: all of it takes a millisecond at a million entries."""
        block = self._retired[-1]
        if len(block) > PAGE_CLEARED:
            block.resize(len(block) - PAGE_CLEARED)
        else:
            self._retired.pop()
