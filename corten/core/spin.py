"""When it pays to look again and again before going to sleep.

Waking up costs tens of microseconds; looking again for as long costs a processor. So a worker that
has nothing to do looks on for a window, but only while that has lately paid: while of the last
waits more than half ended within it. Waits that were slept through count as well, by when they
ended, so nothing has to be tried to find out, and a worker that hears seldom never spins: what it
costs is at the most the window for each burst that came, less than its load.

Sans-IO: the caller tells the time, looks and sleeps.
"""

from __future__ import annotations

ONE = 1024  # of the score: every wait has lately ended within the window
HALF = 512
SHARE = 8  # a wait counts an eighth
WAKE_NS = 50_000  # what a slept wait may have taken longer because somebody had to wake us


class Spin:
    """One worker's judgement."""

    def __init__(self, window_ns: int) -> None:
        self.window_ns = window_ns
        self.score = 0
        self._idle_at = 0  # since when there is nothing to do; 0: there is
        self._ran_out = False

    def idle(self, now: int) -> int:
        """There is nothing to do: until when to look on. Not after `now`: sleep."""
        if not self._idle_at:
            self._idle_at = now
            self._ran_out = False
        return self._idle_at + self.window_ns if self.score > HALF else 0

    def ran_out(self) -> None:
        """Nothing came while we looked on."""
        self._ran_out = True

    def arrived(self, now: int) -> None:
        """Something came."""
        if not self._idle_at:
            return
        waited = now - self._idle_at
        paid = not self._ran_out and waited <= self.window_ns + min(self.window_ns, WAKE_NS)
        self.score += ((ONE if paid else 0) - self.score) // SHARE
        self._idle_at = 0
