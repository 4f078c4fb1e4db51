"""One timer in the wheel for all of a connection's deadlines.

The wheel knows the earliest of them, or an instant before it: a deadline that moves to later
costs nothing here, the timer then fires early once and is set anew.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.tcb import Tcb


@cython.cfunc
def retime(host: TcpHost, tcb: Tcb) -> cython.int:
    """Tell the wheel, if an earlier deadline came up than it knows of."""
    earliest: cython.longlong = NEVER
    if tcb.rtx_at != 0:
        earliest = tcb.rtx_at
    if tcb.reo_at != 0 and tcb.reo_at < earliest:
        earliest = tcb.reo_at
    if tcb.ack_at != 0 and tcb.ack_at < earliest:
        earliest = tcb.ack_at
    if tcb.user_at != 0 and tcb.user_at < earliest:
        earliest = tcb.user_at
    if tcb.end_at != 0 and tcb.end_at < earliest:
        earliest = tcb.end_at
    if tcb.pace_at != 0 and tcb.pace_at < earliest:
        earliest = tcb.pace_at
    if earliest == NEVER or tcb.timer < 0:
        return 0
    if tcb.armed_at == 0 or earliest < tcb.armed_at:
        tcb.armed_at = earliest
        host.wheel.arm(tcb.timer, earliest)
    return 0
