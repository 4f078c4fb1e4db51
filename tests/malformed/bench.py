"""The bench on which broken frames are tried: a stack, a connection in some state, and a canary.

For every frame six things must hold (`Bench.breath`, `Bench.finish`):

I1  no exception, and no octet read beyond the frame: it lies at the very end of its arena, so that
    one step too far raises IndexError;
I2  the work is bounded: plain, the lines that run for it are counted (`steps.py`);
I3  memory and timers are back where they were once the time-outs are over: `stack.leaks()`;
I4  the reaction is the right one: what was sent in answer, by kind (`KINDS`);
I5  a canary, a connection that moves a pattern that depends on the position, is not harmed;
I6  exactly one counter of drops rises, or none for what is no drop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from corten.core.frame import ReceiveBatch
from corten.sim.packet import ACK, RST, SYN, Malformed, Segment, decode
from corten.sim.script import Trace, pattern
from corten.wire import reason
from tests.malformed import frames
from tests.malformed.steps import bounded

CANARY = 39_999
ARENA_LEN = 1 << 17
CANARY_STEP = 100  # octets
# counters with a line of prose that are no drop of the frame in hand
EVENTS = {
    "icmp_rate_limited", "neighbour_queue_full", "neighbour_unreachable", "reply_queue_full",
    "no_route",
}  # fmt: skip
DROPS = {
    name: position
    for position, name in enumerate(reason.counter_names())
    if name.upper() in reason.PROSE and name not in EVENTS
}
KINDS = {
    "A": "an acknowledgement",
    "D": "data",
    "S": "a SYN",
    "R": "a RST",
    "I": "an ICMP error",
    "E": "an echo reply",
    "N": "a message of ARP or neighbour discovery",
    "?": "anything else",
}


def sending(t: Trace) -> None:
    t.established(sack_ok=True)
    t.app.send(pattern(1, 4000))
    t.heard()


STATES: dict[str, Callable[[Trace], object]] = {
    "LISTEN": lambda t: None,
    "SYN-SENT": lambda t: t.syn_sent(port=t.flow.port),
    "SYN-RECEIVED": lambda t: t.syn_received(ts=True, sack_ok=True),
    "ESTABLISHED": lambda t: t.established(),
    "ESTABLISHED, all options": lambda t: t.established(ts=True, sack_ok=True, wscale=7),
    "ESTABLISHED, sending": sending,
    "FIN-WAIT-1": lambda t: t.fin_wait_1(),
    "FIN-WAIT-2": lambda t: t.fin_wait_2(),
    "CLOSE-WAIT": lambda t: t.close_wait(),
    "CLOSING": lambda t: t.closing(),
    "LAST-ACK": lambda t: t.last_ack(),
    "TIME-WAIT": lambda t: t.time_wait(),
}


@dataclass
class Reaction:
    """What one frame led to."""

    drops: list[str] = field(default_factory=list)  # counters of drops that rose, once for each
    replies: list[bytes] = field(default_factory=list)  # frames sent in the same breath

    @property
    def kinds(self) -> str:
        """The kinds of the replies, each once, sorted; "" for silence."""
        return "".join(sorted({kind_of(frame) for frame in self.replies}))


def kind_of(frame: bytes) -> str:
    """A key of KINDS."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == 0x0806:
        return "N"
    segment = None
    with contextlib.suppress(Malformed):
        segment = decode(frame, strict=False)
    if segment is not None:
        return _kind_of_segment(segment)
    if ethertype == 0x0800 and frame[23] == 1:
        return {0: "E", 3: "I", 11: "I", 12: "I"}.get(frame[34], "?")
    if ethertype == 0x86DD and frame[20] == 58:
        return "I" if frame[54] < 128 else {129: "E", 135: "N", 136: "N"}.get(frame[54], "?")
    return "?"


def _kind_of_segment(segment: Segment) -> str:
    if segment.flags & RST:
        return "R"
    if segment.flags & SYN:
        return "S"
    return "A" if segment.flags & ACK and not segment.payload else "D"


