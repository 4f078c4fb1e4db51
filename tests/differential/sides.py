"""The two sides that a case is played to: the Linux kernel behind a TAP device, and our stack.

Both are told the same frames and asked what they say within `QUIET_S` of each step: real time
there, virtual time here. What they say is brought to a form in which only what matters is left.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Protocol

from bench.namespace import Namespace, write_setting
from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.sim.packet import Segment, decode, flags_text
from corten.stack.stack import Stack
from tests.differential.roles import HANDLERS
from tests.netns import Program

OURS, THEIRS = "10.9.1.1", "10.9.1.2"  # the prober's address, and the one that is probed
OUR_MAC, THEIR_MAC = "02:00:00:00:09:01", "02:00:00:00:09:02"
QUIET_S = 0.06  # longer than a delayed acknowledgement, shorter than any retransmission
SETTINGS = {
    "net/ipv4/tcp_invalid_ratelimit": "0",  # every answer, not one in half a second
    "net/ipv4/tcp_ecn": "2",
}


class Side(Protocol):
    """Takes frames, and says what came of them."""

    def step(self, frames: list[bytes]) -> list[Segment]: ...

    def close(self) -> None: ...


class Kernel:
    """The kernel in a namespace."""

    def __init__(self, space: Namespace) -> None:
        self.fd = space.tap("probe")
        with space.inside():
            for name, value in SETTINGS.items():
                write_setting(name, value)
        space.ip("link", "set", "probe", "address", THEIR_MAC, "up")
        space.ip("address", "add", f"{THEIRS}/24", "dev", "probe")
        space.ip(
            "neighbour", "replace", OURS, "lladdr", OUR_MAC, "dev", "probe", "nud", "permanent"
        )
        self.server = Program(space, "-m", "tests.differential.kernel_server", THEIRS)
        assert self.server.wait_for("ready")

    def step(self, frames: list[bytes]) -> list[Segment]:
        for frame in frames:
            os.write(self.fd, frame)
        found = []
        until = time.monotonic() + QUIET_S
        while (left := until - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                segment = decode(os.read(self.fd, 65536))
                if segment is not None and segment.target == OURS:
                    found.append(segment)
        return found

    def close(self) -> None:
        self.server.close()
        os.close(self.fd)


class Ours:
    """The stack, under virtual time."""

    def __init__(self, **config: Any) -> None:
        from corten.tcp.config import Config

        self.now = 10**9
        self.stack = Stack(Chance(1), b"d" * 32, Config(**config), now=self.now)
        self.interface = self.stack.add_interface(
            "probe", THEIR_MAC, [f"{THEIRS}/24"], neighbours={OURS: OUR_MAC}
        )
        for port, handler in HANDLERS.items():
            self.stack.listen(port, handler)

    def step(self, frames: list[bytes]) -> list[Segment]:
        found: list[Segment] = []
        for frame in frames or [b""]:
            batch = ReceiveBatch()
            if frame:
                batch.append(frame)
            self._breath(batch, found)
        until = self.now + int(QUIET_S * 1e9)
        while (deadline := self.stack.next_deadline()) <= until:
            self.now = max(deadline, self.now + 1)
            self._breath(ReceiveBatch(), found)
        self.now = until
        return found

    def _breath(self, batch: ReceiveBatch, found: list[Segment]) -> None:
        stack, outgoing = self.stack, self.interface.outgoing
        stack.receive(self.now, self.interface, batch)
        stack.expire(self.now)
        stack.deliver(self.now)
        stack.release(self.now)
        more = True
        while more:
            more = stack.transmit(self.now)
            for i in range(outgoing.count):
                segment = decode(outgoing.frame(i))
                if segment is not None and segment.target == OURS:
                    found.append(segment)
            outgoing.clear()

    def close(self) -> None:
        """Nothing to give back."""


class Account:
    """One side's story of one case: its ISN, and what it has said already."""

    def __init__(self) -> None:
        self.isn: int | None = None
        self.heard = 0  # one beyond the last octet it sent in order, relative
        self.seen: set[tuple[int, int, int]] = set()

    def take(self, segments: list[Segment], our_isn: int) -> list[str]:
        """What they said in one step, brought to the common form."""
        said: list[tuple[Segment, int, int]] = []
        for segment in segments:
            if segment.flags & 0x02 and self.isn is None:
                self.isn = segment.seq
            base = self.isn if self.isn is not None else 0
            seq = (segment.seq - base) & 0xFFFFFFFF if self.isn is not None else segment.seq
            key = (seq, segment.span, segment.flags & 0x07)
            if segment.span and not segment.flags & 0x04:
                if key in self.seen:
                    continue  # a retransmission: when they come is not compared
                self.seen.add(key)
                self.heard = max(self.heard, seq + segment.span)
            said.append((segment, seq, (segment.ack - our_isn) & 0xFFFFFFFF))
        return [_text(*item, our_isn) for item in _joined(said)]


Said = tuple[Segment, int, int]


def _joined(said: list[Said]) -> list[Said]:
    """Without acknowledgements that a later segment repeats; text in pieces and its FIN as one."""
    found: list[Said] = []
    for segment, seq, ack in said:
        plain = not segment.flags & 0x02
        while found and plain and (segment.span or not segment.options.sack):
            last, _, last_ack = found[-1]
            if last.span or last.flags & 0x06 or last.options.sack or last_ack > ack:
                break
            if not segment.span and not segment.flags & 0x04 and last_ack == ack:
                break  # a duplicate says something
            found.pop()  # it rides on what follows
        if found and plain and segment.span and not segment.flags & 0x04:
            last, last_seq, _ = found[-1]
            if last.payload and last_seq + len(last.payload) == seq:
                last.payload += segment.payload
                last.flags |= segment.flags
                found[-1] = (last, last_seq, ack)
                continue
        found.append((segment, seq, ack))
    return found


def _text(segment: Segment, seq: int, ack: int, our_isn: int) -> str:
    flags = flags_text(segment.flags & ~0x08)  # PSH says nothing that must be the same
    number = "isn" if segment.flags & 0x02 else str(seq if seq < 1 << 31 else seq - (1 << 32))
    parts = [flags, number]
    if segment.flags & 0x10:
        parts.append(f"ack {ack}")
    if segment.payload:
        parts.append(f"len {len(segment.payload)}")
    options = segment.options
    parts += [f"mss {options.mss}"] if options.mss is not None else []
    parts += ["wscale"] if options.wscale is not None else []
    parts += ["sackOK"] if options.sack_permitted else []
    parts += ["TS"] if options.timestamps else []
    if options.timestamps and segment.flags & 0x10:
        parts.append(f"ecr {options.timestamps[1]}")
    for left, right in options.sack:
        parts.append(f"sack {(left - our_isn) & 0xFFFFFFFF}:{(right - our_isn) & 0xFFFFFFFF}")
    if segment.window == 0 and not segment.flags & 0x04:
        parts.append("shut")
    return " ".join(parts)
