"""Frames that wait for their next hop's address, whatever protocol asks for it."""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.wire.reason import NEIGHBOUR_QUEUE_FULL, REPLY_QUEUE_FULL


@cython.cfunc
def wait_for(interface: Interface, neighbour: Neighbour, now: cython.longlong) -> cython.void:
    """Take the last committed frame back: it waits at its neighbour. The oldest give way."""
    frame: bytes = interface.outgoing.take_back()
    if neighbour.waiting is None:
        interface.unresolved.append(neighbour)
        neighbour.requests = 0
    dropped: cython.Py_ssize_t = neighbour.enqueue(frame, now)
    if dropped:
        interface.counters.add(NEIGHBOUR_QUEUE_FULL, dropped)


@cython.cfunc
def send_waiting(interface: Interface, neighbour: Neighbour) -> cython.void:
    """Send what waited, now that the address is known."""
    if neighbour.waiting is None:
        return
    frames: list = neighbour.waiting
    neighbour.waiting = None
    if neighbour in interface.unresolved:
        interface.unresolved.remove(neighbour)
    mac: bytes = int(neighbour.mac).to_bytes(6, "big")
    frame: bytes
    for frame in frames:
        if not interface.outgoing.append(mac + frame[6:]):
            interface.counters.add(REPLY_QUEUE_FULL)
