"""Which worker's queue a packet will come out of, as far as the link can say. The base: nobody
knows.

Why. A worker that opens a connection wants the answers at its own queue. Where the wire's choice
can be computed, a local port is chosen for which it is this one's; elsewhere the answers come
anywhere, and are handed over.

Rules. Knowing is never needed for correctness: tables change behind our back, and whatever arrives
elsewhere goes to its owner through its ring. `begin` takes a flow in hand whose local port is yet
to be found, `port` tells the ports that would do, a turn each: so a caller walks through them in
the order that RFC 6056 wants. The packets spoken of are those that arrive: from the remote end to
ours.
"""

from __future__ import annotations

import cython

if not cython.compiled:
    EPHEMERAL_FIRST = 1024  # RFC 6056 3.2: the whole range, all that are not well known
    EPHEMERAL_COUNT = 64512


@cython.cclass
class Steering:
    """What one link does with the packets for its workers."""

    place: cython.int  # this worker's among those of the link
    gathers: cython.bint  # whether all fragments between two addresses come to one worker

    def __init__(self, place: int = 0, gathers: bool = False) -> None:
        self.place = place
        self.gathers = gathers

    @cython.ccall
    def worker_of(
        self,
        protocol: cython.uint,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        remote_port: cython.uint,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        local_port: cython.uint,
    ) -> cython.int:
        """The place of the worker whose queue gets a packet of this flow; -1: nobody knows."""
        return -1

    @cython.ccall
    def begin(
        self,
        protocol: cython.uint,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        remote_port: cython.uint,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> cython.longlong:
        """A flow to be opened: how many turns of `port` there are."""
        return EPHEMERAL_COUNT

    @cython.ccall
    def port(self, turn: cython.longlong) -> cython.uint:
        """The local port of a turn (from 0 on) with which the flow in hand comes to this worker,
        as far as is known; 0: this turn has none."""
        return EPHEMERAL_FIRST + cython.cast(cython.uint, turn)
