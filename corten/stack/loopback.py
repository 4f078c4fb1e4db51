"""Loopback: what a stack sends to its own addresses, to 127/8 or to ::1 never meets a wire.

(RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3.)

It is a link like another, made when it is first needed, whose frames come back: those that one
breath sends are received in the next, before its handlers run. It holds a batch of frames and no
more; what finds no room is lost, as on a wire, and TCP sends it again. Each worker has its own: a
connection to our own address meets the listeners of the same worker.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.wire.reason import LOOPBACK_FULL

if not cython.compiled:
    LOOPBACK_INDEX = 255  # no wire has it
    LOOPBACK_MTU = 16384

LOOPBACK_MAC = "02:00:00:00:00:00"


@cython.final
@cython.cclass
class Loopback:
    """The link to ourselves, and the frames on it."""

    interface: Interface
    incoming: ReceiveBatch

    def __init__(self, counters: Counters) -> None:
        self.interface = Interface(
            "lo", LOOPBACK_INDEX, LOOPBACK_MAC, ["127.0.0.1/8"], counters, LOOPBACK_MTU
        )
        self.interface.is_loopback = True
        self.interface.set_offload(True, False)
        station: Neighbour = self.interface.neighbours.obtain(0, 0, 0)
        station.make_static(self.interface.mac)
        self.incoming = ReceiveBatch()

    @cython.cfunc
    def turn(self) -> cython.void:
        """What was sent is what will be received."""
        outgoing: TransmitBatch = self.interface.outgoing
        if outgoing.count == 0:
            return
        i: cython.Py_ssize_t
        for i in range(outgoing.count):
            if not self.incoming.append(outgoing.frame(i), CHECKSUM_GOOD):
                self.interface.counters.add(LOOPBACK_FULL)
        outgoing.clear()
