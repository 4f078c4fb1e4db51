"""A worker over the kernel's sockets: the loop that its connections live in.

The same handlers run here as on Corten's own stack: this is how it is compared, and how an
application is developed without privileges.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.endpoint.handler import doors_of
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.connection import KernelConnection
from cython.cimports.corten.kernel.limits import BACKLOG
from cython.cimports.corten.kernel.poller import (
    call,
    expire,
    give_up,
    is_idle,
    open_connections,
    poll,
    work_left,
)
from cython.cimports.corten.kernel.timers import Timer, Timers

from corten.core.spin import Spin
from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.endpoint.loop import Loop, TimerHandle
from corten.kernel.address import sockaddr_of
from corten.kernel.datagram import UDP_OPTIONS, KernelEndpoint
from corten.kernel.error import error_of
from corten.kernel.listener import Listener, Listening, claim

Factory = Callable[[], Handler]

DRAIN_SECONDS = 5.0
_DRAIN_STEP = 0.02  # seconds between looks at who has finished
_IP_BIND_ADDRESS_NO_PORT = 24  # from Linux 4.2
_PATIENCE_MS = 60_000  # the longest sleep


class _Handle(TimerHandle):
    """A call that `call_later` scheduled."""

    def __init__(self, timers: Timers, timer: Timer) -> None:
        self._timers = timers
        self._timer = timer

    def cancel(self) -> None:
        self._timers.cancel(self._timer)


class KernelWorker(Loop):
    """One worker: listeners on `addresses`, connections, timers. `serve` runs it to its end."""

    def __init__(self, addresses: Sequence[str] = ("127.0.0.1",), index: int = 0) -> None:
        self.index = index
        self.addresses = [address.partition("/")[0] for address in addresses]
        self.listeners: list[Listener] = []
        self.endpoints: set[KernelEndpoint] = set()
        self._breath = Breath(self)
        self._watched: dict[int, Callable[[], object]] = {}
        self._soon: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch(self._woken, self._drain_waker)
        self._stopped = False
        self._draining = False

    # -- the loop as handlers see it -----------------------------------------------------------

    def time(self) -> float:
        return self._breath.now / 1e9

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        self._soon.append((function, arguments))

    def call_soon_threadsafe(self, function: Callable[..., object], *arguments: object) -> None:
        """As `call_soon`, from any thread or signal handler."""
        self._soon.append((function, arguments))
        self._wake()

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        timers = self._breath.timers
        when = self._breath.now + int(seconds * 1e9)
        return _Handle(timers, timers.arm(when, function, arguments))

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        known = self._watched.pop(fd, None)
        if known is not None and function is None:
            self._breath.epoll.remove(fd)
        elif function is not None:
            self._watched[fd] = function
            if known is None:
                self._breath.epoll.add(fd)

    def listen(
        self, port: int, factory: Factory, address: str | None = None, **options: object
    ) -> Listening:
        """Accept connections to `port` at `address`, or at each of the worker's addresses.

        Options: `backlog`, connections that may wait. CortenError where the kernel refuses.
        """
        backlog = int(str(options.pop("backlog", BACKLOG)))
        _no_more(options)
        made: list[Listener] = []
        for each in self.addresses if address is None else [address]:
            listener = Listener(self._breath, each, port, factory, backlog)
            self._watched[listener.fileno()] = listener.accept
            made.append(listener)
        self.listeners += made
        return Listening(made, self.stop_listening)

    def stop_listening(self, listeners: Iterable[Listener]) -> None:
        """Close them; what they accepted lives on."""
        for listener in listeners:
            if listener.is_open:
                del self._watched[listener.fileno()]
                listener.close()

    def connect(self, address: str, port: int, factory: Factory, **options: object) -> Connection:
        """Open a connection; the handler's `on_open` or `on_close(error)` follows.

        Options: `timeout`, seconds until TimeoutError (the kernel's own limit by default);
        `source=(address, port)` fixes the local end, either may be None.
        """
        seconds = float(str(options.pop("timeout", 0)))
        source: Any = options.pop("source", None)
        _no_more(options)
        if not 0 < port <= 65535:
            raise CortenError(f"port {port} is out of range: 1 to 65535")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            socket.inet_pton(family, address)
        except OSError:
            raise CortenError(f"{address!r} is not an IP address") from None
        handler = factory()
        doors: Doors = doors_of(handler)
        end = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            _bind_source(end, *source)
        breath: Breath = self._breath
        number: cython.int = end.connect_ex((address, port))
        fd: cython.int = end.detach()
        connection: KernelConnection = KernelConnection(
            breath, fd, factory, sockaddr_of((address, port))
        )
        connection.connecting(handler, doors)
        breath.adopt(fd, connection)
        if seconds > 0:
            connection.set_timeout(seconds)
        if number not in (0, errno.EINPROGRESS):
            connection.fail(error_of(number), False)
            connection.mark()
        return connection

    def bind(
        self,
        port: int,
        handler: DatagramHandler,
        address: str | None = None,
        *,
        peer: tuple[str, int] | None = None,
        **options: object,
    ) -> Endpoint:
        """A UDP endpoint at `address`, or at each of the worker's addresses; with a `peer`, at the
        first of its family."""
        _no_more({k: v for k, v in options.items() if k not in UDP_OPTIONS})
        if not 0 <= port <= 65535:
            raise CortenError(f"port {port}: must be between 0 (any) and 65535")
        addresses = self.addresses if address is None else [address]
        if peer is not None:
            addresses = [a for a in addresses if (":" in a) == (":" in peer[0])][:1]
        endpoint = KernelEndpoint(self, port, handler, addresses, peer, dict(options))
        self.endpoints.add(endpoint)
        return endpoint

    # -- running -------------------------------------------------------------------------------

    def fileno(self) -> int:
        """A descriptor that is readable when `turn` has something to do (but for timers)."""
        return self._breath.epoll.fileno()

    def turn(self, now: int | None = None) -> int:
        """One breath without waiting; when the next one is due (nanoseconds, `NEVER`: on an event).

        `now` is accepted for likeness with the stack's worker: the kernel keeps its own clock.
        """
        self._breathe(0)
        if self._breath.marked or self._soon:
            return self._breath.now
        return self._breath.timers.next_deadline()

    def _breathe(self, milliseconds: int) -> int:
        """Wait at most so long, then do what there is to do; how many events there were."""
        breath = self._breath
        count: cython.int = poll(breath, milliseconds, self._watched)
        if breath.timers.next_deadline() <= breath.now:
            expire(breath)
        for _ in range(len(self._soon)):
            function, arguments = self._soon.popleft()
            call(function, arguments)
        work_left(breath)
        return count

    def _look_on(self, spin: Spin) -> None:
        """Breathe without waiting, as long as that may pay; then wait."""
        while not self._stopped:
            count = self._breathe(0)
            if count:
                spin.arrived(self._breath.now)
                return
            if self._patience() == 0:
                return
            until = spin.idle(self._breath.now)
            if until <= self._breath.now:
                if until:
                    spin.ran_out()
                break
        if not self._stopped and self._breathe(self._patience()):
            spin.arrived(self._breath.now)

    def _patience(self) -> int:
        """Milliseconds that the next breath may wait."""
        if self._breath.marked or self._soon:
            return 0
        deadline = self._breath.timers.next_deadline()
        if deadline == NEVER:
            return _PATIENCE_MS
        left = deadline - time.monotonic_ns()
        return min(max(0, -(-left // 1_000_000)), _PATIENCE_MS)

    def serve(
        self,
        busy_poll: bool = False,
        drain_seconds: float = DRAIN_SECONDS,
        signals: bool = True,
        spin_us: int = 0,
    ) -> None:
        """Breathe until `stop`, or until SIGTERM or SIGINT has drained the connections; without
        work as the stack's worker does."""
        spin = Spin(spin_us * 1000) if spin_us and not busy_poll else None

        def end(*_: object) -> None:
            self.call_soon_threadsafe(self.drain, drain_seconds)

        if signals:
            signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, end)
        try:
            while not self._stopped:
                if spin is not None:
                    self._look_on(spin)
                else:
                    self._breathe(0 if busy_poll else self._patience())
        finally:
            if signals:
                signal.set_wakeup_fd(-1)

    def stop(self) -> None:
        """End `serve` after this breath."""
        self._stopped = True
        self._wake()

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Accept no more, let replies in flight finish for so long, then stop. Again: stop now."""
        if self._draining:
            self.stop()
            return
        self._draining = True
        self.stop_listening(self.listeners)
        for endpoint in list(self.endpoints):
            endpoint.close()
        self._drain_on(time.monotonic() + seconds)

    def _drain_on(self, until: float) -> None:
        """Close whoever has nothing left to say; stop when nobody is left or the time is over."""
        left = open_connections(self._breath)
        if not left or time.monotonic() >= until:
            self.stop()
            return
        for connection in left:
            if is_idle(connection):
                connection.close()
        self.call_later(_DRAIN_STEP, self._drain_on, until)

    def close(self) -> None:
        """Reset every connection, close everything. Calling it again does nothing."""
        self.stop_listening(self.listeners)
        for endpoint in list(self.endpoints):
            endpoint.close()
        give_up(self._breath)
        if self._waker >= 0:
            os.close(self._waker)
            os.close(self._woken)
            self._waker = self._woken = -1
            self._breath.epoll.close()

    def counters(self) -> dict[str, int]:
        """What has happened since the start; `open` is now."""
        breath = self._breath
        return {
            "open": breath.open_count,
            "accepted": breath.accepted,
            "failed": breath.failed,
            "received_octets": breath.received_len,
            "sent_octets": breath.sent_len,
        }

    def _wake(self) -> None:
        try:
            os.write(self._waker, b"w")
        except BlockingIOError:
            return  # silent: it is full, so it wakes

    def _drain_waker(self) -> None:
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            return  # silent: somebody was quicker


def _bind_source(end: socket.socket, address: str | None, port: int | None) -> None:
    """Fix the local end; a port that is left open is found at connect, free towards that peer."""
    end.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    try:
        end.bind((address or "", port or 0))
    except OSError as error:
        end.close()
        raise CortenError(f"source {address}:{port or '*'}: {error.strerror}") from None


def _no_more(options: dict[str, object]) -> None:
    if options:
        raise CortenError(f"unknown option {next(iter(options))!r}")


def run(
    handlers: dict[int, Factory],
    addresses: Sequence[str] = ("127.0.0.1",),
    *,
    index: int = 0,
    busy_poll: bool = False,
    setup: Callable[[KernelWorker], object] | None = None,
    ready: Callable[[], object] | None = None,
    alone: bool = True,
    drain_seconds: float = DRAIN_SECONDS,
    spin_us: int = 0,
) -> None:
    """Serve `handlers` (port to factory) in this process until SIGTERM or SIGINT.

    `setup(worker)` runs before the first connection, `ready()` once the worker listens. `alone`
    claims the ports first, which fails where somebody else listens; workers that share them do not.
    """
    worker = KernelWorker(addresses, index)
    try:
        lift_limits()
        for port, factory in handlers.items():
            for address in worker.addresses if alone and port else ():
                claim(address, port)
            worker.listen(port, factory)
        if setup is not None:
            setup(worker)
        if ready is not None:
            ready()
        gc.collect()
        gc.freeze()  # what stands now stays: the collector need not look at it again
        worker.serve(busy_poll, drain_seconds, spin_us=spin_us)
    finally:
        gc.unfreeze()
        worker.close()


def lift_limits() -> None:
    """Allow as many descriptors as the system lets this process have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
