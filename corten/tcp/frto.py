"""F-RTO: was the timeout a mistake? (RFC 5682; with SACK its section 3, without its section 2.)

After a timeout only the first segment is sent again. If what follows acknowledges data that was
not sent again, the timeout was spurious: the acknowledgements had only been late. To find out, the
first acknowledgement is answered by new data instead of more retransmissions.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_lt
from cython.cimports.corten.tcp.flight import AGAIN, Flight, News
from cython.cimports.corten.tcp.repair import FRTO_FIRST, FRTO_OFF, FRTO_SECOND, Repair
from cython.cimports.corten.tcp.tcb import Tcb

if not cython.compiled:
    UNDECIDED = 0
    SPURIOUS = 1  # the timeout was a mistake
    HOLD = 2  # send new data, nothing again, until the next acknowledgement


@cython.cfunc
@cython.exceptval(check=False)
def begin_frto(repair: Repair, is_new: cython.bint) -> cython.void:
    """Step 1, a timeout: `is_new` unless it came within a recovery that was under way."""
    repair.frto = FRTO_FIRST if is_new else FRTO_OFF


@cython.cfunc
def judge_timeout(tcb: Tcb, flight: Flight, repair: Repair, news: News) -> cython.int:
    """Steps 2 and 3, an acknowledgement after SND.UNA and the scoreboard have taken it in."""
    if repair.frto == FRTO_OFF:
        return UNDECIDED
    if tcb.sack_ok and news.original and seq_lt(tcb.snd_una, tcb.recover):
        return SPURIOUS  # 3.1 (3b); an acknowledgement that shows it at once is as good
    if repair.frto == FRTO_SECOND:
        if not tcb.sack_ok and news.advanced > 0:
            return SPURIOUS  # 2.1 (3b)
        if news.advanced == 0 and news.sacked == 0 and not news.duplicate:
            return HOLD  # neither: to be ignored
        repair.frto = FRTO_OFF  # (3a)
        most: cython.uint = 3 * tcb.snd_mss
        tcb.congestion.window = min(tcb.congestion.window, most)
        return UNDECIDED
    if news.advanced == 0:
        if not tcb.sack_ok and news.duplicate:
            repair.frto = FRTO_OFF  # 2.1 (2a)
        return UNDECIDED
    if not seq_lt(tcb.snd_una, tcb.recover) or flight.flags(0) & AGAIN:
        repair.frto = FRTO_OFF  # (2a): all of it, or not even all that was sent again
        return UNDECIDED
    edge: cython.uint = seq_add(tcb.snd_una, tcb.snd_wnd)
    if tcb.snd_nxt == tcb.snd_end or not seq_gt(edge, tcb.snd_nxt):
        repair.frto = FRTO_OFF  # nothing new to send, or no room for it
        return UNDECIDED
    repair.frto = FRTO_SECOND  # (2b)
    tcb.recover = tcb.snd_nxt
    return HOLD
