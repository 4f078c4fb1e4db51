"""The frame in hand, as its link saw it: one object that all layers above share."""

from __future__ import annotations

import cython
from cython.cimports.corten.ip.interface import Interface
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

    def __init__(self) -> None:
        self.link = Ethernet()
        self.tried = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def begin(self, interface: Interface, tried: cython.ulonglong) -> cython.void:
        """A batch of this link follows."""
        self.interface = interface
        self.tried = tried
