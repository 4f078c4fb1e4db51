"""The drivers there are, and what a link on each of them may say. One row a driver.

A row names two modules of this package: the one that opens the device, once, in the process that
owns it (`open_device(wanted) -> Device`), and the one that runs a queue of it in a worker
(`open_queue(queue) -> Driver`). Neither is imported before somebody asks for that driver.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from corten.driver.device import Device, Queue, Wanted
from corten.driver.option import Option, choice, number, power_of_two, text

if TYPE_CHECKING:
    from corten.driver.driver import Driver


@dataclass(frozen=True)
class Kind:
    """What links of one driver are like."""

    device: str  # the module that opens it
    queue: str  # the module that runs a queue of it
    is_path: bool = False  # whether its name is a file's, not a network device's
    needs_name: bool = False  # whether there is nothing to make where none is named
    is_ethernet: bool = True  # whether frames have a link header
    has_stations: bool = True  # whether others share it, and the stack must find out who is where
    takes_all: bool = True  # whether what is for any address comes in: a prefix may be ours
    hears_all: bool = True  # whether it gets what is for all hosts: DHCP, router advertisements
    has_host: bool = False  # whether the kernel's side of it is given an address
    mtu: int = 0  # when nothing is said; 0: the device's own
    options: dict[str, Option] = field(default_factory=dict)  # of this driver alone


_OF_TAP: dict[str, Option] = {"steering": choice("auto", "program", "learnt")}

KINDS: dict[str, Kind] = {
    "tap": Kind("tap_device", "tap", has_host=True, options=_OF_TAP),
    "tun": Kind(
        "tap_device", "tap", is_ethernet=False, has_stations=False, has_host=True, options=_OF_TAP
    ),
    "replay": Kind(
        "replay_device",
        "replay_device",
        is_path=True,
        needs_name=True,
        options={"speed": choice("recorded", "fast")},
    ),
    "xdp": Kind(
        "xdp_device",
        "xdp",
        needs_name=True,
        takes_all=False,
        hears_all=False,
        options={
            "mode": choice("auto", "native", "generic"),
            "copy": choice("auto", "on", "zero"),
            "ring": power_of_two(64, 16384),
            "checksum": choice("auto", "verify", "trust"),
        },
    ),
    "packet": Kind(
        "packet_device",
        "packet",
        needs_name=True,
        options={
            "silence": choice("auto", "on", "off"),
            "qdisc": choice("on", "bypass"),
            "ring": number(1, 256),
        },
    ),
    "memif": Kind(
        "memif_device",
        "memif",
        is_path=True,
        needs_name=True,
        mtu=1500,
        options={
            "role": choice("server", "client"),
            "id": number(0, 2**32 - 1),
            "secret": text(24),
            "rings": number(1, 64),  # pairs
            "size": number(3, 14),  # log2 of a ring's slots
            "buffer": number(256, 65600),  # octets
        },
    ),
}


def _load(module: str) -> object:
    return importlib.import_module(f"corten.driver.{module}")


def open_device(wanted: Wanted) -> Device:
    """Open what a link asks for. CortenError, one line, when it cannot be."""
    device: Device = _load(KINDS[wanted.driver].device).open_device(wanted)  # type: ignore[attr-defined]  # the module's contract
    return device


def open_queue(queue: Queue) -> Driver:
    """A worker's end of an open device. The descriptors are the driver's from here on."""
    driver: Driver = _load(KINDS[queue.driver].queue).open_queue(queue)  # type: ignore[attr-defined]  # the module's contract
    return driver
