"""SEGMENT ARRIVES as the RFCs tell it, in plain Python, from the text and not from the code:
RFC 9293 3.10.7, with RFC 5961 (which it adopts), RFC 6191 and RFC 1337 for TIME-WAIT.

For a state, its variables and a segment: every outcome that the text allows. Numbers are relative
to ISS and IRS and never wrap; the caller translates. Where the text leaves a choice, there is an
outcome for each way to take it, and a comment names the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Reply = tuple[str | int, ...]
NOTHING: Reply = ()


@dataclass(frozen=True)
class Variables:
    """The state's variables."""

    una: int  # SND.UNA
    nxt: int  # SND.NXT
    max_wnd: int  # MAX.SND.WND
    rcv_nxt: int
    rcv_wnd: int
    passive: bool = True  # how SYN-RECEIVED was reached

    @property
    def edge(self) -> int:
        return self.rcv_nxt + self.rcv_wnd


@dataclass(frozen=True)
class Arrival:
    """A segment. `ack` is what stands in the field, whether the bit is on or not."""

    syn: bool
    ack_bit: bool
    rst: bool
    fin: bool
    seq: int
    ack: int
    data: int

    @property
    def length(self) -> int:
        """SEG.LEN: SYN and FIN count."""
        return self.data + self.syn + self.fin


@dataclass(frozen=True)
class Outcome:
    """What the segment leads to.

    `reply`: () for silence, ("ACK", seq, ack), ("SYN,ACK", seq, ack), ("RST", seq) or
    ("RST,ACK", 0, ack). `state`: the new one; CLOSED and LISTEN are both "none". `delivered`: how
    many octets of text. `eof`: it is told that the peer has finished. `error`: it is told of
    "reset" or "refused". `why`: which check ended it, "" for none: what is counted.
    """

    reply: Reply
    state: str
    delivered: int = 0
    eof: bool = False
    error: str = ""
    why: str = ""


Outcomes = set[Outcome]


def segment_arrives(state: str, v: Variables, s: Arrival) -> Outcomes:
    """3.10.7."""
    if state == "CLOSED":
        return closed(s)
    if state == "LISTEN":
        return listen(v, s)
    if state == "SYN-SENT":
        return syn_sent(v, s)
    return other_states(state, v, s)


def closed(s: Arrival) -> Outcomes:
    """3.10.7.1: a RST is discarded, anything else is answered by one that fits it."""
    if s.rst:
        return {Outcome(NOTHING, "none", why="closed")}
    reply: Reply = ("RST", s.ack) if s.ack_bit else ("RST,ACK", 0, s.seq + s.length)
    return {Outcome(reply, "none", why="closed")}


def listen(v: Variables, s: Arrival) -> Outcomes:
    """3.10.7.2: first RST, second ACK, third SYN, fourth anything else."""
    if s.rst:
        return {Outcome(NOTHING, "none", why="state")}
    if s.ack_bit:
        return {Outcome(("RST", s.ack), "none", why="ack")}
    if not s.syn:
        return {Outcome(NOTHING, "none", why="state")}
    # choice: text and FIN on a SYN may be kept for later, or left to be sent again
    acks = {s.seq + 1, s.seq + 1 + s.data, s.seq + s.length}
    found = {Outcome(("SYN,ACK", v.una, ack), "SYN-RECEIVED") for ack in acks}
    if s.fin:  # choice: a SYN that ends what it opens is no peer's but a scanner's
        found.add(Outcome(NOTHING, "none", why="state"))
    return found