class Bench:
    """A stack, a canary, and one connection at a time in the state under test."""

    states = STATES

    def __init__(self, state: str = "ESTABLISHED") -> None:
        self.t = self.trace()
        self.state = state
        self.stack = self.t.host.stack
        self.interface = self.t.port.interface
        self.memory = bytearray(ARENA_LEN)
        self.batch = ReceiveBatch(ARENA_LEN, self.memory)
        self.port = 40_000
        self.t.use(CANARY).stack_port = 80
        self.t.established()
        self.canary_app = self.t.app
        self.canary_len = 0
        self.values = memoryview(self.stack.counters.values)
        self.cases = 0
        self.renew()

    def trace(self) -> Trace:
        """The stack and its peer. Another family, another bench: override this and `base`."""
        return Trace(check=False, receive_buffer=8192)

    # -- the subject ------------------------------------------------------------------------

    def renew(self) -> None:
        """A connection in the state."""
        t = self.t
        self.port += 1
        t.use(self.port).stack_port = 80
        t.peer.heard.clear()
        self.states[self.state](t)
        self.app = None if self.state in ("LISTEN", "SYN-RECEIVED") else t.app
        self.flow = t.flow
        host = self.stack.host
        self.tcb = max(self.stack.connections(), key=lambda c: c.remote_port)
        if self.state == "SYN-SENT":
            self.tcb = t.app.connection
        self.ended = next((w for w in host.time_waits if w and w.remote_port == self.port), None)
        self.live = host.live
        self.in_state = self.signature()

    def signature(self) -> object:
        """What changes when the connection leaves the state."""
        if self.state == "LISTEN":
            return self.stack.host.live
        if self.ended is not None:
            return self.ended.id >= 0
        return self.tcb.state, self.tcb.snd_mss, self.tcb.snd_una

    def base(self, data: bytes = b"hello") -> bytes:
        """A segment that fits the state, at this moment."""
        flow, tcb = self.flow, self.ended or self.tcb
        flags = 0x18
        options = b""
        if self.state == "LISTEN":
            seq, ack, flags = flow.isn, 0, 2
        elif self.state == "SYN-SENT":
            seq, ack, flags = flow.isn, tcb.snd_nxt, 0x12
        else:
            seq, ack = tcb.rcv_nxt, tcb.snd_nxt if self.state != "FIN-WAIT-1" else tcb.snd_una
            if tcb.timestamps_ok:
                options = frames.TIMESTAMPS + tcb.ts_recent.to_bytes(4, "big") + bytes(4)
            if self.state in ("ESTABLISHED, sending", "CLOSING", "LAST-ACK"):
                ack = tcb.snd_una
        return bytes(
            frames.tcp(flow.port, flow.stack_port, seq, ack, flags, options=options, data=data)
        )

    def quote(self) -> bytes:
        """The head of something that we sent and that is outstanding."""
        flow = self.flow
        seq = self.tcb.snd_una if self.state != "LISTEN" else 0
        sent = bytes(frames.tcp(flow.stack_port, flow.port, seq, 0, 2)[14:])
        return sent[:12] + frames.HERE_V4 + frames.THERE_V4 + sent[20:28]

    # -- frames -----------------------------------------------------------------------------

    def breath(self, frame: bytes, after_ms: float = 0) -> Reaction:
        """One frame, and what came of it: I1, I2, and I6 as far as no row says more."""
        self.cases += 1
        if after_ms:
            self.t.advance(after_ms)
        before = self.values.tolist()
        at = ARENA_LEN - len(frame)
        self.memory[at:] = frame
        self.batch.push(at, len(frame), 0, 0)
        with bounded(len(frame)):
            found = self._turn()
        after = self.values.tolist()
        for name, i in DROPS.items():
            if after[i] != before[i]:
                found.drops += [name] * int(after[i] - before[i])
        assert len(found.drops) <= 1, f"{found.drops}: {bytes(frame).hex()}"
        return found

    def _turn(self) -> Reaction:
        now = self.t.network.now
        self.stack.receive(now, self.interface, self.batch)
        self.stack.expire(now)
        self.stack.deliver(now)
        self.stack.release(now)
        self.batch.clear()
        found = Reaction()
        again = True
        while again:
            again = self.stack.transmit(now)
            outgoing = self.interface.outgoing
            found.replies += [outgoing.frame(i) for i in range(outgoing.count)]
            outgoing.clear()
        return found

    def run(self, patches: Iterable[frames.Patch]) -> int:
        """Each patch to a segment that would fit; how many were dropped."""
        dropped = 0
        for patch in patches:
            dropped += len(self.breath(patch(self.base())).drops)
            if self.signature() != self.in_state:
                self.renew()
            if self.cases % 500 == 0:
                self.feed_canary()
        return dropped

    def run_frames(self, cases: Iterable[bytes]) -> int:
        """Whole frames."""
        return self.run((lambda _, frame=frame: bytearray(frame)) for frame in cases)

    # -- the canary, and the end ------------------------------------------------------------

    def feed_canary(self) -> None:
        """The canary moves some octets each way."""
        assert "close" not in self.canary_app.events, "the canary was harmed"
        t = self.t
        t.use(CANARY)
        t.peer.heard.clear()
        at = 1 + self.canary_len
        t.send(0, "P.", seq=at, ack=at, data=CANARY_STEP)
        self.canary_app.send(pattern(at, CANARY_STEP))
        heard = [s for s in t.heard() if s.target_port == CANARY]
        assert b"".join(s.payload for s in heard) == pattern(at, CANARY_STEP)
        self.canary_len += CANARY_STEP
        t.send(0, ".", seq=at + CANARY_STEP, ack=at + CANARY_STEP)
        assert self.canary_app.data == pattern(1, self.canary_len)
        t.use(self.port)

    def finish(self) -> None:
        """I5 and I3."""
        self.feed_canary()
        host = self.stack.host
        for connection in self.stack.connections():
            if connection.handler is not None:
                connection.abort()
        host.listeners.clear()
        self.t.advance(400_000)
        leaks = self.stack.leaks()
        assert not leaks, leaks


