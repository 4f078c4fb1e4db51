"""An asyncio event loop whose time is a simulated network's: nobody waits for anything.

Strategy. It is asyncio's own `BaseEventLoop` over a selector that watches no descriptor. When no
callback is ready the selector lets the network have its next event, and so on until one of them
makes a callback ready or the loop's next timer is due; then the clock stands at that instant. The
loop has no network of its own: what a task asks of it, `create_server`, `create_connection`,
`getaddrinfo`, goes to the host on which the task runs, which the context variable `HERE` says.

Rules. Nothing here depends on the machine: no thread, no kernel socket, no clock, and no order that
comes from addresses of objects (tasks and futures hash by the order in which they were made, so a
set of them has the same order in each run). What cannot be virtual is `NotVirtual`, at once. When
every task waits and nothing is left to happen, or time stands still because a task never waits,
that is an error which says who waits where: a test never hangs.
"""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Never, Protocol
from weakref import WeakKeyDictionary

from corten.aio import tls
from corten.endpoint.error import CortenError
from corten.sim.host import NEVER
from corten.sim.network import Network, SimulationFailure

SECOND = 1_000_000_000
PATIENCE_NS = 86_400 * SECOND  # of a loop without timers, while the network's own go on
TURNS_MAX = 100_000  # of the loop at one instant
COLLECT_EVERY = 20_000  # turns of the loop: meanwhile nobody collects (`process`)
RUNNER = "runner"  # the name of the task that waits for what is run

_KERNEL = (
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "sock_accept",
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_recvfrom_into",
    "sock_sendall",
    "sock_sendto",
    "sock_sendfile",
    "connect_accepted_socket",
    "create_unix_connection",
    "create_unix_server",
    "connect_read_pipe",
    "connect_write_pipe",
    "subprocess_exec",
    "subprocess_shell",
    "add_signal_handler",
    "remove_signal_handler",
    "set_default_executor",
)


class NotVirtual(CortenError, NotImplementedError):
    """What was asked for needs the kernel: there is none in a simulated network."""


class Place(Protocol):
    """A host that tasks run on, as far as the loop needs to know it."""

    name: str

    @property
    def joint(self) -> Any:
        """What joins its stack to the loop: a `corten.aio.network.Network`."""


HERE: ContextVar[Place] = ContextVar("corten_host")


def here() -> Place:
    """The host on which the caller's task runs. CortenError when it runs on none."""
    place = HERE.get(None)
    if place is None:
        raise CortenError(
            "this task runs on no host: start it with host.run(…), host.start(…) or host.task(…)"
        )
    return place


class VirtualTask(asyncio.Task[Any]):
    """A task that hashes by its number."""

    def __init__(self, *arguments: Any, number: int, **options: Any) -> None:
        self.number = number
        context = options.get("context") or copy_context()
        self.place: Place | None = context.get(HERE)
        super().__init__(*arguments, **options)

    def __hash__(self) -> int:
        return self.number


