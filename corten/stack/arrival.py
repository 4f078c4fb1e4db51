"""The frame in hand, as its link saw it: one object that all layers above share."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.wire.ethernet import Ethernet


@cython.final
@cython.cclass
class Arrival:
    """Which link a frame came from, where its packet lies and who has seen it; used again for each.

    A link without Ethernet fills `link` too: type and payload, both stations 0.
    """

    interface: Interface
    link: Ethernet
    tried: cython.ulonglong  # workers that have seen the frame in hand
    is_whole: cython.bint  # the packet in hand was put together from fragments
    is_given: cython.bint  # of a look-up that found nobody: another worker has the frame now

    def __init__(self) -> None:
        self.link = Ethernet()
        self.tried = 0
        self.is_whole = False
        self.is_given = False

    @cython.cfunc
    def take_whole(self, reassembly: Reassembly) -> cython.ulonglong:
        """The datagram just put together takes the place of its last fragment: nobody has seen it.
        What `give_back` wants."""
        tried: cython.ulonglong = self.tried
        self.tried = 0
        self.is_whole = True
        self.link.payload_at = reassembly.whole_at
        self.link.payload_len = reassembly.whole_len
        return tried

    @cython.cfunc
    @cython.exceptval(check=False)
    def give_back(self, tried: cython.ulonglong) -> cython.void:
        """The datagram is done with."""
        self.tried = tried
        self.is_whole = False

    @cython.cfunc
    def relay(self, exchange: Exchange, arena: Arena) -> cython.void:
        """Tell the other workers of the link the frame in hand, unless one of them told us."""
        if self.tried == 0:
            link_len: cython.Py_ssize_t = self.interface.link_len
            exchange.neighbour(
                self.interface.index,
                arena,
                self.link.payload_at - link_len,
                self.link.payload_len + link_len,
            )

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(self, interface: Interface, tried: cython.ulonglong) -> cython.void:
        """A batch of this link follows."""
        self.interface = interface
        self.tried = tried
