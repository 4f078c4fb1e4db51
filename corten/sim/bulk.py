"""Bulk flows over one bottleneck, watched: who had what delivered when. What the golden table uses.

Every octet received is compared with what was sent, and the checker watches as always.
"""

from __future__ import annotations

from typing import Any

from corten.endpoint.handler import Handler
from corten.sim.network import MILLISECOND, Network
from corten.sim.rules import Limits

PORT = 9000
PERIOD = bytes((5 * i + (i >> 8)) & 0xFF for i in range(65521))


class Flow:
    """One direction of one connection, from `a` to `b`: what the application at `b` was given."""

    def __init__(self, network: Network, octets: int) -> None:
        self.network = network
        self.octets = octets  # to send; 0: until the end of the run
        self.received = 0
        self.arrivals: list[tuple[int, int]] = []  # (instant, octets so far)
        self.opened_at = 0
        self.done_at = 0
        self.error: Exception | None = None
        self.connection: Any = None

    def between(self, start: int, end: int) -> int:
        """Octets that arrived in [start, end)."""
        return self._by(end) - self._by(start)

    def _by(self, instant: int) -> int:
        total = 0
        for at, octets in self.arrivals:
            if at >= instant:
                break
            total = octets
        return total


class Source(Handler):
    """Sends its flow's octets, or for ever."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.sent = 0

    def on_open(self, connection: Any) -> None:
        self.flow.connection = connection
        self.flow.opened_at = self.flow.network.now
        self.on_writable(connection)

    def on_writable(self, connection: Any) -> None:
        more = True
        while more and (not self.flow.octets or self.sent < self.flow.octets):
            place = self.sent % len(PERIOD)
            left = self.flow.octets - self.sent if self.flow.octets else len(PERIOD)
            part = PERIOD[place : place + min(left, 16384)]
            self.sent += len(part)
            more = connection.send(part)
        if self.flow.octets and self.sent >= self.flow.octets:
            connection.close()

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.flow.error = error


class Sink(Handler):
    """Compares and counts."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def on_data(self, connection: Any, data: bytes) -> None:
        flow = self.flow
        at = 0
        while at < len(data):
            place = (flow.received + at) % len(PERIOD)
            part = min(len(data) - at, len(PERIOD) - place)
            if data[at : at + part] != PERIOD[place : place + part]:
                raise AssertionError(f"wrong octets near {flow.received + at}")
            at += part
        flow.received += len(data)
        flow.arrivals.append((flow.network.now, flow.received))

    def on_eof(self, connection: Any) -> None:
        self.flow.done_at = self.flow.network.now
        connection.close()


class Bottleneck:
    """Two hosts on one link, and flows from `a` to `b`."""

    def __init__(
        self, seed: int, config: dict[str, Any], link: dict[str, Any], title: str = ""
    ) -> None:
        from corten.tcp.config import Config

        settings = Config(**config)
        self.network = Network(seed, Limits(rto_floor_ns=settings.rto_min_ns), title)
        self.wire = self.network.link(**link)
        self.flows: list[Flow] = []
        self.a = self.network.host("a", settings)
        self.b = self.network.host("b", Config(**config))
        self.a.attach(self.wire, "10.0.0.1/24")
        self.b.attach(self.wire, "10.0.0.2/24")

    def flow(self, octets: int = 0, after_ms: float = 0.0) -> Flow:
        """One more flow, that begins after so long."""
        flow = Flow(self.network, octets)
        port = PORT + len(self.flows)
        self.flows.append(flow)
        self.b.listen(port, lambda: Sink(flow))
        self.network.after(after_ms, lambda: self.a.connect("10.0.0.2", port, lambda: Source(flow)))
        return flow

    def finish(self, flow: Flow, within_ms: float = 3_600_000) -> float:
        """Run until the flow has arrived whole; seconds since it was opened."""
        self.network.run_until(lambda: flow.done_at > 0 or flow.error is not None, within_ms)
        if not flow.done_at:
            self.network.fail(f"the flow ended with {flow.error!r}")
        return (flow.done_at - flow.opened_at) / 1e9

    def run(self, until_ms: float) -> None:
        self.network.run(until_ms=until_ms)

    def wait_for_rate(self, flow: Flow, octets: int, span_ms: float, within_ms: float) -> float:
        """Seconds from now until `octets` arrived within some `span_ms` again."""
        began = self.network.now
        span = int(span_ms * MILLISECOND)

        def is_back() -> bool:
            now = self.network.now
            return now >= began + span and flow.between(now - span, now) >= octets

        self.network.run_until(is_back, within_ms)
        return (self.network.now - span - began) / 1e9
