"""What pacing remembers of a connection. Data only; see `pacing`."""

from __future__ import annotations

import cython


@cython.final
@cython.cclass
class Pacer:
    """When the next frame of new data may leave. Nanoseconds, octets a second."""

    next_at: cython.longlong
    rate: cython.ulonglong  # of the frame sent last; 0: it was not paced
    waits: cython.ulonglong  # how often data waited for its time

    def __init__(self) -> None:
        self.next_at = 0
        self.rate = 0
        self.waits = 0
