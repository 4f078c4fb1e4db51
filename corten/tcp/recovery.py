"""Loss recovery: when it begins, what an acknowledgement does in it, when it is over.

    OPEN      nothing is in doubt: acknowledgements do not come here
    DISORDER  something was SACKed or acknowledged twice, or a tail loss probe is under way
    FAST      fast recovery: by RACK with SACK (RFC 8985, RFC 6675), by RFC 6582 without
    LOSS      after a retransmission timeout (RFC 6298 5.4, RFC 5682)

One account serves them all: `pipe`, what is in the network. That is what is outstanding, less what
is SACKed, less what is lost and not yet sent again. Without SACK each duplicate acknowledgement
counts as one segment that has left the network, which is RFC 5681's window inflation seen from the
other side.

Who decides what: `sack` takes an acknowledgement's news from the records of the flight, `rack` says
what is lost, `prr` how much may go out, `undo` and `frto` whether it was all a mistake, `tlp` when
to ask. Here they meet.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_gt, seq_lt, seq_sub
from cython.cimports.corten.tcp.ecn import has_reduced, note_reduction
from cython.cimports.corten.tcp.flight import Flight, News
from cython.cimports.corten.tcp.frto import HOLD, SPURIOUS, begin_frto, judge_timeout
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.prr import begin_reduction, end_reduction, reduce_window
from cython.cimports.corten.tcp.rack import (
    DUPLICATE_THRESHOLD,
    detect_losses,
    end_of_recovery,
    mark_everything,
    mark_first,
    mark_timed_out,
    widen_window,
)
from cython.cimports.corten.tcp.repair import FRTO_OFF, Repair
from cython.cimports.corten.tcp.sack import flight_of, notice_reneging, repair_of
from cython.cimports.corten.tcp.state import DISORDER, FAST, LOSS, OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.tlp import probe_answered
from cython.cimports.corten.tcp.undo import (
    adapt_rto,
    begin_episode,
    note_duplicate,
    remember_rtt,
    take_back,
    take_back_timeout,
    was_spurious,
)
from cython.cimports.corten.wire.reason import FAST_RETRANSMITS, LOSS_PROBE_REPAIRS
from cython.cimports.corten.wire.tcp import Segment


@cython.cfunc
def pipe_of(tcb: Tcb) -> cython.uint:
    """Octets believed to be in the network (RFC 6675 4, SetPipe)."""
    pipe: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    flight: Flight | None = tcb.flight
    if flight is None or tcb.recovery == OPEN:
        return pipe
    pipe -= flight.sacked_len + flight.lost_len
    if tcb.sack_ok or tcb.recovery == LOSS:
        return pipe
    most: cython.uint = tcb.duplicate_acks
    if tcb.recovery == DISORDER and most > DUPLICATE_THRESHOLD - 1:
        most = DUPLICATE_THRESHOLD - 1  # limited transmit (RFC 3042)
    most *= tcb.snd_mss
    return pipe - most if pipe > most else 0


@cython.cfunc
def after_ack(
    host: TcpHost, tcb: Tcb, seg: Segment, octets: cython.uint, now: cython.longlong
) -> cython.uint:
    """An acknowledgement that is not of the simple kind, once SND.UNA and the scoreboard have taken
    it in. `octets` were acknowledged; answers how many of them let the window grow."""
    news: News = host.news
    flight: Flight = flight_of(host, tcb)
    repair: Repair = repair_of(tcb)
    was: cython.uint = tcb.recovery
    host.mark(tcb)
    if news.dsack:
        note_duplicate(tcb, repair, news)
    if news.rtt >= 0:
        repair.tlp_sampled = True
        adapt_rto(tcb, repair, seg, news.rtt)
    if probe_answered(tcb, repair, news, seg.ack):
        _answer_probe(host, tcb, now)
    widen_window(tcb, repair, news)
    lost: cython.uint = 0
    if notice_reneging(host, tcb, flight):
        lost = flight.lost_len
    if was == LOSS:
        _in_loss(host, tcb, flight, repair, news, seg, now)
    elif was == FAST:
        _in_fast(host, tcb, flight, repair, news, seg, now)
    else:
        if news.advanced > 0:
            tcb.duplicate_acks = 0
            tcb.recover = seq_sub(tcb.snd_una, 1)
        if news.dsack and was_spurious(tcb, repair, news, seg):
            take_back(host, tcb, flight, repair, now)  # D-SACKs come when the recovery is over
    if tcb.sack_ok:
        lost += detect_losses(tcb, flight, repair, now)
    elif news.advanced == 0 and news.duplicate:
        _count_duplicate(tcb, flight)
    if flight.lost_len > 0 and tcb.recovery != FAST and tcb.recovery != LOSS:
        _enter_fast(host, tcb, flight, repair, news, now)
    if tcb.recovery == FAST:
        if tcb.sack_ok:
            reduce_window(tcb, repair, news, pipe_of(tcb), lost)
        return 0
    _calm_down(tcb, flight, repair)
    if was == OPEN and tcb.is_probing and tcb.recovery != OPEN:
        _stop_probing(tcb, now)
    if was == FAST:
        return 0
    if was == LOSS and tcb.recovery == LOSS:
        # what arrived long ago says nothing of the network now (RFC 3465 2.3)
        return min(octets, max(news.repaired, tcb.snd_mss))
    return octets


@cython.cfunc
def _calm_down(tcb: Tcb, flight: Flight, repair: Repair) -> cython.void:
    """Between recoveries: is anything still in doubt?"""
    if tcb.recovery == LOSS:
        return
    doubt: cython.bint = (
        flight.sacked_len > 0
        or tcb.duplicate_acks > 0
        or repair.tlp_out
        or repair.tlp_due
        or not repair.tlp_sampled
    )
    tcb.recovery = DISORDER if doubt else OPEN


@cython.cfunc
def _stop_probing(tcb: Tcb, now: cython.longlong) -> cython.void:
    """Something is in doubt: no tail loss probe (RFC 8985 7.2), but the retransmission timer."""
    tcb.is_probing = False
    if tcb.snd_una != tcb.snd_nxt:
        tcb.rtx_at = max(tcb.rto_at, now + 1)


@cython.cfunc
def _count_duplicate(tcb: Tcb, flight: Flight) -> cython.void:
    """A duplicate acknowledgement of a peer without SACK (RFC 5681 3.2, RFC 6582 3.2)."""
    most: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    if tcb.recovery == FAST:
        most = seq_sub(tcb.recover, tcb.snd_una)
    if tcb.duplicate_acks * tcb.snd_mss <= most:
        tcb.duplicate_acks += 1  # not for ever: spoofed ones would let out all there is (RFC 5681)
    if tcb.recovery == FAST or tcb.recovery == LOSS or tcb.duplicate_acks < DUPLICATE_THRESHOLD:
        return
    if seq_gt(tcb.snd_una, tcb.recover):  # RFC 6582 3.2 (1): not what the last recovery sent twice
        mark_first(tcb, flight)


# -- fast recovery ----------------------------------------------------------------------------


@cython.cfunc
@cython.exceptval(check=False)
def _flight_size(tcb: Tcb) -> cython.uint:
    """FlightSize at a loss (RFC 5681 4). What this breath's acknowledgements have made room for,
    and output has not sent yet, is as good as in flight: it was the last time we sent. RecoverFS
    (`prr`) is what is really out, for no more than that will be delivered."""
    in_flight: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    filled: cython.uint = in_flight + seq_sub(tcb.snd_end, tcb.snd_nxt)
    return max(in_flight, min(tcb.sent_flight, filled))


@cython.cfunc
def _enter_fast(
    host: TcpHost, tcb: Tcb, flight: Flight, repair: Repair, news: News, now: cython.longlong
) -> cython.void:
    tcb.recovery = FAST
    tcb.recover = tcb.snd_nxt
    repair.tlp_out = repair.tlp_due = False
    begin_episode(tcb, repair)
    begin_reduction(tcb, flight, repair, news)
    if not has_reduced(tcb):
        tcb.congestion.on_loss(_flight_size(tcb), now)
        note_reduction(tcb)
    host.counters.add(FAST_RETRANSMITS)


@cython.cfunc
def _in_fast(
    host: TcpHost,
    tcb: Tcb,
    flight: Flight,
    repair: Repair,
    news: News,
    seg: Segment,
    now: cython.longlong,
) -> cython.void:
    """End the recovery, take it back, or go on with the next hole."""
    if was_spurious(tcb, repair, news, seg):
        repair.reordering_seen = True
        _leave(tcb, repair, now)
        take_back(host, tcb, flight, repair, now)
        return
    if not seq_lt(tcb.snd_una, tcb.recover):
        end_reduction(tcb)
        _leave(tcb, repair, now)
        return
    if not tcb.sack_ok and news.advanced > 0:
        # RFC 6582 3.2 (3), partial acknowledgement: the next segment is lost too
        mark_first(tcb, flight)
        left: cython.uint = news.advanced // tcb.snd_mss
        tcb.duplicate_acks = tcb.duplicate_acks - left + 1 if tcb.duplicate_acks > left else 1


@cython.cfunc
def _leave(tcb: Tcb, repair: Repair, now: cython.longlong) -> cython.void:
    tcb.recovery = DISORDER
    tcb.duplicate_acks = 0
    repair.frto = FRTO_OFF
    end_of_recovery(repair)
    tcb.congestion.on_recovered(now)


@cython.cfunc
def _answer_probe(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """A probe has repaired the loss of the last segment: the window answers as to any other loss
    (RFC 8985 7.4.2)."""
    host.counters.add(LOSS_PROBE_REPAIRS)
    if tcb.recovery == DISORDER and not has_reduced(tcb):
        tcb.congestion.on_loss(_flight_size(tcb), now)
        note_reduction(tcb)
        tcb.congestion.on_recovered(now)


# -- recovery after a timeout ---------------------------------------------------------------------


@cython.cfunc
def on_timeout(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """The retransmission timer expired (RFC 6298 5.4, RFC 5681 3.1, RFC 8985 6.3). What was SACKed
    is remembered as long as nothing speaks against it (RFC 6675 5.1): `notice_reneging`."""
    flight: Flight = flight_of(host, tcb)
    repair: Repair = repair_of(tcb)
    under_way: cython.bint = tcb.recovery == FAST or tcb.recovery == LOSS
    notice_reneging(host, tcb, flight)
    if not under_way:
        remember_rtt(tcb, repair)
        begin_episode(tcb, repair)
    # a second timeout for the same segment judges again (RFC 5682 2.1, step 1)
    begin_frto(repair, not under_way or (tcb.recovery == LOSS and tcb.retries > 1))
    mark_timed_out(tcb, flight, repair, now)
    tcb.recovery = LOSS
    tcb.recover = tcb.snd_nxt
    tcb.duplicate_acks = 0
    tcb.reo_at = 0
    repair.tlp_out = repair.tlp_due = False
    tcb.congestion.on_timeout(seq_sub(tcb.snd_nxt, tcb.snd_una), tcb.retries == 1, now)
    note_reduction(tcb)
    tcb.congestion.window += pipe_of(tcb)  # RACK left in the network what may still arrive


@cython.cfunc
def resend_everything(host: TcpHost, tcb: Tcb) -> cython.void:
    """What is outstanding is known not to have arrived, and not for congestion: it was too large
    for the path, or fell before a shut window."""
    if tcb.snd_una == tcb.snd_nxt:
        return
    flight: Flight = flight_of(host, tcb)
    repair: Repair = repair_of(tcb)
    mark_everything(tcb, flight)
    tcb.recovery = LOSS
    tcb.recover = tcb.snd_nxt
    tcb.duplicate_acks = 0
    tcb.reo_at = 0
    repair.tlp_out = repair.tlp_due = repair.may_undo = False
    repair.frto = FRTO_OFF


@cython.cfunc
def _in_loss(
    host: TcpHost,
    tcb: Tcb,
    flight: Flight,
    repair: Repair,
    news: News,
    seg: Segment,
    now: cython.longlong,
) -> cython.void:
    """Was it a mistake, is it over?"""
    verdict: cython.int = judge_timeout(tcb, flight, repair, news)
    if verdict == SPURIOUS or was_spurious(tcb, repair, news, seg):
        _leave(tcb, repair, now)
        take_back_timeout(host, tcb, flight, repair, news, now)
        tcb.recover = seq_sub(tcb.snd_una, 1)  # RFC 5682: fast retransmit is allowed again
    elif verdict != HOLD and not seq_lt(tcb.snd_una, tcb.recover):
        _leave(tcb, repair, now)


@cython.cfunc
def on_reorder_timer(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """The reordering timer expired: what it waited for is lost (RFC 8985 6.2, step 5)."""
    if tcb.flight is None or tcb.snd_una == tcb.snd_nxt:
        return
    flight: Flight = flight_of(host, tcb)
    repair: Repair = repair_of(tcb)
    host.news.clear()
    if detect_losses(tcb, flight, repair, now) == 0:
        return
    host.mark(tcb)
    if tcb.recovery != FAST and tcb.recovery != LOSS:
        _enter_fast(host, tcb, flight, repair, host.news, now)
        reduce_window(tcb, repair, host.news, pipe_of(tcb), flight.lost_len)


@cython.cfunc
def on_probe_timer(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """An acknowledgement is overdue: the output pass sends a tail loss probe (RFC 8985 7.3), and
    the retransmission timer is the last resort."""
    repair: Repair = repair_of(tcb)
    repair.tlp_due = True
    tcb.recovery = DISORDER
    tcb.is_probing = False
    tcb.rtx_at = now + tcb.rto
    host.mark(tcb)


@cython.cfunc
def note_disorder(tcb: Tcb) -> cython.void:
    """What an acknowledgement says calls for a closer look."""
    if tcb.recovery == OPEN:
        tcb.recovery = DISORDER
