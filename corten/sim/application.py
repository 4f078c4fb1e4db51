"""Test applications: they send octets that depend on their position, and check what they get.

Strategy. `stream(tag, length)` is the one source of truth: an octet is known from its tag and its
position, so a lost, repeated, moved or foreign octet is seen where it happens. One handler, `Peer`,
follows a `Plan` (how much to send and when, when to read, how to finish); `Sender`, `Receiver`,
`Requester` and `Replier` are plans with a name.

Rules. A `Talk` joins the two ends of a connection: what one has delivered is at every instant a
prefix of what the other has sent. Handlers never raise on what a network may do; what must not
happen raises `ApplicationFailure`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from corten.endpoint.handler import Handler


class ApplicationFailure(AssertionError):
    """An application saw what must never happen."""


@lru_cache(maxsize=64)
def stream(tag: int, length: int) -> bytes:
    """The first `length` octets of stream `tag`; a longer one begins with a shorter one."""
    return hashlib.shake_128(tag.to_bytes(8, "big")).digest(length) if length else b""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one end does."""

    send: int = 0  # octets
    chunk: int = 1 << 20  # octets a call of `send`
    mutable: bool = False  # pass bytearrays: the stack must copy
    start: str = "open"  # begin to send when: "open", "data" (first arrived), "eof"
    gap_ms: float = 0.0  # between chunks
    pause_every: int = 0  # stop reading after so many octets …
    pause_ms: float = 0.0  # … for so long
    close: str = "sent"  # "sent": after the last octet; "eof": when the peer did; "both": both are
    # over; "never"; "abort": after `abort_at` octets received or sent; "raise": an exception there
    abort_at: int = 0


