"""SEGMENT ARRIVES as the RFCs tell it: RFC 9293, 3.10.7, with RFC 5961. Written from the text.

For a state, its variables and a segment: which answers are right, and whether the connection is
reset. Where the text leaves a choice, every choice is an answer. An answer is a tuple: `()` for
silence, `("ACK", ack)`, `("RST", seq)`, `("RST.", ack)` (sequence number 0), `("SYN.", ack)`.
"""

from __future__ import annotations

from dataclasses import dataclass

Answer = tuple[str | int, ...]
NOTHING: Answer = ()


@dataclass(frozen=True)
class Variables:
    """The state's variables, relative to ISS and IRS."""

    una: int
    nxt: int
    max_wnd: int
    rcv_nxt: int
    rcv_wnd: int


@dataclass(frozen=True)
class Arrival:
    """A segment."""

    syn: bool
    ack_bit: bool
    rst: bool
    fin: bool
    seq: int
    ack: int
    data: int

    @property
    def length(self) -> int:
        return self.data + self.syn + self.fin


@dataclass(frozen=True)
class Verdict:
    """What may be answered, and whether the application is told of a reset (None: either)."""

    answers: frozenset[Answer]
    reset: bool | None = False


def one_of(*answers: Answer, reset: bool | None = False) -> Verdict:
    return Verdict(frozenset(answers), reset)


def segment_arrives(state: str, v: Variables, s: Arrival) -> Verdict:
    """What RFC 9293 3.10.7 says."""
    if state == "CLOSED":
        return closed(s)
    if state == "LISTEN":
        return listen(s)
    if state == "SYN_SENT":
        return syn_sent(v, s)
    return otherwise(state, v, s)


def closed(s: Arrival) -> Verdict:
    """3.10.7.1"""
    if s.rst:
        return one_of(NOTHING)
    if s.ack_bit:
        return one_of(("RST", s.ack))
    return one_of(("RST.", s.seq + s.length))


def listen(s: Arrival) -> Verdict:
    """3.10.7.2"""
    if s.rst:
        return one_of(NOTHING)
    if s.ack_bit:
        return one_of(("RST", s.ack))
    if not s.syn:
        return one_of(NOTHING)
    if s.fin:  # nothing says what a FIN on a SYN is worth
        return one_of(NOTHING, ("SYN.", s.seq + 1), ("SYN.", s.seq + s.length))
    return one_of(("SYN.", s.seq + 1), ("SYN.", s.seq + s.length))


def syn_sent(v: Variables, s: Arrival) -> Verdict:
    """3.10.7.3"""
    acceptable = s.ack_bit and v.una < s.ack <= v.nxt
    if s.ack_bit and not acceptable:
        return one_of(NOTHING) if s.rst else one_of(("RST", s.ack))
    if s.rst:
        return one_of(NOTHING, reset=acceptable)
    if not s.syn:
        return one_of(NOTHING)
    if acceptable:
        return one_of(*(("ACK", s.seq + 1 + more) for more in {0, s.data, s.data + s.fin}))
    return one_of(*(("SYN.", s.seq + 1 + more) for more in {0, s.data, s.data + s.fin}))


def in_window(v: Variables, s: Arrival) -> bool:
    """3.10.7.4, first: the table of four cases."""
    edge = v.rcv_nxt + v.rcv_wnd
    last = s.seq + s.length - 1
    if s.length == 0:
        return s.seq == v.rcv_nxt if v.rcv_wnd == 0 else v.rcv_nxt <= s.seq < edge
    if v.rcv_wnd == 0:
        return False
    return v.rcv_nxt <= s.seq < edge or v.rcv_nxt <= last < edge


def otherwise(state: str, v: Variables, s: Arrival) -> Verdict:
    """3.10.7.4"""
    verdict = on_rst(state, v, s) if s.rst else synchronized(state, v, s)
    if state == "SYN_RECEIVED" and (s.rst or s.syn or not s.ack_bit or not in_window(v, s)):
        # a SYN-ACK sent again acknowledges as well
        again = {("SYN.", *answer[1:]) for answer in verdict.answers if answer[:1] == ("ACK",)}
        return Verdict(verdict.answers | again | crossed(v, s), verdict.reset)
    return verdict


