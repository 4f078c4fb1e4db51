"""ICMP errors about a connection (RFC 9293 3.9.2.2, RFC 5461), as far as they can be believed
(RFC 5927: the quote must lie in what is outstanding).

What `cause` lists as hard ends an open that is under way; any other is kept for whoever asks, and
for the timer that may end the connection: once established no error does. Fragmentation needed
(RFC 1191) makes segments smaller: this stack never lets a router cut its packets.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import PATH_MTU_NS
from cython.cimports.corten.core.serial import seq_between
from cython.cimports.corten.tcp.cause import ends_an_open, icmp_cause, report_trouble
from cython.cimports.corten.tcp.enter import text_room
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.path_mtu import resize
from cython.cimports.corten.tcp.recovery import resend_everything
from cython.cimports.corten.tcp.state import SYN_RECEIVED, SYN_SENT
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.icmpv4 import (
    ICMP_FRAGMENTATION_NEEDED,
    ICMP_UNREACHABLE,
)
from cython.cimports.corten.wire.reason import ACCEPTED, ICMP_BAD_QUOTE, ICMP_ERRORS_IN


@cython.cfunc
def icmp_error_arrives(
    host: TcpHost,
    tcb: Tcb,
    type: cython.uint,
    code: cython.uint,
    mtu: cython.uint,
    quoted_seq: cython.uint,
    quoted_len: cython.Py_ssize_t,
    now: cython.longlong,
) -> cython.int:
    """`quoted_seq` and `quoted_len` (of the whole IP packet) are the quoted segment's. ACCEPTED,
    or why the message is not believed."""
    if not seq_between(quoted_seq, tcb.snd_una, tcb.snd_nxt):
        return ICMP_BAD_QUOTE
    host.counters.add(ICMP_ERRORS_IN)
    if type == ICMP_UNREACHABLE and code == ICMP_FRAGMENTATION_NEEDED:
        if mtu < cython.cast(cython.uint, quoted_len) and mtu >= tcb.path.mtu_min:
            tcb.path.lower_mtu(mtu, now)
            _shrink(host, tcb, now)
        return ACCEPTED
    if tcb.state == SYN_SENT and ends_an_open(type, code):
        host.finish(tcb, icmp_cause(type, code))
        return ACCEPTED
    tcb.error = icmp_cause(type, code)
    report_trouble(host, tcb)
    return ACCEPTED


@cython.cfunc
def _shrink(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """Send what is outstanding again, in segments that fit; nobody was congested (RFC 1191 6.4)."""
    if tcb.state & (SYN_SENT | SYN_RECEIVED) != 0:
        return  # the SYN is small, and its options are taken with the new size
    room: cython.uint = text_room(tcb, tcb.path.send_mtu(now))
    if room >= tcb.snd_mss:
        return
    resize(host, tcb, room, now + PATH_MTU_NS)
    resend_everything(host, tcb)
    tcb.rtx_at = now + tcb.rto
    host.mark(tcb)
