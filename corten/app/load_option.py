"""What one run of the load client is to do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Options:
    """What to ask, of whom, and for how long."""

    urls: list[str]
    connections: int = 100
    seconds: float = 10.0
    close: bool = False
    hold: bool = False
    hashes: bool = False
    busy_poll: bool = False  # never sleep
    timeout: float = 10.0
    sources: list[str] = field(default_factory=list)  # our addresses, taken in turn
    seed: int = 1


@dataclass
class Target:
    """Where the URLs lead: one server, several paths."""

    address: str
    port: int
    requests: list[bytes]
