"""A host of a simulated network: one Stack, its ports, and its breaths.

Rules. A host does what a worker does: receive, expire, deliver, release, transmit. Frames that
reach it at the same instant, or while it rests between breaths (`quantum_ns`), are one burst.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any

from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch
from corten.sim.link import Link
from corten.sim.offload import merge, take_frames

if TYPE_CHECKING:
    from corten.sim.network import Network

NEVER = 1 << 62
BURST = 128


class Port:
    """Where a host is attached to a link."""

    def __init__(self, host: Host, link: Link, interface: Any, mac: str, offload: bool) -> None:
        self.host = host
        self.link = link
        self.interface = interface
        self.mac_octets = bytes.fromhex(mac.replace(":", ""))
        self.offload = offload
        self.name = host.name if not host.ports else f"{host.name}.{len(host.ports)}"
        self.waiting: list[tuple[bytes, bool]] = []
        self.batch = ReceiveBatch(1 << 20)


class Host:
    """One Stack in a Network. Made by `Network.host`."""

    def __init__(self, network: Network, name: str, stack: Any, quantum_ns: int = 0) -> None:
        self.network = network
        self.name = name
        self.stack = stack
        self.quantum_ns = quantum_ns
        self.ports: list[Port] = []
        self.breaths = 0
        self.is_breathing = False
        self.context: Context | None = None  # in which its handlers run; none: the caller's
        self._woken_for = NEVER

    def attach(
        self,
        link: Link,
        address: str | list[str],
        mac: str = "",
        mtu: int = 1500,
        offload: bool = False,
        **options: Any,
    ) -> Port:
        """Give the host an interface on `link`; `address` as 10.0.0.1/24, or several; none for one
        that configures itself (slaac=True)."""
        mac = mac or self.network.next_mac()
        interface = self.stack.add_interface(
            f"{self.name}{len(self.ports)}",
            mac,
            address if isinstance(address, list) else [address] if address else [],
            mtu=mtu,
            offload_checksum=offload,
            offload_segmentation=offload,
            **options,
        )
        port = Port(self, link, interface, mac, offload)
        self.ports.append(port)
        link.attach(port)
        self.wake(self.network.now)
        return port

    def listen(self, port: int, factory: Any, **options: Any) -> Any:
        return self.stack.listen(port, factory, **options)

    def connect(self, address: str, port: int, factory: Any, **options: Any) -> Any:
        connection = self.stack.connect(address, port, factory, **options)
        self.wake(self.network.now)
        return connection

    def arrive(self, now: int, port: Port, frame: bytes, intact: bool) -> None:
        """A frame has reached a port; the host sees it in its next breath."""
        port.waiting.append((frame, intact))
        self.wake(now)

    def wake(self, at: int) -> None:
        """Have a breath at `at`, or at the next quantum after it."""
        if self.quantum_ns:
            at = -(-at // self.quantum_ns) * self.quantum_ns
        if at < self._woken_for:
            self._woken_for = at
            self.network.at(at, self._on_wake, order=1)

    def _on_wake(self, now: int) -> None:
        if now == self._woken_for:
            self._woken_for = NEVER
            if self.context is None:
                self.breath(now)
            else:
                self.context.run(self.breath, now)

    def breath(self, now: int) -> None:
        """One turn of the stack at `now`, and the wake-up for its next deadline."""
        self.breaths += 1
        self.is_breathing = True
        try:
            self._breathe(now)
        finally:
            self.is_breathing = False

    def _breathe(self, now: int) -> None:
        stack = self.stack
        for port in self.ports:
            if port.waiting:
                self._receive(now, port)
        stack.expire(now)
        stack.deliver(now)
        stack.release(now)
        for port in self.ports:
            port.batch.clear()
        self._transmit(now)
        self.network.checker.breath_ended(now, self.name)
        deadline = stack.next_deadline()
        if deadline < NEVER:
            self.wake(max(deadline, now + 1))

    def _receive(self, now: int, port: Port) -> None:
        """Hand over as many waiting frames as one batch holds; the rest has its own breath."""
        waiting, port.waiting = port.waiting[:BURST], port.waiting[BURST:]
        if port.waiting:
            self.wake(now)
        for frame, _ in waiting:
            certain = frame[:6] == port.mac_octets
            if certain or frame[0] & 1:
                self.network.checker.reached(now, self.name, frame, certain)
        if port.offload and all(intact for _, intact in waiting):
            for frame, size in merge([frame for frame, _ in waiting]):
                port.batch.append(frame, CHECKSUM_GOOD, size)
        else:
            for frame, intact in waiting:
                port.batch.append(frame, CHECKSUM_GOOD if port.offload and intact else 0, 0)
        self.stack.receive(now, port.interface, port.batch)

    def _transmit(self, now: int) -> None:
        while True:
            more = self.stack.transmit(now)
            for port in self.ports:
                frames = take_frames(port.interface.outgoing)
                port.interface.outgoing.clear()
                for frame in frames:
                    self.network.checker.sent(now, self.name, frame)
                    port.link.send(now, port, frame)
            if not more:
                return
