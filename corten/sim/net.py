"""A network for tests of asyncio programs, in a few lines.

    with corten.sim.Net(seed=7) as net:
        server, client = net.host("server", "10.0.0.1"), net.host("client")
        link = net.link(client, server, delay=0.150, jitter=0.010, loss=0.02)
        net.at(12.0, link.cut)
        net.at(20.0, link.heal)
        server.start(serve())              # asyncio.start_server(…, port=80), unchanged
        print(client.run(fetch("server")))  # asyncio.open_connection("server", 80), unchanged

Strategy. `Network` (`network.py`) has the hosts' stacks, the links and the queue of events;
`VirtualLoop` is an asyncio loop on its time. What a task opens, it opens on the stack of the host
that it runs on. This file puts them together: names, addresses, routes, and what a run that failed
has to tell.

Rules. All times are seconds of virtual time. The same seed gives the same run, packet by packet. An
exception that leaves `run` carries a note with the seed and the last packets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

from corten.endpoint.error import CortenError
from corten.sim.addresses import Addresses, Given, Subnet, parse
from corten.sim.fault import Weather
from corten.sim.host import NEVER
from corten.sim.link import Link
from corten.sim.machine import Machine
from corten.sim.name_server import serve_book
from corten.sim.network import Network, SimulationFailure
from corten.sim.process import EPOCH_NS, virtual
from corten.sim.router import Router
from corten.sim.trace import PacketTrace
from corten.sim.virtual_loop import RUNNER, VirtualLoop
from corten.sim.ways import Ways
from corten.wire.pcapng import ETHERNET
from corten.wire.pcapng import packet as packet_block
from corten.wire.pcapng import start as start_block
from corten.worker.names import is_number

SECOND = 1_000_000_000
PACKETS_KEPT = 100_000
SHOWN = 20  # packets in the note of an exception
DAY = 86_400.0
FAREWELL = 60.0  # virtual seconds that cancelled tasks have
QUEUE_MIN = 64 * 1024

Node = Machine | Router


class Net:
    """Hosts, routers and links, and the programs that run on them."""

    def __init__(
        self,
        seed: int = 0,
        *,
        ipv6: bool = False,
        check: bool = False,
        title: str = "",
        pcapng: str | Path | None = None,
    ) -> None:
        """`ipv6`: links and hosts have both families, also where no address was given. `check`: an
        onlooker judges every segment (docs/simulator.md); it costs most of the time. `title`: how
        to have this run again, for reports. `pcapng`: a file that a run which fails is written to.
        """
        self.seed = seed
        self.network = Network(seed, title=title or f"Net(seed={seed})")
        self.network.checker.is_on = check
        self.network.trace = PacketTrace(PACKETS_KEPT)
        self.machines: list[Machine] = []
        self.routers: list[Router] = []
        self.book: dict[str, list[str]] = {}  # addresses by name
        self.pcapng = Path(pcapng) if pcapng else None
        self._addresses = Addresses(ipv6)
        self._ways = Ways()
        self._servers: list[Machine] = []
        self._entropy = self.network.chance.fork(3000)
        self._loop: VirtualLoop | None = None
        self._trouble: asyncio.Future[Any] | None = None

    # -- building -----------------------------------------------------------------------------

    def host(self, name: str, *addresses: str, **settings: Any) -> Machine:
        """A host. `addresses` as "10.0.0.1", "10.0.0.1/16" or "fd00::1"; without any it gets free
        ones with its links. `settings`: of its TCP, as of `corten.tcp.config.Config`."""
        from corten.tcp.config import Config

        self._name(name)
        given = [parse(text) for text in addresses]
        for each in given:
            self._addresses.reserve(each)
        host = self.network.host(name, Config(**settings) if settings else None)
        if self.network.checker.is_on:
            self.network.checker.allow_reset(name)
        machine = Machine(self, host, given)
        self.machines.append(machine)
        return machine

    def router(self, name: str) -> Router:
        """A box in the middle that passes packets on between its links."""
        self._name(name)
        router = Router(self.network, name)
        self.routers.append(router)
        return router

    def _name(self, name: str) -> None:
        if name.lower() in self.book:
            raise CortenError(f"there is a host {name!r} already: choose another name")
        self.book[name.lower()] = []

    def link(
        self,
        a: Node,
        b: Node,
        *,
        delay: float = 0.001,
        jitter: float = 0.0,
        rate: float = 0,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        corrupt: float = 0.0,
        mtu: int = 1500,
        queue: int | None = None,
    ) -> Link:
        """A wire between two hosts or routers; it can be `cut` and `heal`ed.

        `delay`: seconds each way; `jitter`: up to so much more, in order. `rate`: bits a second, 0
        for no limit; `queue`: octets that wait at each end, by default a bandwidth-delay product.
        `loss`, `duplicate`, `reorder`, `corrupt`: fractions of the packets; a reordered one is late
        by up to half the delay.
        """
        _check_fractions(loss=loss, duplicate=duplicate, reorder=reorder, corrupt=corrupt)
        late_ns = max(SECOND // 1000, int(delay * SECOND) // 2)
        queue_len = int(rate * 2 * delay / 8) if queue is None else queue
        link = self.network.link(
            delay_ms=delay * 1000,
            jitter_ms=jitter * 1000,
            rate=int(rate),
            queue_len=max(queue_len, QUEUE_MIN) if queue is None else queue_len,
            weather=Weather(loss, duplicate, reorder, corrupt, late_ns),
        )
        ends = (a, b)
        given = [(end.given, end.is_router) for end in ends]
        addresses, subnets = self._addresses.join(given)
        for i, end in enumerate(ends):
            self._attach(end, link, addresses[i], mtu, ends[1 - i], addresses[1 - i])
        self._ways.add(ends, link, addresses, subnets)
        return link

    def _attach(
        self,
        node: Node,
        link: Link,
        addresses: list[Given],
        mtu: int,
        other: Node,
        others: list[Given],
    ) -> None:
        gateways = [str(each.ip) for each in others] if other.is_router else []
        node.attach(link, addresses, mtu, gateways)
        node.given = []
        node.addresses += [str(each.ip) for each in addresses]
        self.book[node.name.lower()] += [str(each.ip) for each in addresses]
        if isinstance(node, Machine):
            stack, interface = node.host.stack, node.host.ports[-1].interface
            reached: list[Subnet] = [each.network for each in addresses]
            for each in others:
                if not any(each.version == net.version and each.ip in net for net in reached):
                    stack.add_route(f"{each.ip}/{each.ip.max_prefixlen}", interface)

    def at(self, seconds: float, function: Callable[..., object], *arguments: Any) -> None:
        """Call `function(*arguments)` at an instant, in seconds since the network began:
        `net.at(12.0, link.cut)`."""

        def call(now: int) -> None:
            function(*arguments)

        self.network.at(int(seconds * SECOND), call)

    # -- names --------------------------------------------------------------------------------

    def nameserver(self, machine: Machine) -> None:
        """Let `machine` serve the network's names by DNS, at port 53, and let every host ask it.
        Without a name server all hosts read one book, in no time."""
        serve_book(machine, lambda: self.book)
        self._servers.append(machine)

    def name_servers(self, asker: Machine) -> list[str]:
        """Whom a host asks; nobody: it reads the book."""
        return [address for server in self._servers for address in server.addresses]

    def knows(self, name: str) -> bool:
        """Whether the book has it, or it needs none."""
        plain = name.rstrip(".").lower()
        return plain in self.book or plain == "localhost" or is_number(name)

    # -- running ------------------------------------------------------------------------------

    @property
    def loop(self) -> VirtualLoop:
        """The asyncio loop of all hosts."""
        if self._loop is None:
            self._loop = VirtualLoop(self.network)
        return self._loop

    @property
    def now(self) -> float:
        """Seconds since the network began."""
        return self.network.now / SECOND

    def run(
        self, main: Coroutine[Any, Any, Any], on: Machine | None = None, within: float = DAY
    ) -> Any:
        """Run a coroutine to its end, on a host or on none; its result. What hosts have `start`ed
        goes on meanwhile, and its failure ends the run. SimulationFailure after `within` seconds,
        or when nothing is left to happen."""
        loop = self.loop
        if loop.is_running():
            main.close()
            raise CortenError("a run is under way: within it, await host.task(…)")
        self._ways.settle(self.machines, self.routers)
        task = on.task(main) if on is not None else loop.create_task(main)
        loop.until = self.network.now + int(within * SECOND)
        with virtual(self._entropy, self._clock):
            try:
                loop.run_until_complete(loop.create_task(self._first(task), name=RUNNER))
                return self._result(task)
            except BaseException as error:
                loop.until = NEVER
                self._end([task])
                self._tell(error)
                raise
            finally:
                loop.until = NEVER

    def _clock(self) -> int:
        return self.network.now

    async def _first(self, task: asyncio.Task[Any]) -> None:
        """Until the task is done, or something that was started has failed."""
        both = [task, self._troubles()]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)

    def _troubles(self) -> asyncio.Future[Any]:
        if self._trouble is None:
            self._trouble = self.loop.create_future()
        return self._trouble

    def _result(self, task: asyncio.Task[Any]) -> Any:
        trouble = self._troubles()
        if trouble.done():
            self._trouble = None
            raise trouble.result()
        return task.result()

    def watch(self, task: asyncio.Task[Any]) -> None:
        """The failure of this task ends the run."""

        def done(task: asyncio.Task[Any]) -> None:
            error = None if task.cancelled() else task.exception()
            trouble = self._troubles()
            if error is not None and not trouble.done():
                trouble.set_result(error)

        task.add_done_callback(done)

    def _end(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Cancel these and let them finish, for a while."""
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(self._farewell(left))

    async def _farewell(self, tasks: list[asyncio.Task[Any]]) -> None:
        await asyncio.wait(tasks, timeout=FAREWELL)

    def close(self) -> None:
        """End every task, then every connection. Calling it again does nothing."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.set_exception_handler(lambda *_: None)  # of what is torn down here and now
        with virtual(self._entropy, self._clock):
            self._end(loop.tasks())
            loop.run_until_complete(loop.shutdown_asyncgens())
            for machine in self.machines:
                for connection in machine.connections():
                    connection.abort()
                machine.kick()
            loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()

    def __enter__(self) -> Net:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- telling ------------------------------------------------------------------------------

    def trace(self, last: int | None = None) -> str:
        """The packets so far, a line each, or the last of them."""
        return self.network.trace.text(last)

    def report(self, last: int = 60) -> str:
        """What somebody needs to have this run again, and its last packets."""
        return f"{self.trace(last)}\nseed {self.seed}: {self.network.title}"

    def write_pcapng(self, path: str | Path) -> None:
        """Every packet so far, as it was sent, for Wireshark; what became of it is its comment."""
        blocks = [start_block(ETHERNET, self.network.title)]
        for now, who, number, frame, fate in self.network.trace.packets():
            comment = f"{who} #{number}{f': {fate}' if fate else ''}"
            blocks.append(packet_block(EPOCH_NS + now, frame, comment=comment))
        Path(path).write_bytes(b"".join(blocks))

    def _tell(self, error: BaseException) -> None:
        """Let an exception that leaves say what is needed to find out why."""
        if isinstance(error, SimulationFailure) and self.network.title in str(error):
            return  # of the network below, which has told already
        note = self.report(SHOWN)
        if self.pcapng is not None:
            self.write_pcapng(self.pcapng)
            note += f"\npackets: {self.pcapng}"
        error.add_note(note)


def _check_fractions(**fractions: float) -> None:
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise CortenError(f"{name}={value}: a fraction from 0 to 1 is wanted, 0.02 for 2 %")
