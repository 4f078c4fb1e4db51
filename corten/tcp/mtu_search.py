"""What is known of a path that takes less than its link: made when the first such sign comes."""

from __future__ import annotations

import cython


@cython.final
@cython.cclass
class MtuSearch:
    """Segment sizes in octets of payload, as `Tcb.snd_mss` counts them."""

    limit: cython.uint  # what the link would take
    top: cython.uint  # did not pass when it was last tried
    size: cython.uint  # of the probe that is out
    probe_end: cython.uint  # the sequence number after it
    is_out: cython.bint
    resent: cython.longlong  # octets sent again when it left
    next_at: cython.longlong  # not before

    def __init__(self, limit: cython.uint, next_at: cython.longlong) -> None:
        self.limit = self.top = limit
        self.size = self.probe_end = 0
        self.is_out = False
        self.resent = 0
        self.next_at = next_at
