"""Tests of TCP that read as packet traces: exact segments in, exact segments out, at an instant.

    t = Trace(listen=80)
    t.send(0, "S", seq=0, win=65535, mss=1460)
    t.expect(0, "S.", seq=0, ack=1, mss=1460)
    t.send(10, ".", seq=1, ack=1)
    t.send(0, "P.", seq=1, ack=1, data=b"hello")
    assert t.app.data == b"hello"
    t.expect(40, ".", seq=1, ack=6)
    t.finish()

Strategy. One Stack at 10.0.0.1, and the script as its peer at 10.0.0.2, joined by a wire without
delay in a `Network`, so the checker watches the stack here too. `…_ms` before a segment is the time
since the event before it, as `+t` in packetdrill. Sequence numbers are relative: each side's SYN is
0, its first octet 1. What `expect` is not told it does not compare, except the flags (PSH only when
named) and the length of the data, 0 if not told.

Rules. Every segment that the stack sends must be expected: the next `expect`, `expect_nothing` or
`finish` fails on one that was not. `finish` ends what is left with a RST and checks for leaks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from corten.sim.fault import MILLISECOND
from corten.sim.network import Network
from corten.sim.packet import (
    ACK,
    PSH,
    RST,
    SYN,
    Options,
    Segment,
    decode,
    encode,
    flags_text,
    flags_value,
)
from corten.sim.recorder import App
from corten.sim.rules import Limits

HERE, THERE = "10.0.0.1", "10.0.0.2"
HERE_V6, THERE_V6 = "fd00::1", "fd00::2"
IPV6 = False  # what `Trace(ipv6=…)` is when it is not told
IPV6_MORE = 20  # octets of its header beyond IPv4's
HERE_MAC, THERE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PEER_ISN = 100_000
PEER_PORT = 40_000
AFTERMATH_MS = 400_000
_OPTIONS = ("mss", "wscale", "sack_ok", "sack", "ts", "unknown")


class Flow:
    """One connection as the script numbers it: relative to the two initial sequence numbers."""

    def __init__(self, port: int, isn: int) -> None:
        self.port = port  # the peer's
        self.stack_port = 0
        self.isn = isn  # the peer's
        self.iss: int | None = None  # the stack's, from its SYN
        self.next = 0  # the peer's next octet
        self.heard = 0  # the stack's next octet, as far as it was seen
        self.acked = 0  # what the stack has acknowledged
        self.stamping = False
        self.stamp_base = 1000
        self.stamp_heard = 0
        self.win = 65535  # what the peer announces, until told otherwise
        self.window = 0  # the last one announced, as it stood in the segment


class Peer:
    """The script's end of the wire: keeps what arrives until it is expected."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.heard: deque[tuple[int, Segment]] = deque()

    def arrive(self, now: int, port: Any, frame: bytes, intact: bool) -> None:
        segment = decode(frame)
        if segment is not None:
            self.trace.note(segment)
            self.heard.append((now, segment))


class PeerPort:
    """What the link knows of the script's end."""

    name = "peer"

    def __init__(self, peer: Peer) -> None:
        self.host = peer
        self.mac_octets = bytes.fromhex(THERE_MAC.replace(":", ""))


