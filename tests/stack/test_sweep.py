"""One field at a time, every state; then many at random: no exception, one counter, no harm.

After EmNetTest (ASE 2023), whose single-field sweep found ten published holes in embedded stacks.
A canary connection moves data all the while and must finish unharmed; nothing may leak.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from corten.core.frame import ReceiveBatch
from corten.sim.script import Trace, pattern
from corten.wire import reason
from tests.stack import frames
from tests.trace.pace import COMPILED

CANARY = 39_999
EVENTS = {
    "icmp_rate_limited", "neighbour_queue_full", "neighbour_unreachable", "reply_queue_full",
    "no_route",
}  # fmt: skip
DROPS = [
    name
    for i, name in enumerate(reason.counter_names())
    if 0 < i < reason.FRAMES_IN and name and name not in EVENTS
]


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


class Sweep:
    """A stack, a canary, and one connection at a time in the state under test."""

    def __init__(self, state: str) -> None:
        self.t = Trace(check=False, receive_buffer=8192)
        self.state = state
        self.stack = self.t.host.stack
        self.interface = self.t.port.interface
        self.batch = ReceiveBatch()
        self.port = 40_000
        self.t.use(CANARY).stack_port = 80
        self.t.established()
        self.canary_app = self.t.app
        self.canary_len = 0
        self.values = self.stack.counters.values
        self.drops = [self.stack.counters.names.index(name) for name in DROPS]
        self.cases = 0
        self.renew()

    def renew(self) -> None:
        """A connection in the state."""
        t = self.t
        self.port += 1
        t.use(self.port).stack_port = 80
        t.peer.heard.clear()
        STATES[self.state](t)
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

    def base(self) -> bytes:
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
            frames.tcp(flow.port, flow.stack_port, seq, ack, flags, options=options, data=b"hello")
        )

    def quote(self) -> bytes:
        """The head of something that we sent and that is outstanding."""
        flow = self.flow
        seq = self.tcb.snd_una if self.state != "LISTEN" else 0
        sent = bytes(frames.tcp(flow.stack_port, flow.port, seq, 0, 2)[14:])
        return sent[:12] + frames.HERE_V4 + frames.THERE_V4 + sent[20:28]

    def breath(self, frame: bytes) -> int:
        """One frame; how many counters of drops rose, which is none or one, by one."""
        self.cases += 1
        values = self.values
        before = [values[i] for i in self.drops]
        assert self.batch.append(bytes(frame))
        now = self.t.network.now
        self.stack.receive(now, self.interface, self.batch)
        self.stack.expire(now)
        self.stack.deliver(now)
        self.stack.release(now)
        self.batch.clear()
        while self.stack.transmit(now):
            self.interface.outgoing.clear()
        self.interface.outgoing.clear()
        rose = sum(values[i] - b for i, b in zip(self.drops, before, strict=True))
        assert rose <= 1, bytes(frame).hex()
        if self.cases % 500 == 0:
            self.feed_canary()
        return int(rose)

    def run(self, patches: Iterable[frames.Patch]) -> int:
        """Each patch to a segment that would fit; how many were dropped."""
        dropped = 0
        for patch in patches:
            dropped += self.breath(patch(self.base()))
            if self.signature() != self.in_state:
                self.renew()
        return dropped

    def run_frames(self, cases: Iterable[bytes]) -> int:
        """Whole frames."""
        return self.run((lambda _, frame=frame: bytearray(frame)) for frame in cases)

    def feed_canary(self) -> None:
        t = self.t
        t.use(CANARY)
        t.send(0, "P.", seq=1 + self.canary_len, ack=1, data=100)
        self.canary_len += 100
        t.heard()
        t.use(self.port)

    def finish(self) -> None:
        self.feed_canary()
        assert self.canary_app.data == pattern(1, self.canary_len)
        assert self.canary_app.events == ["open", "data"]
        host = self.stack.host
        for connection in self.stack.connections():
            if connection.handler is not None:
                connection.abort()
        host.listeners.clear()
        self.t.advance(400_000)
        assert self.stack.leaks() == []


@pytest.mark.requirement("RFC 9293 MUST-7", "RFC 9293 MUST-63")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("state", STATES)
def test_one_field_at_a_time(state: str) -> None:
    sweep = Sweep(state)
    length = len(sweep.base())
    sweep.run(frames.tcp_patches())
    sweep.run(frames.option_patches())
    sweep.run(frames.ip_patches(length))
    sweep.run_frames(frames.icmp_frames(sweep.quote()))
    if state in ("LISTEN", "ESTABLISHED"):
        sweep.run(frames.ethernet_patches(length))
        sweep.run_frames(frames.arp_frames())
    assert sweep.cases > 2000
    sweep.finish()


def test_a_broken_frame_raises_exactly_one_counter() -> None:
    """Truncated at any octet, or with any one bit wrong under the checksums."""
    sweep = Sweep("ESTABLISHED")
    good = sweep.base()
    assert sweep.run_frames([good]) == 0
    assert sweep.run(frames.cut(n) for n in range(len(good))) == len(good)
    good = sweep.base()
    for bit in range(8 * 14, 8 * len(good)):
        broken = bytearray(good)
        broken[bit // 8] ^= 0x80 >> bit % 8
        assert sweep.breath(broken) == 1, bit
    sweep.finish()


def garble(frame: bytes, chance: random.Random) -> bytearray:
    """One to three changes of any kind; mostly the checksums are right again."""
    changed = bytearray(frame)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed))
        what = chance.random()
        if what < 0.7:
            changed[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        elif what < 0.85:
            del changed[max(at, 15) :]
        else:
            changed += chance.randbytes(chance.randint(1, 60))
    if chance.random() < 0.9 and len(changed) > 40 and changed[12:14] == b"\x08\x00":
        changed[16:18] = (len(changed) - 14).to_bytes(2, "big")
        changed = frames.mend(changed) if changed[23] == 6 else frames.mend_ip(changed)
    return changed


def random_frames(count: int, seed: int) -> None:
    chance = random.Random(seed)
    each = count // len(STATES)
    for state in STATES:
        sweep = Sweep(state)
        sweep.run((lambda frame: garble(frame, chance)) for _ in range(each * 9 // 10))
        others = [bytes(f) for f in frames.arp_frames() if f]
        others += [bytes(f) for f in frames.icmp_frames(sweep.quote())]
        sweep.run_frames(garble(chance.choice(others), chance) for _ in range(each // 10))
        sweep.finish()


@pytest.mark.timeout(300)
def test_random_frames() -> None:
    random_frames(100_000 if COMPILED else 10_000, seed=9293)  # plain it takes ten times as long


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_random_frames(seed: int) -> None:
    random_frames(100_000, seed)
