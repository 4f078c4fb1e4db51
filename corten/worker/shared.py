"""The memory that the workers of a group share: made once, mapped before the first fork.

Layout: each worker's presence filter, then each worker's counters, then one ring for each ordered
pair of workers. Every part has one writer, so nothing is ever locked and a killed process leaves
nothing stuck. It is a memfd, so its pages cost nothing until somebody writes to them.
"""

from __future__ import annotations

import mmap
import os

from corten.core.presence import PRESENCE_LEN

RING_LEN = 1 << 18  # four of the largest super-segments; hand-overs are rare
COUNTERS_ROOM = 4096  # octets of counters a worker


class SharedMemory:
    """The parts of one group's memory, by worker."""

    def __init__(
        self, workers: int, presence_len: int = PRESENCE_LEN, ring_len: int = RING_LEN
    ) -> None:
        self.workers = workers
        self._presence_len = presence_len
        self._ring_len = ring_len
        self._counters_at = workers * presence_len
        self._rings_at = self._counters_at + workers * COUNTERS_ROOM
        size = self._rings_at + workers * workers * ring_len
        self.fd = os.memfd_create("corten")
        os.ftruncate(self.fd, size)
        self._view = memoryview(mmap.mmap(self.fd, size))

    def presence(self, worker: int) -> memoryview:
        """The filter of the flows that `worker` owns: written by it alone."""
        at = worker * self._presence_len
        return self._view[at : at + self._presence_len]

    def counters(self, worker: int) -> memoryview:
        """What `worker` counts: written by it alone, kept when it is started again."""
        at = self._counters_at + worker * COUNTERS_ROOM
        return self._view[at : at + COUNTERS_ROOM]

    def ring(self, source: int, target: int) -> memoryview:
        """The ring from worker `source` to worker `target`."""
        at = self._rings_at + (source * self.workers + target) * self._ring_len
        return self._view[at : at + self._ring_len]

    def close(self) -> None:
        """Let go of the descriptor; the mapping goes with the last view of it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
