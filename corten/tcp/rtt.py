"""Round-trip time and the retransmission timeout (RFC 6298). Nanoseconds throughout."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import GRANULARITY_NS
from cython.cimports.corten.tcp.tcb import Tcb


@cython.cfunc
@cython.exceptval(check=False)
def rtt_sample(
    tcb: Tcb, sample: cython.longlong, rto_min: cython.longlong, rto_max: cython.longlong
) -> cython.void:
    """Take one measurement (2.2, 2.3) and set RTO (2.4, 2.5)."""
    sample = max(sample, 1)
    if sample < tcb.min_rtt or tcb.min_rtt == 0:
        tcb.min_rtt = sample
    if tcb.srtt == 0:
        tcb.srtt = sample
        tcb.rttvar = sample // 2
    else:
        error: cython.longlong = tcb.srtt - sample
        if error < 0:
            error = -error
        tcb.rttvar = (3 * tcb.rttvar + error) // 4  # before SRTT, with its old value
        tcb.srtt = (7 * tcb.srtt + sample) // 8
    compute_rto(tcb, rto_min, rto_max)


@cython.cfunc
@cython.exceptval(check=False)
def compute_rto(tcb: Tcb, rto_min: cython.longlong, rto_max: cython.longlong) -> cython.void:
    """RTO = SRTT + max(G, 4 RTTVAR), within its bounds: also what ends a back-off.

    The floor is one of the margin above SRTT, as with Linux and FreeBSD, so that of RTO too: on a
    steady path of 100 ms a floor of RTO alone would let the timer expire with the tail loss probe
    (RFC 8985 7.2: after two round trips), or before it, and cost the whole window.
    """
    if tcb.srtt == 0:
        return
    spread: cython.longlong = 4 * tcb.rttvar
    spread = max(spread, GRANULARITY_NS)
    spread = max(spread, rto_min)
    tcb.rto = min(tcb.srtt + spread, rto_max)


@cython.cfunc
@cython.exceptval(check=False)
def back_off(tcb: Tcb, rto_max: cython.longlong) -> cython.void:
    """The timer expired: double (5.5)."""
    tcb.rto = tcb.rto * 2 if tcb.rto * 2 < rto_max else rto_max
