"""A crew: the workers of one group, what they share, and what each of them does.

The first half runs in the supervisor's process, before any fork: it opens what must outlive a
worker. The second half, the bodies, runs in the worker's own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from corten.core.counter import Counters
from corten.driver.device import Keeper
from corten.endpoint.handler import Handler
from corten.wire.reason import counter_names
from corten.worker.attachment import attach
from corten.worker.group_links import GroupLinks, Held
from corten.worker.orders import Orders
from corten.worker.plan import Group
from corten.worker.seat import Seat
from corten.worker.shared import SharedMemory

DRAIN_SECONDS = 5.0
_LITTLE = 1 << 12  # octets of a filter and of a ring that nobody uses


@dataclass
class Job:
    """What the workers are to do, whatever their links."""

    handlers: dict[int, Callable[[], Handler]]
    busy_poll: bool = False
    spin_us: int = 0
    setup: Callable[[Any], object] | None = None
    config: Any = None
    drain_seconds: float = DRAIN_SECONDS
    name_servers: list[str] = field(default_factory=list)
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    # instead of `worker.serve`: turns the worker until it is stopped; `ready()` when it serves
    run: Callable[[Any, Callable[[], None]], object] | None = None


class Crew:
    """The seats of one group, and its counters by worker."""

    group: Group
    seats: list[Seat]
    counters: list[Counters]  # of a stack's workers

    def attend(self, keeper: Keeper) -> None:
        """Let `keeper` watch what the crew's devices want watched."""

    def leave(self, seat: Seat, seconds: float) -> None:
        """Ask a worker to make room for its successor: 0 at once, else as soon as its connections
        have nothing left to say, after so long at the latest."""
        raise NotImplementedError

    def let_go(self) -> None:
        """In a worker's process: close what was inherited for the workers of this crew."""

    def close(self) -> None:
        """Give everything back."""


def _seats(group: Group, body: Callable[[Seat, int], None]) -> list[Seat]:
    """A seat for each worker; its body is given its place in the group as well."""

    def of(place: int) -> Callable[[Seat], None]:
        return lambda seat: body(seat, place)

    indices = [group.first + place for place in range(group.workers)]
    return [
        Seat(index, group.cpus[place], of(place), indices) for place, index in enumerate(indices)
    ]


# -- workers of a stack -----------------------------------------------------------------------


class StackCrew(Crew):
    """The group's devices, one queue a worker, and what its workers share."""

    def __init__(self, group: Group, job: Job) -> None:
        from corten.worker import worker  # noqa: F401  (before the fork, for all workers at once)

        self.group, self.job = group, job
        self.links = GroupLinks(group.workers, self._changed)
        self.wakes: list[int] = []
        # of a worker without supervisor: what to do when it begins; answers what to do at its end
        self.attended: Callable[[Any], Callable[[], object]] = lambda _: lambda: None
        alone = group.workers == 1
        self.shared = SharedMemory(1, _LITTLE, _LITTLE) if alone else SharedMemory(group.workers)
        try:
            for link in group.links:
                self.links.open(link)
            for _ in range(group.workers):
                self.wakes.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        except BaseException:
            self.close()
            raise
        names = counter_names()
        self.counters = [Counters(names, self.shared.counters(i)) for i in range(group.workers)]
        self.seats = _seats(group, self._work)
        for seat in self.seats:
            seat.heard = self._heard

    def attend(self, keeper: Keeper) -> None:
        self.links.attend(keeper)

    def _heard(self, message: dict[str, Any]) -> None:
        """What a link's leader has learnt on it is for whoever takes a seat later."""
        for held in self.links.held:
            if held.index == message["index"]:
                held.learnt = message["learnt"]

    def _changed(self, held: Held) -> None:
        """A device's far side came or went: each worker goes on with another queue."""
        for place, seat in enumerate(self.seats):
            queue = held.device.queue(place)
            seat.tell(queue.fds, renew=held.index, values=queue.values)

    def leave(self, seat: Seat, seconds: float) -> None:
        if seconds > 0:
            seat.tell(leave=seconds)
        else:
            seat.tell(stop=True)

    def let_go(self) -> None:
        self.links.let_go()

    def close(self) -> None:
        self.links.close()
        for fd in self.wakes:
            os.close(fd)
        self.wakes = []
        self.shared.close()

    def make_worker(self, seat: Seat, place: int) -> Any:
        """The worker of a seat on the crew's links; it listens nowhere yet."""
        from corten.worker.exchange import WorkerExchange
        from corten.worker.worker import Worker

        job, counters = self.job, self.counters[place]
        exchange = None
        if self.group.workers > 1:
            exchange = WorkerExchange(self.shared, place, self.wakes, counters)
            if seat.starts > 1:
                exchange.clear()
        wake = os.dup(self.wakes[place])
        worker = Worker(job.secret, job.config, seat.index, exchange, counters, wake)
        try:
            for held in self.links.held:
                attachment = self.links.attachment(held, place)
                attachment.queue = attachment.queue.own()
                attach(worker, attachment, place == 0, seat.starts <= 1)
        except BaseException:
            worker.close()
            raise
        worker.names.given = job.name_servers
        return worker

    def _work(self, seat: Seat, place: int) -> None:
        """One worker from its set-up until it has drained."""
        job = self.job
        worker = self.make_worker(seat, place)
        ended: Callable[[], object] | None = None
        try:
            for port, factory in job.handlers.items():
                worker.listen(port, factory)
            if job.setup is not None:
                job.setup(worker)
            orders = Orders(seat, worker)
            if seat.control is None:
                self.links.attend(worker)
                ended = self.attended(worker)
            else:
                self.let_go()

            def ready() -> None:
                if seat.on_ready is not None:
                    seat.on_ready()
                orders.begin()

            if job.run is not None:
                job.run(worker, ready)
            else:
                ready()
                worker.serve(job.busy_poll, job.drain_seconds, spin_us=job.spin_us)
        finally:
            if ended is not None:
                ended()
            worker.close()


# -- workers of the kernel's sockets ------------------------------------------------------------


class KernelCrew(Crew):
    """Workers over the kernel's sockets: they share the ports, so somebody must look first."""

    def __init__(self, group: Group, job: Job) -> None:
        from corten.kernel.listener import claim

        self.group, self.job = group, job
        self.counters = []
        for address in group.addresses:
            for port in job.handlers:
                if port:
                    claim(address, port)
        self.seats = _seats(group, self._work)

    def leave(self, seat: Seat, seconds: float) -> None:
        seat.signal(signal.SIGTERM if seconds > 0 else signal.SIGKILL)

    def _work(self, seat: Seat, place: int) -> None:
        from corten.kernel import worker as kernel

        job = self.job
        kernel.run(
            job.handlers,
            self.group.addresses,
            index=seat.index,
            busy_poll=job.busy_poll,
            spin_us=job.spin_us,
            setup=job.setup,
            ready=lambda: _tell_ready(seat),
            alone=False,
            drain_seconds=job.drain_seconds,
        )


def _tell_ready(seat: Seat) -> None:
    if seat.on_ready is not None:
        seat.on_ready()
    seat.tell(ready=True)
