"""What is due on a link, whatever it is: one deadline and one timer of the wheel for each."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.resolution import attend_neighbours


@cython.cfunc
def attend(interface: Interface, now: cython.longlong) -> cython.void:
    """The interface's deadline is over: do what is due; `due_at` is the next one's."""
    interface.due_at = interface.armed_at = NEVER
    attend_neighbours(interface, now)