@dataclass
class Side:
    """What has happened at one end, for the test to look at."""

    plan: Plan
    tag: int
    peer_tag: int
    sent: int = 0
    received: int = 0
    opened: bool = False
    eof: bool = False
    closed: bool = False
    error: Exception | None = None
    broke: bool = False  # it aborted or raised, as planned
    other: Side | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Everything expected has arrived, in order, and the connection is over."""
        return self.closed and self.error is None and self.eof


class Talk:
    """The two ends of one connection: `a` connects, `b` listens."""

    def __init__(self, number: int, a: Plan, b: Plan, network: Any = None) -> None:
        self.network = network
        self.a = Side(a, 2 * number, 2 * number + 1)
        self.b = Side(b, 2 * number + 1, 2 * number)
        self.a.other, self.b.other = self.b, self.a

    def complete(self) -> bool:
        """All octets both ways, and both ends told of an orderly close."""
        a, b = self.a, self.b
        return a.finished and b.finished and a.received == b.plan.send and b.received == a.plan.send

    def over(self) -> bool:
        """Nothing more will happen at either end (an end that never opened is over)."""
        return self.a.closed and (self.b.closed or not self.b.opened)

    def broken(self) -> bool:
        """One end aborted as planned, or was told of an error."""
        return any(side.broke or side.error is not None for side in (self.a, self.b))


class Peer(Handler):
    """A handler that follows a Plan and checks each octet."""

    def __init__(self, side: Side, network: Any = None, host: str = "") -> None:
        self.side = side
        self.network = network
        self.host = host
        self.full = False
        self.since_pause = 0
        self.waiting = False
        self.connection: Any = None

    # -- events -----------------------------------------------------------------------------

    def on_open(self, connection: Any) -> None:
        self._expect(not self.side.opened, "on_open twice")
        self.connection = connection
        self.side.opened = True
        if self.side.plan.start == "open":
            self._send_more(connection)

    def on_data(self, connection: Any, data: bytes) -> None:
        side = self.side
        self._expect(side.opened and not side.eof and not side.closed, "data out of season")
        self._expect(len(data) > 0, "on_data without data")
        stop = side.received + len(data)
        other = side.other
        expected = stream(side.peer_tag, other.plan.send if other else stop)
        if data != expected[side.received : stop]:
            known = expected[side.received : stop]
            wrong = next((i for i, o in enumerate(known) if data[i] != o), len(known))
            self._expect(False, f"octet {side.received + wrong} is not the one that was sent")
        if other is not None:
            self._expect(stop <= other.sent, f"{stop} octets delivered, {other.sent} sent")
        side.received = stop
        if self._breaks(connection, stop):
            return
        if side.plan.start == "data" and side.sent == 0:
            self._send_more(connection)
        self._maybe_pause(connection, len(data))

    def on_writable(self, connection: Any) -> None:
        self._expect(self.full, "on_writable though send never said no")
        self.full = False
        self._send_more(connection)

    def on_eof(self, connection: Any) -> None:
        side = self.side
        self._expect(side.opened and not side.eof and not side.closed, "eof out of season")
        if side.other is not None and not side.other.broke:
            self._expect(
                side.received == side.other.sent,
                f"eof after {side.received} octets of {side.other.sent}",
            )
        side.eof = True
        if side.plan.start == "eof":
            self._send_more(connection)
        self._maybe_close(connection)

    def on_close(self, connection: Any, error: Exception | None) -> None:
        side = self.side
        self._expect(not side.closed, "on_close twice")
        side.closed = True
        side.error = error
        self._trace(f"closed: {error!r}")

    # -- following the plan -----------------------------------------------------------------

    def _send_more(self, connection: Any) -> None:
        side, plan = self.side, self.side.plan
        if self.waiting or side.closed:
            return
        data = stream(side.tag, plan.send)
        while side.sent < plan.send and not self.full:
            chunk: Any = data[side.sent : side.sent + plan.chunk]
            if plan.mutable:
                chunk = bytearray(chunk)
            side.sent += len(chunk)
            self.full = not connection.send(chunk)
            if plan.mutable:
                chunk[:] = bytes(len(chunk))
            if self._breaks(connection, side.sent):
                return
            if plan.gap_ms and side.sent < plan.send:
                self.waiting = True
                connection.worker.call_later(plan.gap_ms / 1000, self._after_gap, connection)
                return
        self._maybe_close(connection)

    def _after_gap(self, connection: Any) -> None:
        self.waiting = False
        try:
            if not self.full:
                self._send_more(connection)
        except PlannedError:  # a timer's call belongs to no connection: end it by hand
            connection.abort()

    def _maybe_close(self, connection: Any) -> None:
        side, plan = self.side, self.side.plan
        sent = side.sent == plan.send
        if side.closed or side.broke:
            return
        if (
            (plan.close == "sent" and sent)
            or (plan.close == "eof" and side.eof and sent)
            or (plan.close == "both" and side.eof and sent)
        ):
            connection.shutdown()  # whatever the peer still sends is waited for
        elif plan.close in ("abort", "raise") and sent:
            self._breaks(connection, plan.abort_at)

    def _maybe_pause(self, connection: Any, length: int) -> None:
        plan = self.side.plan
        self.since_pause += length
        if plan.pause_every and self.since_pause >= plan.pause_every:
            self.since_pause = 0
            connection.pause()
            connection.worker.call_later(plan.pause_ms / 1000, self._resume, connection)

    def _resume(self, connection: Any) -> None:
        if not self.side.closed:
            connection.resume()

    def _breaks(self, connection: Any, octets: int) -> bool:
        side, plan = self.side, self.side.plan
        if side.broke or plan.close not in ("abort", "raise") or octets < plan.abort_at:
            return side.broke
        side.broke = True
        self._trace(plan.close)
        if self.network is not None:
            self.network.checker.allow_reset(self.host)
        if plan.close == "raise":
            raise PlannedError
        connection.abort()
        return True

    def _trace(self, text: str) -> None:
        if self.network is not None:
            self.network.trace.event(self.network.now, self.host, text)

    def _expect(self, fact: bool, text: str) -> None:
        """Handlers' exceptions are the stack's to catch: note the failure for `run_talks`."""
        if not fact:
            self._trace(f"FAILED: {text}")
            self.side.failures.append(text)
            raise ApplicationFailure(text)


class PlannedError(Exception):
    """What a handler raises when its plan says so."""


def sender(octets: int, **options: Any) -> Plan:
    """Sends, closes, and waits for the peer to close."""
    return Plan(send=octets, **options)


def receiver(**options: Any) -> Plan:
    """Takes what comes, and closes when the peer has."""
    return Plan(close="eof", **options)


def requester(octets: int = 100, **options: Any) -> Plan:
    """Sends a request, keeps its side open until the reply is over."""
    return Plan(send=octets, close="both", **options)


def replier(octets: int, **options: Any) -> Plan:
    """Answers the first data with a reply, then closes."""
    return Plan(send=octets, start="data", close="sent", **options)
