"""`serve`: handlers on links, in workers under a supervisor. What `corten.serve` is.

The order matters. Everything that a worker needs is opened before the first fork: devices, shared
memory, eventfds, secrets. A worker's body runs in its own process and makes the stack there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corten.endpoint.datagram import DatagramHandler
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.worker.command import Commands
from corten.worker.control import Control
from corten.worker.crew import DRAIN_SECONDS, Crew, Job, KernelCrew, StackCrew
from corten.worker.link import parse_link
from corten.worker.names import check_servers
from corten.worker.plan import plan
from corten.worker.seat import Seat
from corten.worker.supervisor import Supervisor

Factory = Callable[[], Handler]


def serve(
    handlers: dict[int, Factory],
    links: list[str],
    workers: int = 1,
    cpus: list[int] | None = None,
    *,
    busy_poll: bool = False,
    spin_us: int = 0,
    setup: Callable[[Any], object] | None = None,
    ready: Callable[[list[str]], object] | None = None,
    config: Any = None,
    drain_seconds: float = DRAIN_SECONDS,
    report: Callable[[list[dict[str, int]]], object] | None = None,
    supervised: bool = True,
    datagrams: dict[int, Callable[[], DatagramHandler]] | None = None,
    name_servers: list[str] | None = None,
    control: str | None = None,
    run: Callable[[Any, Callable[[], None]], object] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT has drained every worker; 0 then.

    `handlers`: port to factory; a factory makes a handler for each connection. `links`: as
    `--link` takes them. `setup(worker)` runs in each worker before its first connection, and
    `ready(addresses)` here once every worker serves. `report(counters)` is called every second
    with each worker's counters. `datagrams`: UDP port to factory; each worker binds the port, with
    a handler of its own. `supervised=False` runs the only worker in this process. `name_servers`:
    whom `connect` to a name asks, instead of those that the links have learnt. `busy_poll`: never
    sleep; `spin_us`: look on for so long before sleeping, while that pays. `control`: the path of
    a socket on which the server can be asked and told things (docs/running.md).
    `run(worker, ready)`, instead of the worker's own loop: calls `ready()`, and turns it until it
    `is_stopped()`.
    CortenError, one line, for anything that cannot be.
    """
    groups = plan([parse_link(text) for text in links], workers, cpus).groups
    if datagrams:
        setup = _binding(datagrams, setup)
    servers = check_servers(name_servers or [])
    job = Job(handlers, busy_poll, spin_us, setup, config, drain_seconds, servers, run=run)
    addresses = [address for group in groups for address in group.addresses]
    told = (lambda: ready(addresses)) if ready else None
    crews: list[Crew] = []
    try:
        # one after the other: what was opened is closed even if the next cannot be
        crews.extend((KernelCrew if g.is_kernel else StackCrew)(g, job) for g in groups)
        if supervised:
            return _run_supervised(crews, job, told, report, control)
        _run_here(crews, job, told, control)
    finally:
        for crew in crews:
            crew.close()
    return 0


def _run_supervised(
    crews: list[Crew],
    job: Job,
    ready: Callable[[], object] | None,
    report: Callable[[list[dict[str, int]]], object] | None,
    control: str | None,
) -> int:
    """Fork the workers, and look after them until the end."""
    counters = [c for crew in crews for c in crew.counters]
    listening: Control | None = None

    def forked(seat: Seat) -> None:
        """A worker has no use for what it inherits from others."""
        if listening is not None:
            listening.let_go()
        for crew in crews:
            if seat not in crew.seats:
                crew.let_go()

    supervisor = Supervisor(
        [seat for crew in crews for seat in crew.seats],
        ready,
        job.drain_seconds,
        (lambda: report([c.snapshot() for c in counters])) if report else None,
        forked=forked,
    )
    for crew in crews:
        crew.attend(supervisor)
    if control is not None:
        commands = Commands(crews, supervisor, job.drain_seconds)
        listening = Control(control, supervisor, commands)
    try:
        return supervisor.run()
    finally:
        if listening is not None:
            listening.close()


def _binding(
    datagrams: dict[int, Callable[[], DatagramHandler]], setup: Callable[[Any], object] | None
) -> Callable[[Any], object]:
    """A worker's set-up that binds UDP ports first."""

    def bind(worker: Any) -> None:
        for port, factory in datagrams.items():
            worker.bind(port, factory())
        if setup is not None:
            setup(worker)

    return bind


def _run_here(
    crews: list[Crew], job: Job, ready: Callable[[], object] | None, control: str | None
) -> None:
    """The only worker runs in this process, and watches the control socket itself."""
    seats = [seat for crew in crews for seat in crew.seats]
    if len(seats) != 1:
        raise CortenError(f"{len(seats)} workers need a supervisor: leave supervised=True")
    crew, seat = crews[0], seats[0]
    if control is not None and not isinstance(crew, StackCrew):
        raise CortenError("a kernel link's worker has no control socket without a supervisor")

    def attended(worker: Any) -> Callable[[], object]:
        if control is None:
            return lambda: None
        commands = Commands(crews, worker, job.drain_seconds, supervised=False)
        return Control(control, worker, commands).close

    if isinstance(crew, StackCrew):
        crew.attended = attended
    seat.on_ready = ready
    seat.leads = True
    seat.body(seat)
