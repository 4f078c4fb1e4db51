"""An asyncio loop turns a worker: when its descriptor is readable, when a timer of its is due, and
once for all that is sent in one iteration.

Rules. One turn an iteration: a reader's event that comes with a turn that was asked for is let
pass, since what it announces stays announced. The timer is left standing while it is early enough.
"""

from __future__ import annotations

import asyncio
from typing import Any

from corten.aio.kick import Kick
from corten.wire.address import format_address, parse_address

_SLACK = 0.0005  # seconds by which a timer may be late: a loop's own timers are not finer


class Drive:
    """One worker on one asyncio loop, until `close`."""

    def __init__(self, worker: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.worker = worker
        self.loop = loop
        self.kick = Kick(self._ask)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._turned = False  # in this iteration, or in the last one that turned at all
        loop.add_reader(worker.fileno(), self._readable)
        self._ask()

    def serves(self, address: str) -> bool:
        """Whether the stack takes what is for an address: its own, or one that a link leads to."""
        try:
            high, low = parse_address(address.partition("%")[0])
        except ValueError:  # silent: that is the answer
            return False
        routes = self.worker.stack.routes
        if routes.owns(high, low):
            return True
        text = format_address(high, low)
        if text.startswith("127.") or text == "::1":
            return False
        return routes.next_hop(high, low) is not None

    def owns(self, address: str) -> bool:
        """Whether an address is the stack's own, so that it can be listened at."""
        try:
            return bool(self.worker.stack.routes.owns(*parse_address(address.partition("%")[0])))
        except ValueError:  # silent: that is the answer
            return False

    def close(self) -> None:
        """Turn it no more."""
        self.kick.is_due = True
        if not self.loop.is_closed():
            self.loop.remove_reader(self.worker.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self) -> None:
        self.kick.is_due = True
        self.loop.call_soon(self._asked)

    def _readable(self) -> None:
        if self._turned:
            self._turned = False
            return
        if not self.kick.is_due:
            self._turn()

    def _asked(self) -> None:
        self._turned = True
        self._turn()

    def _due(self) -> None:
        self._timer = None
        if not self.kick.is_due:
            self._turn()

    def _turn(self) -> None:
        worker, kick = self.worker, self.kick
        if worker.is_closed():
            return
        kick.is_due = True
        try:
            worker.turn()
        finally:
            kick.is_due = False
            if not worker.is_closed():
                self._wait(worker.patience())

    def _wait(self, seconds: float | None) -> None:
        """See to it that the next turn is not later than in so many seconds."""
        if seconds is None:
            return
        if seconds <= 0.0:
            self._ask()
            return
        at = self.loop.time() + seconds
        if self._timer is not None:
            if self._timer_at <= at + _SLACK:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._due)
