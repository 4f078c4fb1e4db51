"""What a wire does to packets: by script, or by chance from a seed.

A `Fault` names packets by their number on the link, from 0, both directions counted together in the
order in which they were sent. A `Weather` is a rate for each thing that may happen to any packet.
"""

from __future__ import annotations

from dataclasses import dataclass

from corten.core.chance import Chance

MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that happens to one packet."""

    kind: str  # "drop", "duplicate", "swap" (with the next one the same way), "flip", "delay"
    packet: int
    bit: int = 0  # flip: which bit, from the frame's first
    delay_ns: int = 0  # delay: by how much

    def __str__(self) -> str:
        more = f" bit {self.bit}" if self.kind == "flip" else ""
        return f"{self.kind} packet {self.packet}{more}"


def drop(*packets: int) -> list[Fault]:
    return [Fault("drop", packet) for packet in packets]


def duplicate(packet: int) -> list[Fault]:
    return [Fault("duplicate", packet)]


def swap(packet: int) -> list[Fault]:
    return [Fault("swap", packet)]


def flip(packet: int, bit: int) -> list[Fault]:
    return [Fault("flip", packet, bit)]


def delay(packet: int, by_ns: int) -> list[Fault]:
    return [Fault("delay", packet, delay_ns=by_ns)]


@dataclass(frozen=True, slots=True)
class Weather:
    """How often what happens, as fractions of all packets."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    reordering_ns: int = 5 * MILLISECOND  # a reordered packet is late by at most this
    until_ns: int | None = None  # afterwards the sky is clear

    def fate(self, chance: Chance, now: int) -> tuple[str, ...]:
        """What happens to the next packet."""
        if self.until_ns is not None and now >= self.until_ns:
            return ()
        rates = (
            ("drop", self.loss),
            ("duplicate", self.duplication),
            ("delay", self.reordering),
            ("flip", self.corruption),
        )
        return tuple(name for name, rate in rates if rate and chance.fraction() < rate)


def flip_bit(frame: bytes, bit: int) -> bytes:
    """The frame with one bit the other way."""
    at, mask = bit // 8, 0x80 >> bit % 8
    if at >= len(frame):
        return frame
    return frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :]
