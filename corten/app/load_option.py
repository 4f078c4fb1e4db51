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
    wanted_sources: str = ""  # more of them: a number, or a prefix (`load_source`)
    rate: float = 0.0  # requests a second, whatever the replies do; 0: as fast as replies come
    poisson: bool = False  # at instants by chance instead of equal distances
    pipeline: int = 1  # requests outstanding on a connection
    percentiles: str = ""  # a file for the table of percentiles
    histogram_log: str = ""  # a file for the histogram itself
    seed: int = 1


@dataclass
class Target:
    """Where the URLs lead: one server, several paths."""

    address: str
    port: int
    requests: list[bytes]
