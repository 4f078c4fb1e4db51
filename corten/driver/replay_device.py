"""A capture file as a link's device: there is one queue of it, and one worker to play it to."""

from __future__ import annotations

from corten.driver.device import Device, Queue, Wanted
from corten.driver.replay import Replay, packets_of, station_of
from corten.endpoint.error import CortenError

_MTU = 1500


class ReplayDevice(Device):
    """A file that was read through once."""

    def __init__(self, wanted: Wanted, mac: str) -> None:
        self.name = wanted.name
        self.mtu = wanted.mtu or _MTU
        self.mac = mac
        self._fast = wanted.options.get("speed") == "fast"

    def queue(self, place: int) -> Queue:
        return Queue("replay", self.name, {"fast": self._fast})

    def close(self) -> None:
        """There is nothing to give back."""


def open_device(wanted: Wanted) -> ReplayDevice:
    """Read the file through: it is whole, and the station that it was recorded at is known."""
    if wanted.queues != 1:
        raise CortenError(f"a capture is played to one worker, not {wanted.queues}: say workers=1")
    return ReplayDevice(wanted, station_of(wanted.name))


def open_queue(queue: Queue) -> Replay:
    """The driver that plays the file from its beginning."""
    return Replay(packets_of(queue.name), queue.values["fast"])
