"""SEGMENT ARRIVES for every state but CLOSED, LISTEN and SYN-SENT (RFC 9293, 3.10.7.4).

The text has eight numbered checks; so has this file, in their order, one function each. A check
answers ACCEPTED and the next one follows, or the reason for which the segment goes no further.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import CHALLENGE_NS, PAWS_IDLE_NS
from cython.cimports.corten.core.serial import (
    seq_add,
    seq_between,
    seq_le,
    seq_lt,
    seq_sub,
)
from cython.cimports.corten.tcp.ack import acknowledge
from cython.cimports.corten.tcp.dsack import note_unacceptable
from cython.cimports.corten.tcp.ecn import acknowledged, take_repeated_syn, text_arrives
from cython.cimports.corten.tcp.emit import emit_reset
from cython.cimports.corten.tcp.enter import become_established, enter_time_wait
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.limited import LIMITED_NOT
from cython.cimports.corten.tcp.receive import receive_text
from cython.cimports.corten.tcp.state import (
    CLOSED,
    CLOSING,
    EVENT_EOF,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_RECEIVED,
    SYNCHRONIZED,
)
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    CHALLENGE_ACKS,
    SEGMENT_DONE,
    TCP_BAD_ACK,
    TCP_BAD_RST,
    TCP_BAD_SEQUENCE,
    TCP_NO_ACK_BIT,
    TCP_NO_TIMESTAMP,
    TCP_PAWS,
    TCP_UNEXPECTED_SYN,
)
from cython.cimports.corten.wire.tcp import ACK, FIN, RST, SYN, Segment

if not cython.compiled:
    CHALLENGES_MAX = 10


@cython.cfunc
def segment_arrives(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Run the checks; ACCEPTED, or the reason for the drop."""
    tcb.heard_at = now
    tcb.segments_in += 1
    if seg.gso_size > 0 and seg.payload_len > 0:  # several, merged on their way
        tcb.segments_in += cython.cast(cython.uint, (seg.payload_len - 1) // seg.gso_size)
    reason: cython.int = _predicted(host, tcb, seg, now)
    if reason >= 0:
        return reason
    reason = first_sequence(host, tcb, seg, now)
    if reason == ACCEPTED:
        reason = second_reset(host, tcb, seg, now)
    if reason == ACCEPTED:
        reason = third_security(tcb, seg)
    if reason == ACCEPTED:
        reason = fourth_syn(host, tcb, seg, now)
    if reason == ACCEPTED:
        reason = fifth_ack(host, tcb, seg, now)
    if reason == ACCEPTED and tcb.timestamps_ok:
        _note_timestamp(tcb, seg, now)
    if reason == ACCEPTED:
        reason = sixth_urgent(tcb, seg)
    if reason == ACCEPTED:
        reason = seventh_text(host, tcb, seg, now)
    if reason == ACCEPTED:
        reason = eighth_fin(host, tcb, now)
    return reason


@cython.cfunc
def _predicted(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """The common case, for which checks one to four say nothing: exactly the next segment of a
    synchronized connection, ACK alone or with PSH (RFC 1122 4.2.2.20 calls it prediction).
    -1: not this one."""
    if (
        seg.flags & (SYN | FIN | RST | ACK) != ACK
        or seg.seq != tcb.rcv_nxt
        or tcb.state & SYNCHRONIZED == 0
        or seg.payload_len > seq_sub(tcb.rcv_adv, tcb.rcv_nxt)
        or seg.has_timestamp != tcb.timestamps_ok
    ):
        return -1
    if tcb.timestamps_ok and seq_lt(seg.ts_value, tcb.ts_recent):
        return -1
    reason: cython.int = fifth_ack(host, tcb, seg, now)
    if reason == ACCEPTED and tcb.timestamps_ok:
        _note_timestamp(tcb, seg, now)
    if reason == ACCEPTED and seg.payload_len > 0:
        reason = seventh_text(host, tcb, seg, now)
    if reason == ACCEPTED and tcb.events & EVENT_EOF:
        reason = eighth_fin(host, tcb, now)
    return reason


@cython.cfunc
@cython.exceptval(check=False)
def _note_timestamp(tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """TS.Recent from a segment that is not beyond the last acknowledgement (RFC 7323 4.3 (2)), once
    its ACK was found good: what RFC 5961 5.2 throws away must not make PAWS drop what follows."""
    if seq_le(seg.seq, tcb.last_ack_sent):
        tcb.ts_recent = seg.ts_value
        tcb.ts_recent_at = now


@cython.cfunc
def challenge(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """A challenge ACK (RFC 5961 3.2, 4.2, 5.2), or any answer to what carries no data and does not
    fit: at most `CHALLENGES_MAX` in `CHALLENGE_NS` for each connection (RFC 5961 7), or two ends
    that disagree would answer one another for ever."""
    if now - tcb.challenged_at >= CHALLENGE_NS:
        tcb.challenged_at = now
        tcb.challenges = 0
    if tcb.challenges >= CHALLENGES_MAX:
        return
    tcb.challenges += 1
    tcb.ack_now = True
    host.mark(tcb)
    host.counters.add(CHALLENGE_ACKS)


@cython.cfunc
def first_sequence(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """First, check the sequence number; before it, PAWS (RFC 7323 5.3 R1)."""
    if seg.flags & RST:
        return ACCEPTED if _reset_fits(tcb, seg) else TCP_BAD_SEQUENCE
    if tcb.timestamps_ok:
        if not seg.has_timestamp:
            return TCP_NO_TIMESTAMP
        if seq_lt(seg.ts_value, tcb.ts_recent) and now - tcb.ts_recent_at < PAWS_IDLE_NS:
            _unacceptable(host, tcb, seg, now)
            return TCP_PAWS
    if not _acceptable(tcb, seg):
        if seg.seq == tcb.rcv_nxt and seg.flags & (SYN | ACK) == ACK:
            # the window is shut: the text goes, the ACK counts (RFC 9293 3.10.7.4, first)
            fifth_ack(host, tcb, seg, now)
        _unacceptable(host, tcb, seg, now)
        return TCP_BAD_SEQUENCE
    return ACCEPTED


@cython.cfunc
def _unacceptable(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.void:
    """Say where we are: at once to data, which ends with its retransmission; to anything else
    as often as `challenge` allows."""
    if tcb.state == CLOSED:
        return
    note_unacceptable(tcb, seg)
    if seg.payload_len > 0:
        tcb.ack_now = True
        host.mark(tcb)
    else:
        challenge(host, tcb, now)


@cython.cfunc
@cython.exceptval(check=False)
def _reset_fits(tcb: Tcb, seg: Segment) -> cython.bint:
    """A RST counts by its sequence number, whatever it carries, and at a shut window too (RFC 9293
    3.5.3, SHLD-2, MUST-66)."""
    return seg.seq == tcb.rcv_nxt or seq_between(seg.seq, tcb.rcv_nxt, tcb.rcv_adv)


@cython.cfunc
@cython.exceptval(check=False)
def _acceptable(tcb: Tcb, seg: Segment) -> cython.bint:
    """The four cases of RFC 9293, table 6. A SYN-RECEIVED connection's own SYN, come again, is let
    through to the fourth check by its RCV.NXT - 1 (RFC 5961 4)."""
    length: cython.uint = seg.length()
    window: cython.uint = seq_sub(tcb.rcv_adv, tcb.rcv_nxt)
    if seg.flags & SYN and tcb.state == SYN_RECEIVED and seg.seq == tcb.irs:
        return True
    if length == 0:
        if window == 0:
            return seg.seq == tcb.rcv_nxt
        return seq_between(seg.seq, tcb.rcv_nxt, tcb.rcv_adv)
    if window == 0:
        return False
    last: cython.uint = seq_add(seg.seq, length - 1)
    return seq_between(seg.seq, tcb.rcv_nxt, tcb.rcv_adv) or seq_between(
        last, tcb.rcv_nxt, tcb.rcv_adv
    )


@cython.cfunc
def second_reset(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Second, check the RST bit (RFC 5961 3.2: only one exactly at RCV.NXT is believed)."""
    if seg.flags & RST == 0:
        return ACCEPTED
    if seg.seq != tcb.rcv_nxt:
        challenge(host, tcb, now)
        return TCP_BAD_RST
    if tcb.state == SYN_RECEIVED and tcb.passive:
        tcb.state = CLOSED  # back to LISTEN, quietly: there is no handler yet
        host.remove(tcb)
    elif tcb.state == SYN_RECEIVED:
        host.finish(tcb, ConnectionRefusedError("connection refused"))
    else:
        host.finish(tcb, ConnectionResetError("connection reset by peer"))
    return SEGMENT_DONE


@cython.cfunc
@cython.exceptval(check=False)
def third_security(tcb: Tcb, seg: Segment) -> cython.int:
    """Third, check security: compartments are obsolete, and no other is asked for here."""
    return ACCEPTED


@cython.cfunc
def fourth_syn(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Fourth, check the SYN bit: in a synchronized state a challenge ACK whatever SEG.SEQ."""
    if seg.flags & SYN == 0:
        return ACCEPTED
    if tcb.state == SYN_RECEIVED and seg.seq == tcb.irs and seg.flags & ACK == 0:
        if tcb.ecn:
            take_repeated_syn(tcb, seg)
        tcb.syn_now = True  # our SYN-ACK was lost: send it again
        host.mark(tcb)
        return SEGMENT_DONE
    if tcb.state == SYN_RECEIVED and not tcb.passive and seg.seq == tcb.irs:
        return ACCEPTED  # simultaneous open: the peer's SYN-ACK completes it (MUST-10)
    challenge(host, tcb, now)
    return TCP_UNEXPECTED_SYN


@cython.cfunc
def fifth_ack(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Fifth, check the ACK field."""
    if seg.flags & ACK == 0:
        return TCP_NO_ACK_BIT
    if tcb.state == SYN_RECEIVED:
        if not (seq_lt(tcb.snd_una, seg.ack) and seq_le(seg.ack, tcb.snd_nxt)):
            emit_reset(host, tcb.path, tcb.local_port, tcb.remote_port, seg.ack, 0, 0, now)
            return TCP_BAD_ACK
        become_established(host, tcb, seg, now)
        if seg.flags & SYN:
            return ACCEPTED  # a simultaneous open's SYN-ACK: its window is taken, unscaled
    if tcb.ecn:
        acknowledged(host, tcb, seg, now)
    reason: cython.int = acknowledge(host, tcb, seg, now)
    if reason != ACCEPTED:
        challenge(host, tcb, now)
        return reason
    if tcb.busy_at != 0 and not seq_lt(tcb.snd_una, tcb.snd_end):
        tcb.busy_ns += now - tcb.busy_at  # all that was queued is acknowledged
        tcb.busy_at = 0
        if tcb.limited is not None:
            tcb.limited.change(LIMITED_NOT, now)
    if tcb.fin_sent and tcb.snd_una == tcb.snd_nxt:
        if tcb.state == FIN_WAIT_1:
            tcb.state = FIN_WAIT_2
            if not tcb.patient:
                tcb.end_at = now + tcb.config.fin_wait_ns
            host.mark(tcb)
        elif tcb.state == CLOSING:
            enter_time_wait(host, tcb, now)
            return SEGMENT_DONE
        elif tcb.state == LAST_ACK:
            host.finish(tcb, None)
            return SEGMENT_DONE
    return ACCEPTED


@cython.cfunc
@cython.exceptval(check=False)
def sixth_urgent(tcb: Tcb, seg: Segment) -> cython.int:
    """Sixth, check the URG bit: urgent data is delivered in line, its pointer ignored."""
    return ACCEPTED


@cython.cfunc
def seventh_text(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """Seventh, process the segment text, and the FIN when everything before it is here."""
    if tcb.ecn and seg.payload_len > 0:
        text_arrives(host, tcb, seg)
    return receive_text(host, tcb, seg, now)


@cython.cfunc
def eighth_fin(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.int:
    """Eighth, check the FIN bit: TIME-WAIT is what is left, once our own FIN is acknowledged."""
    if tcb.state == FIN_WAIT_2 and tcb.fin_received:
        enter_time_wait(host, tcb, now)
    return ACCEPTED
