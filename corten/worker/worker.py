"""A worker over Corten's own stack: the loop that its connections live in.

One stack, its links, its clock. `turn` is one breath, for a loop of somebody else's; `serve` is the
loop around it that a process of its own runs. A breath holds the GIL; waiting releases it.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import cython  # noqa: F401  (it is compiled: to call connections the short way)
from cython.cimports.corten.endpoint.connection import Connection
from cython.cimports.corten.worker.breath import Breath

from corten.core.chance import Chance
from corten.core.clock import NEVER
from corten.core.counter import Counters
from corten.driver.driver import Driver
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.handler import Handler
from corten.endpoint.loop import Loop, TimerHandle
from corten.ip.interface import Interface
from corten.stack.stack import Stack
from corten.tcp.config import Config
from corten.wire.address import format_address
from corten.worker.collector import Collector
from corten.worker.dhcp import Leases
from corten.worker.exchange import WorkerExchange
from corten.worker.names import Names, is_number

Factory = Callable[[], Handler]

DRAIN_SECONDS = 5.0
BREATHS_A_POLL = 32  # busy breaths between two looks at the other descriptors
_DRAIN_STEP = 0.02  # seconds between looks at who has finished
_PATIENCE_S = 60.0  # the longest sleep
_EVENTS = 256
_FINISHED = ("FIN_WAIT_2", "TIME_WAIT", "CLOSED")  # states in which we have said everything


class Worker(Loop):
    """One worker: a stack, its links, timers, watched descriptors. `serve` runs it to its end."""

    def __init__(
        self,
        secret: bytes,
        config: Config | None = None,
        index: int = 0,
        exchange: WorkerExchange | None = None,
        counters: Counters | None = None,
        wake_fd: int = -1,
    ) -> None:
        self.index = index
        self.stack = Stack(
            Chance(int.from_bytes(os.urandom(8), "big")),
            secret,
            config,
            exchange,
            counters,
            self,
            time.monotonic_ns(),
        )
        self.collector = Collector()
        self._breath = Breath(self.stack, exchange)
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[], object]] = {}
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) if wake_fd < 0 else wake_fd
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self.on_drained: Callable[[], object] = self.stop
        self.names = Names(self, self._name_servers, self.stack.routes.sort)
        self.leases: Leases | None = None
        self._exchange = exchange
        self._stopped = False
        self._draining = False

    def add_link(self, driver: Driver, interface: Interface) -> None:
        """Serve a link: its driver, and the stack's interface on it."""
        self._breath.add_wire(driver, interface)
        for fd in driver.filenos():
            self._epoll.register(fd, select.EPOLLIN)

    def renew(self, index: int, values: dict[str, Any], fds: list[int]) -> None:
        """A link's far side came or went: its driver goes on with another queue."""
        wire = self._breath.wires[index]
        driver: Driver = wire.driver
        for fd in driver.filenos():
            self._epoll.unregister(fd)
        driver.renew(values, fds)
        wire.interface.set_offload(driver.offload_checksum, driver.offload_segmentation)
        for fd in driver.filenos():
            self._epoll.register(fd, select.EPOLLIN)

    def lead(self, leads: bool) -> None:
        """Whether this worker announces and answers for all workers of its links."""
        self._breath.set_leader(leads)
        if self.leases is not None:
            self.leases.lead(leads)

    # -- the loop as handlers see it ----------------------------------------------------------

    def time(self) -> float:
        return self.stack.time()

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        self.stack.call_soon(function, *arguments)

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        """As `call_soon`, from any thread or signal handler."""
        self.stack.call_soon(function, *arguments)
        self._wake()

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        return self.stack.call_later(seconds, function, *arguments)

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        known = self._watched.pop(fd, None)
        if known is not None and function is None:
            self._epoll.unregister(fd)
        elif function is not None:
            self._watched[fd] = function
            if known is None:
                self._epoll.register(fd, select.EPOLLIN)

    def listen(
        self, port: int, factory: Factory, address: str | None = None, **options: object
    ) -> object:
        """Accept connections to `port` at `address`, or at every address; the stack's Listener."""
        return self.stack.listen(port, factory, address, **options)

    def connect(self, address: str, port: int, factory: Factory, **options: object) -> Connection:
        """As Loop.connect; `address` may also be a name (RFC 8305). Then what is answered is an
        Opening until `on_open` brings the connection."""
        if is_number(address):
            return self.stack.connect(address, port, factory, **options)
        return self.names.connect(address, port, factory, options)

    def resolve(
        self, name: str, found: Callable[[list[str], Exception | None], None], family: int = 0
    ) -> None:
        """Call `found(addresses, error)` once, later; `family` 4 or 6: only such addresses."""
        self.names.resolver.resolve(name, found, family)

    def _name_servers(self) -> list[str]:
        """What the links have learnt, of leases first."""
        learnt = self.leases.name_servers() if self.leases is not None else []
        told = [halves for link in self.stack.interfaces for halves in link.name_servers]
        return learnt + [format_address(*halves) for halves in told]

    def lease(self, interface: Interface, leads: bool) -> None:
        """Let a link have its IPv4 address from a DHCP server (RFC 2131)."""
        if self.leases is None:
            seed = int.from_bytes(os.urandom(8), "big")
            self.leases = Leases(self, Chance(seed))
        self.leases.add(interface, leads)

    def tell_others(self, interface_index: int, frame: bytes) -> None:
        """Let the other workers of a link receive a frame as if it had come to them."""
        if self._exchange is not None:
            self._exchange.relay(interface_index, frame)

    def bind(
        self,
        port: int,
        handler: DatagramHandler,
        address: str | None = None,
        *,
        peer: tuple[str, int] | None = None,
        **options: object,
    ) -> Endpoint:
        return self.stack.bind(port, handler, address, peer=peer, **options)

    # -- running ------------------------------------------------------------------------------

    def fileno(self) -> int:
        """A descriptor that is readable when `turn` has something to do (but for timers)."""
        return self._epoll.fileno()

    def turn(self, now: int | None = None) -> int:
        """One breath without waiting; when the next is due (nanoseconds, `NEVER`: on an event)."""
        self._poll(0)
        now = time.monotonic_ns() if now is None else now
        if self._breath.breathe(now) or self._breath.is_ready():
            return now
        return self.stack.next_deadline()

    def serve(
        self, busy_poll: bool = False, drain_seconds: float = DRAIN_SECONDS, signals: bool = True
    ) -> None:
        """Breathe until `stop`, or until SIGTERM or SIGINT has drained the connections."""
        if signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(
                    number, lambda *_: self.call_soon_threadsafe(self.drain, drain_seconds)
                )
        self.collector.start()
        try:
            while not self._stopped:
                # waiting, even for nothing, offers the GIL: with other threads, once a breath
                most = BREATHS_A_POLL if threading.active_count() == 1 else 1
                if self._breath.run(most) or busy_poll:
                    self.collector.busy()
                    self._poll(0)
                else:
                    self._rest()
        finally:
            self.collector.stop()

    def _rest(self) -> None:
        """Nothing arrived: wait for the next frame, wake-up or deadline."""
        deadline = self.stack.next_deadline()
        seconds = _PATIENCE_S
        if deadline != NEVER:
            seconds = min((deadline - time.monotonic_ns()) / 1e9, _PATIENCE_S)
        if seconds <= 0 or self._breath.is_ready():
            self._poll(0)
            return
        self.collector.idle()
        self._poll(seconds)

    def _poll(self, seconds: float) -> None:
        """Wait at most so long. The links are read by the breath; whoever watches a descriptor is
        called in it, with its clock."""
        for fd, _ in self._epoll.poll(seconds, _EVENTS):
            function = self._watched.get(fd)
            if function is not None:
                self.stack.call_soon(function)
            elif fd == self._wake_fd:
                self._drain_wake()

    def stop(self) -> None:
        """End `serve` after this breath."""
        self._stopped = True
        self._wake()

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Accept no more, let replies in flight finish for so long; then `on_drained`, which stops
        unless somebody has put something else there. Again: no effect.

        Workers that share links stop together: until the last has drained, each still refuses what
        comes, and hands over what is another's.
        """
        if self._draining:
            return
        self._draining = True
        for at_port in list(self.stack.host.listeners.values()):
            for listener in list(at_port):
                listener.close()
        for endpoint in self.stack.udp.endpoints():
            endpoint.close()
        self._drain_on(time.monotonic() + seconds)

    def _drain_on(self, until: float) -> None:
        """Close whoever has nothing left to say, until nobody is left or the time is over."""
        unfinished = 0
        for each in self.stack.connections():
            connection: Connection = each
            if connection.queued_len() == 0 and connection.ready_len() == 0:
                connection.close()
            unfinished += connection.info()["state"] not in _FINISHED
        if not unfinished or time.monotonic() >= until:
            self.on_drained()
            return
        self.call_later(_DRAIN_STEP, self._drain_on, until)

    def close(self) -> None:
        """Reset every connection, close the links. Calling it again does nothing."""
        if self._epoll.closed:
            return
        for connection in self.stack.connections():
            connection.abort()
        self.names.close()
        if self.leases is not None:
            self.leases.close()
        self._breath.breathe(time.monotonic_ns())
        for wire in self._breath.wires:
            wire.driver.close()
        self._epoll.close()
        os.close(self._wake_fd)

    def _wake(self) -> None:
        try:
            os.eventfd_write(self._wake_fd, 1)
        except BlockingIOError:  # silent: its count is full, it is awake enough
            return

    def _drain_wake(self) -> None:
        try:
            os.eventfd_read(self._wake_fd)
        except BlockingIOError:  # silent: read already
            return
