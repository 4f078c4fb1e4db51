"""What a connection and its path looked like over time: a look at both every few milliseconds.

    gauge = Gauge(network, connection.info, link)
    gauge.start()
    network.run_until(…)
    gauge.looks[-1].cwnd

Of an asyncio program `info` is `lambda: writer.get_extra_info("tcp_info")`. It looks until the
connection is over, or `stop`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from corten.sim.link import Link
from corten.sim.network import Network

MILLISECOND = 1_000_000
GOODPUT_SPAN = 0.5  # seconds over which a rate is taken


@dataclass(frozen=True, slots=True)
class Look:
    """One instant, in seconds; octets."""

    time: float
    cwnd: int
    ssthresh: int
    rtt: float
    delivered: int
    queue: int
    lost: int  # frames of the link so far


class Gauge:
    """The looks at one connection."""

    def __init__(
        self,
        network: Network,
        info: Callable[[], Mapping[str, Any] | None],
        link: Link,
        every_ms: float = 10.0,
    ) -> None:
        self.looks: list[Look] = []
        self._network = network
        self._info = info
        self._link = link
        self._every = int(every_ms * MILLISECOND)
        self._is_on = False

    def start(self) -> None:
        """Look from now on."""
        self._is_on = True
        self._network.at(self._network.now, self._look, order=2)

    def stop(self) -> None:
        """Look no more."""
        self._is_on = False

    def _look(self, now: int) -> None:
        info = self._info() if self._is_on else None
        if info is None or info["state"] == "CLOSED":
            return
        self.looks.append(
            Look(
                now / 1e9,
                info["cwnd"],
                info["ssthresh"],
                info["srtt"],
                info["delivered"],
                self._link.queued_len(now),
                self._link.lost,
            )
        )
        self._network.at(now + self._every, self._look, order=2)

    def goodput(self, span: float = GOODPUT_SPAN) -> list[tuple[float, float]]:
        """(instant, bits a second): what was delivered in the `span` seconds before it."""
        found = []
        first = 0
        for look in self.looks:
            while self.looks[first].time < look.time - span:
                first += 1
            began = self.looks[first]
            if look.time > began.time:
                octets = look.delivered - began.delivered
                found.append((look.time, octets * 8 / (look.time - began.time)))
        return found


__all__ = ["Gauge", "Look"]
