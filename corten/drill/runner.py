"""One script from its first event to its last, on one Stack and one clock.

Strategy. Inbound packets, calls, commands and code wait for their time and run. An outbound packet
is awaited: time goes on from deadline to deadline until the stack has sent something or the time is
over. `+t` counts from when the event before was done, for two inbound packets in a row from when
the first was due. A call that blocks is tried again after each breath, and must return at its time.

Rules. Everything the stack sends must be expected: what is left at the end, after a time to settle,
is a failure, and so is a connection, timer or buffer that remains when all descriptors are closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corten.drill.build import Builder
from corten.drill.calls import Calls
from corten.drill.code import Codes, variables
from corten.drill.command import Commands, Settings
from corten.drill.compare import TcpComparison, compare_icmp, compare_ip, joined, whole
from corten.drill.constant import number_of
from corten.drill.error import Differs, ScriptError, Unsupported
from corten.drill.flow import Flow
from corten.drill.leniency import Leniency
from corten.drill.nodes import (
    ABSOLUTE,
    ANYTIME,
    RANGE,
    RELATIVE,
    RELATIVE_RANGE,
    Call,
    Code,
    Command,
    Event,
    Foreign,
    Icmp,
    Open,
    Packet,
    Script,
    Tcp,
)
from corten.drill.parameters import Parameters
from corten.drill.pattern import pattern
from corten.drill.render import seconds, seen_text
from corten.drill.seen import Seen, SeenTcp, decode
from corten.drill.sockets import SocketError, Sockets, WouldBlock
from corten.drill.world import PEER_MAC, STACK_MAC, START_NS, World
from corten.endpoint.error import CortenError

SYN, ACK = 2, 16
FIRST_PEER_PORT = 40_001
LATE_NS = (
    2_000_000_000  # so long after its time a missing packet is waited for, to say when it came
)
AFTERMATH_NS = 700_000_000_000


@dataclass
class Waiting:
    """A blocking call that has not returned."""

    call: Call
    attempt: Callable[[], int]
    end: int
    tolerance: int
    line: int


class Runner:
    """The run of one script. `run` raises Differs, Unsupported or ScriptError, or just returns."""

    def __init__(self, script: Script, parameters: Parameters, leniency: Leniency) -> None:
        self.script = script
        self.parameters = parameters
        self.leniency = leniency
        version = 6 if parameters.ip_version == "ipv6" else 4
        self.world = World(
            version,
            parameters.mtu,
            {"nagle": True, **leniency.settings()},  # as BSD sockets are unless told otherwise
            local=parameters.local_ip,
            remote=parameters.remote_ip,
        )
        config = self.world.stack.config
        defaults: dict[str, Any] = {"nagle": True}
        self.settings = Settings(defaults, lambda name: hasattr(config, name), version)
        self.sockets = Sockets(self.world, defaults)
        self.sockets.reported = self.settings.reported
        self.sockets.bind_port = parameters.bind_port
        self.sockets.connect_port = parameters.connect_port
        self.calls = Calls(self.sockets)
        self.commands = Commands(self.settings, self.count)
        self.codes = Codes()
        self.builder = Builder(version, self.world.remote, self.world.local, STACK_MAC + PEER_MAC)
        self.flows: dict[tuple[int, int], Flow] = {}  # (the peer's port, ours)
        self.flow = Flow(FIRST_PEER_PORT, parameters.bind_port)  # the tracked connection
        self.peer_port = FIRST_PEER_PORT
        self.is_fresh = True  # a socket was made since the tracked connection began
        self.waiting: list[Waiting] = []
        self.trace: list[str] = []
        self.previous: Event | None = None
        self.previous_due = START_NS
        self.events_run = 0
        self.fallen: BaseException | None = None
        self.world.after_breath = self._after_breath

    # -- the whole --------------------------------------------------------------------------

    def run(self) -> None:
        """Everything; an error without a line gets that of its event."""
        event = None
        try:
            if self.script.opening:
                self.commands.run(self.script.opening)
                self.calls.options.doubles = self.settings.is_linux
            for event in self.script.events:
                self._event(event)
                self._raise_fallen()
                self.events_run += 1
                self.previous = event
            self._finish()
        except (Differs, ScriptError) as error:
            if not error.line and event is not None:
                error.line = event.line
            raise

    def _finish(self) -> None:
        for waiting in list(self.waiting):
            self.world.advance(waiting.end + waiting.tolerance)
            self._raise_fallen()
        for waiting in self.waiting:
            raise Differs(f"{waiting.call.name} did not return", waiting.line)
        if self.script.closing:
            self.commands.run(self.script.closing)
        if not self.script.allows_trailing:
            self.world.advance(self.world.now + self.parameters.settle_ns)
            self._no_more()
        self._clean_up()

    def _no_more(self) -> None:
        """Nothing that was not expected has been sent."""
        while self.world.outbox:
            seen = self._next_seen()
            if seen is not None:
                self._note(seen, self.flow)
                when = seconds(seen.when - START_NS)
                raise Differs(f"unexpected at {when}: > {seen_text(seen, self.flow)}")

    def _clean_up(self) -> None:
        """Close everything and let time pass: nothing may be left in the stack."""
        for fd in list(self.sockets.open):
            self.sockets.close(fd)
        for stream in self.sockets.streams:
            if stream.connection is not None and not stream.is_over:
                stream.connection.abort()
        self.world.breath()
        end = self.world.now + AFTERMATH_NS
        while self.world.step(end):
            pass
        leaks = self.world.stack.leaks()
        if leaks:
            raise Differs("left behind in the stack: " + "; ".join(leaks))

    # -- time -------------------------------------------------------------------------------

    def _due(self, event: Event) -> int:
        """When an event is to happen."""
        when = event.when
        if when.kind == ABSOLUTE or when.kind == RANGE:
            return START_NS + when.start_ns
        base = self.world.now
        before = self.previous
        if before is not None and _is_inbound(before) and _is_inbound(event):
            base = self.previous_due
        return base + when.start_ns

    def _tolerance(self, gap: int) -> int:
        return max(self.parameters.tolerance_ns, gap * self.parameters.tolerance_percent // 1000)

    def _event(self, event: Event) -> None:
        due = self._due(event)
        action = event.action
        if isinstance(action, Packet) and not action.is_inbound:
            self._outbound(event, action, due)
            return
        if due < self.world.now and event.when.kind == ABSOLUTE:
            late = seconds(self.world.now - START_NS)
            raise Differs(f"the time {seconds(due - START_NS)} is over: it is {late}")
        self.previous_due = due
        self.world.advance(due)
        if isinstance(action, Packet):
            self._inbound(action, event)
        elif isinstance(action, Call):
            self._call(action, event)
        elif isinstance(action, Command):
            self.commands.run(action.text)
            self.calls.options.doubles = self.settings.is_linux
        elif isinstance(action, Code):
            tracked = self.sockets.tracked
            listens = tracked is not None and tracked.listener is not None
            values = variables(self.sockets.newest, self.settings.is_bsd, listens)
            self.codes.run(action.text, values)

    # -- packets in -------------------------------------------------------------------------

    def _inbound(self, packet: Packet, event: Event) -> None:
        body = packet.body
        _refuse(packet)
        flow = self._flow_in(body)
        if isinstance(body, Tcp) and body.flags & SYN:
            flow.hear_syn(body.seq.start)
        self._write(f"< {_source(self.script, event)}")
        self.world.inject(self.builder.frame(packet, flow))

    def _flow_in(self, body: Tcp | Icmp | Foreign) -> Flow:
        """The connection that a packet from the peer belongs to."""
        if isinstance(body, Tcp) and body.ports is not None:
            return self._obtain(*body.ports)
        key = (self.flow.peer_port, self.flow.stack_port)
        if isinstance(body, Tcp) and body.flags & (SYN | ACK) == SYN and self.is_fresh:
            if key in self.flows:
                self.peer_port += 1
                self.flow = Flow(self.peer_port, self.parameters.bind_port)
            self.is_fresh = False
        self.flows[self.flow.peer_port, self.flow.stack_port] = self.flow
        return self.flow

    def _obtain(self, peer_port: int, stack_port: int) -> Flow:
        key = (peer_port, stack_port)
        if key not in self.flows:
            self.flows[key] = Flow(*key)
        return self.flows[key]

    # -- packets out ------------------------------------------------------------------------

    def _outbound(self, event: Event, packet: Packet, due: int) -> None:
        _refuse(packet)
        begun = self.world.now
        latest = self._latest(event, due, begun)
        seen = self._await(latest)
        if seen is None:
            late = self._await(latest + LATE_NS)
            if late is None:
                raise Differs(f"nothing was sent: > {_source(self.script, event)}")
            seen = late
        flow = self._flow_out(packet.body, seen)
        try:
            if isinstance(seen, SeenTcp) and isinstance(packet.body, Tcp):
                seen = self._tcp(packet.body, seen, flow, latest)
            else:
                self._other(packet.body, seen)
            compare_ip(packet.ip, seen.ip)
        except Differs as error:
            self._note(seen, flow)
            found = seen_text(seen, flow)
            raise Differs(f"{error}: the stack sent > {found}", error.line) from None
        self._note(seen, flow)
        self._check_time(event, due, latest, seen, begun)
        self.world.now = max(self.world.now, seen.when)
        self.previous_due = due

    def _latest(self, event: Event, due: int, begun: int) -> int:
        when = event.when
        if when.kind == ANYTIME:
            return self.world.now + AFTERMATH_NS
        if when.kind == RANGE:
            return START_NS + when.end_ns
        if when.kind == RELATIVE_RANGE:
            return begun + when.end_ns
        return due + self._tolerance(max(0, due - begun))

    def _await(self, latest: int) -> Seen | None:
        """The next packet of the stack's, if it sends one until then."""
        while True:
            while self.world.outbox:
                seen = self._next_seen()
                if seen is not None:
                    return seen
            if not self.world.step(latest):
                self.world.now = max(self.world.now, latest)
                return None

    def _next_seen(self) -> Seen | None:
        when, frame = self.world.outbox.popleft()
        return decode(when, frame)

    def _flow_out(self, body: Tcp | Icmp | Foreign, seen: Seen) -> Flow:
        """The connection of a packet that the stack sent; a SYN from a new port begins one."""
        if not isinstance(seen, SeenTcp):
            return self.flow
        key = (seen.target_port, seen.source_port)
        known = self.flows.get(key)
        if known is None:
            known = self.flows[key] = Flow(*key)
            if seen.flags & (SYN | ACK) == SYN:
                self.flow = known
                self.is_fresh = False
        if isinstance(body, Tcp) and seen.flags & SYN and body.flags & SYN:
            ack = seen.ack if seen.flags & ACK else None
            known.learn(seen.seq, body.seq.start, ack)
        if isinstance(body, Tcp) and body.ports not in (None, (key[1], key[0])):
            raise Differs(f"ports {key[1]} > {key[0]}: > {seen_text(seen, known)}")
        if isinstance(body, Tcp) and body.ports is None and known is not self.flow:
            raise Differs(f"another connection's packet: > {seen_text(seen, known)}")
        return known

    def _tcp(self, tcp: Tcp, seen: SeenTcp, flow: Flow, latest: int) -> SeenTcp:
        """Compare a segment, or a run of segments that adds up to it."""
        run = [seen]
        total = len(seen.payload)
        while 0 < total < tcp.seq.length and not self.parameters.strict_segments:
            following = self._await(latest)
            if not isinstance(following, SeenTcp):
                break
            joined(run, following)
            run.append(following)
            total += len(following.payload)
        seen = whole(run) if len(run) > 1 else seen
        stream = self.sockets.stream_between(flow.stack_port, flow.peer_port)
        content = pattern if stream is None else stream.content
        comparison = TcpComparison(flow, self.leniency, self.parameters.ts_tick_us, content)
        comparison.compare(tcp, seen)
        return seen

    def _other(self, body: Tcp | Icmp | Foreign, seen: Seen) -> None:
        if isinstance(body, Icmp):
            compare_icmp(body, seen)
            return
        raise Differs("this is no TCP segment")

    def _check_time(self, event: Event, due: int, latest: int, seen: Seen, begun: int) -> None:
        when = event.when
        if when.kind == ANYTIME:
            return
        earliest = due
        if when.kind in (ABSOLUTE, RELATIVE):
            earliest = due - self._tolerance(max(0, due - begun))
        if not earliest <= seen.when <= latest:
            found = seconds(seen.when - START_NS)
            wanted = seconds(due - START_NS)
            raise Differs(f"sent at {found} instead of {wanted}: > {seen_text(seen, self.flow)}")

    # -- calls ------------------------------------------------------------------------------

    def _call(self, call: Call, event: Event) -> None:
        if call.name == "socket":
            self.is_fresh = True
        for waiting in list(self.waiting):  # one call at a time: the one before must return
            self.world.advance(waiting.end + waiting.tolerance)
            self._raise_fallen()
            self._check_waiting()
        attempt = self.calls.start(call)
        self._write(_source(self.script, event))
        result = self._try(call, attempt)
        if call.end_ns is not None:
            end = START_NS + call.end_ns if event.when.kind == ABSOLUTE else call.end_ns
            if event.when.kind == RELATIVE:
                end += self.world.now - event.when.start_ns
            tolerance = self._tolerance(end - self.world.now)
            waiting = Waiting(call, attempt, end, tolerance, event.line)
            if result is None:
                self.waiting.append(waiting)
            elif end - self.world.now > tolerance:
                raise Differs(f"{call.name} returned at once, not at {seconds(end - START_NS)}")
        elif result is None:
            raise Differs(f"{call.name} would block")
        self.world.breath()

    def _try(self, call: Call, attempt: Callable[[], int]) -> int | None:
        """The result, compared with the script's; None when the call has to wait."""
        errno = detail = ""
        try:
            result = attempt()
        except WouldBlock:
            if self.calls.may_block(call):
                return None
            result, errno = -1, "EAGAIN"
        except SocketError as error:
            result, errno, detail = -1, error.name, error.detail
        except CortenError as error:
            raise Differs(f"{call.name}: {error}") from None
        self._check_result(call, result, errno, detail)
        return result

    def _check_result(self, call: Call, result: int, errno: str, detail: str) -> None:
        if isinstance(call.result, Open):
            return
        wanted = number_of(call.result)
        same = "EAGAIN" if call.errno == "EWOULDBLOCK" else call.errno
        if result != wanted or (same and same != errno):
            found = f"{result} {errno}".strip()
            text = f"{call.name} = {found} instead of {wanted} {call.errno}".rstrip()
            raise Differs(f"{text} ({detail})" if detail else text)

    def _after_breath(self) -> None:
        """A call that waits may go on now. What it raises is raised by whoever runs the events."""
        for waiting in list(self.waiting):
            try:
                result = self._try(waiting.call, waiting.attempt)
            except (Differs, ScriptError, Unsupported) as error:
                self.waiting.remove(waiting)
                self.fallen = self.fallen or error
                continue
            if result is None:
                continue
            self.waiting.remove(waiting)
            if abs(self.world.now - waiting.end) > waiting.tolerance:
                found, wanted = (seconds(t - START_NS) for t in (self.world.now, waiting.end))
                text = f"{waiting.call.name} returned at {found} instead of {wanted}"
                self.fallen = self.fallen or Differs(text, waiting.line)

    def _check_waiting(self) -> None:
        for waiting in self.waiting:
            if self.world.now >= waiting.end + waiting.tolerance:
                wanted = seconds(waiting.end - START_NS)
                raise Differs(f"{waiting.call.name} did not return at {wanted}", waiting.line)

    def _raise_fallen(self) -> None:
        if self.fallen is not None:
            error, self.fallen = self.fallen, None
            raise error

    # -- state and trace --------------------------------------------------------------------

    def count(self, state: str) -> int:
        """How many connections are in a state, by sockstat's names."""
        host = self.world.stack.host
        if state == "TIME_WAIT":
            return int(host.time_wait_live)
        wanted = {"SYN_RCVD": "SYN-RECEIVED"}.get(state, state.replace("_", "-"))
        if state == "CLOSED":
            return sum(
                1
                for socket in self.sockets.open.values()
                if socket.stream and socket.stream.is_over
            )
        return sum(1 for c in self.world.stack.connections() if c.info()["state"] == wanted)

    def _note(self, seen: Seen, flow: Flow) -> None:
        self._write(f"> {seen_text(seen, flow)}", seen.when)

    def _write(self, text: str, when: int | None = None) -> None:
        at = self.world.now if when is None else when
        self.trace.append(f"{seconds(at - START_NS)} {text}")


def _is_inbound(event: Event) -> bool:
    return isinstance(event.action, Packet) and event.action.is_inbound


def _refuse(packet: Packet) -> None:
    """What can be parsed but lies outside TCP, and so is not run."""
    if packet.tunnels:
        raise Unsupported(f"{packet.tunnels[0]} encapsulation")
    if isinstance(packet.body, Foreign):
        raise Unsupported(f"{packet.body.what} packets")
    if isinstance(packet.body, Tcp) and packet.body.tunnel is not None:
        raise Unsupported("TCP over UDP")


def _source(script: Script, event: Event) -> str:
    """The event as the script has it, without its time and direction."""
    text = script.lines[event.line - 1].strip()
    return re.sub(r"^[+*~.\d\s]*[<>]?\s*", "", text)
