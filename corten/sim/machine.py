"""A host of a simulated network on which asyncio programs run: `Net.host` makes one.

    server.start(serve())          a task that runs beside the test; when it fails, so does the run
    client.run(fetch())            until it is done; its result
    await client.task(fetch())     a task whose result is yours

Strategy. The host is a `corten.endpoint.loop.Loop` over its stack, and so can be joined to the
asyncio loop as any other (`corten.aio.network`). Its handlers run in a context of its own in which
`HERE` is this host: what they start, a server's tasks for its clients, runs on it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from corten.dns.resolver import Resolver
from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import NoSuchName
from corten.endpoint.handler import Handler
from corten.endpoint.loop import Loop, TimerHandle
from corten.sim.addresses import Given
from corten.sim.host import Host, Port
from corten.sim.virtual_loop import HERE

if TYPE_CHECKING:
    from corten.sim.net import Net

Coro = Coroutine[Any, Any, Any]


class Machine(Loop):
    """One host, its names and addresses, and what runs on it."""

    is_router = False

    def __init__(self, net: Net, host: Host, given: list[Given]) -> None:
        self.net = net
        self.host = host
        self.name = host.name
        self.given = given  # addresses that wait for the first link
        self.addresses: list[str] = []
        self.context = self._place()
        host.context = self.context
        self._joint: Any = None
        self._resolver: Resolver | None = None

    # -- programs -----------------------------------------------------------------------------

    def run(self, main: Coro, within: float = 86_400.0) -> Any:
        """Run a coroutine on this host to its end, under virtual time; its result. What else runs
        in the network goes on meanwhile. SimulationFailure after `within` seconds."""
        return self.net.run(main, on=self, within=within)

    def start(self, main: Coro) -> asyncio.Task[Any]:
        """Let a coroutine run on this host, a server's `serve_forever` for instance, until the
        network is closed. An exception of it ends `run`."""
        task = self.task(main)
        self.net.watch(task)
        return task

    def task(self, main: Coro) -> asyncio.Task[Any]:
        """A task on this host, as `asyncio.create_task` makes one here."""
        return self.net.loop.create_task(main, context=self._place())

    def _place(self) -> Context:
        context = copy_context()
        context.run(HERE.set, self)
        return context

    @property
    def joint(self) -> Any:
        """What joins this host's stack to the asyncio loop."""
        if self._joint is None:
            from corten.aio.network import Network as Joint

            self._joint = Joint(self, self.net.loop)
        return self._joint

    # -- names --------------------------------------------------------------------------------

    def resolve(
        self, name: str, found: Callable[[list[str], Exception | None], None], family: int = 0
    ) -> None:
        """Call `found(addresses, error)` once, later: from the network's book, or from its name
        server, where it has one."""
        self._look_at_clock()
        resolver = self._resolver
        if resolver is None:
            chance = self.host.network.chance.fork(5000 + self.net.machines.index(self))
            resolver = self._resolver = Resolver(self, [], chance)
        resolver.servers = self.net.name_servers(self)
        resolver.hosts = self.net.book if not resolver.servers else {self.name: self.addresses}
        if not resolver.servers and not self.net.knows(name):
            error = NoSuchName(f"{name}: no such name in this network")
            self.call_soon(found, [], error)
        else:
            resolver.resolve(name, found, family)
        self.kick()

    # -- the loop of the stack ----------------------------------------------------------------

    def time(self) -> float:
        return self.host.network.now / 1e9

    def kick(self) -> None:
        """Something was sent or asked for from outside a breath: have one at this instant."""
        if not self.host.is_breathing:
            self.host.wake(self.host.network.now)

    def serves(self, address: str) -> bool:
        """Every address: there is no other stack."""
        return True

    def _look_at_clock(self) -> None:
        if not self.host.is_breathing:
            self.host.stack.expire(self.host.network.now)

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        self.host.stack.call_soon(function, *arguments)
        self.kick()

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        self._look_at_clock()
        handle: TimerHandle = self.host.stack.call_later(seconds, function, *arguments)
        self.kick()
        return handle

    def listen(
        self,
        port: int,
        factory: Callable[[], Handler],
        address: str | None = None,
        **options: object,
    ) -> object:
        return self.host.stack.listen(port, factory, address, **options)

    def connect(
        self, address: str, port: int, factory: Callable[[], Handler], **options: object
    ) -> Connection:
        self._look_at_clock()
        connection: Connection = self.host.stack.connect(address, port, factory, **options)
        self.kick()
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
        self._look_at_clock()
        endpoint: Endpoint = self.host.stack.bind(port, handler, address, peer=peer, **options)
        return endpoint

    # -- its place in the network: for `Net.link` and the routes -------------------------------

    def attach(self, link: Any, addresses: list[Given], mtu: int, gateways: list[str]) -> Port:
        """An interface on a link, with these addresses."""
        first = not self.host.ports
        return self.host.attach(
            link,
            [str(address) for address in addresses],
            mtu=mtu,
            gateway=gateways if first and gateways else None,
            dad="off",  # nobody else has it: the network has given it
        )

    def connections(self) -> list[Connection]:
        """Those of its stack that are not over."""
        found: list[Connection] = self.host.stack.connections()
        return found
