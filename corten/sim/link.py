"""A wire between hosts: delay, rate, a bounded queue, and what goes wrong on it.

Strategy. A link is one Ethernet segment. Whatever a port sends reaches the other ports, as a switch
would pass it: a unicast frame only the port that has the address, anything else all of them. Each
port has its own transmitter: a frame leaves when the frames before it have left at the link's rate,
and is lost when the queue is full.

Rules. Packets are numbered in the order they were sent, both directions together; faults name these
numbers. All chance comes from one generator of the link's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corten.core.chance import Chance
from corten.sim.fault import Fault, Weather, flip_bit
from corten.sim.icmp_error import ETHERNET_LEN, too_big
from corten.sim.packet import codepoint, mark

if TYPE_CHECKING:
    from corten.sim.host import Port
    from corten.sim.network import Network

SECOND = 1_000_000_000


class Link:
    """An Ethernet segment with its ports."""

    def __init__(
        self,
        network: Network,
        index: int,
        delay_ns: int = SECOND // 1000,
        rate: int = 0,
        queue_len: int = 1 << 20,
        weather: Weather | None = None,
        faults: Iterable[Fault] = (),
        jitter_ns: int = 0,
    ) -> None:
        """`rate` in bits a second (0: no limit); `queue_len` in octets, of each port. A frame takes
        up to `jitter_ns` longer; none overtakes another for that."""
        self.network = network
        self.index = index
        self.delay_ns = delay_ns
        self.rate = rate
        self.queue_len = queue_len
        self.jitter_ns = jitter_ns
        self.weather = weather or Weather()
        self.ports: list[Port] = []
        self.packets = 0
        self.octets = 0
        self.lost = 0
        self.is_up = True
        self.narrow_mtu = 0  # in the middle of the link; 0: as at its ends
        self.tells = True  # whether who drops there says so by ICMP
        self.mark_len = 0  # octets that wait; from there on capable packets are marked (RFC 3168)
        self.marked = 0
        self._chance: Chance = network.chance.fork(1000 + index)
        self._faults: dict[int, list[Fault]] = {}
        self._free_at: dict[Port, int] = {}
        self._last_at: dict[Port, int] = {}  # when the last frame of a port arrives
        self._held: dict[Port, tuple[int, bytes]] = {}
        for fault in faults:
            self._faults.setdefault(fault.packet, []).append(fault)

    def attach(self, port: Port) -> None:
        self.ports.append(port)
        self._free_at[port] = self._last_at[port] = 0

    def cut(self) -> None:
        """From now on whatever is sent is lost. What is under way still arrives."""
        self.is_up = False
        self.network.trace.event(self.network.now, self.name, "cut")

    def heal(self) -> None:
        """It carries again."""
        self.is_up = True
        self.network.trace.event(self.network.now, self.name, "healed")

    @property
    def name(self) -> str:
        """Its ports' hosts: "client-server"."""
        return "-".join(port.host.name for port in self.ports)

    def queued_len(self, now: int) -> int:
        """Octets that wait to leave, in the fuller of the ports' queues."""
        return max((self._waiting(now, port) for port in self.ports), default=0)

    def send(self, now: int, port: Port, frame: bytes) -> None:
        """`port` puts a frame on the wire."""
        number = self.packets
        self.packets += 1
        self.octets += len(frame)
        self.network.trace.note(now, port.name, number, frame)
        departs = self._departs(now, port, len(frame))
        if departs is None:
            self._lose(now, port, number, "queue full")
            return
        if port in self._held:
            self._carry(now, departs, port, number, frame)
            self._release(now, departs, port)
            return
        if self.mark_len and codepoint(frame) and self._waiting(now, port) > self.mark_len:
            frame = mark(frame)
            self.marked += 1
            self._remark(now, port, number, "marked")
        if any(fault.kind == "swap" for fault in self._faults.get(number, ())):
            self._held[port] = (number, frame)
            # with nothing after it to swap with, it is only late
            self.network.at(departs + SECOND // 5, self._release_late, port, number)
            return
        self._carry(now, departs, port, number, frame)

    def _departs(self, now: int, port: Port, length: int) -> int | None:
        """When the frame's last bit has left the port; None: the queue is full."""
        if not self.rate:
            return now
        free_at = max(now, self._free_at[port])
        waiting = self._waiting(now, port)
        if waiting + length > self.queue_len and waiting:
            return None
        self._free_at[port] = free_at + length * 8 * SECOND // self.rate
        return self._free_at[port]

    def _waiting(self, now: int, port: Port) -> int:
        """Octets in a port's queue."""
        return max(0, self._free_at[port] - now) * self.rate // (8 * SECOND)

    def _release(self, now: int, departs: int, port: Port) -> None:
        number, frame = self._held.pop(port)
        self._remark(now, port, number, "swapped with the next")
        self._carry(now, departs + 1, port, number, frame)

    def _release_late(self, now: int, port: Port, number: int) -> None:
        if port in self._held and self._held[port][0] == number:
            self._release(now, now, port)

    def _lose(self, now: int, port: Port, number: int, why: str) -> None:
        self.lost += 1
        self._remark(now, port, number, why)

    def _remark(self, now: int, port: Port, number: int, text: str) -> None:
        self.network.trace.remark(now, port.name, number, text)

    def _carry(self, now: int, departs: int, port: Port, number: int, frame: bytes) -> None:
        """What becomes of a frame that has left its port."""
        arrives = departs + self.delay_ns
        if self.jitter_ns:
            arrives += self._chance.below(self.jitter_ns + 1)
            arrives = self._last_at[port] = max(arrives, self._last_at[port])
        copies = 1
        intact = True
        if not self.is_up:
            self._lose(now, port, number, "link down")
            return
        if self.narrow_mtu and len(frame) > self.narrow_mtu + ETHERNET_LEN:
            self._lose(now, port, number, f"larger than {self.narrow_mtu}")
            self._tell(arrives, port, frame)
            return
        for kind, bit, late_ns in self._fates(number, len(frame), now):
            if kind == "drop":
                self._lose(now, port, number, "lost")
                return
            if kind == "duplicate":
                copies += 1
            elif kind == "delay":
                arrives += late_ns
            elif kind == "flip":
                frame, intact = flip_bit(frame, bit), False
                self._remark(now, port, number, f"bit {bit} flipped")
        if copies > 1:
            self._remark(now, port, number, "duplicated")
        for _ in range(copies):
            self._deliver(arrives, port, frame, intact)

    def _tell(self, arrives: int, port: Port, frame: bytes) -> None:
        """A router says that the frame was too big; it takes as long as the frame's own way."""
        answer = too_big(frame, self.narrow_mtu) if self.tells else None
        if answer is not None:
            self.network.at(arrives + self.delay_ns, port.host.arrive, port, answer, True)

    def _fates(self, number: int, length: int, now: int) -> list[tuple[str, int, int]]:
        """(kind, bit, delay) of everything that happens to this packet."""
        fates = [(f.kind, f.bit, f.delay_ns) for f in self._faults.get(number, ())]
        for kind in self.weather.fate(self._chance, now):
            bit = self._chance.below(length * 8) if kind == "flip" else 0
            late = 1 + self._chance.below(self.weather.reordering_ns) if kind == "delay" else 0
            fates.append((kind, bit, late))
        return fates

    def _deliver(self, arrives: int, sender: Port, frame: bytes, intact: bool) -> None:
        to = frame[:6]
        others = [port for port in self.ports if port is not sender]
        known = [port for port in others if port.mac_octets == to]
        for port in known or others:
            self.network.at(arrives, port.host.arrive, port, frame, intact)
