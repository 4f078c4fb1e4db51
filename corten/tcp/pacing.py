"""Pacing: a window spread over its round trip instead of sent in a burst.

The algorithm names a rate; a frame may leave when the ones before it have had their time at that
rate. One frame has what the rate carries in a millisecond, two segments at least, so that
super-segments shrink to the pace. The wheel wakes the connection at `Tcb.pace_at`; what it comes
late is made up for, up to a millisecond.

Rules. New data only: retransmissions, a FIN alone, acknowledgements and probes never wait. A
connection that is not paced has no Pacer and pays one test.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import MILLISECOND, SECOND
from cython.cimports.corten.tcp.pacer import Pacer
from cython.cimports.corten.tcp.tcb import Tcb

if not cython.compiled:
    QUANTA_A_SECOND = 1000
    SEGMENTS_MIN = 2


@cython.cfunc
def paced_room(
    tcb: Tcb, pacer: Pacer, largest: cython.Py_ssize_t, now: cython.longlong
) -> cython.Py_ssize_t:
    """Octets that one frame may have now; 0: none before `pace_at`, which is set."""
    if now < pacer.next_at:
        tcb.pace_at = pacer.next_at
        pacer.waits += 1
        return 0
    tcb.pace_at = 0
    pacer.rate = tcb.congestion.pacing_rate(tcb.srtt)
    if pacer.rate == 0:
        return largest
    quantum: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, pacer.rate // QUANTA_A_SECOND)
    quantum = max(quantum - quantum % tcb.snd_mss, SEGMENTS_MIN * tcb.snd_mss)
    return min(quantum, largest)


@cython.cfunc
@cython.exceptval(check=False)
def note_paced(pacer: Pacer, octets: cython.uint, now: cython.longlong) -> cython.void:
    """So many octets have left."""
    if pacer.rate == 0:
        return
    begins: cython.longlong = max(pacer.next_at, now - MILLISECOND)
    took: cython.ulonglong = octets
    pacer.next_at = begins + cython.cast(cython.longlong, took * SECOND // pacer.rate)


@cython.cfunc
def hold(tcb: Tcb, until: cython.longlong) -> cython.int:
    """No new data before `until`: a mark came to a window of one segment, which cannot shrink (RFC
    3168 6.1.2). 0."""
    if tcb.pacer is None:
        tcb.pacer = Pacer()
    tcb.pacer.next_at = max(tcb.pacer.next_at, until)
    return 0
