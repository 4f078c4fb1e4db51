"""Counters: 64-bit numbers in one memory, which another process may read while they are counted.

Rules. One writer. Each value is an aligned word, stored whole, so a reader sees the old or the new
value and never a mixture; values read together need not be of the same instant. Nobody locks.
"""

from __future__ import annotations

import cython


@cython.final
@cython.cclass
class Counters:
    """Named counters. An empty name leaves its position unused.

    `over`: the shared memory to count in (writable, 8 octets a name at least, aligned), as it is:
    it is not cleared, so counts outlive a worker. Without it, memory of its own.
    """

    values: cython.ulonglong[::1]
    names: list

    def __init__(self, names: list[str], over: object | None = None) -> None:
        needed = 8 * len(names)
        view = memoryview(bytearray(needed) if over is None else over).cast("B")  # type: ignore[arg-type]
        if view.readonly:
            raise ValueError("counters need writable memory")
        if view.nbytes < needed:
            raise ValueError(f"{len(names)} counters need {needed} octets, not {view.nbytes}")
        self.values = view[:needed].cast("Q")
        self.names = list(names)

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def add(self, index: cython.Py_ssize_t, n: cython.ulonglong = 1) -> cython.ulonglong:
        """Count n more; the new value. IndexError when there is no such counter."""
        value: cython.ulonglong = self.values[index] + n
        self.values[index] = value
        return value

    def snapshot(self) -> dict[str, int]:
        """Every named counter's value now."""
        return {name: int(self.values[i]) for i, name in enumerate(self.names) if name}