def syn_sent(v: Variables, s: Arrival) -> Outcomes:
    """3.10.7.3: first ACK, second RST, fourth SYN, fifth neither."""
    same = "SYN-SENT"
    acceptable = s.ack_bit and v.una < s.ack <= v.nxt
    if s.ack_bit and not acceptable:
        reply = NOTHING if s.rst else ("RST", s.ack)
        return {Outcome(reply, same, why="ack")}
    if s.rst:
        if acceptable:
            return {Outcome(NOTHING, "none", error="refused")}
        return {Outcome(NOTHING, same, why="state")}
    if not s.syn:
        return {Outcome(NOTHING, same, why="state")}
    text = min(s.data, v.rcv_wnd)
    if not acceptable:  # simultaneous open; choice: text is kept, or left to be sent again
        replies = {("SYN,ACK", v.una, s.seq + 1), ("SYN,ACK", v.una, s.seq + 1 + text)}
        return {Outcome(reply, "SYN-RECEIVED") for reply in replies}
    after = s.seq + 1 + text
    if not s.fin or s.data > v.rcv_wnd:
        return {Outcome(("ACK", v.nxt, after), "ESTABLISHED", text)}
    return {Outcome(("ACK", v.nxt, after + 1), "CLOSE-WAIT", text, eof=True)}


# -- 3.10.7.4 -------------------------------------------------------------------------------


def other_states(state: str, v: Variables, s: Arrival) -> Outcomes:
    """The checks in their order. `again` is what a segment that goes no further leads to."""
    again = Outcome(("ACK", v.nxt, v.rcv_nxt), state)
    silent = Outcome(NOTHING, state)
    if s.rst:
        return second_rst(state, v, s, again, silent)
    if state == "TIME-WAIT" and s.syn and not s.ack_bit and s.seq > v.rcv_nxt and not s.fin:
        # MAY-2, RFC 6191 (3): a SYN beyond the old connection's numbers may begin a new one,
        # with an ISS that is beyond ours too: the caller knows it as ANY
        return {Outcome(("SYN,ACK", ANY, s.seq + 1), "SYN-RECEIVED")}
    if not first_sequence(v, s):
        return outside_the_window(state, v, s, again)
    if s.syn:
        return fourth_syn(state, v, s, again)
    if not s.ack_bit:
        return {replace(silent, why="no ack")}
    return fifth_ack(state, v, s, again, silent)


ANY = -(1 << 40)


def first_sequence(v: Variables, s: Arrival) -> bool:
    """The table of four cases."""
    if s.length == 0:
        return s.seq == v.rcv_nxt if v.rcv_wnd == 0 else v.rcv_nxt <= s.seq < v.edge
    if v.rcv_wnd == 0:
        return False
    last = s.seq + s.length - 1
    return v.rcv_nxt <= s.seq < v.edge or v.rcv_nxt <= last < v.edge


def outside_the_window(state: str, v: Variables, s: Arrival, again: Outcome) -> Outcomes:
    """It is acknowledged and dropped; with exceptions."""
    found = {replace(again, why="sequence")}
    if state == "TIME-WAIT" and s.fin and s.seq + s.length == v.rcv_nxt:
        found = {again}  # the peer's FIN again: acknowledged, and 2 MSL begin anew (eighth)
    if state == "SYN-RECEIVED" and s.syn and s.seq == v.rcv_nxt - 1:
        found |= fourth_syn(state, v, s, again)  # choice: the SYN again is looked at all the same
    return found


def second_rst(state: str, v: Variables, s: Arrival, again: Outcome, silent: Outcome) -> Outcomes:
    """RFC 5961 3.2 (erratum 4845 for what is outside), before the ACK is looked at."""
    if state == "TIME-WAIT":  # RFC 1337, fix 1: a RST does not end TIME-WAIT
        return {replace(silent, why="state")}
    if not v.rcv_nxt <= s.seq < max(v.edge, v.rcv_nxt + 1):
        return {replace(silent, why="sequence")}
    if s.seq != v.rcv_nxt:
        return {replace(again, why="rst")}
    if state == "SYN-RECEIVED":  # MUST-11
        return {Outcome(NOTHING, "none", error="" if v.passive else "refused")}
    # in CLOSING and LAST-ACK the text has no error; choice: the application learns that its last
    # octets may not have arrived
    found = {Outcome(NOTHING, "none", error="reset")}
    return found if state not in ("CLOSING", "LAST-ACK") else found | {Outcome(NOTHING, "none")}


