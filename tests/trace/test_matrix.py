"""Every state, every kind of segment: the stack against an oracle written from the RFC's text."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from corten.sim.packet import ACK, RST, SYN, Segment
from corten.sim.script import Trace
from tests.trace.oracle import Answer, Arrival, Variables, segment_arrives
from tests.trace.pace import COMPILED

pytestmark = [pytest.mark.sim, pytest.mark.timeout(600)]

CASES_PER_STACK = 100
STRIDE = int(os.environ.get("CORTEN_MATRIX_STRIDE", "1" if COMPILED else "17"))
WINDOW = 8000
QUEUED = 10  # octets in flight
BUFFER = 2048
FLAGS = list(itertools.product((False, True), repeat=4))


def closed(t: Trace) -> None:
    t.flow.stack_port = 81


def listening(t: Trace) -> None:
    pass


def syn_sent(t: Trace) -> None:
    t.syn_sent(port=t.flow.port)


def syn_received(t: Trace) -> None:
    t.syn_received(win=WINDOW)


def established(t: Trace) -> None:
    t.established(win=WINDOW)
    t.app.send(b"x" * QUEUED)
    t.expect(None, "P.", data=QUEUED)


def no_window(t: Trace) -> None:
    """ESTABLISHED with a receive window of 0."""
    t.established(win=WINDOW)
    t.app.pause()
    while t.flow.window:
        t.send(0, ".", ack=1, data=min(t.flow.window, 1000))
        t.advance(60)
    t.heard()


def fin_wait_1(t: Trace) -> None:
    t.fin_wait_1(win=WINDOW)


def fin_wait_2(t: Trace) -> None:
    t.fin_wait_2(win=WINDOW)


def close_wait(t: Trace) -> None:
    t.close_wait(win=WINDOW)
    t.app.send(b"x" * QUEUED)
    t.expect(None, "P.", data=QUEUED)


def closing(t: Trace) -> None:
    t.closing(win=WINDOW)


def last_ack(t: Trace) -> None:
    t.last_ack(win=WINDOW)


def time_wait(t: Trace) -> None:
    t.time_wait(win=WINDOW)


STATES: dict[str, Callable[[Trace], None]] = {
    "CLOSED": closed,
    "LISTEN": listening,
    "SYN_SENT": syn_sent,
    "SYN_RECEIVED": syn_received,
    "ESTABLISHED": established,
    "ESTABLISHED, window 0": no_window,
    "FIN_WAIT_1": fin_wait_1,
    "FIN_WAIT_2": fin_wait_2,
    "CLOSE_WAIT": close_wait,
    "CLOSING": closing,
    "LAST_ACK": last_ack,
    "TIME_WAIT": time_wait,
}


def variables(state: str, t: Trace, window: int) -> Variables:
    """What the state's variables are, from what was seen on the wire."""
    flow = t.flow
    in_flight = {
        "ESTABLISHED": QUEUED,
        "CLOSE_WAIT": QUEUED,
        "FIN_WAIT_1": 1,
        "CLOSING": 1,
        "LAST_ACK": 1,
        "SYN_SENT": 1,
        "SYN_RECEIVED": 1,
    }
    una = flow.heard - in_flight.get(state, 0)
    return Variables(una, flow.heard, WINDOW, flow.next, window)


def arrivals(state: str, v: Variables) -> Iterator[Arrival]:
    """The product of flags, sequence numbers, acknowledgements and lengths."""
    edge = v.rcv_nxt + v.rcv_wnd
    seqs = sorted({v.rcv_nxt + d for d in (-1, 0, 1)} | {edge + d for d in (-1, 0, 1)})
    acks = sorted({v.una - v.max_wnd - 1, v.una - 1, v.una, v.nxt, v.nxt + 1})
    for (syn, ack, rst, fin), seq in itertools.product(FLAGS, seqs):
        for number, data in itertools.product(acks if ack else [0], (0, 1, v.rcv_wnd + 1)):
            yield Arrival(syn, ack, rst, fin, seq, number, data)


def answer_of(t: Trace, segment: Segment) -> Answer:
    fields = t._fields(segment)
    if segment.flags & RST:
        return ("RST.", fields["ack"]) if segment.flags & ACK else ("RST", fields["seq"])
    if segment.flags & SYN:
        return ("SYN.", fields["ack"])
    return ("ACK", fields["ack"])


def one_case(t: Trace, state: str, arrival: Arrival, win: int) -> str:
    """Send it; what is wrong with the answer, if anything."""
    v = variables(state, t, t.flow.window if state not in ("CLOSED", "LISTEN", "SYN_SENT") else 0)
    closed_before = bool(t.apps) and t.app.is_closed
    flags = "".join(
        letter
        for letter, is_on in zip(
            "FSR.", (arrival.fin, arrival.syn, arrival.rst, arrival.ack_bit), strict=True
        )
        if is_on
    )
    t.peer.heard.clear()
    t.send(0, flags or "-", arrival.seq, arrival.ack, data=arrival.data, win=win)
    t.advance(60)
    heard = [s for s in t.heard() if s.target_port == t.flow.port]
    answers = [answer_of(t, segment) for segment in heard] or [()]
    verdict = segment_arrives(state.partition(",")[0], v, arrival)
    what = f"{state} {v} got {flags or '-'} {arrival}"
    allowed = {_wrapped(answer) for answer in verdict.answers}
    if len(answers) > 1 or answers[0] not in allowed:
        return f"{what}: answered {answers}, right were {sorted(map(str, allowed))}"
    if verdict.reset is not None and state not in ("CLOSED", "LISTEN", "SYN_RECEIVED"):
        was_reset = t.app.is_closed and not closed_before and t.app.error is not None
        if was_reset != verdict.reset:
            return f"{what}: reset {was_reset}, should be {verdict.reset}"
    return ""


def _wrapped(answer: Answer) -> Answer:
    return tuple(part & 0xFFFFFFFF if isinstance(part, int) else part for part in answer)


def cases(state: str) -> Iterator[tuple[Arrival, int]]:
    """All cases of a state, from the variables of one connection in it (they are all alike)."""
    t = fresh()
    STATES[state](t)
    window = t.flow.window if state not in ("CLOSED", "LISTEN", "SYN_SENT") else 0
    found = list(arrivals(state, variables(state, t, window)))
    for i, (arrival, win) in enumerate(itertools.product(found, (0, WINDOW))):
        if i % STRIDE == 0:
            yield arrival, win


def fresh() -> Trace:
    return Trace(listen=80, check=False, mtu=9000, receive_buffer=BUFFER, timestamps=False)


@pytest.mark.requirement("RFC 9293 3.10.7", "RFC 5961 3.2", "RFC 5961 4.2", "RFC 5961 5.2")
@pytest.mark.parametrize("state", STATES)
def test_segment_arrives(state: str) -> None:
    wrong: list[str] = []
    count = 0
    t = fresh()
    for count, (arrival, win) in enumerate(cases(state), 1):
        if count % CASES_PER_STACK == 0:
            t.finish()
            t = fresh()
        t.use(30_000 + count)
        STATES[state](t)
        problem = one_case(t, state, arrival, win)
        if problem:
            wrong.append(problem)
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:30])
