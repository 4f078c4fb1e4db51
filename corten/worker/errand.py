"""Something that several workers are told, and one call when all of them have done it.

A worker that ends before it answers has done it: whoever follows finds things as they are then. One
that does not answer within the errand's time is named in an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corten.worker.control import Keeper
from corten.worker.seat import Seat

Said = dict[int, dict[str, Any]]  # by worker: its answer


class Errand:
    """To be done by whoever sits in `seats`; then `done(answers)`, once."""

    def __init__(
        self, keeper: Keeper, seats: list[Seat], seconds: float, done: Callable[[Said], object]
    ) -> None:
        self._seats = seats
        self._left = {seat.index for seat in seats}
        self._answers: Said = {}
        self._done: Callable[[Said], object] | None = done
        self._seconds = seconds
        self._keeper = keeper

    def ask(
        self,
        message: Callable[[Seat], dict[str, Any]],
        fds: Callable[[Seat], list[int]] = lambda seat: [],
    ) -> None:
        """Send each of them its message."""
        self._keeper.call_later(self._seconds, self._give_up)
        for seat in self._seats:
            seat.ask(lambda said, seat=seat: self._answered(seat, said), fds(seat), **message(seat))  # type: ignore[misc]  # a default binds the seat
        self._look()

    def _answered(self, seat: Seat, said: dict[str, Any]) -> None:
        self._left.discard(seat.index)
        self._answers[seat.index] = said
        self._look()

    def _look(self) -> None:
        if not self._left and self._done is not None:
            done, self._done = self._done, None
            done(self._answers)

    def _give_up(self) -> None:
        """Time is over."""
        for index in self._left:
            text = f"worker {index} has not answered in {self._seconds:g} s: restart it"
            self._answers[index] = {"error": text}
        self._left.clear()
        self._look()
