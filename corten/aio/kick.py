"""What asks for a turn: once for all that is sent in one iteration of an asyncio loop.

Whoever calls the stack from outside of a turn calls `kick`; within one nothing is asked for, since
the turn ends by sending.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython


@cython.final
@cython.cclass
class Kick:
    """One loop's want of a turn."""

    is_due: cython.bint  # writable; a turn runs, or is scheduled
    _ask: Any

    def __init__(self, ask: Callable[[], object]) -> None:
        """`ask` brings a turn about; it may set `is_due` until that turn has ended."""
        self.is_due = False
        self._ask = ask

    @cython.ccall
    def kick(self) -> cython.void:
        """See to it that a turn follows soon."""
        if not self.is_due:
            self._ask()
