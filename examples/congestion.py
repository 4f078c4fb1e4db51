"""A congestion control of one's own, beside those of the stack, on a simulated path.

    python examples/congestion.py              a table
    python examples/congestion.py plot.svg     and a figure of it; that needs matplotlib

In a checkout that is built but not installed, put PYTHONPATH=. before it.

`Delay` watches the round trip, as Vegas does (Brakmo and Peterson, 1994): it keeps two to four
segments waiting in the path's queue, where Reno and CUBIC fill the queue until it overflows. The
path here is 10 Mbit/s and 40 ms with room for 100 ms of data in its queue; time is virtual.
"""

from __future__ import annotations

import sys
from typing import Any

import corten
from corten.sim import Gauge, Network

OCTETS = 5_000_000
RATE = 10_000_000  # bits a second
LESS, MORE = 2, 4  # segments that may wait in the path


class Delay(corten.Congestion):
    """One segment more or less a round trip, by what waits in the path."""

    def __init__(self, mss: int, initial_window: int) -> None:
        super().__init__(mss, initial_window)
        self.fastest = self.round_end = self.smallest = 0

    def on_ack(self, ack: Any) -> None:
        if ack.rtt:
            self.smallest = min(self.smallest or ack.rtt, ack.rtt)
            self.fastest = min(self.fastest or ack.rtt, ack.rtt)
        if ack.now < self.round_end or not self.smallest:
            return
        rtt, self.smallest = self.smallest, 0  # of the round that is over
        self.round_end = ack.now + rtt
        waiting = self.window * (rtt - self.fastest) // rtt
        if self.window < self.ssthresh:  # slow start
            if waiting <= LESS * self.mss:
                self.window = min(2 * self.window, self.ssthresh)
                return
            self.ssthresh = self.window = self.window - waiting
        elif waiting < LESS * self.mss:
            self.window += self.mss
        elif waiting > MORE * self.mss:
            self.window -= self.mss

    def on_loss(self, in_flight: int, now: int) -> None:
        self.window = self.ssthresh = max(in_flight * 3 // 4, 2 * self.mss)


class Source(corten.Handler):
    """Sends, and says how it was on the way."""

    def __init__(self) -> None:
        self.left = OCTETS
        self.connection: Any = None

    def on_open(self, connection: corten.Connection) -> None:
        self.connection = connection
        self.on_writable(connection)

    def on_writable(self, connection: corten.Connection) -> None:
        more = True
        while more and self.left:
            part = min(self.left, 16384)
            self.left -= part
            more = connection.send(bytes(part))
        if not self.left:
            connection.close()


class Sink(corten.Handler):
    """Counts."""

    def __init__(self) -> None:
        self.received = 0
        self.is_done = False

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        self.received += len(data)

    def on_eof(self, connection: corten.Connection) -> None:
        self.is_done = True
        connection.close()


def measure(congestion: object) -> tuple[float, Gauge]:
    """(Mbit/s, what the transfer looked like every 10 ms) of one transfer."""
    network = Network(seed=1)
    wire = network.link(delay_ms=20, rate=RATE, queue_len=RATE // 80)
    here, there = network.host("here"), network.host("there")
    here.attach(wire, "10.0.0.1/24")
    there.attach(wire, "10.0.0.2/24")
    source, sink = Source(), Sink()
    there.listen(9, lambda: sink)
    here.connect("10.0.0.2", 9, lambda: source, congestion=congestion)
    network.run_until(lambda: source.connection is not None)
    gauge = Gauge(network, source.connection.info, wire)
    gauge.start()
    network.run_until(lambda: sink.is_done)
    return sink.received * 8e3 / (network.now - network.start), gauge


def main(plot: str = "") -> None:
    print(f"{'':8}{'Mbit/s':>8}{'queue':>10}{'lost':>7}")
    gauges = {}
    for congestion in ("reno", "cubic", Delay):
        rate, gauge = measure(congestion)
        name = congestion if isinstance(congestion, str) else congestion.__name__
        gauges[name] = gauge
        waits = [1000 * look.rtt - 40 for look in gauge.looks if look.time > 0.2]
        print(f"{name:8}{rate:8.2f}{sum(waits) / len(waits):7.1f} ms{gauge.looks[-1].lost:7}")
    if plot:
        from corten.sim.plot import draw_path

        draw_path(gauges, plot, "10 Mbit/s, 40 ms, a queue of 100 ms")


if __name__ == "__main__":
    main(*sys.argv[1:2])
