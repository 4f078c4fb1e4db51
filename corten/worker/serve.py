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
from corten.worker.crew import DRAIN_SECONDS, Crew, Job, KernelCrew, StackCrew
from corten.worker.link import parse_link
from corten.worker.names import check_servers
from corten.worker.plan import plan
from corten.worker.supervisor import Supervisor

Factory = Callable[[], Handler]


def serve(
    handlers: dict[int, Factory],
    links: list[str],
    workers: int = 1,
    cpus: list[int] | None = None,
    *,
    busy_poll: bool = False,
    setup: Callable[[Any], object] | None = None,
    ready: Callable[[list[str]], object] | None = None,
    config: Any = None,
    drain_seconds: float = DRAIN_SECONDS,
    report: Callable[[list[dict[str, int]]], object] | None = None,
    supervised: bool = True,
    datagrams: dict[int, Callable[[], DatagramHandler]] | None = None,
    name_servers: list[str] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT has drained every worker; 0 then.

    `handlers`: port to factory; a factory makes a handler for each connection. `links`: as
    `--link` takes them. `setup(worker)` runs in each worker before its first connection, and
    `ready(addresses)` here once every worker serves. `report(counters)` is called every second
    with each worker's counters. `datagrams`: UDP port to factory; each worker binds the port, with
    a handler of its own. `supervised=False` runs the only worker in this process. `name_servers`:
    whom `connect` to a name asks, instead of those that the links have learnt.
    CortenError, one line, for anything that cannot be.
    """
    groups = plan([parse_link(text) for text in links], workers, cpus).groups
    if datagrams:
        setup = _binding(datagrams, setup)
    job = Job(handlers, busy_poll, setup, config, drain_seconds, check_servers(name_servers or []))
    addresses = [address for group in groups for address in group.addresses]
    crews: list[Crew] = []
    try:
        # one after the other: what was opened is closed even if the next cannot be
        crews.extend((KernelCrew if g.is_kernel else StackCrew)(g, job) for g in groups)
        if supervised:
            seats = [seat for crew in crews for seat in crew.seats]
            counters = [c for crew in crews for c in crew.counters]
            supervisor = Supervisor(
                seats,
                (lambda: ready(addresses)) if ready else None,
                drain_seconds,
                (lambda: report([c.snapshot() for c in counters])) if report else None,
            )
            for crew in crews:
                crew.attend(supervisor)
            return supervisor.run()
        _run_here(crews, (lambda: ready(addresses)) if ready else None)
    finally:
        for crew in crews:
            crew.close()
    return 0


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


def _run_here(crews: list[Crew], ready: Callable[[], object] | None) -> None:
    seats = [seat for crew in crews for seat in crew.seats]
    if len(seats) != 1:
        raise CortenError(f"{len(seats)} workers need a supervisor: leave supervised=True")
    seat = seats[0]
    seat.on_ready = ready
    seat.leads = True
    seat.body(seat)
