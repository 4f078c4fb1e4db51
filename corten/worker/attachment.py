"""A link as a worker is given it: what was asked for, and its queue of the open device.

A worker has its first links by inheritance; one that is added later comes as a message, its
descriptors beside it. Both become an `Attachment`, and `attach` makes driver and interface of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

from corten.driver.device import Device, Queue
from corten.driver.kind import open_queue
from corten.endpoint.error import CortenError
from corten.worker.learnt import Learnt, lease_in, take_up
from corten.worker.link import Link
from corten.worker.steering import steering_of
from corten.worker.wrapping import wrapped


@dataclass
class Attachment:
    """What one worker needs to serve one link."""

    link: Link
    queue: Queue
    mac: str
    mtu: int
    index: int = -1  # the link's number in its group; -1: the next one
    learnt: Learnt = field(default_factory=dict)  # by a worker before this one

    @classmethod
    def of(cls, link: Link, device: Device, place: int) -> Attachment:
        """For the worker at `place` of its group; the descriptors stay the device's."""
        if device.keeps_mac and link.mac not in ("", device.mac):
            raise CortenError(
                f"link {device.name}: hears nothing for {link.mac}, its station is {device.mac}: "
                "leave out mac="
            )
        mac = link.mac or device.mac or link.made_mac()
        return cls(link, device.queue(place), mac, device.mtu)

    def message(self) -> dict[str, Any]:
        """As JSON can say it, but for the descriptors."""
        return {**asdict(self), "queue": {**asdict(self.queue), "fds": []}}

    @classmethod
    def from_message(cls, message: dict[str, Any], fds: list[int]) -> Attachment:
        """The other end's `message`, and the descriptors that came with it."""
        queue = Queue(**{**message["queue"], "fds": fds})
        values = {**message, "link": Link(**message["link"]), "queue": queue}
        return cls(**values)


def attach(worker: Any, attachment: Attachment, leads: bool, first: bool = True) -> None:
    """Serve the link. The queue's descriptors are the driver's from here on.

    `leads`: this worker speaks for its fellows. `first`: nobody has used the link's addresses
    before; the others use what a dead worker's successor takes.
    """
    link, queue = attachment.link, attachment.queue
    exchange = worker.stack.host.exchange
    place = exchange.index if exchange.workers > 1 else None
    driver = wrapped(open_queue(queue), link.wraps, link.is_ethernet, queue.name, place)
    interface = worker.stack.add_interface(
        queue.name,
        attachment.mac,
        link.addresses,
        attachment.mtu,
        link.gateways,
        driver.offload_checksum,
        driver.offload_segmentation,
        link.neighbours,
        leads,
        link.vlan,
        link.is_ethernet,
        link.slaac,
        link.dad if first else "off",
        link.acd and first,
        hashlib.blake2s(link.stable.encode()).digest() if link.stable else None,
        link.dhcp,
        attachment.index,
    )
    try:
        for prefix in link.prefixes:
            worker.stack.routes.add_prefix(interface, prefix)
    except CortenError:  # it is another link's
        worker.stack.remove_interface(interface)
        raise
    interface.steering = steering_of(queue.values)
    worker.add_link(driver, interface)
    if attachment.learnt:
        take_up(worker, interface, attachment.learnt)
    if link.dhcp:
        worker.lease(interface, leads, lease_in(attachment.learnt))
