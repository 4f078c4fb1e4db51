"""The onlooker between the ends: every segment sent is judged against what its sender may say.

Strategy. A network tells the checker of each frame that leaves a host, of each that reaches one,
and when a host has finished a breath. From that alone, decoded by its own eyes (`packet.py`), the
checker keeps notes of each end (`end.py`) and applies the rules (`rules.py`). A violation raises
`CheckFailure`, whose text ends with the last packets of the trace.

Rules. The checker never looks into a stack and never changes a frame. It is always on: a test that
means to break a rule says which, with `excuse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from corten.sim import rules
from corten.sim.end import Breath, End
from corten.sim.packet import ACK, FIN, RST, SYN, Malformed, Segment, decode


class CheckFailure(AssertionError):
    """A host said what no correct TCP says."""


class Checker:
    """The notes of all ends, and the hooks that the network calls."""

    def __init__(
        self, limits: rules.Limits | None = None, tail: Callable[[], str] | None = None
    ) -> None:
        self.limits = limits or rules.Limits()
        self.tail = tail or (lambda: "")
        self.ends: dict[tuple[str, tuple[str, int, str, int]], End] = {}
        self.awake: dict[str, list[End]] = {}
        self.segments = 0
        self.is_on = True
        self.excused: set[str] = set()  # rules that are not applied
        self._resetters: set[str] = set()

    # -- hooks ------------------------------------------------------------------------------

    def sent(self, now: int, host: str, frame: bytes) -> None:
        """`frame`, as it goes on the wire, has left `host`: judge it."""
        if not self.is_on:
            return  # reading it would take most of the time
        try:
            segment = decode(frame)
        except Malformed as error:
            self._fail(now, host, "malformed", f"sent a malformed packet: {error}")
            return
        if segment is None:
            return
        self.segments += 1
        end = self._end_for(host, segment)
        if segment.flags & RST:
            fail = self._failer(now, end, "reset", segment)
            rules.reset(end, segment, now, self.limits, fail)
            end.dead = end.dead or not end.closed
            return
        if end.iss is None:
            if not segment.flags & SYN:
                self._stranger(now, end, segment)
                return
            end.iss = segment.seq
        if segment.flags & SYN:
            self._note_syn(now, end, segment)
        for rule in rules.RULES:
            fail = self._failer(now, end, rule.__name__, segment)
            rule(end, segment, now, self.limits, fail)
        self._note(end, segment)

    def reached(self, now: int, host: str, frame: bytes, certain: bool = True) -> None:
        """`frame` is being handed to `host`, and `certain`: it was addressed to no one else."""
        if not self.is_on:
            return
        try:
            segment = decode(frame, strict=False)
        except Malformed:  # silent: no receiver takes it
            return
        if segment is None:
            return
        flow = (segment.target, segment.target_port, segment.source, segment.source_port)
        end = self.ends.get((host, flow))
        if end is None:
            end = self._new_end(host, flow)
        self.awake.setdefault(host, []).append(end)
        end.hear(segment, now, certain)

    def breath_ended(self, now: int, host: str) -> None:
        """`host` has said what it had to say about what reached it."""
        for end in self.awake.pop(host, ()):
            rules.owed(end, now, self.limits, self._failer(now, end, "owed"))
            rules.owed_at_once(end, self.limits, self._failer(now, end, "owed_at_once"))
            if end.breath.heard or end.breath.acks_said:
                end.breath = Breath()

    def time_passed(self, now: int) -> None:
        """Nothing else happens before `now`: is anything owed?"""
        for end in self.ends.values():
            rules.owed(end, now, self.limits, self._failer(now, end, "owed"))

    def allow_reset(self, host: str) -> None:
        """From now on `host` may reset connections on its own: its application aborts, or it
        gives up."""
        self._resetters.add(host)
        for (name, _), end in self.ends.items():
            if name == host:
                end.may_reset = True

    @contextmanager
    def excuse(self, *names: str) -> Iterator[None]:
        """Within, these rules are not applied; the test says why."""
        self.excused |= set(names)
        try:
            yield
        finally:
            self.excused -= set(names)

    # -- notes ------------------------------------------------------------------------------

    def _end_for(self, host: str, segment: Segment) -> End:
        key = (host, segment.flow)
        end = self.ends.get(key)
        if end is None:
            end = self._new_end(host, segment.flow)
        elif segment.flags & SYN and end.iss is not None and end.iss != segment.seq and end.over:
            end = self.ends[key] = self._next_life(end)
        self.awake.setdefault(host, []).append(end)
        return end

    def _new_end(self, host: str, flow: tuple[str, int, str, int]) -> End:
        end = self.ends[host, flow] = End(host, flow)
        end.may_reset = host in self._resetters
        return end

    def _next_life(self, old: End) -> End:
        """The same addresses and ports, another connection."""
        end = End(old.host, old.flow)
        end.breath = old.breath
        end.syns_heard = old.syns_heard
        end.may_reset = old.may_reset
        return end

    def _note_syn(self, now: int, end: End, segment: Segment) -> None:
        if segment.seq != end.iss:
            self._fail(now, end.host, "fin_place", f"the SYN moved: {segment}")
        if end.snd_max == 0:
            end.syn_times.clear()
        end.snd_max = max(end.snd_max, 1)
        end.syn_sent_ns = now
        if end.irs is None and segment.flags & ACK:
            irs = (segment.ack - 1 - self._syn_payload(end, segment)) & 0xFFFFFFFF
            if irs in end.syns_heard:
                end.learn(irs)
            else:
                self._fail(now, end.host, "acknowledgement", f"answers no SYN: {segment}")
        end.syn = segment.options

    def _syn_payload(self, end: End, segment: Segment) -> int:
        """A SYN's own data may be acknowledged with it."""
        for heard in end.breath.heard:
            if heard.flags & SYN and heard.payload:
                length = (segment.ack - heard.seq - 1) & 0xFFFFFFFF
                if length <= len(heard.payload):
                    return length
        return 0

    def _stranger(self, now: int, end: End, segment: Segment) -> None:
        """A segment of a connection that the checker saw no SYN of: only an answer may be."""
        if not end.breath.heard:
            self._fail(now, end.host, "silence", f"out of nothing: {segment}")

    def _note(self, end: End, segment: Segment) -> None:
        stop = end.own_offset(segment.seq) + segment.span
        end.snd_max = max(end.snd_max, stop)
        if segment.flags & FIN:
            end.fin_at = stop - 1
        if segment.flags & ACK:
            end.ack_sent = max(end.ack_sent, end.peer_offset(segment.ack))
            if end.ack_sent >= end.owed_to:
                end.owed_since = None
                end.owed_octets = 0

    # -- failing ----------------------------------------------------------------------------

    def _failer(
        self, now: int, end: End, name: str, segment: Segment | None = None
    ) -> Callable[[str], None]:
        about = f"\n  {segment}" if segment else f" {end.flow}"
        return lambda text: self._fail(now, end.host, name, text + about)

    def _fail(self, now: int, host: str, name: str, text: str) -> None:
        if self.is_on and name not in self.excused:
            raise CheckFailure(f"[{name}] at {now / 1e6:.6f} ms {host}: {text}\n{self.tail()}")
