"""When Python's cycle collector runs: in idle breaths, and never longer than a pause may last.

What stands when a worker starts serving is frozen: the collector never looks at it again. After
that the automatic runs are off. An idle worker collects the young generation; the oldest one only
when its size, estimated from what was measured before, fits the budget. No reference cycle of ours
outlives its connection, so what is put off is an application's own garbage only.
"""

from __future__ import annotations

import gc
import time

YOUNG_ENOUGH = 700  # new objects that are worth an idle collection
YOUNG_TOO_MANY = 20_000  # new objects that a busy worker collects as well: under a millisecond
MIDDLE_EVERY = 10  # young collections for one of the middle generation
OLD_EVERY = 10  # middle collections for one of the oldest
BUDGET_NS = 3_000_000
_NS_AN_OBJECT = 60.0  # the first guess of what looking at one object takes


class Collector:
    """The collector of one worker's process."""

    def __init__(self, budget_ns: int = BUDGET_NS) -> None:
        self.budget_ns = budget_ns
        self.longest_ns = 0  # pause so far
        self.put_off = 0  # collections of the oldest generation that would have taken too long
        self._ns_an_object = _NS_AN_OBJECT
        self._tracked = 0  # objects that are not young, roughly
        self._runs = 0

    def start(self) -> None:
        """Everything is set up: freeze it, and take over."""
        gc.collect()
        gc.freeze()
        gc.disable()

    def stop(self) -> None:
        """Leave the collector as a program of its own would have it."""
        gc.enable()
        gc.unfreeze()

    def idle(self) -> None:
        """Nothing to do: collect if it is worth it and fits."""
        young = gc.get_count()[0]
        if young < YOUNG_ENOUGH:
            return
        self._runs += 1
        generation = 0
        if self._runs % MIDDLE_EVERY == 0:
            generation = 1
        if self._runs % (MIDDLE_EVERY * OLD_EVERY) == 0:
            if self._tracked * self._ns_an_object <= self.budget_ns:
                generation = 2
            else:
                self.put_off += 1
        self._collect(generation, young)

    def busy(self) -> None:
        """There is work: collect only what would otherwise grow too much."""
        young = gc.get_count()[0]
        if young >= YOUNG_TOO_MANY:
            self._collect(0, young)

    def _collect(self, generation: int, young: int) -> None:
        begun = time.monotonic_ns()
        found = gc.collect(generation)
        spent = time.monotonic_ns() - begun
        self.longest_ns = max(self.longest_ns, spent)
        seen = max(1, young + (self._tracked if generation == 2 else 0))
        if generation == 2:
            self._ns_an_object = spent / seen
        self._tracked = max(0, self._tracked + young - found)
