"""Two stacks and a wire between them, in one process, under a time of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corten.core.chance import Chance
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from tests.conformance.backend import Backend, FarListener, Peer

NEAR, FAR, NOBODY = "10.0.0.1", "10.0.0.2", "10.0.0.9"
WIRE_NS = 10_000  # from one end to the other
SETTLE_SECONDS = 400  # after which the last TIME-WAIT and the last retransmission are over


class StackPeer(Peer, Handler):
    """The far end: a handler of the far stack that does nothing of its own."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.connection: Any = None
        self.is_open = self.saw_eof = self.saw_reset = self.is_over = False

    @property
    def received(self) -> bytes:  # type: ignore[override]
        self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def on_open(self, connection: Any) -> None:
        self.connection = connection
        self.is_open = True

    def on_data(self, connection: Any, data: bytes) -> None:
        self._chunks.append(data)

    def on_eof(self, connection: Any) -> None:
        self.saw_eof = True

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.saw_reset = isinstance(error, ConnectionResetError)
        self.is_over = True

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    @property
    def unsent_len(self) -> int:
        length: int = self.connection.queued_len()
        return length

    def finish(self) -> None:
        self.connection.close()

    def reset(self) -> None:
        self.connection.abort()

    def stop_reading(self) -> None:
        self.connection.pause()

    def start_reading(self) -> None:
        self.connection.resume()


class StackListener(FarListener):
    def __init__(self, stack: Any, port: int) -> None:
        self.port = port
        self.peers = []
        stack.listen(port, self._make)

    def _make(self) -> StackPeer:
        peer = StackPeer()
        self.peers.append(peer)
        return peer


class End:
    """A stack, its interface, and the frames on their way to it."""

    def __init__(self, name: str, mac: str, address: str, number: int, now: int) -> None:
        self.stack: Any = Stack(Chance(number), bytes([number] * 32), now=now)
        self.interface = self.stack.add_interface(
            name,
            mac,
            [f"{address}/24"],
            offload_checksum=True,
            offload_segmentation=True,
            neighbours={NOBODY: "02:00:00:00:00:99"},  # a station that says nothing
        )
        self.waiting: list[tuple[bytes, int]] = []
        self._batch = ReceiveBatch()

    def breathe(self, now: int, other: End) -> None:
        """One breath; what it sends waits at the other end."""
        arrived, self.waiting = self.waiting, []
        while arrived and self._batch.append(arrived[0][0], CHECKSUM_GOOD, arrived[0][1]):
            del arrived[0]
        self.waiting = arrived
        self.stack.receive(now, self.interface, self._batch)
        self.stack.expire(now)
        try:
            self.stack.deliver(now)
        finally:
            self.stack.release(now)
            self._batch.clear()
        outgoing = self.interface.outgoing
        more = True
        while more:
            more = self.stack.transmit(now)
            for i in range(outgoing.count):
                other.waiting.append((outgoing.frame(i), outgoing.gso_size[i]))
            outgoing.clear()


class StackBackend(Backend):
    name = "stack"
    address = NEAR
    far_address = FAR
    can_watch = False
    nobody = (NOBODY, 80)
    patience = 0.05

    def __init__(self) -> None:
        self._now = 1_000_000_000
        self._near = End("near", "02:00:00:00:00:01", NEAR, 1, self._now)
        self._far = End("far", "02:00:00:00:00:02", FAR, 2, self._now)
        self._ports = 1000
        self.loop = self._near.stack

    def _port(self) -> int:
        self._ports += 1
        return self._ports

    def listen(self, factory: Callable[[], Handler]) -> int:
        port = self._port()
        self.loop.listen(port, factory)
        return port

    def dial(self, port: int) -> Peer:
        peer = StackPeer()
        self._far.stack.connect(NEAR, port, lambda: peer)
        self.run(lambda: peer.is_open or peer.is_over)
        return peer

    def far_listen(self) -> FarListener:
        return StackListener(self._far.stack, self._port())

    def _step(self, limit: int) -> None:
        """Time goes on to the next event, but not beyond `limit`; then each has a breath."""
        due = min(self._near.stack.next_deadline(), self._far.stack.next_deadline())
        soon = self._now + WIRE_NS
        if self._near.waiting or self._far.waiting or due <= soon:
            self._now = soon
        else:
            self._now = max(soon, min(due, limit))
        self._near.breathe(self._now, self._far)
        self._far.breathe(self._now, self._near)

    def run(self, until: Callable[[], object], seconds: float = 20.0) -> None:
        end = self._now + int(seconds * 1e9)
        while not until():
            assert self._now < end, "it did not happen"
            self._step(end)

    def pass_time(self, seconds: float) -> None:
        end = self._now + int(seconds * 1e9)
        while self._now < end:
            self._step(end)

    def close(self) -> None:
        for end in (self._near, self._far):
            end.stack.drain()
            for connection in end.stack.connections():
                connection.abort()
        self.pass_time(SETTLE_SECONDS)
        assert self._near.stack.leaks() == []
