"""A stack within a program of one's own: packets in and out through any object, no privilege.

    node = corten.Node()
    link = node.add(peer.send, ["10.7.0.2/24"])  # each packet of ours goes to `peer.send`
    link.push(packet)                            # and this is how one of theirs comes in
    node.listen(80, Server)
    node.connect("10.7.0.1", 80, Client)

Strategy. A Node is a Worker without a process, a supervisor or a device: the caller's loop calls
`turn` when `fileno` is readable and after `patience` seconds, or `attach` lets an asyncio loop do
that, or `serve` is a loop of its own, in any thread.

Rules. Handlers run within `turn`. What is called from outside (`connect`, `send` of a connection)
takes effect in the next turn, which the caller brings about; from another thread only `push` and
`call_soon_threadsafe` may be called, and they wake the loop.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from corten.driver.driver import Driver
from corten.driver.pipe import Pipe
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.loop import TimerHandle
from corten.tcp.config import Config
from corten.worker.worker import Factory, Worker

_TURNS = 32  # of one call by an asyncio loop, while packets come: then others have their turn


class Node(Worker):
    """One stack, its links and its timers, for a loop of somebody else's."""

    def __init__(
        self,
        config: Config | None = None,
        secret: bytes | None = None,
        name_servers: list[str] | None = None,
    ) -> None:
        """`secret`: 32 octets that nobody else knows; otherwise made by chance."""
        super().__init__(secret or os.urandom(32), config)
        self.names.given = list(name_servers or [])
        self._is_turning = False
        self._timer: Any = None
        self._detach: Callable[[], object] = lambda: None  # from an asyncio loop

    def add(
        self,
        wire: Any,
        addresses: list[str],
        *,
        prefixes: Sequence[str] = (),
        ethernet: bool = False,
        mac: str = "",
        **more: Any,
    ) -> Any:
        """A link. `wire`: what each packet is sent to, a callable or an object with `send`, or any
        Driver; `addresses`: ours, as "10.7.0.2/24" or "fd00::2/64"; `prefixes`: "10.9.0.0/16", all
        of whose addresses are ours.

        Without `ethernet` packets begin with the header of IP. `more`: as Stack.add_interface has
        it: `mtu`, `gateway`, `neighbours`, … The driver is answered: of a callable a Pipe, into
        which `push(packet)` puts what arrives. CortenError for what cannot be.
        """
        driver: Any = wire if isinstance(wire, Driver) else Pipe(wire)
        index = len(self.stack.interfaces)
        interface = self.stack.add_interface(
            f"link{index}",
            mac or (b"\x02" + os.urandom(5)).hex(":"),
            addresses,
            offload_checksum=driver.offload_checksum,
            offload_segmentation=driver.offload_segmentation,
            ethernet=ethernet,
            **more,
        )
        try:
            for prefix in prefixes:
                self.stack.routes.add_prefix(interface, prefix)
        except CortenError:
            self.stack.remove_interface(interface)
            raise
        self.add_link(driver, interface)
        return driver

    # -- a loop of somebody else's ------------------------------------------------------------

    def turn(self, now: int | None = None) -> int:
        self._is_turning = True
        try:
            return super().turn(now)
        finally:
            self._is_turning = False

    def attach(self, loop: Any) -> None:
        """Let an asyncio loop turn this node until `close`."""
        loop.add_reader(self.fileno(), self._turn_within, loop)
        self._turn_within(loop)
        self._detach = lambda: loop.remove_reader(self.fileno())

    def _turn_within(self, loop: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for _ in range(_TURNS):
            self.turn()
            seconds = self.patience()
            if seconds != 0.0:
                break
        self._timer = None if seconds is None else loop.call_later(seconds, self._turn_within, loop)

    def close(self) -> None:
        """Reset every connection, close the links. Calling it again does nothing."""
        self._detach()
        self._detach = lambda: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().close()

    # -- from outside a turn the stack's clock has stood still --------------------------------

    def connect(self, address: str, port: int, factory: Factory, **options: object) -> Connection:
        self._look_at_clock()
        return super().connect(address, port, factory, **options)

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        self._look_at_clock()
        return super().call_later(seconds, function, *arguments)

    def _look_at_clock(self) -> None:
        if not self._is_turning:
            self.stack.expire(time.monotonic_ns())
