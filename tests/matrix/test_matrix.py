"""Segment arrives, exhaustively: the stack against the oracle, in every state.

States x 16 sets of flags x 6 sequence numbers x 5 acknowledgement numbers x 3 lengths x 2 windows.
For each case: the replies, the new state, what is delivered and told, which counter rises; and that
nothing is left when all time-outs are over. Once with plain numbers and once with both sequence
spaces about to wrap. A part of it runs plain too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.matrix.bench import (
    ACK,
    CLOSED_PORT,
    FIN,
    MS,
    PORT,
    QUEUED,
    ROUND_TRIP,
    RST,
    SYN,
    WINDOW,
    WRAP,
    Bench,
)
from tests.matrix.oracle import ANY, Arrival, Outcome, Variables, segment_arrives

pytestmark = pytest.mark.timeout(600)

CASES = 16 * 6 * 5 * 3 * 2  # of a state
SOME = 37  # every how many cases are a part of it: prime to all factors above
WHY = {
    "tcp_no_connection": "closed",
    "tcp_bad_state": "state",
    "tcp_bad_ack": "ack",
    "tcp_bad_sequence": "sequence",
    "tcp_bad_rst": "rst",
    "tcp_unexpected_syn": "syn",
    "tcp_no_ack_bit": "no ack",
    "tcp_data_after_fin": "text",
}


def no_window(b: Bench) -> None:
    """The application reads nothing until no window is left."""
    b.open()
    assert b.app is not None
    b.app.connection.pause()
    while b.n.edge > b.n.sent:
        b.send(ACK, b.n.sent, 1, min(b.n.edge - b.n.sent, 1000))
        b.wait(60 * MS)


def steps(*names: str) -> Callable[[Bench], None]:
    def way(b: Bench) -> None:
        for name in names:
            getattr(b, name)()

    return way


def crossed(b: Bench) -> None:
    """SYN-RECEIVED by a simultaneous open."""
    b.connect()
    b.wait(ROUND_TRIP)
    b.send(SYN, 0, 0)


def fin_wait_2(b: Bench) -> None:
    b.open()
    b.shut()
    b.send(ACK, 1, 2)


def time_wait(b: Bench) -> None:
    fin_wait_2(b)
    b.send(FIN | ACK, 1, 2)


# name: (state, how it is reached, octets of ours outstanding)
STATES: dict[str, tuple[str, Callable[[Bench], None], int]] = {
    "CLOSED": ("CLOSED", steps(), 0),
    "LISTEN": ("LISTEN", steps(), 0),
    "SYN-SENT": ("SYN-SENT", steps("connect"), 1),
    "SYN-RECEIVED": ("SYN-RECEIVED", lambda b: b.send(SYN, 0, 0), 1),
    "SYN-RECEIVED, active": ("SYN-RECEIVED", crossed, 1),
    "ESTABLISHED": ("ESTABLISHED", steps("open", "transmit"), QUEUED),
    "ESTABLISHED, no window": ("ESTABLISHED", no_window, 0),
    "FIN-WAIT-1": ("FIN-WAIT-1", steps("open", "shut"), 1),
    "FIN-WAIT-2": ("FIN-WAIT-2", fin_wait_2, 0),
    "CLOSE-WAIT": ("CLOSE-WAIT", steps("open", "finish_peer", "transmit"), QUEUED),
    "CLOSING": ("CLOSING", steps("open", "shut", "finish_peer"), 1),
    "LAST-ACK": ("LAST-ACK", steps("open", "finish_peer", "shut"), 1),
    "TIME-WAIT": ("TIME-WAIT", time_wait, 0),
}
NO_PEER = ("CLOSED", "LISTEN", "SYN-SENT")  # nothing has been heard from the peer
ACTIVE = ("SYN-SENT", "SYN-RECEIVED, active")


def into(b: Bench, name: str) -> Variables:
    """Bring a connection into the state; its variables, from what was seen on the wire."""
    state, way, outstanding = STATES[name]
    b.begin(CLOSED_PORT if name == "CLOSED" else PORT, name in ACTIVE)
    way(b)
    n = b.n
    assert b.state() in (state, "none"), f"{name} was not reached: {b.state()}"
    if name in NO_PEER:
        n.sent, n.edge = 0, WINDOW
        if name != "SYN-SENT":
            n.iss = b.iss or 0
    if name == "SYN-SENT":
        n.edge = n.seen[-1].window
    una = n.heard - outstanding
    passive = name not in ACTIVE
    return Variables(una, n.heard, WINDOW, n.sent, n.edge - n.sent, passive)


def arrivals(v: Variables) -> Iterator[Arrival]:
    """The product of flags, sequence numbers, acknowledgements and lengths."""
    edge = v.edge if v.rcv_wnd else v.rcv_nxt + 3  # else it would be the same as NXT
    seqs = (v.rcv_nxt - 1, v.rcv_nxt, v.rcv_nxt + 1, edge - 1, edge, edge + 1)
    acks = (v.una - v.max_wnd - 1, v.una - 1, v.una, v.nxt, v.nxt + 1)
    lengths = (0, 1, v.rcv_wnd + 1)
    for flags in itertools.product((False, True), repeat=4):
        for seq, ack, data in itertools.product(seqs, acks, lengths):
            yield Arrival(*flags, seq, ack, data)


def flags_of(s: Arrival) -> int:
    return FIN * s.fin | SYN * s.syn | RST * s.rst | ACK * s.ack_bit


def observe(b: Bench, s: Arrival, window: int) -> Outcome | str:
    """Send it and see; a text for what no outcome can say."""
    app = b.app
    before, b.n.seen = b.counted(), []
    received = app.data if app else 0
    told = (app.eof, app.is_closed) if app else (False, False)
    b.send(flags_of(s), s.seq, s.ack, s.data, window)
    b.wait(60 * MS)
    rose = [
        b.names[i]
        for i, was, now in zip(b.drops, before, b.counted(), strict=True)
        for _ in range(now - was)
    ]
    if len(b.n.seen) > 1 or len(rose) > 1:
        return f"{len(b.n.seen)} replies {b.n.seen}, counted {rose}"
    reply: tuple[str | int, ...] = ()
    for seen in b.n.seen:
        if seen.payload or seen.flags & FIN:
            return f"sent {seen}"
        if seen.flags & RST:
            number = (seen.seq + b.n.iss) % WRAP
            reply = ("RST,ACK", number, seen.ack) if seen.flags & ACK else ("RST", seen.seq)
        else:
            reply = ("SYN,ACK" if seen.flags & SYN else "ACK", seen.seq, seen.ack)
    app = b.app or app
    error = ""
    if app and app.is_closed and not told[1] and app.error is not None:
        error = "refused" if isinstance(app.error, ConnectionRefusedError) else "reset"
    return Outcome(
        reply,
        b.state(),
        app.data - received if app else 0,
        bool(app and app.eof and not told[0]),
        error,
        WHY.get(rose[0], rose[0]) if rose else "",
    )


def is_allowed(found: Outcome | str, allowed: set[Outcome]) -> bool:
    if isinstance(found, str):
        return False
    if found in allowed:
        return True
    return any(  # the ISS of a connection that is made anew is nobody's to say
        o.reply[1:2] == (ANY,) and o.reply[2:] == found.reply[2:] and o.state == found.state
        for o in allowed
    )


def run(name: str, wraps: bool, stride: int) -> None:
    """Every so many cases of a state."""
    state, _, outstanding = STATES[name]
    b = Bench()
    if wraps:  # what is outstanding ends beyond the wrap, and so does what is expected next
        b = Bench(irs=WRAP - 2, iss=WRAP - 1 - max(outstanding // 2, 1))
    wrong: list[str] = []
    every = list(itertools.product(arrivals(into(b, name)), (0, WINDOW)))
    b.end()
    assert len(every) == CASES
    for arrival, window in every[::stride]:
        v = into(b, name)
        found = observe(b, arrival, window)
        allowed = segment_arrives(state, v, arrival)
        what = f"{name} {v} got {arrival} window {window}"
        if not is_allowed(found, allowed):
            wrong.append(f"{what}:\n  {found}\n  right were {sorted(map(str, allowed))}")
        if leaks := b.end():
            wrong.append(f"{what}: left {leaks}")
            break
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:12])


both = pytest.mark.parametrize("wraps", [False, True], ids=["", "wrapping"])
every_state = pytest.mark.parametrize("name", STATES)


@pytest.mark.requirement(
    "RFC 9293 3.10.7", "RFC 9293 3.10.7.1", "RFC 9293 3.10.7.2", "RFC 9293 3.10.7.3",
    "RFC 9293 3.10.7.4", "RFC 5961 3.2", "RFC 5961 4.2", "RFC 5961 5.2", "RFC 1337",
    "MUST-11", "MAY-12", "MAY-13",
)  # fmt: skip
@pytest.mark.sim
@both
@every_state
def test_segment_arrives(name: str, wraps: bool) -> None:
    run(name, wraps, 1)


@both
@every_state
def test_segment_arrives_in_part(name: str, wraps: bool) -> None:
    run(name, wraps, SOME)
