"""A worker over Corten's own stack: the loop that its connections live in.

One stack, its links, its clock. `turn` is one breath, for a loop of somebody else's; `serve` is the
loop around it that a process of its own runs. A breath holds the GIL; waiting releases it.
"""

from __future__ import annotations

import os
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
from corten.core.spin import Spin
from corten.dhcp.lease import Lease
from corten.driver.driver import Driver
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
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
from corten.worker.steering import steering_of
from corten.worker.waiting import READABLE, Bell, make_poll

Factory = Callable[[], Handler]

DRAIN_SECONDS = 5.0
FRESH_SECONDS = 1.0  # in which a connection that has begun is expected to ask for something
BREATHS_A_POLL = 32  # busy breaths between two looks at the other descriptors
_DRAIN_STEP = 0.02  # seconds between looks at who has finished
_LAST_BREATHS = 64  # to send all that is still to be sent: a batch each
_PATIENCE_S = 60.0  # the longest sleep
_EVENTS = 256
_FINISHED = ("FIN-WAIT-2", "TIME-WAIT", "CLOSED")  # states in which we have said everything


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
            time.monotonic_ns,
        )
        self.collector = Collector()
        self._breath = Breath(self.stack, exchange)
        self._epoll = make_poll()
        self._watched: dict[int, Callable[[], object]] = {}
        self._bell = Bell(wake_fd)
        self._epoll.register(self._bell.fd, READABLE)
        self.on_drained: Callable[[], object] = self.stop
        # of a worker whose connections somebody else closes: called instead of closing them
        self.on_leaving: Callable[[float], object] | None = None
        self.names = Names(self, self._learnt_servers, self.stack.routes.sort)
        self.leases: Leases | None = None
        self.exchange = exchange
        self._spin: Spin | None = None
        self._busy = 0  # breaths in which something arrived, when last looked at
        self._woken_at = 0
        self._going: set[str] = set()  # links that are being removed
        self._stopped = False
        self._draining = False

    def add_link(self, driver: Driver, interface: Interface) -> None:
        """Serve a link: its driver, and the stack's interface on it."""
        self._breath.add_wire(driver, interface)
        for fd in driver.filenos():
            self._epoll.register(fd, READABLE)
        driver.wake_with(self._wake)

    def interface(self, name: str) -> Interface:
        """The stack's interface on a link. CortenError where there is no such link."""
        known = [each for each in self.stack.interfaces if each.name not in self._going]
        for each in known:
            if each.name == name:
                return each
        names = ", ".join(each.name for each in known)
        raise CortenError(f"no link {name!r}: there are {names}")

    def remove_link(
        self, name: str, why: str = "taken away", then: Callable[[], object] | None = None
    ) -> None:
        """Serve a link no more. Its connections end with an error that says `why`, a lease is given
        back, listeners stay; `then()` is called when the last frame has gone and it is closed."""
        interface = self.interface(name)
        self._going.add(name)
        if self.leases is not None:
            self.leases.remove(interface)
        self.stack.leave(interface, why)
        # not in this breath: what the two have still to say leaves at its end
        self.stack.call_soon(self.stack.call_soon, self._forget, interface, why, then)

    def _forget(
        self,
        interface: Interface,
        why: str,
        then: Callable[[], object] | None,
        breaths: int = _LAST_BREATHS,
    ) -> None:
        if breaths and self._breath.unsent:
            self.stack.call_soon(self._forget, interface, why, then, breaths - 1)
            return
        self.stack.remove_interface(interface, why)
        driver = self._breath.remove_wire(interface)
        for fd in driver.filenos():
            self._epoll.unregister(fd)
        self._going.discard(interface.name)
        self.stack.call_soon(self._close_driver, driver, then)

    def _close_driver(self, driver: Driver, then: Callable[[], object] | None) -> None:
        driver.close()
        if then is not None:
            then()

    def add_address(self, name: str, address: str, dad: str = "optimistic") -> None:
        """One more address ("10.0.3.2/24") on a link; `dad` as of `Stack.add_interface`."""
        self.stack.add_address(self.interface(name), address, dad)

    def remove_address(self, name: str, address: str, why: str = "taken away") -> None:
        """A link has an address ("10.0.3.2") no more; connections from it end with an error."""
        self.stack.remove_address(self.interface(name), address, why, tells=True)

    def renew(self, index: int, values: dict[str, Any], fds: list[int]) -> None:
        """A link's far side came or went: its driver goes on with another queue."""
        wire = self._breath.wire_of(index)
        if wire is None:
            for fd in fds:  # the link was removed meanwhile
                os.close(fd)
            return
        driver: Driver = wire.driver
        for fd in driver.filenos():
            self._epoll.unregister(fd)
        driver.renew(values, fds)
        wire.interface.steering = steering_of(values)
        wire.interface.set_offload(driver.offload_checksum, driver.offload_segmentation)
        for fd in driver.filenos():
            self._epoll.register(fd, READABLE)

    def figures(self) -> list[dict[str, Any]]:
        """How the links are doing, by what their drivers have counted."""
        return [
            {
                "index": wire.interface.index,
                "addresses": [each.text() for each in wire.interface.addresses],
                "received": wire.driver.received,
                "transmitted": wire.driver.transmitted,
                "dropped": wire.driver.receive_dropped + wire.driver.transmit_dropped,
            }
            for wire in self._breath.wires
        ]

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
                self._epoll.register(fd, READABLE)

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

    def name_servers(self) -> list[str]:
        """Whom `resolve` asks: those given by hand, else what the links have learnt."""
        return self.names.given or self._learnt_servers()

    def _learnt_servers(self) -> list[str]:
        """What the links have learnt, of leases first."""
        learnt = self.leases.name_servers() if self.leases is not None else []
        told = [halves for link in self.stack.interfaces for halves in link.name_servers]
        return learnt + [format_address(*halves) for halves in told]

    def lease(
        self, interface: Interface, leads: bool, known: tuple[Lease, float] | None = None
    ) -> None:
        """Let a link have its IPv4 address from a DHCP server (RFC 2131). `known`: the lease of a
        worker before this one, and since when."""
        if self.leases is None:
            seed = int.from_bytes(os.urandom(8), "big")
            self.leases = Leases(self, Chance(seed))
        self.leases.add(interface, leads, known)

    def tell_others(self, interface_index: int, frame: bytes) -> None:
        """Let the other workers of a link receive a frame as if it had come to them."""
        if self.exchange is not None:
            self.exchange.relay(interface_index, frame)

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
        return self._breath.next_deadline()

    def patience(self) -> float | None:
        """Seconds after which `turn` is due, whatever arrives before; None: only then."""
        if self._breath.is_ready():
            return 0.0
        deadline = self._breath.next_deadline()
        if deadline == NEVER:
            return None
        return max(0.0, (deadline - time.monotonic_ns()) / 1e9)

    def serve(
        self,
        busy_poll: bool = False,
        drain_seconds: float = DRAIN_SECONDS,
        signals: bool = True,
        spin_us: int = 0,
    ) -> None:
        """Breathe until `stop`, or until SIGTERM or SIGINT has drained the connections. Without
        work it sleeps: never with `busy_poll`, and only after `spin_us` microseconds while that
        pays (`corten.core.spin`)."""
        self._spin = Spin(spin_us * 1000) if spin_us else None
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
        deadline = self._breath.next_deadline()
        seconds = _PATIENCE_S
        if deadline != NEVER:
            seconds = min((deadline - time.monotonic_ns()) / 1e9, _PATIENCE_S)
        if seconds <= 0 or self._breath.is_ready():
            self._poll(0)
            self._woken_at = time.monotonic_ns()
            return
        if self._spin is not None and self._look_on(self._spin, deadline):
            self._poll(0)
            return
        self.collector.idle()
        self._poll(seconds)
        self._woken_at = time.monotonic_ns()

    def _look_on(self, spin: Spin, deadline: int) -> bool:
        """Before sleeping, look on as long as it may pay; whether something came, or is due."""
        busy: int = self._breath.busy
        if busy != self._busy:
            self._busy = busy
            spin.arrived(self._woken_at)
        now = time.monotonic_ns()
        until = spin.idle(now)
        if until <= now or threading.active_count() > 1:
            return False  # who looks on holds the GIL
        if not self._breath.spin(min(until, deadline)):
            if deadline > until:
                spin.ran_out()
            return deadline <= until
        self._woken_at = time.monotonic_ns()
        return True

    def _poll(self, seconds: float) -> None:
        """Wait at most so long. The links are read by the breath; whoever watches a descriptor is
        called in it, with its clock."""
        for fd, _ in self._epoll.poll(seconds, _EVENTS):
            function = self._watched.get(fd)
            if function is not None:
                self.stack.call_soon(function)
            elif fd == self._bell.fd:
                self._bell.hush()

    def is_stopped(self) -> bool:
        """Whether somebody has called `stop`: whoever turns this worker is to end."""
        return self._stopped

    def is_closed(self) -> bool:
        """Whether `close` has been called: it can be turned no more."""
        return self._epoll.closed

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

    def leave(self, seconds: float = DRAIN_SECONDS) -> None:
        """Make room for a successor, and refuse nobody: connections that begin are for the other
        workers of the links, those that are here end as soon as nothing is left to say, for so
        long; then `on_drained`, as of `drain`. A worker that is alone lets peers try again."""
        if self._draining:
            return
        self.stack.host.exchange.is_leaving = True
        if self.on_leaving is not None:
            self.on_leaving(seconds)
            return
        self._draining = True
        now = time.monotonic()
        self._drain_on(now + seconds, now + min(seconds, FRESH_SECONDS))

    def _drain_on(self, until: float, spared_until: float = 0.0) -> None:
        """Close whoever has nothing left to say, until nobody is left or the time is over. Until
        `spared_until` not those that have just begun, and are about to ask for something."""
        unfinished = 0
        spares = time.monotonic() < spared_until
        for each in self.stack.connections():
            connection: Connection = each
            is_spared = spares and connection.info()["received_octets"] == 0
            if connection.queued_len() == 0 and connection.ready_len() == 0 and not is_spared:
                connection.close()
            unfinished += connection.info()["state"] not in _FINISHED
        if not unfinished or time.monotonic() >= until:
            self.on_drained()
            return
        self.call_later(_DRAIN_STEP, self._drain_on, until, spared_until)

    def close(self) -> None:
        """Reset every connection, close the links. Calling it again does nothing."""
        if self._epoll.closed:
            return
        for connection in self.stack.connections():
            connection.abort()
        self.names.close()
        if self.leases is not None:
            self.leases.close()
        for _ in range(_LAST_BREATHS):
            self._breath.breathe(time.monotonic_ns())
            if not self._breath.unsent:
                break
        for wire in self._breath.wires:
            wire.driver.close()
        self._epoll.close()
        self._bell.close()

    def _wake(self) -> None:
        self._bell.ring()
