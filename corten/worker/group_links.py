"""The links of one group at run time, as the process that owns their devices sees them.

Each link has a number that is the same in every worker of the group, because hand-overs name it;
it is the next one after the last link's, and not used again before all others have been. Workers
attach and leave links in the order in which they are told to; one that is forked later finds the
links as they are then.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from corten.driver.device import Device, Keeper, Wanted
from corten.driver.kind import open_device
from corten.endpoint.error import CortenError
from corten.worker.attachment import Attachment
from corten.worker.learnt import Learnt
from corten.worker.link import Link, check_complete

INDICES = 255  # numbers of links: a hand-over has an octet for them, and 255 is the loopback's


@dataclass
class Held:
    """One link, its open device and what its workers have learnt on it."""

    index: int
    link: Link
    device: Device
    mac: str  # it stays, whatever addresses come and go
    learnt: Learnt = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called: its device's name."""
        return self.device.name


class GroupLinks:
    """All links of a group of so many workers."""

    def __init__(self, workers: int, changed: Callable[[Held], None]) -> None:
        self.held: list[Held] = []
        self._workers = workers
        self._changed = changed
        self._last = -1
        self._keeper: Keeper | None = None

    def open(self, link: Link) -> Held:
        """Open the link's device. CortenError, one line, when it cannot be."""
        device = open_device(
            Wanted(
                link.driver,
                link.name,
                self._workers,
                link.hosts,
                link.addresses,
                link.mtu,
                link.offload,
                link.options,
                vlan=link.vlan,
                mac=link.mac,
                asks_host=link.asks_host,
                prefixes=link.prefixes,
            )
        )
        mac = link.mac or device.mac or link.made_mac()
        held = Held(self._next_index(), link, device, mac)
        device.changed = lambda: self._changed(held)
        self.held.append(held)
        if self._keeper is not None:
            device.attend(self._keeper)
        return held

    def _next_index(self) -> int:
        used = {held.index for held in self.held}
        if len(used) >= INDICES:
            raise CortenError(f"a group of workers serves {INDICES} links at the most")
        while True:
            self._last = (self._last + 1) % INDICES
            if self._last not in used:
                return self._last

    def attend(self, keeper: Keeper) -> None:
        """Let `keeper` watch what the devices want watched, those opened later too."""
        self._keeper = keeper
        for held in self.held:
            held.device.attend(keeper)

    def attachment(self, held: Held, place: int) -> Attachment:
        """What the worker at `place` needs of a link; the descriptors stay the device's."""
        found = Attachment.of(held.link, held.device, place)
        found.index, found.mac = held.index, held.mac
        found.learnt = held.learnt
        return found

    def find(self, name: str) -> Held | None:
        """The link of that name."""
        return next((held for held in self.held if held.name == name), None)

    def take_off(self, held: Held) -> None:
        """Workers that are forked from now on do not serve it. Its device is still open."""
        with suppress(ValueError):  # silent: it has been taken off
            self.held.remove(held)

    # -- addresses ---------------------------------------------------------------------------

    def add_address(self, held: Held, link: Link) -> None:
        """The link as it is with one address more: the last of `link.addresses`."""
        held.device.add_address(link.addresses[-1])
        held.link = link

    def remove_address(self, held: Held, text: str) -> None:
        """The link without one of its addresses ("10.0.3.2"). CortenError where it must stay."""
        kept = [each for each in held.link.addresses if each.partition("/")[0] != text]
        if len(kept) == len(held.link.addresses):
            known = ", ".join(held.link.addresses) or "none"
            raise CortenError(
                f"{text} was not given to link {held.name} by hand: those are {known}"
            )
        if not kept and not held.link.dhcp and not held.link.slaac:
            raise CortenError(f"{text} is the last address of its link: remove-link {held.name}")
        without = replace(held.link, addresses=kept)
        check_complete(without, f"{held.name} without {text}")
        held.device.remove_address(text)
        held.link = without

    # -- the end -----------------------------------------------------------------------------

    def let_go(self) -> None:
        """In a worker's process: close the descriptors that it inherited, and undo nothing."""
        for held in self.held:
            held.device.let_go()

    def close(self) -> None:
        """Close every device."""
        for held in self.held:
            held.device.close()
        self.held = []
