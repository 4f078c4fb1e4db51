"""What one worker of a link knows of its neighbours, told to another one that has just begun.

A worker that takes a dead one's seat, or is restarted, answers peers that its fellows know: it need
not ask for them again. What is told is a record of 32 octets a station: its address, its hardware
address with the bit REACHED beneath, and until when it counts as reachable (the clock is the same
in all processes of a machine).

Rules. Static entries are everybody's already. What the learner knows itself stays.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, read
from cython.cimports.corten.core.field import get64, put64
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import INCOMPLETE, REACHABLE, STALE, STATIC, Neighbour
from cython.cimports.corten.ip.waiting import send_waiting

if not cython.compiled:
    TAUGHT_LEN = 32  # octets of a record
    TAUGHT_MAX = 512  # records of one message
    REACHED = 1


@cython.ccall
def taught(interface: Interface) -> list:
    """Messages that say all that is known of a link's neighbours."""
    messages: list = []
    arena: Arena = Arena(TAUGHT_LEN * TAUGHT_MAX)
    at: cython.Py_ssize_t = 0
    entry: Neighbour
    for entry in interface.neighbours.entries():
        if entry.mac == 0 or entry.state in (INCOMPLETE, STATIC):
            continue
        reached: cython.bint = entry.state == REACHABLE
        put64(arena, at, entry.address_high)
        put64(arena, at + 8, entry.address_low)
        put64(arena, at + 16, (entry.mac << 16) | (REACHED if reached else 0))
        put64(arena, at + 24, cython.cast(cython.ulonglong, entry.fresh_until) if reached else 0)
        at += TAUGHT_LEN
        if at == arena.size:
            messages.append(read(arena, 0, at))
            at = 0
    if at > 0:
        messages.append(read(arena, 0, at))
    return messages


@cython.ccall
def learn(
    interface: Interface,
    memory: Memory,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    now: cython.longlong,
) -> cython.void:
    """Take in a message of `taught`: stations that are not known here yet."""
    end: cython.Py_ssize_t = at + length - length % TAUGHT_LEN
    while at < end:
        high: cython.ulonglong = get64(memory, at)
        low: cython.ulonglong = get64(memory, at + 8)
        known: Neighbour = interface.neighbours.obtain(high, low, now)
        if known.state == INCOMPLETE:
            told: Neighbour = Neighbour(high, low, known.timing)
            word: cython.ulonglong = get64(memory, at + 16)
            if word & REACHED:
                fresh_until: cython.ulonglong = get64(memory, at + 24)
                told.state = REACHABLE
                told.fresh_until = cython.cast(cython.longlong, fresh_until)
            else:
                told.state = STALE
            told.mac = word >> 16
            known.take_over(told)
            send_waiting(interface, known)
        at += TAUGHT_LEN
