"""A table of goodput over loss, delay and buffer, in virtual time: the same on every machine.

One bulk transfer a cell, over a link of 100 Mbit/s. A change of the numbers is a change of what the
stack does on the wire, seen at a glance.
"""

from __future__ import annotations

from dataclasses import dataclass

from corten.sim.application import Plan
from corten.sim.fault import Weather
from corten.sim.scenario import Setting, play

RATE = 100_000_000
LOSSES = (0.0, 0.001, 0.01, 0.05)
DELAYS_MS = (0.1, 5.0, 50.0)
BUFFERS = (16 * 1024, 256 * 1024, 4 * 1024 * 1024)


@dataclass(frozen=True)
class Cell:
    """One combination, and what came of it."""

    loss: float
    delay_ms: float
    buffer: int
    goodput: float  # bits a second of virtual time
    packets: int


def octets_for(loss: float, delay_ms: float, buffer: int) -> int:
    """Enough for a steady state where there is one, and few enough to wait for."""
    return 2_000_000 if loss < 0.05 and delay_ms < 50 else 500_000


def measure(loss: float, delay_ms: float, buffer: int, seed: int = 1) -> Cell:
    """Run one cell."""
    octets = octets_for(loss, delay_ms, buffer)
    config = {"receive_buffer": buffer}
    setting = Setting(
        ((Plan(send=octets), Plan(close="eof")),),
        config,
        config,
        {
            "delay_ms": delay_ms,
            "rate": RATE,
            "queue_len": 256 * 1024,
            "weather": Weather(loss=loss),
        },
    )
    title = f"grid loss {loss} delay {delay_ms} ms buffer {buffer}"
    network = play(setting, seed, title)
    ends = [end for end in network.checker.ends.values() if end.host == "b"]
    done_ns = max(end.fin_heard_ns for end in ends) - network.start
    return Cell(loss, delay_ms, buffer, octets * 8e9 / done_ns, network.links[0].packets)


def table(seed: int = 1) -> list[Cell]:
    return [
        measure(loss, delay_ms, buffer, seed)
        for loss in LOSSES
        for delay_ms in DELAYS_MS
        for buffer in BUFFERS
    ]


def text(cells: list[Cell]) -> str:
    """The table as it is printed."""
    lines = ["  loss   delay    buffer    goodput   packets"]
    lines += [
        f"{cell.loss:6.1%} {cell.delay_ms:5.1f} ms {cell.buffer // 1024:5} KiB"
        f" {cell.goodput / 1e6:7.2f} Mbit/s {cell.packets:6}"
        for cell in cells
    ]
    return "\n".join(lines)
