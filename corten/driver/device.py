"""A link's device as its owner sees it: opened once, shared out by queue, undone at the end.

Strategy. The process that owns the devices never runs a stack. It opens each of them and keeps it
open; a worker gets a `Queue`: plain values and descriptors, which it has by inheritance or over its
control socket, and makes its driver from them. So a worker that dies is replaced by one with the
same queue, and a link can be added to a worker that runs.

A device whose far side comes and goes has descriptors of its own to attend to: it says so in
`attend`, and calls `changed` when its queues are others from now on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from corten.endpoint.error import CortenError


@dataclass(frozen=True)
class Wanted:
    """What a link asks of its device."""

    driver: str
    name: str = ""
    queues: int = 1  # workers, each with one
    hosts: list[str] = field(default_factory=list)  # the kernel's addresses on it, "10.0.2.1/24"
    ours: list[str] = field(default_factory=list)  # the stack's own, which must not be the host's
    mtu: int = 0  # 0: the device's own
    offload: bool = True
    options: dict[str, Any] = field(default_factory=dict)  # of its driver alone
    vlan: int = 0  # the tag of the stack's frames; 0: they have none
    asks_host: bool = False  # whether `hosts` were asked for, or are what is usual
    mac: str = ""  # the station's hardware address, if the link says one
    prefixes: list[str] = field(default_factory=list)  # the stack's as a whole, beside `ours`


@dataclass
class Queue:
    """A worker's end of a device."""

    driver: str
    name: str  # of the device, for messages
    values: dict[str, Any] = field(default_factory=dict)  # JSON can say them
    fds: list[int] = field(default_factory=list)

    def own(self) -> Queue:
        """The same with descriptors of its own."""
        return Queue(self.driver, self.name, self.values, [os.dup(fd) for fd in self.fds])


class Keeper(Protocol):
    """Whoever waits for descriptors: the supervisor, or a worker that is alone."""

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        """Call `function` when `fd` is readable; None: no more."""


class Device:
    """An open device. `close` once, by whoever opened it."""

    name: str
    mtu: int
    mac = ""  # its station's hardware address; "": the stack may choose one
    keeps_mac = False  # whether nothing is heard for another hardware address than `mac`
    changed: Callable[[], object] = staticmethod(lambda: None)  # queues are others from now on

    def queue(self, place: int) -> Queue:
        """What the worker at `place` needs; the descriptors stay the device's."""
        raise NotImplementedError

    def attend(self, keeper: Keeper) -> None:
        """Let `keeper` watch the device's own descriptors, where it has any."""

    def add_address(self, address: str) -> None:
        """The stack has `address` ("10.0.2.3/24") too, from now on: a device that is shared with
        the kernel must know."""

    def remove_address(self, address: str) -> None:
        """The stack no longer has `address`."""

    def let_go(self) -> None:
        """In a worker's process, which has descriptors of its own by now: close the inherited ones,
        so that a queue ends when its owners let it go, and undo nothing of the device."""

    def close(self) -> None:
        """Give everything back. Calling it again does nothing."""
        raise NotImplementedError


def configure(request: dict[str, object]) -> Any:
    """Let a child do `request` over netlink; its answer (`corten.driver.netlink`).

    CortenError with one line when it cannot be done.
    """
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "netlink.py")
    child = subprocess.run(
        [sys.executable, "-P", script],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        last = (child.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CortenError(f"the device could not be set up: {last}") from None
    if "error" in answer:
        raise CortenError(answer["error"])
    return answer["undo"]