def crossed(v: Variables, s: Arrival) -> frozenset[Answer]:
    """The SYN-ACK of a simultaneous open lies before the window, and figure 8 believes it all the
    same: what a segment without its SYN would be answered is right too."""
    if s.rst or not (s.syn and s.ack_bit) or s.seq != v.rcv_nxt - 1:
        return frozenset()
    bare = Arrival(False, True, False, s.fin, v.rcv_nxt, s.ack, s.data)
    return synchronized("SYN_RECEIVED", v, bare).answers


def synchronized(state: str, v: Variables, s: Arrival) -> Verdict:
    """3.10.7.4, from the first check on."""
    ack: Answer = ("ACK", v.rcv_nxt)
    if state == "TIME_WAIT" and s.syn and not s.ack_bit and s.seq > v.rcv_nxt:
        # MAY-2, RFC 6191: a new connection if its sequence numbers are beyond the old one's
        synfin = [NOTHING] if s.fin else []
        return one_of(ack, ("SYN.", s.seq + 1), ("SYN.", s.seq + s.length), *synfin)
    if not in_window(v, s):
        return one_of(ack)
    if s.syn:
        return on_syn(state, v)
    if not s.ack_bit:
        return one_of(NOTHING)
    if state == "SYN_RECEIVED" and not v.una < s.ack <= v.nxt:
        return one_of(("RST", s.ack))
    if state != "SYN_RECEIVED" and not v.una - v.max_wnd <= s.ack <= v.nxt:
        # in TIME-WAIT nothing but a FIN again is spoken of
        return one_of(ack, *([NOTHING] if state == "TIME_WAIT" else []))
    return on_text(state, v, s)


def on_rst(state: str, v: Variables, s: Arrival) -> Verdict:
    """Second: RFC 5961, 3.2."""
    inside = v.rcv_nxt <= s.seq < v.rcv_nxt + max(v.rcv_wnd, 1)
    if not inside:
        return one_of(NOTHING)
    if s.seq != v.rcv_nxt:
        return one_of(("ACK", v.rcv_nxt), *([NOTHING] if state == "TIME_WAIT" else []))
    told = state in ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT")
    return one_of(NOTHING, reset=True if told else None)


def on_syn(state: str, v: Variables) -> Verdict:
    """Fourth: RFC 5961, 4.2; a passive SYN-RECEIVED may go back to LISTEN."""
    if state == "SYN_RECEIVED":
        return one_of(("ACK", v.rcv_nxt), ("SYN.", v.rcv_nxt), NOTHING)
    return one_of(("ACK", v.rcv_nxt))


def on_text(state: str, v: Variables, s: Arrival) -> Verdict:
    """Seventh and eighth, for an acceptable ACK."""
    if state == "LAST_ACK" and s.ack == v.nxt:
        return one_of(NOTHING)
    if state in ("CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT"):
        # nothing can come after a FIN: text is ignored
        quiet = s.length == 0 and state != "TIME_WAIT"
        return one_of(NOTHING) if quiet else one_of(NOTHING, ("ACK", v.rcv_nxt))
    if s.length == 0:
        return one_of(NOTHING)
    edge = v.rcv_nxt + v.rcv_wnd
    stop = min(s.seq + s.data, edge)
    if s.seq > v.rcv_nxt or s.seq + s.length <= v.rcv_nxt:
        return one_of(("ACK", v.rcv_nxt))
    next_octet = max(stop, v.rcv_nxt)
    whole = s.seq + s.data <= edge
    if not s.fin or not whole:
        return one_of(("ACK", next_octet))
    # a FIN just at the edge has no octet of window left: both are seen
    late = [("ACK", next_octet)] if next_octet == edge else []
    return one_of(("ACK", next_octet + 1), *late)