class VirtualFuture(asyncio.Future[Any]):
    """A future that hashes by its number."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, number: int) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class VirtualSelector:
    """Where asyncio's loop would wait: here the network goes on instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0  # of the loop since time last moved
        self._collect_in = COLLECT_EVERY
        self._instant = -1  # to which the hosts' clocks are set

    def select(self, timeout: float | None) -> list[Any]:
        """Let the network go on for at most `timeout` seconds, or until a callback is ready."""
        network = self._loop.network
        began = network.now
        limit = None if timeout is None else began
        if timeout is not None and timeout > 0:
            limit = began + max(1, math.ceil(timeout * SECOND))
        self._advance(network, limit)
        self._collect_in -= 1
        if not self._collect_in:
            self._collect_in = COLLECT_EVERY
            gc.collect()
        self._turns = self._turns + 1 if network.now == began else 0
        if self._turns > TURNS_MAX:
            self._fail(f"time stands still: {TURNS_MAX} turns of the loop at one instant")
        if self._instant != network.now:
            self._instant = network.now
            for host in network.hosts.values():
                host.stack.expire(network.now)  # tells the stack what time it is
        return []

    def _advance(self, network: Network, limit: int | None) -> None:
        """One event after the other, up to `limit`, while no callback is ready."""
        loop = self._loop
        ready = loop.ready
        patience = network.now + PATIENCE_NS
        while not ready or limit == network.now:
            upcoming = network.next_event()
            if limit is None and upcoming > patience:
                self._fail("every task waits, and nothing is left to happen")
            instant = upcoming if limit is None else min(upcoming, limit)
            if instant > loop.until:
                network.now = loop.until
                self._fail(f"not done at {network.now / SECOND:g} s")
            if upcoming > instant:
                network.now = instant
                return
            network.step()

    def _fail(self, text: str) -> Never:
        self._turns, self._loop.until = 0, NEVER  # what is cancelled now may take its time
        waiting = "\n".join(f"  {line}" for line in self._loop.waiting())
        raise SimulationFailure(f"{text}\n{waiting}")

    def close(self) -> None:
        """There is nothing to close."""

    def get_map(self) -> dict[int, Any]:
        """Nothing is watched."""
        return {}


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of a simulated network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.numbers = 0
        self.until = NEVER  # nanoseconds; reaching it is a failure
        self.alive: dict[int, asyncio.Task[Any]] = {}  # asyncio's own references are weak ones
        self._thread = threading.get_ident()
        self._opened: Any = WeakKeyDictionary()  # socket: the transport that waits beside it
        self._clock_resolution = 1e-9
        self._selector = VirtualSelector(self)
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # typeshed's is of one type

    @property
    def ready(self) -> Any:
        """asyncio's queue of callbacks that are due."""
        return self._ready  # type: ignore[attr-defined]  # of BaseEventLoop

    def time(self) -> float:
        return self.network.now / SECOND

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def create_future(self) -> asyncio.Future[Any]:
        return VirtualFuture(loop=self, number=self.next_number())

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Those that are not done, oldest first."""
        return list(self.alive.values())

    def forget(self, task: VirtualTask) -> None:
        """It is done."""
        self.alive.pop(task.number, None)

    def waiting(self) -> list[str]:
        """A line for each task that is not done: its name, its host, where it waits."""
        return [_where(task) for task in self.tasks() if task.get_name() != RUNNER]

    # -- what BaseEventLoop leaves to the loops below it --------------------------------------

    def _process_events(self, events: list[Any]) -> None:
        """No descriptor has any."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def __del__(self, _warn: Any = None) -> None:
        """Nothing of the kernel's would leak: no warning."""
        if not self.is_closed():
            self.close()

    def call_soon_threadsafe(  # type: ignore[override]  # without TypeVarTuple
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            raise NotVirtual("threads have no virtual time: call from the loop's own thread")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]  # as BaseEventLoop has it, without Unpack
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run `func` now, in this thread: it takes no time, and the order is always the same."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except StopIteration as error:
            done.set_exception(RuntimeError(f"{error!r} of a function run in an executor"))
        except Exception as error:
            done.set_exception(error)
        return done

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    # -- the network of the task's host -------------------------------------------------------

    async def create_server(self, *args: Any, **options: Any) -> Any:
        return await here().joint.create_server(*args, **options)

    async def create_connection(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        sock = options.pop("sock", None)
        if sock is None:
            return await here().joint.create_connection(protocol_factory, *args, **options)
        if sock not in self._opened:
            raise NotVirtual("this socket is the kernel's: connect by host and port instead")
        transport = self._opened.pop(sock)
        sock.close()
        context = tls.check_context(options.get("ssl"), server_side=False)
        return await here().joint.dress(
            transport,
            protocol_factory,
            context,
            options.get("server_hostname") if context is not None else None,
            options.get("ssl_handshake_timeout"),
            options.get("ssl_shutdown_timeout"),
        )

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Open a connection of the host's stack, and keep it beside the socket, which is only a
        token, until `create_connection(sock=…)`: so do happy eyeballs that are not asyncio's."""
        self._opened[sock] = await here().joint.open_one(address[:2])

    async def create_datagram_endpoint(self, *args: Any, **options: Any) -> Any:
        return await here().joint.create_datagram_endpoint(*args, **options)

    async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
        return await here().joint.getaddrinfo(*args, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """The numbers: nobody asks backwards."""
        return str(sockaddr[0]), str(sockaddr[1])


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(self: VirtualLoop, *args: Any, **options: Any) -> Any:
        raise NotVirtual(f"{name} needs the kernel: a simulated network has streams and datagrams")

    refuse.__name__ = name
    return refuse


for _name in _KERNEL:
    setattr(VirtualLoop, _name, _refusal(_name))


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> VirtualTask:
    assert isinstance(loop, VirtualLoop)
    number = loop.next_number()
    if not options.get("name"):
        options["name"] = f"task {number}"
    task = VirtualTask(coro, loop=loop, number=number, **options)
    loop.alive[number] = task  # else the collector might end it, at no foreseeable instant
    task.add_done_callback(loop.forget)
    return task


def _where(task: asyncio.Task[Any]) -> str:
    """ "fetch on client, at client.py:17"."""
    place = task.place if isinstance(task, VirtualTask) else None
    stack = task.get_stack()
    at = f", at {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else ""
    name = getattr(task.get_coro(), "__qualname__", task.get_name())
    return f"{name}{f' on {place.name}' if place is not None else ''} waits{at}"


__all__ = ["HERE", "NotVirtual", "Place", "SimulationFailure", "VirtualLoop", "here"]
