"""Proportional Rate Reduction (RFC 6937): how much each acknowledgement lets out during recovery.

The window comes down to `ssthresh` over a round trip, in step with what is delivered; where losses
have already emptied the network below it, it fills again. How fast is RFC 6937's choice of two
bounds; taken is what its successor (RFC 9937) made the rule: one segment more than was delivered
when the acknowledgement moved SND.UNA and told of no further loss, no more than was delivered
otherwise.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_sub
from cython.cimports.corten.tcp.flight import Flight, News
from cython.cimports.corten.tcp.repair import Repair
from cython.cimports.corten.tcp.tcb import Tcb


@cython.cfunc
@cython.exceptval(check=False)
def begin_reduction(tcb: Tcb, flight: Flight, repair: Repair, news: News) -> cython.void:
    """Fast recovery begins. Of RecoverFS is left out what was delivered before, for it will not be
    delivered again; what this acknowledgement delivers counts."""
    repair.prr_delivered = 0
    repair.prr_resent = 0
    outstanding: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una) + news.acked + news.sacked
    repair.recover_fs = outstanding - flight.sacked_len if outstanding > flight.sacked_len else 1


@cython.cfunc
@cython.exceptval(check=False)
def reduce_window(
    tcb: Tcb, repair: Repair, news: News, pipe: cython.uint, lost: cython.uint
) -> cython.void:
    """An acknowledgement in fast recovery: the window is what is in the network and `sndcnt`."""
    delivered: cython.longlong = news.acked + news.sacked
    threshold: cython.longlong = tcb.congestion.ssthresh
    mss: cython.longlong = tcb.snd_mss
    in_network: cython.longlong = pipe
    repair.prr_delivered += news.acked + news.sacked
    total: cython.longlong = repair.prr_delivered
    out: cython.longlong = seq_sub(tcb.snd_nxt, tcb.recover)
    out += repair.prr_resent
    sndcnt: cython.longlong
    if in_network > threshold:
        flight: cython.longlong = repair.recover_fs
        sndcnt = (total * threshold + flight - 1) // flight - out if total > 0 else 0
    else:
        sndcnt = max(total - out, delivered)
        if news.advanced > 0 and lost == 0:
            sndcnt += mss
        sndcnt = min(threshold - in_network, sndcnt)
    if out == 0 and sndcnt < mss:
        sndcnt = mss  # the first one goes in any case
    sndcnt = max(sndcnt, 0)
    if delivered > 0 or out == 0:
        tcb.congestion.window = cython.cast(cython.uint, in_network + sndcnt)


@cython.cfunc
@cython.exceptval(check=False)
def end_reduction(tcb: Tcb) -> cython.void:
    """Fast recovery is over: the window is what congestion control has chosen."""
    tcb.congestion.window = tcb.congestion.ssthresh
