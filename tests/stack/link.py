"""A stack on one link for tests: scapy packets in and out, at instants of our choosing."""

from __future__ import annotations

from scapy.layers.inet6 import ICMPv6MLReport2
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.stack.stack import Stack
from corten.tcp.config import Config

OURS = "02:00:00:00:00:02"
PEER = "02:00:00:00:00:01"
SECOND = 1_000_000_000


class Link:
    """One stack at 10.0.0.2/24; the peer is 10.0.0.1, static unless `resolve`."""

    def __init__(
        self, resolve: bool = False, config: Config | None = None, **options: object
    ) -> None:
        self.now = SECOND
        self.shows_groups = bool(options.pop("shows_groups", False))
        self.stack = Stack(Chance(1), b"k" * 32, config, now=self.now)
        if not resolve:
            options.setdefault("neighbours", {"10.0.0.1": PEER})
        options.setdefault("addresses", ["10.0.0.2/24"])
        options.setdefault("dad", "off")
        self.interface = self.stack.add_interface("test0", OURS, **options)
        self.announced = self.take()

    def take(self) -> list[Packet]:
        """What lies in `outgoing`, parsed; it is cleared."""
        outgoing = self.interface.outgoing
        frames = [Ether(outgoing.frame(i)) for i in range(outgoing.count)]
        outgoing.clear()
        return [frame for frame in frames if self.shows_groups or ICMPv6MLReport2 not in frame]

    def breath(self, *packets: Packet | bytes, after: int = 0) -> list[Packet]:
        """One breath: packets in, what leaves in answer out. `after`: nanoseconds later."""
        self.now += after
        batch = ReceiveBatch()
        for packet in packets:
            assert batch.append(bytes(packet))
        self.stack.receive(self.now, self.interface, batch)
        self.stack.expire(self.now)
        self.stack.deliver(self.now)
        self.stack.release(self.now)
        sent: list[Packet] = []
        while True:
            again = self.stack.transmit(self.now)
            sent += self.take()
            if not again:
                return sent

    def count(self, name: str) -> int:
        """One counter."""
        return self.stack.counters.snapshot()[name]


def arp(**fields: object) -> Packet:
    """An ARP message from the peer, by default a request for our address."""
    values = {
        "op": 1,
        "hwsrc": PEER,
        "psrc": "10.0.0.1",
        "hwdst": "00:00:00:00:00:00",
        "pdst": "10.0.0.2",
    }
    to = fields.pop("to", "ff:ff:ff:ff:ff:ff")
    return Ether(src=PEER, dst=to) / ARP(**{**values, **fields})
