"""How a stack knows of its fellow workers: an interface, implemented by `worker/exchange.py`.

A stack alone uses this base, which does nothing: what matches nothing here is a stranger's.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory


@cython.cclass
class Exchange:
    """News of flows, and packets that belong to another worker."""

    index: cython.int  # which worker of its group this one is
    workers: cython.int  # how many there are
    is_leaving: cython.bint  # writable; this worker ends soon: new flows are for the others

    def __init__(self) -> None:
        self.index = 0
        self.workers = 1
        self.is_leaving = False

    @cython.cfunc
    def opened(self, flow_hash: cython.ulonglong) -> cython.void:
        """A flow with this hash lives here from now on."""

    @cython.cfunc
    def closed(self, flow_hash: cython.ulonglong) -> cython.void:
        """One flow with this hash is gone."""

    @cython.ccall
    def is_elsewhere(self, flow_hash: cython.ulonglong) -> cython.bint:
        """Whether another worker may have a flow with this hash: not to be opened here too."""
        return False

    @cython.cfunc
    def offer(
        self,
        flow_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """A frame that matches nothing here: True when another worker took it.

        `tried`: a bit for each worker that has looked already, so that nothing goes in circles.
        """
        return False

    @cython.cfunc
    def give_back(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """A frame that nobody owns and that would begin something here, though the wire gave it to
        another worker: True when that one has it now, for whatever follows will reach it too."""
        return False

    @cython.cfunc
    def pass_on(
        self,
        flow_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
        interface_index: cython.int,
        tried: cython.ulonglong,
    ) -> cython.bint:
        """The first frame of a new flow, which a worker that is leaving does not take: True when
        another one has it, the same for each such frame of the flow."""
        return False

    @cython.cfunc
    def gather(
        self,
        datagram_hash: cython.ulonglong,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        interface_index: cython.int,
    ) -> cython.bint:
        """A fragment, received here first: the hash says which worker puts its datagram together.
        True when that is another one, which was given it."""
        return False

    @cython.cfunc
    def neighbour(
        self,
        interface_index: cython.int,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
    ) -> cython.void:
        """An ARP frame that changed or confirmed an entry: tell the other workers of the link."""
