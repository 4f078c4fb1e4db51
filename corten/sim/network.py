"""A network in one process under virtual time: hosts, links, and an event queue.

    network = Network(seed=1)
    wire = network.link(delay_ms=10, weather=Weather(loss=0.05))
    server, client = network.host("server"), network.host("client")
    server.attach(wire, "10.0.0.1/24")
    client.attach(wire, "10.0.0.2/24")
    server.listen(80, MyServer)
    client.connect("10.0.0.1", 80, MyClient)
    network.run(until_ms=5000)

Strategy. Nothing waits: time jumps to the next event. All chance comes from the seed, so a run can
be had again, bit for bit. The hosts run the real stack; the checker (`checker.py`) watches every
packet of every run.

Rules. Times inside are integer nanoseconds; `…_ms` arguments are for people. Events of one instant
happen in the order in which they were made, arrivals before breaths.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

from corten.core.chance import Chance
from corten.sim.checker import Checker, CheckFailure
from corten.sim.fault import Fault, Weather
from corten.sim.host import NEVER, Host
from corten.sim.link import Link
from corten.sim.rules import Limits
from corten.sim.trace import PacketTrace

MILLISECOND = 1_000_000
EVENTS_MAX = 2_000_000


class SimulationFailure(AssertionError):
    """What was expected of a run did not happen. The text has the seed and the last packets."""


class Network:
    """Hosts and links, and the time they live in."""

    def __init__(
        self, seed: int = 0, limits: Limits | None = None, title: str = "", start_ns: int = 0
    ) -> None:
        self.seed = seed
        self.title = title
        self.chance = Chance(seed)
        self.now = self.start = start_ns
        self.hosts: dict[str, Host] = {}
        self.links: list[Link] = []
        self.trace = PacketTrace()
        self.checker = Checker(limits, self._tail)
        self.events = 0
        self._queue: list[tuple[int, int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0
        self._macs = 0

    # -- building ---------------------------------------------------------------------------

    def host(
        self,
        name: str,
        config: Any = None,
        stack: Any = None,
        quantum_ns: int = 0,
    ) -> Host:
        """A host with a Stack of its own; `config` are its TCP settings."""
        if stack is None:
            from corten.stack.stack import Stack  # the simulator's packets are tested without it

            secret = self.chance.octets(32)
            stack = Stack(
                self.chance.fork(len(self.hosts)),
                secret,
                config,
                now=self.now,
                clock=lambda: self.now,
            )
        host = self.hosts[name] = Host(self, name, stack, quantum_ns)
        return host

    def link(
        self,
        delay_ms: float = 1.0,
        rate: int = 0,
        queue_len: int = 1 << 20,
        weather: Weather | None = None,
        faults: Iterable[Fault] = (),
        jitter_ms: float = 0.0,
    ) -> Link:
        """A wire; attach hosts to it. `rate` in bits a second, `queue_len` in octets a port."""
        delay_ns, jitter_ns = int(delay_ms * MILLISECOND), int(jitter_ms * MILLISECOND)
        link = Link(self, len(self.links), delay_ns, rate, queue_len, weather, faults, jitter_ns)
        self.links.append(link)
        return link

    def pair(self, **link_options: Any) -> tuple[Host, Host]:
        """The most common network: hosts `a` at 10.0.0.1 and `b` at 10.0.0.2 on one link."""
        wire = self.link(**link_options)
        a, b = self.host("a"), self.host("b")
        a.attach(wire, "10.0.0.1/24")
        b.attach(wire, "10.0.0.2/24")
        return a, b

    def next_mac(self) -> str:
        self._macs += 1
        return f"02:00:00:00:00:{self._macs:02x}"

    # -- running ----------------------------------------------------------------------------

    def at(self, when: int, function: Callable[..., None], *arguments: Any, order: int = 0) -> None:
        """Call `function(now, *arguments)` at `when`; `order` sorts what is due at one instant."""
        self._serial += 1
        heapq.heappush(self._queue, (when, order, self._serial, function, arguments))

    def after(self, ms: float, function: Callable[[], object]) -> None:
        """Call `function()` in `ms` from now, then give every host a breath."""

        def call(now: int) -> None:
            function()
            self.wake_all()

        self.at(self.now + int(ms * MILLISECOND), call)

    def wake_all(self) -> None:
        """An application did something from outside: let the hosts notice."""
        for host in self.hosts.values():
            host.wake(self.now)

    def next_event(self) -> int:
        """When something will happen; far away when nothing will."""
        return self._queue[0][0] if self._queue else NEVER

    def step(self) -> bool:
        """The next event; False when there is none."""
        if not self._queue:
            return False
        when, _, _, function, arguments = heapq.heappop(self._queue)
        self.now = max(self.now, when)
        self.events += 1
        try:
            function(self.now, *arguments)
        except AssertionError:
            raise
        except Exception as error:
            raise SimulationFailure(self._report(f"{type(error).__name__}: {error}")) from error
        return True

    def run(self, until_ms: float | None = None, max_events: int = EVENTS_MAX) -> None:
        """Until nothing is left to happen, or until `until_ms` after the network's start."""
        limit = None if until_ms is None else self.start + int(until_ms * MILLISECOND)
        self._run(lambda: False, limit, max_events)
        if limit is not None:
            self.now = max(self.now, limit)
            self.checker.time_passed(self.now)

    def run_until(
        self,
        predicate: Callable[[], bool],
        within_ms: float = 3_600_000,
        max_events: int = EVENTS_MAX,
    ) -> None:
        """Until `predicate()` is true. SimulationFailure when it is not `within_ms` from now."""
        limit = self.now + int(within_ms * MILLISECOND)
        if not self._run(predicate, limit, max_events):
            self.fail(f"not reached within {within_ms:g} ms")

    def _run(self, predicate: Callable[[], bool], limit: int | None, max_events: int) -> bool:
        last = self.events + max_events
        while not predicate():
            if not self._queue or (limit is not None and self._queue[0][0] > limit):
                return False
            if self.events >= last:
                self.fail(f"{max_events} events and no end: a loop of answers?")
            self.step()
        return True

    # -- failing ----------------------------------------------------------------------------

    def fail(self, text: str) -> None:
        """Raise SimulationFailure with the seed and the last packets."""
        raise SimulationFailure(self._report(text))

    def _report(self, text: str) -> str:
        return f"{text}\n{self._tail()}"

    def _tail(self) -> str:
        replay = f"replay: {self.title or f'Network(seed={self.seed})'}"
        return f"{self.trace.text(60)}\n{replay}"

    def leaks(self) -> list[str]:
        """What any host still holds."""
        return [
            f"{host.name}: {leak}" for host in self.hosts.values() for leak in host.stack.leaks()
        ]


__all__ = ["CheckFailure", "Network", "SimulationFailure"]
