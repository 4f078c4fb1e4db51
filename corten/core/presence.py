"""Which flows a worker may own: a counting filter in shared memory, for the other workers to ask.

Why. A segment can reach a worker that does not own its connection (fragments, replies that hashed
elsewhere, a queue set that changed). Before anyone answers it with RST, its flow hash is looked up
in the other workers' filters, and it is handed to the worker whose filter knows it. A false
positive costs one hand-over; a false negative would kill a connection, so there is none.

Strategy. One octet a bucket; the bucket is the hash's low bits; the octet counts the worker's open
flows in it. A count of 255 sticks: it no longer knows how many there are, so it never goes down.

Rules. Written by its worker alone, read by all: single octets cannot tear, so there is no lock and
nothing to repair when a process is killed. `opened` comes before the flow's first segment goes out.
A worker that takes over a dead one's filter begins with `clear`.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    PRESENCE_LEN = 4194304  # octets: a million flows leave false positives at one in five


@cython.final
@cython.cclass
class Presence:
    """One worker's filter over `memory`, writable, a power of two long (ValueError otherwise);
    `PRESENCE_LEN` is the usual length."""

    _counts: cython.uchar[::1]
    _mask: cython.ulonglong
    _view: memoryview

    def __init__(self, memory: object) -> None:
        view = memoryview(memory).cast("B")  # type: ignore[arg-type]
        size = view.nbytes
        if size == 0 or size & (size - 1):
            raise ValueError(f"a filter's length is a power of two, not {size}")
        self._counts = view
        self._mask = size - 1
        self._view = view

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def opened(self, hash: cython.ulonglong) -> cython.int:
        """The worker owns one more flow of this hash. Answers its bucket's count."""
        at: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, hash & self._mask)
        count: cython.int = self._counts[at]
        if count < 255:
            count += 1
            self._counts[at] = cython.cast(cython.uchar, count)
        return count

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def closed(self, hash: cython.ulonglong) -> cython.int:
        """One flow of this hash is gone. Answers its bucket's count."""
        at: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, hash & self._mask)
        count: cython.int = self._counts[at]
        if 0 < count < 255:
            count -= 1
            self._counts[at] = cython.cast(cython.uchar, count)
        return count

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def may_own(self, hash: cython.ulonglong) -> cython.bint:
        """False: the worker has no flow of this hash. True: it may have one."""
        return self._counts[cython.cast(cython.Py_ssize_t, hash & self._mask)] != 0

    def clear(self) -> None:
        """Forget every flow: for a worker that starts."""
        self._view[:] = bytes(len(self._view))