@dataclass(frozen=True)
class Row:
    """One malformed input, or several that differ in a number: what is sent and what must follow.

    `frames`: from the bench, the frames one after another, a breath each; a generator sees what
    those before it have done. `right`: the kinds of
    reply that are right (a string over KINDS), "-" for silence; several separated by spaces.
    `drop`: the counter that must rise by each frame; "" any one; None none: the frame is no drop,
    it is processed as if the bad part were absent. `check`: what must be true afterwards.
    """

    layer: str
    name: str
    frames: Callable[[Bench], Iterable[bytes]]
    right: str = "-"
    drop: str | None = ""
    state: str = "ESTABLISHED"
    check: Callable[[Bench], None] | None = None
    bench: type[Bench] = Bench
    after_ms: float = 0  # before each frame
    pins: tuple[str, ...] = ()  # the requirements it shows, as @pytest.mark.requirement names them
    prepare: Callable[[Bench], object] | None = None  # what comes before, and is not judged

    def __str__(self) -> str:
        return f"{self.layer}: {self.name}"


def try_row(row: Row) -> None:
    """Run a row: the six invariants."""
    bench = row.bench(row.state)
    bench.feed_canary()
    right = {"" if kinds == "-" else kinds for kinds in row.right.split()}
    if row.prepare is not None:
        row.prepare(bench)
    number = -1
    for number, frame in enumerate(row.frames(bench)):
        found = bench.breath(bytes(frame), row.after_ms)
        what = f"{row}, frame {number}: {bytes(frame).hex()}"
        assert found.kinds in right, f"{what}: answered {found.kinds or 'nothing'!r}"
        if row.drop is None:
            assert found.drops == [], f"{what}: dropped as {found.drops}"
        elif row.drop:
            assert found.drops == [row.drop], f"{what}: counted {found.drops}"
        else:
            assert len(found.drops) == 1, f"{what}: nothing counted"
    assert number >= 0, "a row without a frame proves nothing"
    if row.check is not None:
        row.check(bench)
    bench.finish()
