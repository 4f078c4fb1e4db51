"""Recovery that was a mistake: found out (RFC 3522, RFC 2883 5, RFC 3708), taken back (RFC 4015).

Two witnesses. The timestamp echoed by the first acknowledgement that moves SND.UNA: older than what
was sent again first, it answers the original (Eifel detection). And D-SACKs: when everything that
was sent again has been reported as a duplicate, nothing had been lost.

`frto` is a third, for timeouts.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import GRANULARITY_NS
from cython.cimports.corten.core.serial import seq_add, seq_ge, seq_lt, seq_sub
from cython.cimports.corten.tcp.emit import timestamp_of
from cython.cimports.corten.tcp.flight import Flight, News
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.repair import Repair
from cython.cimports.corten.tcp.rtt import compute_rto
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import SPURIOUS_RECOVERIES
from cython.cimports.corten.wire.tcp import Segment


@cython.cfunc
@cython.exceptval(check=False)
def begin_episode(tcb: Tcb, repair: Repair) -> cython.void:
    """Loss recovery begins (RFC 3522 3.2 (1), RFC 4015 3.1 (0)); not again while it goes on.

    What was sent again before, by the last recovery or as a probe, may still be on its way: the
    acknowledgement of it echoes what is older than anything this recovery sends, and its D-SACK
    speaks of it. Neither says a thing of this recovery, so both are counted in.
    """
    repair.may_undo = True
    if not repair.has_resent or not seq_lt(tcb.snd_una, repair.resent_end):
        repair.has_resent = False
        repair.undo_len = 0
    repair.undo_at = tcb.snd_una
    repair.prior_flight = seq_sub(tcb.snd_nxt, tcb.snd_una)
    repair.srtt_prev = 0
    repair.episodes += 1


@cython.cfunc
@cython.exceptval(check=False)
def note_resent(
    tcb: Tcb, repair: Repair, seq: cython.uint, length: cython.uint, now: cython.longlong
) -> cython.void:
    """`length` octets from `seq` are being sent again; the first of an episode leave their
    timestamp (RetransmitTS, RFC 3522 3.2 (2))."""
    end: cython.uint = seq_add(seq, length)
    if not repair.has_resent or seq_lt(repair.resent_end, end):
        repair.resent_end = end
    repair.resent_len += length
    repair.prr_resent += length
    repair.undo_len += length
    if not repair.has_resent:
        repair.has_resent = True
        repair.retransmit_ts = timestamp_of(tcb.ts_offset, now)


@cython.cfunc
@cython.exceptval(check=False)
def note_duplicate(tcb: Tcb, repair: Repair, news: News) -> cython.void:
    """A D-SACK: what it names was sent again for nothing."""
    if repair.may_undo and seq_ge(news.dsack_start, repair.undo_at):
        length: cython.uint = seq_sub(news.dsack_end, news.dsack_start)
        repair.undo_len = repair.undo_len - length if repair.undo_len > length else 0


@cython.cfunc
@cython.exceptval(check=False)
def was_spurious(tcb: Tcb, repair: Repair, news: News, seg: Segment) -> cython.bint:
    """Whether this acknowledgement shows that the episode began for nothing."""
    if not repair.may_undo or not repair.has_resent:
        return False
    if repair.undo_len == 0:
        return True  # every octet of it came twice
    if news.advanced == 0 or not tcb.timestamps_ok or not seg.has_timestamp:
        return False
    if not seq_lt(seg.ts_echo, repair.retransmit_ts):
        return False  # RFC 3522 3.2 (4)
    if news.dsack:
        return False  # (5): only the acknowledgements were lost
    return repair.dsack_seen or tcb.snd_una != tcb.snd_nxt


@cython.cfunc
def take_back(
    host: TcpHost, tcb: Tcb, flight: Flight, repair: Repair, now: cython.longlong
) -> cython.void:
    """Window and threshold as they were; what waits to be sent again is under way."""
    repair.may_undo = False
    repair.spurious += 1
    flight.forget_losses(tcb.snd_una)
    tcb.congestion.undo(now)
    host.counters.add(SPURIOUS_RECOVERIES)


@cython.cfunc
def take_back_timeout(
    host: TcpHost, tcb: Tcb, flight: Flight, repair: Repair, news: News, now: cython.longlong
) -> cython.void:
    """RFC 4015 3.1 (8) to (11). The window is what is in flight and as much as was acknowledged, an
    initial window at the most, so that no burst follows; slow start leads to the old threshold."""
    take_back(host, tcb, flight, repair, now)
    burst: cython.uint = tcb.config.initial_window * tcb.snd_mss
    outstanding: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    window: cython.uint = outstanding + (news.advanced if news.advanced < burst else burst)
    tcb.congestion.window = min(tcb.congestion.window, window)
    tcb.sent_at = now  # (10): it was not idle
    repair.adapt_seq = tcb.snd_nxt
    tcb.retries = 0


@cython.cfunc
def remember_rtt(tcb: Tcb, repair: Repair) -> cython.void:
    """RFC 4015 3.1 (0), before the timeout changes anything."""
    repair.srtt_prev = tcb.srtt + 2 * GRANULARITY_NS if tcb.srtt > 0 else 0
    repair.rttvar_prev = tcb.rttvar
    repair.adapt_seq = tcb.snd_nxt


@cython.cfunc
@cython.exceptval(check=False)
def adapt_rto(tcb: Tcb, repair: Repair, seg: Segment, sample: cython.longlong) -> cython.void:
    """RFC 4015 3.1 (11): the first sample from new data after a timeout that was none makes the
    timer more patient."""
    if repair.srtt_prev == 0 or repair.may_undo or seq_ge(repair.adapt_seq, seg.ack):
        return
    tcb.srtt = max(repair.srtt_prev, sample)
    tcb.rttvar = max(repair.rttvar_prev, sample // 2)
    repair.srtt_prev = 0
    compute_rto(tcb, tcb.config.rto_min_ns, tcb.config.rto_max_ns)