class Trace:
    """One Stack and a script."""

    def __init__(
        self,
        listen: int | None = 80,
        stack: Any = None,
        seed: int = 1,
        mtu: int = 1500,
        offload: bool = False,
        isn: int = PEER_ISN,
        start_ms: int = 0,
        check: bool = True,
        tolerance_ms: float = 1.0,
        limits: Limits | None = None,
        ipv6: bool | None = None,
        **config: Any,
    ) -> None:
        """`config`: settings of the stack's TCP, as `rto_min_ns=…`; `isn`: the peer's. `ipv6`: over
        a link so much wider that the segments are those of the same trace over IPv4."""
        if limits is None:
            limits = Limits(mtu=mtu, rto_floor_ns=config.get("rto_min_ns", 200 * MILLISECOND))
        self.network = Network(seed, limits, "a trace", start_ms * MILLISECOND)
        self.network.checker.is_on = check
        self.tolerance_ns = int(tolerance_ms * MILLISECOND)
        self.apps: list[App] = []
        self.isn = isn
        self.flow = Flow(PEER_PORT, isn)
        self.flows = {PEER_PORT: self.flow}
        self.link = self.network.link(delay_ms=0)
        self.host = self.network.host("stack", self._config(stack, config), stack)
        over_ipv6 = IPV6 if ipv6 is None else ipv6
        self.here, self.there = (HERE_V6, THERE_V6) if over_ipv6 else (HERE, THERE)
        known = {self.there: THERE_MAC}
        width = mtu + IPV6_MORE if over_ipv6 else mtu
        self.port = self.host.attach(
            self.link, f"{self.here}/24", HERE_MAC, width, offload, neighbours=known
        )
        self.peer = Peer(self)
        self.peer_port = PeerPort(self.peer)
        self.link.attach(self.peer_port)  # type: ignore[arg-type]
        self.held = False
        self.accept: Callable[[], App] = lambda: App(self)  # makes the handler of a connection
        self.last_ns = self.network.now
        if listen is not None:
            self.flow.stack_port = listen
            self.listener = self.host.listen(listen, self._accept)
        self.advance(0)
        self.peer.heard.clear()  # announcements

    def _config(self, stack: Any, settings: dict[str, Any]) -> Any:
        if stack is not None:
            return None
        from corten.tcp.config import Config

        return Config(**settings)

    def _accept(self) -> App:
        self.apps.append(self.accept())
        return self.apps[-1]

    @property
    def app(self) -> App:
        """The newest handler."""
        assert self.apps, "no connection has been made"
        return self.apps[-1]

    @property
    def now_ms(self) -> float:
        return (self.network.now - self.network.start) / MILLISECOND

    @property
    def state(self) -> str:
        """The newest connection's state, as its `info` says."""
        return str(self.app.connection.info()["state"])

    # -- time -------------------------------------------------------------------------------

    def advance(self, ms: float) -> None:
        """Let so much time pass; what the stack sends waits to be expected."""
        self._run_to(self.network.now + int(ms * MILLISECOND))
        self.last_ns = self.network.now

    def run(self, until_ms: float) -> None:
        """Let time pass until so many milliseconds after the start."""
        self.advance(until_ms - self.now_ms)

    def _run_to(self, when: int) -> None:
        self.network.run((when - self.network.start) / MILLISECOND)

    def breathe(self) -> None:
        """The application did something: the stack has a breath at this instant."""
        if not self.held:
            self.host.wake(self.network.now)
            self._run_to(self.network.now)
            self.last_ns = self.network.now

    @contextmanager
    def breath(self) -> Iterator[None]:
        """Everything sent in the block reaches the stack in one burst."""
        self.held = True
        yield
        self.held = False
        self.breathe()

    # -- segments ---------------------------------------------------------------------------

    def use(self, port: int, isn: int | None = None) -> Flow:
        """From now on speak from this port of the peer; a new one begins a flow of its own."""
        if port not in self.flows:
            flow = self.flows[port] = Flow(port, self.isn if isn is None else isn)
            flow.stack_port = self.flow.stack_port
        self.flow = self.flows[port]
        return self.flow

    def send(self, ms: float, flags: str, seq: int | None = None, ack: int | None = None,
             data: bytes | int = b"", win: int | None = None, raw_options: bytes | None = None,
             ecn: int = 0, **options: Any) -> None:  # fmt: skip
        """The peer sends a segment `ms` after the event before. Without `seq`: the next octet;
        without `ack`: all that was heard; without `win`: as before. `data` as a number: so many
        octets of a pattern. `ecn`: the IP header's codepoint."""
        if ms:
            self._run_to(self.last_ns + int(ms * MILLISECOND))
        flow = self.flow
        flow.win = flow.win if win is None else win
        seq = flow.next if seq is None else seq
        ack = flow.heard if ack is None else ack
        payload = pattern(seq, data) if isinstance(data, int) else data
        bits = flags_value(flags)
        segment = Segment(
            self.there, self.here, flow.port, flow.stack_port,
            (flow.isn + seq) & 0xFFFFFFFF,
            ((flow.iss or 0) + ack) & 0xFFFFFFFF if bits & ACK else 0,
            bits, flow.win, self._options(bits, options), payload, HERE_MAC, THERE_MAC, ecn=ecn,
        )  # fmt: skip
        flow.next = max(flow.next, seq + segment.span)
        self.inject(encode(segment, raw_options))

    def inject(self, frame: bytes) -> None:
        """The peer sends any frame."""
        now = self.network.now
        self.network.trace.note(now, "peer", self.link.packets, frame)
        self.host.arrive(now, self.port, frame, True)
        self.breathe()

    def _options(self, bits: int, given: dict[str, Any]) -> Options:
        flow = self.flow
        unknown = set(given) - set(_OPTIONS)
        assert not unknown, f"no such option: {unknown}"
        stamps = given.get("ts")
        if bits & SYN:
            flow.stamping = stamps is not None
        if stamps is True or (stamps is None and flow.stamping):
            stamps = (flow.stamp_base + int(self.now_ms), flow.stamp_heard if bits & ACK else 0)
        iss = flow.iss or 0
        return Options(
            given.get("mss"),
            given.get("wscale"),
            bool(given.get("sack_ok")),
            [((iss + a) & 0xFFFFFFFF, (iss + b) & 0xFFFFFFFF) for a, b in given.get("sack", ())],
            stamps or None,
            given.get("unknown", []),
        )

    def note(self, segment: Segment) -> None:
        """The stack has sent a segment: learn its numbers."""
        flow = self.flows.get(segment.target_port)
        if flow is None:
            return
        if segment.flags & SYN:
            flow.iss = segment.seq
        if flow.iss is not None:
            stop = (segment.seq + segment.span - flow.iss) & 0xFFFFFFFF
            if stop < 1 << 31:
                flow.heard = max(flow.heard, stop)
        if not segment.flags & RST:
            flow.window = segment.window
        if segment.options.timestamps:
            flow.stamp_heard = segment.options.timestamps[0]

    # -- expecting --------------------------------------------------------------------------

    def expect(self, ms: float | None, flags: str, data: bytes | int = 0, **fields: Any) -> Segment:
        """The stack's next segment, `ms` after the event before (None: whenever). `fields`: seq,
        ack, win, and options as in `send`; an option of None must be absent."""
        when, segment = self._next(ms)
        if ms is not None:
            due = self.last_ns + int(ms * MILLISECOND)
            if abs(when - due) > self.tolerance_ns:
                late = (when - self.last_ns) / MILLISECOND
                self._differs(segment, f"it came after {late:g} ms instead of {ms:g}")
        self.last_ns = when
        self._compare(segment, flags, data, fields)
        return segment

    def _next(self, ms: float | None) -> tuple[int, Segment]:
        heard = self.peer.heard
        if not heard:
            patience = 600_000 if ms is None else ms
            limit = self.last_ns + int(patience * MILLISECOND) + self.tolerance_ns
            while not heard and self.network.next_event() <= limit:
                self.network.step()
        if not heard:
            self.network.fail(f"expected a segment within {ms} ms, nothing was sent")
        return heard.popleft()

    def _compare(
        self, segment: Segment, flags: str, data: bytes | int, fields: dict[str, Any]
    ) -> None:
        wanted = flags_value(flags)
        mask = 0xFF if wanted & PSH else 0xFF & ~PSH
        if segment.flags & mask != wanted:
            self._differs(segment, f"flags {flags}")
        if isinstance(data, bytes) and segment.payload != data:
            self._differs(segment, f"data {data!r}")
        if isinstance(data, int) and len(segment.payload) != data:
            self._differs(segment, f"{data} octets of data")
        found = self._fields(segment)
        for name, value in fields.items():
            if found[name] != value:
                self._differs(segment, f"{name} {value}, not {found[name]}")

    def _fields(self, segment: Segment) -> dict[str, Any]:
        """What `expect` may name, in the script's numbers."""
        flow = self.flows.get(segment.target_port, self.flow)
        options = segment.options
        isn, iss = flow.isn, flow.iss or 0
        return {
            "seq": (segment.seq - iss) & 0xFFFFFFFF,
            "ack": (segment.ack - isn) & 0xFFFFFFFF,
            "win": segment.window,
            "mss": options.mss,
            "wscale": options.wscale,
            "sack_ok": options.sack_permitted,
            "ts": options.timestamps,
            "sack": [
                ((left - isn) & 0xFFFFFFFF, (right - isn) & 0xFFFFFFFF)
                for left, right in options.sack
            ],
            "port": segment.target_port,
            "raw_seq": segment.seq,
            "raw_ack": segment.ack,
            "urgent": segment.urgent,
            "ecn": segment.ecn,
        }

    def _differs(self, segment: Segment, wanted: str) -> None:
        found = self._fields(segment)
        self.network.fail(
            f"expected {wanted}; the stack sent {flags_text(segment.flags)} seq {found['seq']}"
            f" ack {found['ack']} win {segment.window} len {len(segment.payload)}\n  {segment}"
        )

    def expect_nothing(self, ms: float = 0) -> None:
        """The stack says nothing for `ms` after the event before."""
        if not self.peer.heard:
            self._run_to(max(self.network.now, self.last_ns + int(ms * MILLISECOND)))
        if self.peer.heard:
            self._differs(self.peer.heard[0][1], "silence")
        self.last_ns = self.network.now

    def heard(self) -> list[Segment]:
        """Take everything that waits to be expected."""
        segments = [segment for _, segment in self.peer.heard]
        self.peer.heard.clear()
        return segments

    # -- states -----------------------------------------------------------------------------

    def syn_received(self, win: int = 65535, **options: Any) -> Trace:
        """A SYN came, the SYN-ACK went out. `options` on the SYN; mss=1460 if not told."""
        self.send(0, "S", seq=0, win=win, **{"mss": 1460, **options})
        self.expect(0, "S.", seq=0, ack=1)
        return self

    def syn_sent(self, port: int = 80, **options: Any) -> Trace:
        """The application connects, the SYN went out."""
        self.apps.append(App(self))
        app = self.apps[-1]
        app.connection = self.host.connect(self.there, port, lambda: app, **options)
        self.breathe()
        if self.peer.heard:
            segment = self.peer.heard[0][1]
            self.flow = self.flows[port] = Flow(port, self.isn)
            self.flow.stack_port = segment.source_port
            self.note(segment)
        self.expect(0, "S", seq=0)
        return self

    def established(self, win: int = 65535, active: bool = False, **options: Any) -> Trace:
        """A handshake, by the peer or (active) by the stack."""
        if active:
            self.syn_sent()
            self.send(0, "S.", seq=0, ack=1, win=win, **{"mss": 1460, **options})
            self.expect(0, ".", seq=1, ack=1)
            return self
        self.syn_received(win, **options)
        self.send(0, ".", seq=1, ack=1, win=win)
        self.expect_nothing()
        assert self.app.events == ["open"]
        return self

    def close_wait(self, **options: Any) -> Trace:
        """The peer finished; the application knows."""
        self.established(**options)
        self.send(0, "F.", seq=1, ack=1)
        self.expect(None, ".", seq=1, ack=2)
        assert self.app.events[-1] == "eof"
        return self

    def last_ack(self, **options: Any) -> Trace:
        """The peer finished, then the application closed."""
        self.close_wait(**options)
        self.app.close()
        self.expect(0, "F.", seq=1, ack=2)
        return self

    def fin_wait_1(self, **options: Any) -> Trace:
        """The application closed; its FIN is out."""
        self.established(**options)
        self.app.close()
        self.expect(0, "F.", seq=1, ack=1)
        return self

    def fin_wait_2(self, **options: Any) -> Trace:
        """… and acknowledged."""
        self.fin_wait_1(**options)
        self.send(0, ".", seq=1, ack=2)
        self.expect_nothing()
        return self

    def closing(self, **options: Any) -> Trace:
        """The FINs crossed."""
        self.fin_wait_1(**options)
        self.send(0, "F.", seq=1, ack=1)
        self.expect(None, ".", seq=2, ack=2)
        return self

    def time_wait(self, **options: Any) -> Trace:
        """The application closed first, then the peer."""
        self.fin_wait_2(**options)
        self.send(0, "F.", seq=1, ack=2)
        self.expect(None, ".", seq=2, ack=2)
        return self

    def finish(self) -> None:
        """Nothing unexpected is waiting; end what is left with a RST; nothing may leak."""
        if self.peer.heard:
            self._differs(self.peer.heard[0][1], "nothing more")
        self.network.checker.is_on = False  # the script no longer plays by the rules
        for app in self.apps:
            if app.connection is not None and not app.is_closed:
                app.connection.abort()
        for flow in list(self.flows.values()):
            self.flow = flow
            if flow.next:
                self.send(0, "R", seq=flow.next)
        self.advance(AFTERMATH_MS)
        leaks = self.network.leaks()
        if leaks:
            self.network.fail("left behind: " + "; ".join(leaks))


def pattern(seq: int, length: int) -> bytes:
    """Octets that depend on their position in the stream."""
    return bytes((seq + i) * 31 % 251 for i in range(length))


__all__ = ["App", "Flow", "Trace", "pattern"]
