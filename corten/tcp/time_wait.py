"""TIME-WAIT (RFC 9293, 3.3.2): what is left of a connection that closed first.

A TimeWait is a tenth of a Tcb: enough to acknowledge a retransmitted FIN, to refuse what is old and
to let a new SYN of the same sockets in (RFC 6191, RFC 1122 4.2.2.13). They are bounded in number
(the oldest gives way) and time.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_add, seq_between, seq_gt
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.wire.tcp import Segment


@cython.final
@cython.freelist(1024)
@cython.cclass
class TimeWait:
    """One ended connection."""

    path: Path
    hash: cython.ulonglong
    id: cython.int  # -1 when it is over
    local_port: cython.uint
    remote_port: cython.uint
    snd_nxt: cython.uint
    rcv_nxt: cython.uint
    rcv_wnd: cython.uint  # octets of window that were open
    window: cython.uint  # as it stood in the header
    timestamps_ok: cython.bint
    ts_recent: cython.uint
    ts_offset: cython.uint
    until: cython.longlong
    queued_until: cython.longlong  # what `until` was when it went to the back of the queue
    ack_due: cython.bint

    @cython.cfunc
    @cython.exceptval(check=False)
    def matches(self, seg: Segment) -> cython.bint:
        """Whether a segment is of this pair of sockets."""
        return (
            self.remote_port == seg.remote_port
            and self.local_port == seg.local_port
            and self.path.remote_low == seg.remote_low
            and self.path.local_low == seg.local_low
            and self.path.remote_high == seg.remote_high
            and self.path.local_high == seg.local_high
        )

    @cython.cfunc
    @cython.exceptval(check=False)
    def accepts(self, seg: Segment) -> cython.bint:
        """Whether a segment lies in the window that was open (RFC 9293 3.10.7.4, first)."""
        length: cython.uint = seg.length()
        edge: cython.uint = seq_add(self.rcv_nxt, self.rcv_wnd)
        if self.rcv_wnd == 0:
            return length == 0 and seg.seq == self.rcv_nxt
        if seq_between(seg.seq, self.rcv_nxt, edge):
            return True
        return length > 0 and seq_between(seq_add(seg.seq, length - 1), self.rcv_nxt, edge)

    @cython.cfunc
    @cython.exceptval(check=False)
    def may_reopen(self, seg: Segment) -> cython.bint:
        """Whether a SYN is surely new (RFC 6191 2): later in timestamp or in sequence number."""
        if self.timestamps_ok and seg.has_timestamp:
            if seq_gt(seg.ts_value, self.ts_recent):
                return True
            if seg.ts_value != self.ts_recent:
                return False
        return seq_gt(seg.seq, self.rcv_nxt)
