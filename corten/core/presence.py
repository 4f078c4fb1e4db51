"""Which flows a worker may own: a counting filter in shared memory, for the other workers to ask.

Why. A segment can reach a worker that does not own its connection (fragments, replies that hashed
elsewhere, a queue set that changed). Before anyone answers it with RST, its flow hash is looked up
in the other workers' filters, and it is handed to the worker whose filter knows it. A false
positive costs two hand-overs, there and back; a false negative would kill a connection, so there is
none.

Strategy. A Bloom filter of octets that count, in blocks of 64, a cache line: the low bits of the
hash name the block, its upper bits three octets in it, so that asking costs one line of memory.
With three octets a flow and a million flows over four workers, one stranger in 47 is taken for
somebody's; with one octet it was one in six (docs/workers.md). An octet counts the worker's open
flows that chose it. A count of 255 sticks: it no longer knows how many there are, so it never goes
down.

Rules. Written by its worker alone, read by all: single octets cannot tear, so there is no lock and
nothing to repair when a process is killed. `opened` comes before the flow's first segment goes out.
A worker that takes over a dead one's filter begins with `clear`.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    PRESENCE_LEN = 4194304  # octets a worker
    BLOCK_LEN = 64
    OCTETS = 3  # a flow
    CHOICE_SHIFT = 40  # the bits of the hash from here on choose in the block


@cython.final
@cython.cclass
class Presence:
    """One worker's filter over `memory`, writable, a power of two long (ValueError otherwise);
    `PRESENCE_LEN` is the usual length."""

    _counts: cython.uchar[::1]
    _blocks: cython.ulonglong  # mask of a block's place
    _within: cython.ulonglong  # mask of an octet's in its block
    _view: memoryview

    def __init__(self, memory: object) -> None:
        view = memoryview(memory).cast("B")  # type: ignore[arg-type]
        size = view.nbytes
        if size == 0 or size & (size - 1):
            raise ValueError(f"a filter's length is a power of two, not {size}")
        self._counts = view
        self._within = min(size, BLOCK_LEN) - 1
        self._blocks = (size - 1) - self._within
        self._view = view

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def _place(self, hash: cython.ulonglong, choice: cython.int) -> cython.Py_ssize_t:
        """Where the choice-th octet of a hash is."""
        within: cython.ulonglong = (hash >> (CHOICE_SHIFT + 8 * choice)) & self._within
        return cython.cast(cython.Py_ssize_t, (hash & self._blocks) | within)

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def opened(self, hash: cython.ulonglong) -> cython.int:
        """The worker owns one more flow of this hash. 0."""
        choice: cython.int
        for choice in range(OCTETS):
            at: cython.Py_ssize_t = self._place(hash, choice)
            count: cython.int = self._counts[at]
            if count < 255:
                self._counts[at] = cython.cast(cython.uchar, count + 1)
        return 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def closed(self, hash: cython.ulonglong) -> cython.int:
        """One flow of this hash is gone. 0."""
        choice: cython.int
        for choice in range(OCTETS):
            at: cython.Py_ssize_t = self._place(hash, choice)
            count: cython.int = self._counts[at]
            if 0 < count < 255:
                self._counts[at] = cython.cast(cython.uchar, count - 1)
        return 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def may_own(self, hash: cython.ulonglong) -> cython.bint:
        """False: the worker has no flow of this hash. True: it may have one."""
        choice: cython.int
        for choice in range(OCTETS):
            if self._counts[self._place(hash, choice)] == 0:
                return False
        return True

    def clear(self) -> None:
        """Forget every flow: for a worker that starts."""
        self._view[:] = bytes(len(self._view))
