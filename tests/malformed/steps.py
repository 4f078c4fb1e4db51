"""How much work a frame is: plain, the lines that run for it are counted and bounded.

A count does not depend on the machine. Compiled there is nothing to count: there pytest's time-out
is the watchdog, and the plain run has shown the bound.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tests.trace.pace import COMPILED

LINES = 3000  # for a frame without an octet: the five steps of a breath, and what was due in it
LINES_AN_OCTET = 30  # checksums and options go octet by octet


class TooMuchWork(AssertionError):
    """A frame took more lines than its length allows."""


@contextmanager
def bounded(length: int) -> Iterator[None]:
    """Inside, no more lines run than a frame of `length` octets may cost. Plain only."""
    if COMPILED:
        yield
        return
    limit = LINES + LINES_AN_OCTET * length
    count = 0

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        if count > limit:
            raise TooMuchWork(f"more than {limit} lines for a frame of {length} octets")
        return on_line

    before = sys.gettrace()
    sys.settrace(on_line)
    try:
        yield
    finally:
        sys.settrace(before)
