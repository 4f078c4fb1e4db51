"""A driver around a driver: what it does not do itself, the wrapped one does.

Rules. A wrapper promises the stack what the wrapped driver promises, unless it says otherwise, and
counts what passes through it. The wrapped driver belongs to the wrapper, which closes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.driver.driver import Driver


@cython.cclass
class Wrapper(Driver):
    """Around `inner`."""

    inner: Driver

    def __init__(self, inner: Driver) -> None:
        Driver.__init__(self)
        self.inner = inner
        self.mirror()

    @cython.ccall
    def mirror(self) -> cython.void:
        """Promise what the wrapped driver promises now."""
        self.offload_checksum = self.inner.offload_checksum
        self.offload_segmentation = self.inner.offload_segmentation
        self.has_deadlines = self.inner.has_deadlines
        self.congested = self.inner.congested

    @cython.ccall
    def is_ready(self) -> cython.bint:
        return self.inner.is_ready()

    @cython.ccall
    def is_full(self) -> cython.bint:
        return self.inner.is_full()

    @cython.ccall
    def advance(self, now: cython.longlong) -> cython.void:
        self.inner.advance(now)

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        return self.inner.next_deadline()

    def make_batch(self) -> ReceiveBatch:
        return self.inner.make_batch()

    def wake_with(self, function: Callable[[], object]) -> None:
        self.inner.wake_with(function)

    def fileno(self) -> int:
        return self.inner.fileno()

    def filenos(self) -> list[int]:
        return self.inner.filenos()

    def renew(self, values: dict[str, Any], fds: list[int]) -> None:
        self.inner.renew(values, fds)
        self.mirror()

    def close(self) -> None:
        self.inner.close()
