"""RACK: what was sent before something that has arrived, and is overdue, is lost (RFC 8985 6).

`sack` keeps RACK.segment with the flight (steps 2 and 3); here are the reordering window (step 4),
the marking (step 5) and what a timeout marks (6.3).

Rules. First transmissions lie in the flight in the order of sending, later ones in a queue of their
own: each is looked at from the oldest on, up to the first that is not overdue. The reordering timer
(`Tcb.reo_at`) is set for that one.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import seq_add, seq_ge, seq_lt
from cython.cimports.corten.tcp.flight import AGAIN, LOST, SACKED, Flight, News
from cython.cimports.corten.tcp.repair import MULTIPLIER_FIRST, Repair
from cython.cimports.corten.tcp.sack import sent_after
from cython.cimports.corten.tcp.state import FAST, LOSS
from cython.cimports.corten.tcp.tcb import Tcb

if not cython.compiled:
    DUPLICATE_THRESHOLD = 3  # RFC 5681 3.2, RFC 6675 2, RFC 8985 6.2 step 4
    PERSIST = 16  # recoveries after which a widened window is taken back
    FRACTION = 4  # the reordering window begins with a quarter of the smallest round trip


@cython.cfunc
@cython.exceptval(check=False)
def widen_window(tcb: Tcb, repair: Repair, news: News) -> cython.void:
    """Once for each round trip that saw a D-SACK (RFC 8985 6.2, step 4)."""
    if repair.in_dsack_round and seq_ge(tcb.snd_una, repair.dsack_round):
        repair.in_dsack_round = False
    if not repair.in_dsack_round and news.dsack:
        repair.in_dsack_round = True
        repair.dsack_round = tcb.snd_nxt
        repair.reo_wnd_mult += 1
        repair.reo_wnd_persist = PERSIST


@cython.cfunc
@cython.exceptval(check=False)
def end_of_recovery(repair: Repair) -> cython.void:
    """Fast recovery or recovery after a timeout is over."""
    repair.reo_wnd_persist -= 1
    if repair.reo_wnd_persist <= 0:
        repair.reo_wnd_mult = MULTIPLIER_FIRST


@cython.cfunc
@cython.exceptval(check=False)
def reordering_window(tcb: Tcb, flight: Flight, repair: Repair) -> cython.longlong:
    """RACK.reo_wnd, nanoseconds."""
    if not repair.reordering_seen:
        if tcb.recovery == FAST or tcb.recovery == LOSS:
            return 0
        if flight.sacked_segments >= DUPLICATE_THRESHOLD:
            return 0
    window: cython.longlong = repair.reo_wnd_mult * (tcb.min_rtt // FRACTION)
    return window if window < tcb.srtt else tcb.srtt


@cython.cfunc
def detect_losses(tcb: Tcb, flight: Flight, repair: Repair, now: cython.longlong) -> cython.uint:
    """RACK_detect_loss_and_arm_timer: how many octets were found to be lost."""
    tcb.reo_at = 0
    if flight.rack_sent_at < 0:
        return 0
    grace: cython.longlong = flight.rack_rtt + reordering_window(tcb, flight, repair)
    lost: cython.uint = _judge_first(tcb, flight, grace, now)
    while True:
        i: cython.Py_ssize_t = flight.oldest_again(tcb.snd_una)
        if i < 0 or not _is_overdue(tcb, flight, i, grace, now):
            return lost
        lost += flight.mark_lost(i, tcb.snd_una)


@cython.cfunc
def _judge_first(
    tcb: Tcb, flight: Flight, grace: cython.longlong, now: cython.longlong
) -> cython.uint:
    """Among what was sent only once."""
    lost: cython.uint = 0
    i: cython.Py_ssize_t = flight.find(flight.judged)
    while i < flight.count:
        if flight.flags(i) & (SACKED | LOST | AGAIN) == 0:
            if not _is_overdue(tcb, flight, i, grace, now):
                break
            lost += flight.mark_lost(i, tcb.snd_una)
        flight.judged = flight.end(i)
        i += 1
    return lost


@cython.cfunc
def _is_overdue(
    tcb: Tcb, flight: Flight, i: cython.Py_ssize_t, grace: cython.longlong, now: cython.longlong
) -> cython.bint:
    """Whether record i was sent before RACK.segment and has had its time; the reordering timer is
    set where only the time is missing."""
    sent_at: cython.longlong = flight.sent_at(i)
    if not sent_after(flight.rack_sent_at, flight.rack_end, sent_at, flight.end(i)):
        return False
    due: cython.longlong = sent_at + grace
    if due <= now:
        return True
    if tcb.reo_at == 0 or due < tcb.reo_at:
        tcb.reo_at = due
    return False


@cython.cfunc
def mark_timed_out(tcb: Tcb, flight: Flight, repair: Repair, now: cython.longlong) -> cython.void:
    """RACK_mark_losses_on_RTO (6.3): the first record, and whatever has had its time. Without a
    SACK-capable peer all of it, for nothing else would tell (RFC 5681, RFC 6582 4)."""
    rtt: cython.longlong = flight.rack_rtt if flight.rack_rtt > 0 else tcb.srtt
    grace: cython.longlong = rtt + reordering_window(tcb, flight, repair)
    i: cython.Py_ssize_t
    for i in range(flight.count):
        if flight.flags(i) & (SACKED | LOST):
            continue
        if i == 0 or not tcb.sack_ok or flight.sent_at(i) + grace <= now:
            flight.mark_lost(i, tcb.snd_una)


@cython.cfunc
def mark_everything(tcb: Tcb, flight: Flight) -> cython.void:
    """All that the peer does not hold is to be sent again."""
    i: cython.Py_ssize_t
    for i in range(flight.count):
        if flight.flags(i) & (SACKED | LOST) == 0:
            flight.mark_lost(i, tcb.snd_una)


@cython.cfunc
def mark_first(tcb: Tcb, flight: Flight) -> cython.uint:
    """The segment at SND.UNA is lost (RFC 6582 3.2); its octets, 0 if that was known."""
    if flight.count == 0 or flight.flags(0) & (SACKED | LOST):
        return 0
    first: cython.uint = seq_add(tcb.snd_una, tcb.snd_mss)
    if seq_lt(first, flight.end(0)):
        flight.split(0, first)
    return flight.mark_lost(0, tcb.snd_una)
