"""Frames that wait for their next hop's address, whatever protocol asks for it."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.wire.reason import NEIGHBOUR_QUEUE_FULL, REPLY_QUEUE_FULL


@cython.cfunc
def wait_for(interface: Interface, neighbour: Neighbour) -> cython.void:
    """Take the last committed frame back: it waits at its neighbour. The oldest give way."""
    dropped: cython.Py_ssize_t = neighbour.enqueue(interface.outgoing.take_back())
    if dropped:
        interface.counters.add(NEIGHBOUR_QUEUE_FULL, dropped)


@cython.cfunc
def track(interface: Interface, neighbour: Neighbour) -> cython.void:
    """The entry may have got a timer: see that somebody looks at it."""
    if neighbour.due_at == NEVER:
        return
    if not neighbour.is_asked:
        neighbour.is_asked = True
        interface.asking.append(neighbour)
    interface.wake(neighbour.due_at)


@cython.cfunc
def send_waiting(interface: Interface, neighbour: Neighbour) -> cython.void:
    """Send what waited, now that the address is known."""
    neighbour.openers = None
    if neighbour.waiting is None:
        return
    frames: list = neighbour.waiting
    neighbour.waiting = None
    mac: bytes = int(neighbour.mac).to_bytes(6, "big")
    frame: bytes
    for frame in frames:
        if not interface.outgoing.append(mac + frame[6:]):
            interface.counters.add(REPLY_QUEUE_FULL)