def fourth_syn(state: str, v: Variables, s: Arrival, again: Outcome) -> Outcomes:
    """RFC 5961 4.2: a challenge, whatever the sequence number."""
    found = {replace(again, why="syn")}
    if state != "SYN-RECEIVED":
        return found
    if v.passive:  # choice: back to LISTEN; the state is not synchronized, 5961 does not bind
        found.add(Outcome(NOTHING, "none"))
    if s.seq == v.rcv_nxt - 1 and not s.ack_bit:
        found.add(Outcome(("SYN,ACK", v.una, v.rcv_nxt), state))  # the SYN again: its answer again
    elif s.seq == v.rcv_nxt - 1 and not v.passive:
        # the SYN,ACK of a simultaneous open (figure 8) is what completes it (MUST-10)
        bare = replace(s, syn=False, seq=v.rcv_nxt)
        found |= fifth_ack(state, v, bare, again, Outcome(NOTHING, state))
    return found


def fifth_ack(state: str, v: Variables, s: Arrival, again: Outcome, silent: Outcome) -> Outcomes:
    """The ACK, and what follows it."""
    if state == "SYN-RECEIVED":
        if not v.una < s.ack <= v.nxt:
            return {Outcome(("RST", s.ack), state, why="ack")}
        return text_and_fin("ESTABLISHED", replace(v, una=s.ack), s)
    if not v.una - v.max_wnd <= s.ack <= v.nxt:  # RFC 5961 5.2
        if state == "TIME-WAIT":
            return time_wait(v, s, again, silent)
        return {replace(again, why="ack")}
    if s.ack == v.nxt and v.una < v.nxt:  # ours is acknowledged, the FIN too where there is one
        if state == "FIN-WAIT-1":
            state = "FIN-WAIT-2"
        elif state == "CLOSING":
            return {Outcome(NOTHING, "TIME-WAIT")}
        elif state == "LAST-ACK":
            return {Outcome(NOTHING, "none")}
    if state == "TIME-WAIT":
        return time_wait(v, s, again, silent)
    return text_and_fin(state, v, s)


def time_wait(v: Variables, s: Arrival, again: Outcome, silent: Outcome) -> Outcomes:
    """ "The only thing that can arrive in this state is a retransmission of the remote FIN." What
    else is in the window is acknowledged, or choice: ignored."""
    if s.length:
        return {replace(again, why="text")}
    if s.ack > v.nxt:
        return {replace(again, why="ack")}
    return {silent}


def text_and_fin(state: str, v: Variables, s: Arrival) -> Outcomes:
    """Seventh and eighth."""
    again = Outcome(("ACK", v.nxt, v.rcv_nxt), state)
    silent = Outcome(NOTHING, state)
    if state in ("CLOSE-WAIT", "CLOSING", "LAST-ACK"):
        # nothing can come after a FIN; choice: what came is acknowledged, or ignored
        return {replace(o, why="text") for o in (again, silent)} if s.length else {silent}
    if s.length == 0:
        return {silent}
    if s.seq > v.rcv_nxt:  # SHLD-31, MAY-13: kept, and acknowledged at once
        return {again}
    stop = min(s.seq + s.data, v.edge)
    delivered = stop - v.rcv_nxt
    if delivered < 0 or (delivered == 0 and not s.fin):
        return {replace(again, why="text"), again}
    whole = s.seq + s.data <= v.edge
    plain = Outcome(("ACK", v.nxt, stop), state, delivered)
    if not s.fin or not whole:
        return {plain}
    finished = replace(plain, reply=("ACK", v.nxt, stop + 1), state=AFTER_FIN[state], eof=True)
    # a FIN just at the edge has no octet of window left: taken, or left to be sent again
    return {finished, plain} if stop == v.edge else {finished}


AFTER_FIN = {
    "ESTABLISHED": "CLOSE-WAIT",
    "FIN-WAIT-1": "CLOSING",
    "FIN-WAIT-2": "TIME-WAIT",
}
