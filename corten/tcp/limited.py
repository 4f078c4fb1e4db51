"""What held a connection back while it was busy: changes of state only (`Connection.info()`).

Busy is from the first octet queued to the last one acknowledged. Of that, the peer's window is the
limit while data waits for it, and the send queue's bound while all that it allowed has been sent
and the application was told to wait. The rest is the network's.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    LIMITED_NOT = 0
    LIMITED_BY_PEER = 1  # its window
    LIMITED_BY_QUEUE = 2  # our send queue's bound


@cython.final
@cython.cclass
class Limited:
    """Nanoseconds by cause; made when there is one."""

    kind: cython.uint
    since: cython.longlong
    by_peer: cython.longlong
    by_queue: cython.longlong

    def __init__(self) -> None:
        self.kind = LIMITED_NOT
        self.since = 0
        self.by_peer = 0
        self.by_queue = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def change(self, kind: cython.uint, now: cython.longlong) -> cython.void:
        """From now on `kind` is the limit."""
        if self.kind == LIMITED_BY_PEER:
            self.by_peer += now - self.since
        elif self.kind == LIMITED_BY_QUEUE:
            self.by_queue += now - self.since
        self.kind = kind
        self.since = now

    def until(self, now: int) -> tuple[int, int]:
        """(by the peer, by the queue), the present state included."""
        self.change(self.kind, now)
        return self.by_peer, self.by_queue
