"""Explicit congestion notification (RFC 3168 6.1): who may mark, who echoes, who slows down.

`Tcb.ecn` is a set of the bits below; 0 is a connection that knows nothing of it, and pays one test
a segment each way.

Rules. Both SYNs must have agreed before anything is sent as capable (6.1.1); only new data is
(6.1.4 to 6.1.6), and only its first segment after a reduction says CWR. One reduction a round trip,
whatever its marks and losses (6.1.2); until that round is over the window does not grow either. A
receiver echoes on everything it sends until it hears CWR (6.1.3). A repeated SYN does not ask: what
lost it may have been the question (6.1.1.1).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.serial import (
    seq_add,
    seq_ge,
    seq_gt,
    seq_le,
    seq_lt,
    seq_sub,
)
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.pacing import hold
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import ECN_CONNECTIONS, ECN_MARKS_IN, ECN_REDUCTIONS
from cython.cimports.corten.wire.tcp import ACK, CWR, ECE, Segment

if not cython.compiled:
    ECN_ASKED = 1  # a SYN of ours asked
    ECN_PLAIN = 2  # a later SYN of ours did not
    ECN_OFFERED = 4  # the peer's SYN asked, and we agree
    ECN_RECEIVE = 8  # marks are echoed
    ECN_SEND = 16  # new data is sent as capable
    ECN_ECHO = 32  # ECE goes out until CWR comes
    ECN_ROUND = 64  # reduced: until `cwr_end` is acknowledged not again
    ECN_HOLD = 128  # … and it was for a mark: until then the window does not grow
    ECN_CWR = 256  # the next new data says CWR
    CODEPOINT_CE = 3
    OFF = 0


@cython.cfunc
def ask(tcb: Tcb) -> cython.void:
    """An active open: our SYN is to ask, if the settings say so."""
    if tcb.config.ecn == "on":
        tcb.ecn = ECN_ASKED


@cython.cfunc
@cython.exceptval(check=False)
def syn_flags(tcb: Tcb, flags: cython.uint) -> cython.uint:
    """What a SYN of ours, or a SYN-ACK, says of it."""
    if flags & ACK:
        return ECE if tcb.ecn & ECN_OFFERED else 0
    if tcb.retries == 0:
        return ECE | CWR
    tcb.ecn |= ECN_PLAIN
    return 0


@cython.cfunc
def take_syn(host: TcpHost, tcb: Tcb, seg: Segment) -> cython.void:
    """What the peer's SYN, or SYN-ACK, says of it. One that reflects all of our bits is no consent
    (6.1.1.2)."""
    said: cython.uint = seg.flags & (ECE | CWR)
    if seg.flags & ACK:
        if tcb.ecn & ECN_ASKED and said == ECE:
            tcb.ecn |= ECN_RECEIVE if tcb.ecn & ECN_PLAIN else ECN_RECEIVE | ECN_SEND
        else:
            tcb.ecn = OFF
    elif said == ECE | CWR and tcb.config.ecn != "off":
        tcb.ecn |= ECN_OFFERED | ECN_RECEIVE | ECN_SEND
    else:
        tcb.ecn = OFF
    if tcb.ecn & ECN_RECEIVE:
        host.counters.add(ECN_CONNECTIONS)


@cython.cfunc
@cython.exceptval(check=False)
def take_repeated_syn(tcb: Tcb, seg: Segment) -> cython.void:
    """SYN-RECEIVED, and the SYN comes again: without the question, the answer is none either."""
    if seg.flags & (ECE | CWR) != ECE | CWR:
        tcb.ecn = OFF


# -- the sender --------------------------------------------------------------------------------


@cython.cfunc
def acknowledged(host: TcpHost, tcb: Tcb, seg: Segment, now: cython.longlong) -> cython.int:
    """An acknowledgement came: a round may be over, an echo asks for less. 0."""
    if seq_lt(seg.ack, tcb.snd_una) or seq_gt(seg.ack, tcb.snd_nxt):
        return 0  # one that does not count
    if tcb.ecn & ECN_ROUND and seq_gt(seg.ack, tcb.cwr_end):
        tcb.ecn &= ~(ECN_ROUND | ECN_HOLD)
    if seg.flags & ECE == 0 or tcb.ecn & ECN_SEND == 0:
        return 0
    tcb.delivered_ce += seq_sub(seg.ack, tcb.snd_una)
    if tcb.ecn & ECN_ROUND:
        return 0
    host.counters.add(ECN_REDUCTIONS)
    if tcb.congestion.window <= tcb.snd_mss:
        hold(tcb, now + tcb.rto)
    tcb.congestion.on_ecn(seq_sub(tcb.snd_nxt, tcb.snd_una), now)
    note_reduction(tcb)
    tcb.ecn |= ECN_HOLD
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def note_reduction(tcb: Tcb) -> cython.void:
    """The window was reduced, for a loss or a mark: the peer is to hear of it (6.1.2)."""
    if tcb.ecn & ECN_SEND:
        tcb.ecn |= ECN_CWR | ECN_ROUND
        tcb.ecn &= ~ECN_HOLD
        tcb.cwr_end = tcb.snd_nxt


@cython.cfunc
@cython.exceptval(check=False)
def has_reduced(tcb: Tcb) -> cython.bint:
    """Whether a mark has reduced the window in this round: a loss in it does not do so again
    (RFC 3168 6.1.2, RFC 8511 4.2)."""
    return tcb.ecn & ECN_HOLD != 0 and seq_le(tcb.snd_una, tcb.cwr_end)


@cython.cfunc
@cython.exceptval(check=False)
def is_new_text(tcb: Tcb, seq: cython.uint, length: cython.Py_ssize_t) -> cython.bint:
    """Whether a segment may be sent as capable: new data, and no probe of a shut window."""
    end: cython.uint = seq_add(seq, cython.cast(cython.uint, length))
    return (
        length > 0 and seq_ge(seq, tcb.snd_nxt) and seq_le(end, seq_add(tcb.snd_una, tcb.snd_wnd))
    )


# -- the receiver ------------------------------------------------------------------------------


@cython.cfunc
def text_arrives(host: TcpHost, tcb: Tcb, seg: Segment) -> cython.void:
    """Acceptable text: CWR ends the echo, a mark begins it, and is told at once: a sender with a
    small window waits for each acknowledgement."""
    if seg.flags & CWR:
        tcb.ecn &= ~ECN_ECHO
    if seg.ecn == CODEPOINT_CE and tcb.ecn & ECN_RECEIVE:
        host.counters.add(ECN_MARKS_IN)
        if tcb.ecn & ECN_ECHO == 0:
            tcb.ecn |= ECN_ECHO
            tcb.ack_now = True
            host.mark(tcb)
