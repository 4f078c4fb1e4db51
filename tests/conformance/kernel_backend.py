"""The kernel's worker on 127.0.0.1, and plain sockets as its peers."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

from corten.endpoint.handler import Handler
from corten.kernel.worker import KernelWorker
from tests.conformance.backend import Backend, FarListener, Peer


class SocketPeer(Peer):
    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._chunks: list[bytes] = []
        self._unsent = memoryview(b"")
        self._finishing = False
        self._reading = True
        self.saw_eof = False
        self.saw_reset = False
        self.is_open = True

    @property
    def received(self) -> bytes:  # type: ignore[override]
        self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def send(self, data: bytes) -> None:
        self._unsent = memoryview(bytes(self._unsent) + data)
        self._write()

    @property
    def unsent_len(self) -> int:
        return len(self._unsent)

    def finish(self) -> None:
        self._finishing = True
        self._write()

    def reset(self) -> None:
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end.close()
        self.saw_eof = True

    def stop_reading(self) -> None:
        self._reading = False

    def start_reading(self) -> None:
        self._reading = True

    def step(self) -> None:
        if self._end.fileno() < 0 or self.saw_reset:
            return
        self._write()
        while self._reading and not self.saw_eof and not self.saw_reset:
            try:
                data = self._end.recv(1 << 18)
            except BlockingIOError:
                return
            except ConnectionError:
                self.saw_reset = True
                return
            if data:
                self._chunks.append(data)
            else:
                self.saw_eof = True

    def _write(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._end.send(self._unsent[: 1 << 18]) :]
            if self._finishing:
                self._finishing = False
                self._end.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self.saw_reset = True

    def close(self) -> None:
        self._end.close()


class SocketListener(FarListener):
    def __init__(self) -> None:
        self._end = socket.create_server(("127.0.0.1", 0))
        self._end.setblocking(False)
        self.port = self._end.getsockname()[1]
        self.peers = []

    def step(self) -> None:
        try:
            while True:
                self.peers.append(SocketPeer(self._end.accept()[0]))
        except BlockingIOError:
            return

    def close(self) -> None:
        self._end.close()


class KernelBackend(Backend):
    name = "kernel"
    address = "127.0.0.1"
    far_address = "127.0.0.1"
    can_watch = True
    patience = 0.05

    def __init__(self) -> None:
        self.loop = KernelWorker([self.address])
        self._peers: list[SocketPeer] = []
        self._listeners: list[SocketListener] = []
        self._fillers: list[socket.socket] = []

    @property
    def nobody(self) -> tuple[str, int]:  # type: ignore[override]
        """A listener whose backlog is full: the kernel drops every further SYN."""
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self._fillers.append(full)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            self._fillers.append(filler)
        address, port = full.getsockname()
        return address, port

    def listen(self, factory: Callable[[], Handler]) -> int:
        port: int = self.loop.listen(0, factory).port
        return port

    def dial(self, port: int) -> Peer:
        peer = SocketPeer(socket.create_connection((self.address, port)))
        self._peers.append(peer)
        return peer

    def far_listen(self) -> FarListener:
        listener = SocketListener()
        self._listeners.append(listener)
        return listener

    def _step(self) -> None:
        self.loop.turn()
        for listener in self._listeners:
            listener.step()
            for peer in listener.peers:
                assert isinstance(peer, SocketPeer)
                peer.step()
        for peer in self._peers:
            peer.step()

    def run(self, until: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it did not happen"
            self._step()
            select.select([self.loop.fileno()], [], [], 0.0005)

    def pass_time(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.run(lambda: time.monotonic() >= end, seconds + 5)
        self._step()  # a loop's time is that of its turn; the last may lie long before the end

    def close(self) -> None:
        self.loop.close()
        for end in [*self._peers, *self._listeners, *self._fillers]:
            end.close()
        for listener in self._listeners:
            for peer in listener.peers:
                assert isinstance(peer, SocketPeer)
                peer.close()
        assert self.loop.counters()["open"] == 0
