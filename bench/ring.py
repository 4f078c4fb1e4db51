"""`python -m bench.ring SIDE NAME …`: an end of a memif link without a stack.

    server NAME REPLY_LEN                         answers each frame with one of REPLY_LEN octets
    client NAME REQUEST_LEN OUTSTANDING SECONDS   keeps so many frames under way

How fast rings alone are. Both poll. The frames are made once, a batch for each number of them, so
that what is measured is the driver: copying, descriptors, indices. The client prints JSON (answers
a second).
"""

from __future__ import annotations

import json
import select
import sys
import time

from corten.core.frame import BATCH_FRAMES, ReceiveBatch, TransmitBatch
from corten.driver.device import Device, Wanted
from corten.driver.driver import Driver
from corten.driver.kind import open_device, open_queue


class Alone:
    """Looks at the device's descriptors when told to."""

    def __init__(self) -> None:
        self.functions: dict[int, object] = {}
        self._poll = select.poll()

    def watch(self, fd: int, function: object) -> None:
        if self.functions.pop(fd, None) is not None:
            self._poll.unregister(fd)
        if function is not None:
            self.functions[fd] = function
            self._poll.register(fd, select.POLLIN)

    def look(self, milliseconds: int) -> None:
        for fd, _ in self._poll.poll(milliseconds):
            function = self.functions.get(fd)
            if callable(function):
                function()


def batches(length: int) -> list[TransmitBatch]:
    """A batch of no frame, of one, … of a burst."""
    made = []
    for count in range(BATCH_FRAMES + 1):
        batch = TransmitBatch()
        for _ in range(count):
            batch.append(bytes(length))
        made.append(batch)
    return made


def opened(name: str, role: str) -> tuple[Device, Alone]:
    device = open_device(Wanted("memif", name, mtu=1500, options={"role": role}))
    keeper = Alone()
    device.attend(keeper)
    return device, keeper


def driver_of(device: Device, keeper: Alone, seconds: float) -> Driver:
    """Once the other end is there."""
    until = time.monotonic() + seconds
    while not device.queue(0).fds:
        if time.monotonic() > until:
            sys.exit("nobody is at the other end")
        keeper.look(100)
    return open_queue(device.queue(0).own())


def serve(name: str, length: int) -> None:
    device, keeper = opened(name, "server")
    print("ready", flush=True)
    driver = driver_of(device, keeper, 60.0)
    answers, incoming = batches(length), ReceiveBatch()
    while device.queue(0).fds:
        for _ in range(10_000):
            driver.transmit(answers[driver.receive(incoming)])
            incoming.clear()
        keeper.look(0)
    driver.close()
    device.close()


def ask(name: str, length: int, outstanding: int, seconds: float) -> float:
    device, keeper = opened(name, "client")
    driver = driver_of(device, keeper, 10.0)
    requests, incoming = batches(length), ReceiveBatch()
    for start in range(0, outstanding, BATCH_FRAMES):
        driver.transmit(requests[min(BATCH_FRAMES, outstanding - start)])
    count, started = 0, time.monotonic()
    while time.monotonic() - started < seconds:
        for _ in range(1000):
            taken = driver.receive(incoming)
            driver.transmit(requests[taken])
            incoming.clear()
            count += taken
    rate = count / (time.monotonic() - started)
    driver.close()
    device.close()
    return rate


def main(words: list[str]) -> None:
    if words[0] == "server":
        serve(words[1], int(words[2]))
    else:
        rate = ask(words[1], int(words[2]), int(words[3]), float(words[4]))
        print(json.dumps({"requests_per_second": rate, "errors": {}}))


if __name__ == "__main__":
    main(sys.argv[1:])
