"""What is to happen later: a heap of timers, earliest first.

Strategy. A connection keeps its deadline itself and has one timer in the heap at most that matters:
moving a deadline later, as every request does, touches no heap; the timer finds out when it is due
and goes back. A cancelled timer stays until its time, or until half of the heap is cancelled.
"""

from __future__ import annotations

import heapq
from typing import Any

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.kernel.limits import TIMERS_KEPT


@cython.final
@cython.cclass
class Timer:
    """One entry: a connection, or a function and its arguments. `target` is None once cancelled or
    done."""

    when: cython.longlong  # nanoseconds
    target: Any
    arguments: tuple

    def __init__(self, when: cython.longlong, target: object, arguments: tuple) -> None:
        self.when = when
        self.target = target
        self.arguments = arguments


@cython.final
@cython.cclass
class Timers:
    """The heap of one worker."""

    due: Any  # the target of the timer that was popped last
    _heap: list
    _sequence: cython.longlong
    _cancelled: cython.Py_ssize_t

    def __init__(self) -> None:
        self.due = None
        self._heap = []
        self._sequence = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """Timers that are not cancelled."""
        return len(self._heap) - self._cancelled

    def heap_len(self) -> int:
        """Timers in memory, cancelled ones too."""
        return len(self._heap)

    @cython.ccall
    def arm(self, when: cython.longlong, target: object, arguments: tuple = ()) -> Timer:
        """Make a timer that is due at `when` (nanoseconds)."""
        timer: Timer = Timer(when, target, arguments)
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, timer))
        return timer

    @cython.ccall
    def cancel(self, timer: Timer) -> cython.void:
        """Forget a timer; one that ran or was cancelled already stays as it is."""
        if timer.target is None:
            return
        timer.target = None
        self._cancelled += 1
        if self._cancelled > TIMERS_KEPT and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].target is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        """When the first timer is due, NEVER when there is none."""
        if not self._heap:
            return NEVER
        when: cython.longlong = self._heap[0][0]
        return when

    @cython.ccall
    def pop(self, now: cython.longlong) -> object:
        """The next due timer, or None. It has left the heap: what it was for is in `due`."""
        while self._heap and self._heap[0][0] <= now:
            timer: Timer = heapq.heappop(self._heap)[2]
            if timer.target is not None:
                self.due = timer.target
                timer.target = None
                return timer
            self._cancelled -= 1
        return None
