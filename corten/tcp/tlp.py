"""Tail loss probe: one segment, to learn soon what became of the last ones (RFC 8985 7).

The probe's timer is the retransmission timer under another name: `Tcb.rtx_at` with `is_probing`. It
is set instead of the other where SACK was agreed, nothing is in doubt and no probe is under way; a
connection in doubt (`DISORDER`) waits for the retransmission timer proper.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import PROBE_SLACK_NS
from cython.cimports.corten.core.serial import seq_ge, seq_gt, seq_sub
from cython.cimports.corten.tcp.flight import News
from cython.cimports.corten.tcp.repair import Repair
from cython.cimports.corten.tcp.state import OPEN
from cython.cimports.corten.tcp.tcb import Tcb


@cython.cfunc
@cython.exceptval(check=False)
def start_timer(tcb: Tcb, now: cython.longlong) -> cython.void:
    """Something is in flight: the retransmission timer (RFC 6298 5.1, 5.3), or a probe's."""
    tcb.rto_at = now + tcb.rto
    start_probe(tcb, now)


@cython.cfunc
@cython.exceptval(check=False)
def start_probe(tcb: Tcb, now: cython.longlong) -> cython.void:
    """TLP_calc_PTO (RFC 8985 7.2): new data puts off the probe, never the retransmission timer. A
    flight of less than two segments may wait for the peer's delayed acknowledgement: for that no
    better bound is known than the retransmission timer."""
    tcb.rtx_at = tcb.rto_at
    tcb.is_probing = tcb.sack_ok and tcb.recovery == OPEN
    if tcb.is_probing and seq_sub(tcb.snd_nxt, tcb.snd_una) >= 2 * tcb.snd_mss:
        at: cython.longlong = now + 2 * tcb.srtt + PROBE_SLACK_NS
        if tcb.srtt > 0 and at < tcb.rtx_at:
            tcb.rtx_at = at


@cython.cfunc
@cython.exceptval(check=False)
def note_probe(tcb: Tcb, repair: Repair, is_retrans: cython.bint) -> cython.void:
    """A probe has been sent: new data, or the last segment again (7.3)."""
    repair.tlp_due = False
    repair.tlp_out = True
    repair.tlp_is_retrans = is_retrans
    repair.tlp_sampled = False
    repair.tlp_end = tcb.snd_nxt


@cython.cfunc
@cython.exceptval(check=False)
def probe_answered(tcb: Tcb, repair: Repair, news: News, ack: cython.uint) -> cython.bint:
    """TLP_process_ack (7.4.2). True when the probe has repaired a loss that nothing else tells of:
    congestion control is to react."""
    if not repair.tlp_out or not seq_ge(ack, repair.tlp_end):
        return False
    if not repair.tlp_is_retrans:
        repair.tlp_out = False  # new data, delivered
    elif news.dsack and news.dsack_end == repair.tlp_end:
        repair.tlp_out = False  # case 1: both arrived
    elif seq_gt(ack, repair.tlp_end):
        repair.tlp_out = False
        return True
    elif news.advanced == 0 and not news.dsack and news.sacked == 0:
        repair.tlp_out = False  # case 2: both arrived
    return False
