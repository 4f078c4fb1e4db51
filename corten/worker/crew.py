"""A crew: the workers of one group, what they share, and what each of them does.

The first half runs in the supervisor's process, before any fork: it opens what must outlive a
worker. The second half, the bodies, runs in the worker's own.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from corten.core.counter import Counters
from corten.driver.device import Device, Keeper, Wanted
from corten.driver.kind import open_device
from corten.endpoint.handler import Handler
from corten.wire.reason import counter_names
from corten.worker.attachment import Attachment, attach
from corten.worker.link import Link
from corten.worker.plan import Group
from corten.worker.shared import SharedMemory
from corten.worker.supervisor import Seat

DRAIN_SECONDS = 5.0
_LITTLE = 1 << 12  # octets of a filter and of a ring that nobody uses
_MESSAGE_LEN = 1 << 16  # octets of one of the supervisor's messages
_MESSAGE_FDS = 253  # descriptors that one can bring: the kernel's bound


@dataclass
class Job:
    """What the workers are to do, whatever their links."""

    handlers: dict[int, Callable[[], Handler]]
    busy_poll: bool = False
    setup: Callable[[Any], object] | None = None
    config: Any = None
    drain_seconds: float = DRAIN_SECONDS
    name_servers: list[str] = field(default_factory=list)
    secret: bytes = field(default_factory=lambda: os.urandom(32))


class Crew:
    """The seats of one group, and its counters by worker."""

    seats: list[Seat]
    counters: list[Counters]

    def attend(self, keeper: Keeper) -> None:
        """Let `keeper` watch what the crew's devices want watched."""

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
        self.devices: list[Device] = []
        self.wakes: list[int] = []
        alone = group.workers == 1
        self.shared = SharedMemory(1, _LITTLE, _LITTLE) if alone else SharedMemory(group.workers)
        try:
            for link in group.links:
                self._open(link)
            for _ in range(group.workers):
                self.wakes.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        except BaseException:
            self.close()
            raise
        names = counter_names()
        self.counters = [Counters(names, self.shared.counters(i)) for i in range(group.workers)]
        self.seats = _seats(group, self._work)

    def _open(self, link: Link) -> None:
        device = open_device(
            Wanted(
                link.driver,
                link.name,
                self.group.workers,
                link.hosts,
                link.addresses,
                link.mtu,
                link.offload,
                link.options,
                link.mac,
            )
        )
        device.changed = partial(self._changed, len(self.devices))
        self.devices.append(device)

    def attend(self, keeper: Keeper) -> None:
        for device in self.devices:
            device.attend(keeper)

    def _changed(self, index: int) -> None:
        """A device's far side came or went: each worker goes on with another queue."""
        for place, seat in enumerate(self.seats):
            queue = self.devices[index].queue(place)
            seat.tell(queue.fds, renew=index, values=queue.values)

    def close(self) -> None:
        for device in self.devices:
            device.close()
        for fd in self.wakes:
            os.close(fd)
        self.wakes = []
        self.shared.close()

    def _work(self, seat: Seat, place: int) -> None:
        """One worker from its set-up until it has drained."""
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
            for link, device in zip(self.group.links, self.devices, strict=True):
                attachment = Attachment.of(link, device, place)
                attachment.queue = attachment.queue.own()
                attach(worker, attachment, place == 0, seat.starts <= 1)
            worker.names.given = job.name_servers
            for port, factory in job.handlers.items():
                worker.listen(port, factory)
            if job.setup is not None:
                job.setup(worker)
            if seat.control is None:
                self._attend_alone(worker)
            _attend(seat, worker)
            worker.serve(job.busy_poll, job.drain_seconds)
        finally:
            worker.close()

    def _attend_alone(self, worker: Any) -> None:
        """There is no supervisor: the only worker watches the devices too."""
        for index, device in enumerate(self.devices):

            def renew(index: int = index, device: Device = device) -> None:
                queue = device.queue(0).own()
                worker.renew(index, queue.values, queue.fds)

            device.changed = renew
            device.attend(worker)


def _attend(seat: Seat, worker: Any) -> None:
    """Report ready, and listen to the supervisor from here on."""
    if seat.on_ready is not None:
        seat.on_ready()
    control = seat.control
    if control is None:
        return
    worker.watch(control.fileno(), lambda: _obey(control, worker))
    worker.on_drained = lambda: seat.tell(drained=True)
    seat.tell(ready=True)


def _obey(control: socket.socket, worker: Any) -> None:
    """A message from the supervisor; its silence for ever ends the worker."""
    fds: list[int] = []
    try:
        data, fds, _, _ = socket.recv_fds(control, _MESSAGE_LEN, _MESSAGE_FDS)
    except BlockingIOError:  # silent: nothing was said
        return
    except OSError:  # silent: a supervisor that is gone is one that says nothing
        data = b""
    if not data:
        worker.watch(control.fileno(), None)
        worker.stop()
        return
    message = json.loads(data)
    if "leads" in message:
        worker.lead(message["leads"])
    if "stop" in message:
        worker.stop()
    if "renew" in message:
        worker.renew(message["renew"], message["values"], fds)


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

    def _work(self, seat: Seat, place: int) -> None:
        from corten.kernel import worker as kernel

        job = self.job
        kernel.run(
            job.handlers,
            self.group.addresses,
            index=seat.index,
            busy_poll=job.busy_poll,
            setup=job.setup,
            ready=lambda: _tell_ready(seat),
            alone=False,
            drain_seconds=job.drain_seconds,
        )


def _tell_ready(seat: Seat) -> None:
    if seat.on_ready is not None:
        seat.on_ready()
    seat.tell(ready=True)
