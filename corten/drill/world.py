"""One Stack on a clock of its own, and the wire to the script's end of it.

Strategy. Time stands still but for `advance`: it goes from one deadline of the stack to the next,
so what the stack sends carries the exact instant. Each inbound packet and each call is a breath of
its own, as they would be on a slow machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.sim.offload import take_frames
from corten.stack.stack import Stack
from corten.tcp.config import Config

NEVER = 1 << 62
START_NS = 1_000_000_000_000  # clocks of stacks do not begin at 0
STACK_MAC = bytes.fromhex("020000000001")
PEER_MAC = bytes.fromhex("020000000002")
LOCAL = {4: "192.168.0.1", 6: "fd3d:a0b:17d6::1"}
REMOTE = {4: "192.0.2.1", 6: "fd3d:fa7b:d17d::1"}
_PREFIX = {4: 16, 6: 48}
_TURNS_MAX = 200_000  # breaths of one script: more means that the stack turns in a circle


def _mac(octets: bytes) -> str:
    return octets.hex(":")


class World:
    """A stack, its link, and the time."""

    def __init__(
        self,
        version: int = 4,
        mtu: int = 1500,
        settings: dict[str, Any] | None = None,
        seed: int = 1,
        local: str = "",
        remote: str = "",
    ) -> None:
        """`version`: of the packets, 4 or 6. `settings`: of the stack's Config."""
        self.version = version
        self.mtu = mtu
        self.local = local or LOCAL[version]
        self.remote = remote or REMOTE[version]
        self.now = START_NS
        self.turns = 0
        chance = Chance(seed)
        self.stack = Stack(
            chance.fork(1), chance.octets(32), Config(**(settings or {})), now=self.now
        )
        gateway = str(ip_address(self.local) + 1)
        self.interface = self.stack.add_interface(
            "drill0",
            _mac(STACK_MAC),
            [f"{self.local}/{_PREFIX[version]}"],
            mtu=mtu,
            gateway=gateway,
            neighbours={gateway: _mac(PEER_MAC)},
        )
        self.batch = ReceiveBatch(1 << 20)
        self.outbox: deque[tuple[int, bytes]] = deque()
        self.after_breath: Callable[[], None] = lambda: None
        self.breath()
        self.outbox.clear()  # announcements

    def elapsed_ns(self) -> int:
        """Since the script began."""
        return self.now - START_NS

    def inject(self, frame: bytes) -> None:
        """A frame arrives; the stack has a breath."""
        self.batch.append(frame, 0, 0)
        self.stack.receive(self.now, self.interface, self.batch)
        self.breath()

    def breath(self) -> None:
        """One turn of the stack at this instant."""
        self.turns += 1
        if self.turns > _TURNS_MAX:
            raise RuntimeError("the stack wants to be called again and again")
        stack = self.stack
        stack.expire(self.now)
        stack.deliver(self.now)
        stack.release(self.now)
        self.batch.clear()
        while True:
            again = stack.transmit(self.now)
            for frame in take_frames(self.interface.outgoing):
                self.outbox.append((self.now, frame))
            self.interface.outgoing.clear()
            if not again:
                break
        self.after_breath()

    def next_deadline(self) -> int:
        """When the stack wants to be called; NEVER when nothing waits for time."""
        deadline = int(self.stack.next_deadline())
        return NEVER if deadline >= NEVER else max(deadline, self.now)

    def advance(self, to: int) -> None:
        """Let time pass until `to`, with a breath at each deadline before it."""
        while self.step(to):
            pass
        self.now = max(self.now, to)

    def step(self, limit: int) -> bool:
        """Go on to the next deadline if it is not after `limit`; whether there was one."""
        deadline = self.next_deadline()
        if deadline > limit:
            return False
        self.now = deadline
        self.breath()
        if self.next_deadline() <= self.now:
            self.now += 1  # a stack that asks for «now» again: a nanosecond later
        return True
