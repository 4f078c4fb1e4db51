"""A handler that keeps what it is told, and packets from the peer of a test's link."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from corten.endpoint.datagram import DatagramHandler, Endpoint
from tests.stack.link import OURS, PEER

HERE, THERE = "10.0.0.2", "10.0.0.1"


class Kept(DatagramHandler):
    """Keeps every event; `echo` answers each datagram."""

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.locals: list[tuple[str, int]] = []
        self.errors: list[tuple[OSError, tuple[str, int]]] = []
        self.writable = 0
        self.closed: list[Exception | None] = []

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        self.got.append((data, peer))
        self.locals.append(endpoint.local)
        if self.echo:
            endpoint.send(data, peer)

    def on_error(self, endpoint: Endpoint, error: OSError, peer: tuple[str, int]) -> None:
        self.errors.append((error, peer))

    def on_writable(self, endpoint: Endpoint) -> None:
        self.writable += 1

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        self.closed.append(error)


def udp(
    data: bytes = b"", sport: int = 5000, dport: int = 7, to: str = OURS, **ip: object
) -> Packet:
    """A datagram from the peer, or from whoever `src` says."""
    values: dict[str, object] = {"src": THERE, "dst": HERE}
    return (
        Ether(src=PEER, dst=to) / IP(**{**values, **ip}) / UDP(sport=sport, dport=dport) / Raw(data)
    )
