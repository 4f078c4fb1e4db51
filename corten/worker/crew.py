"""A crew: the workers of one group, what they share, and what each of them does.

The first half runs in the supervisor's process, before any fork: it opens what must outlive a
worker. The second half, the bodies, runs in the worker's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from corten.core.counter import Counters
from corten.driver.device import TapDevice, open_tap
from corten.endpoint.handler import Handler
from corten.wire.reason import counter_names
from corten.worker.link import Link
from corten.worker.plan import Group
from corten.worker.shared import SharedMemory
from corten.worker.supervisor import Seat

DRAIN_SECONDS = 5.0
_LITTLE = 1 << 12  # octets of a filter and of a ring that nobody uses


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


@dataclass
class Crew:
    """The seats of one group, its counters by worker, and how to give everything back."""

    seats: list[Seat]
    counters: list[Counters]
    close: Callable[[], None]


def _seats(group: Group, body: Callable[[Seat, int], None]) -> list[Seat]:
    """A seat for each worker; its body is given its place in the group as well."""

    def of(place: int) -> Callable[[Seat], None]:
        return lambda seat: body(seat, place)

    indices = [group.first + place for place in range(group.workers)]
    return [
        Seat(index, group.cpus[place], of(place), indices) for place, index in enumerate(indices)
    ]


# -- workers of a stack -----------------------------------------------------------------------


def stack_crew(group: Group, job: Job) -> Crew:
    """Open the group's devices, one queue a worker, and what its workers share."""
    from corten.driver import tap  # noqa: F401  (before the fork, for all workers at once)
    from corten.worker import worker  # noqa: F401

    devices: list[TapDevice] = []
    wakes: list[int] = []
    alone = group.workers == 1
    shared = SharedMemory(1, _LITTLE, _LITTLE) if alone else SharedMemory(group.workers)

    def close() -> None:
        for device in devices:
            device.close()
        for fd in wakes:
            os.close(fd)
        shared.close()

    try:
        devices.extend(_open(link, group.workers) for link in group.links)
        wakes += [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(group.workers)]
    except BaseException:
        close()
        raise
    names = counter_names()
    counters = [Counters(names, shared.counters(i)) for i in range(group.workers)]

    def body(seat: Seat, place: int) -> None:
        _stack_worker(seat, place, group, job, devices, shared, wakes, counters[place])

    return Crew(_seats(group, body), counters, close)


def _open(link: Link, queues: int) -> TapDevice:
    return open_tap(
        link.name,
        queues,
        host=link.hosts,
        mtu=link.mtu,
        offload=link.offload,
        ours=link.addresses,
        kind=link.driver,
    )


def _stack_worker(
    seat: Seat,
    place: int,
    group: Group,
    job: Job,
    devices: list[TapDevice],
    shared: SharedMemory,
    wakes: list[int],
    counters: Counters,
) -> None:
    """One worker from its set-up until it has drained."""
    from corten.driver.tap import Tap
    from corten.worker.exchange import WorkerExchange
    from corten.worker.worker import Worker

    exchange = WorkerExchange(shared, place, wakes, counters) if group.workers > 1 else None
    if exchange is not None and seat.starts > 1:
        exchange.clear()
    worker = Worker(job.secret, job.config, seat.index, exchange, counters, os.dup(wakes[place]))
    first = seat.starts <= 1
    for link, device in zip(group.links, devices, strict=True):
        queue = os.dup(device.queues[place])
        driver = Tap(queue, device.name, link.offload, link.is_ethernet)
        interface = worker.stack.add_interface(
            device.name,
            link.mac,
            link.addresses,
            link.mtu,
            link.gateways,
            driver.offload_checksum,
            driver.offload_segmentation,
            link.neighbours,
            place == 0,
            link.vlan,
            link.is_ethernet,
            link.slaac,
            link.dad if first else "off",  # the others use what a dead worker's successor takes
            link.acd and first,
            hashlib.blake2s(link.stable.encode()).digest() if link.stable else None,
            link.dhcp,
        )
        worker.add_link(driver, interface)
        if link.dhcp:
            worker.lease(interface, place == 0)
    worker.names.given = job.name_servers
    try:
        for port, factory in job.handlers.items():
            worker.listen(port, factory)
        if job.setup is not None:
            job.setup(worker)
        _attend(seat, worker)
        worker.serve(job.busy_poll, job.drain_seconds)
    finally:
        worker.close()


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
    try:
        message = control.recv(65536)
    except BlockingIOError:  # silent: nothing was said
        return
    except OSError:  # silent: a supervisor that is gone is one that says nothing
        message = b""
    if not message:
        worker.watch(control.fileno(), None)
        worker.stop()
        return
    for name, value in json.loads(message).items():
        if name == "leads":
            worker.lead(value)
        elif name == "stop":
            worker.stop()


# -- workers of the kernel's sockets ------------------------------------------------------------


def kernel_crew(group: Group, job: Job) -> Crew:
    """Workers over the kernel's sockets: they share the ports, so somebody must look first."""
    from corten.kernel import worker as kernel
    from corten.kernel.listener import claim

    for address in group.addresses:
        for port in job.handlers:
            if port:
                claim(address, port)

    def body(seat: Seat, place: int) -> None:
        kernel.run(
            job.handlers,
            group.addresses,
            index=seat.index,
            busy_poll=job.busy_poll,
            setup=job.setup,
            ready=lambda: _tell_ready(seat),
            alone=False,
            drain_seconds=job.drain_seconds,
        )

    return Crew(_seats(group, body), [], lambda: None)


def _tell_ready(seat: Seat) -> None:
    if seat.on_ready is not None:
        seat.on_ready()
    seat.tell(ready=True)
