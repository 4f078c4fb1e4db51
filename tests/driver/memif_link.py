"""A memif link between two devices in this process, for the tests: they take turns."""

from __future__ import annotations

import select
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from corten.core.frame import ReceiveBatch, TransmitBatch
from corten.driver import memif_device
from corten.driver.device import Device, Wanted
from corten.driver.memif import Memif, open_queue


class Keeper:
    """Waits for nobody: `turn` calls whoever has something."""

    def __init__(self) -> None:
        self.functions: dict[int, Callable[[], object]] = {}

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        self.functions.pop(fd, None)
        if function is not None:
            self.functions[fd] = function

    def turn(self, most: int = 1000) -> None:
        """Until there is nothing to do; the client's timer aside."""
        for _ in range(most):
            poll = select.poll()
            for fd in self.functions:
                poll.register(fd, select.POLLIN)
            ready = poll.poll(0)
            for fd, events in ready:
                if events & select.POLLNVAL:
                    self.functions.pop(fd, None)  # its device was closed
                elif function := self.functions.get(fd):
                    function()
            if not ready:
                return
        raise AssertionError("they do not come to an end")


class Link:
    """Two devices, and a driver for each of their workers. `close_all` at the end of a test."""

    _open: ClassVar[list[Link]] = []

    def __init__(
        self,
        folder: Path,
        workers: tuple[int, int] = (1, 1),
        offload: tuple[bool, bool] = (True, True),
        connect: bool = True,
        secret: str = "",
        **options: Any,
    ) -> None:
        memif_device.FIRST_SECONDS = 0.0  # the server is in this very process
        self.name = str(folder / "memif.sock")
        self.keeper = Keeper()
        self.workers = workers
        self.server = self.device("server", workers[0], offload[0], secret=secret)
        self.client: Device | None = None
        self.drivers: tuple[list[Memif], list[Memif]] = ([], [])
        self._open.append(self)
        self.client_options = {"secret": secret, **options}
        if connect:
            self.client = self.device("client", workers[1], offload[1], **self.client_options)
            self.keeper.turn()
            self.open()

    def device(self, role: str, workers: int, offload: bool = True, **options: Any) -> Device:
        if not options.get("secret"):
            options.pop("secret", None)
        wanted = Wanted(
            "memif",
            self.name,
            workers,
            mtu=1500,
            ours=["10.0.0.1/24"],
            offload=offload,
            options={"role": role, **options},
        )
        device = memif_device.open_device(wanted)
        device.attend(self.keeper)
        return device

    def open(self) -> None:
        """A driver for each worker, of what the devices say now."""
        assert self.client is not None
        for device, count, drivers in zip(
            (self.server, self.client), self.workers, self.drivers, strict=True
        ):
            drivers[:] = [open_queue(device.queue(place).own()) for place in range(count)]

    def renew(self) -> None:
        """What a crew does at `changed`."""
        assert self.client is not None
        for device, drivers in zip((self.server, self.client), self.drivers, strict=True):
            for place, driver in enumerate(drivers):
                queue = device.queue(place).own()
                driver.renew(queue.values, queue.fds)

    @property
    def ends(self) -> tuple[Memif, Memif]:
        """The first worker of the server, and of the client."""
        return self.drivers[0][0], self.drivers[1][0]

    @classmethod
    def close_all(cls) -> None:
        while cls._open:
            cls._open.pop().close()

    def close(self) -> None:
        for driver in (*self.drivers[0], *self.drivers[1]):
            driver.close()
        self.server.close()
        if self.client is not None:
            self.client.close()


def send(driver: Memif, *frames: bytes) -> int:
    """How many the wire took."""
    batch = TransmitBatch()
    for frame in frames:
        assert batch.append(frame)
    taken: int = driver.transmit(batch)
    return taken


def received(driver: Memif) -> list[bytes]:
    """Everything that waits."""
    frames: list[bytes] = []
    batch = ReceiveBatch()
    while driver.receive(batch):
        frames += [batch.frame(i) for i in range(batch.count)]
        batch.clear()
    return frames
