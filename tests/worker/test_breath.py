"""A worker that is behind with its input reads on before it lets timers expire."""

from __future__ import annotations

from corten.core.chance import Chance
from corten.core.clock import NEVER
from corten.core.frame import ReceiveBatch, TransmitBatch
from corten.driver.driver import Driver
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from corten.worker.breath import Breath

BURST = 256
BEHIND_MAX = 16


class Flood(Driver):
    """A link with `left` bursts waiting on it."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def receive(self, batch: ReceiveBatch) -> int:
        if self.left == 0:
            return 0
        self.left -= 1
        for _ in range(BURST):
            batch.append(b"\0" * 14)
        return BURST

    def transmit(self, batch: TransmitBatch) -> int:
        return batch.count


def breaths_until_due(bursts: int) -> int:
    """How many breaths it takes until a call that is due at once runs, with input waiting."""
    stack = Stack(Chance(1), b"k" * 32)
    interface = stack.add_interface("flood", "02:00:00:00:00:02", ["10.0.0.2/24"])
    breath = Breath(stack)
    breath.add_wire(Flood(bursts), interface)
    ran: list[bool] = []
    stack.call_later(0, lambda: ran.append(True))
    for count in range(1, 1000):
        breath.breathe(count * 1000)
        if ran:
            return count
    raise AssertionError("the timer never expired")


def test_timers_expire_at_once_when_input_is_read() -> None:
    assert breaths_until_due(0) == 1


def test_waiting_input_comes_before_timers() -> None:
    assert breaths_until_due(5) == 6


def test_timers_do_not_starve_under_a_flood() -> None:
    assert breaths_until_due(10_000) == BEHIND_MAX + 1


class Narrow(Driver):
    """A link that says how much room it has."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.sent: list[int] = []

    def is_full(self) -> bool:
        return self.full

    def receive(self, batch: ReceiveBatch) -> int:
        return 0

    def transmit(self, batch: TransmitBatch) -> int:
        self.sent.append(batch.count)
        return batch.count


def opening(count: int) -> tuple[Stack, Narrow, Breath]:
    """A stack that has so many SYNs to send."""
    stack = Stack(Chance(1), b"k" * 32)
    interface = stack.add_interface(
        "n", "02:00:00:00:00:01", ["10.0.0.1/24"], neighbours={"10.0.0.2": "02:00:00:00:00:02"}
    )
    wire = Narrow()
    breath = Breath(stack)
    breath.add_wire(wire, interface)
    for port in range(1, count + 1):
        stack.connect("10.0.0.2", port, Handler)
    return stack, wire, breath


def test_a_breath_sends_one_batch_and_the_next_one_goes_on() -> None:
    """All at once, what it is answered with overflows the queue that it comes by."""
    _, wire, breath = opening(600)
    for now in range(1, 5):
        breath.breathe(now * 1000)
        assert breath.unsent == (now < 3)
    assert wire.sent[:3] == [256, 256, 89]  # and one ARP announcement


def test_output_waits_for_room_but_not_for_ever() -> None:
    stack, wire, breath = opening(5)
    wire.congested = wire.full = True
    breath.breathe(1_000)
    breath.breathe(15_000_000)
    assert not wire.sent
    assert breath.next_deadline() <= 15_000_000  # it looks again at once
    breath.breathe(21_000_000)
    assert wire.sent == [6]  # and one ARP announcement
    stack.connect("10.0.0.2", 80, Handler)
    breath.breathe(22_000_000)
    assert wire.sent == [6, 1]  # nobody reads: it is not waited for again
    wire.full = False
    breath.breathe(23_000_000)
    wire.full = True
    stack.connect("10.0.0.2", 81, Handler)
    breath.breathe(24_000_000)
    assert wire.sent == [6, 1]
    wire.full = False
    breath.breathe(25_000_000)
    assert wire.sent == [6, 1, 1]


class Held(Driver):
    """A link that holds a frame until an instant."""

    def __init__(self, due: int, has_deadlines: bool) -> None:
        super().__init__()
        self.has_deadlines = has_deadlines
        self.due = due
        self.told: list[int] = []

    def advance(self, now: int) -> None:
        self.told.append(now)

    def next_deadline(self) -> int:
        return self.due

    def receive(self, batch: ReceiveBatch) -> int:
        return 0

    def transmit(self, batch: TransmitBatch) -> int:
        return batch.count


def test_a_wire_that_holds_frames_is_told_the_time_and_asked_for_its_own() -> None:
    stack = Stack(Chance(1), b"k" * 32)
    breath = Breath(stack)
    held, plain = Held(5_000, True), Held(1, False)
    for number, wire in enumerate((held, plain)):
        interface = stack.add_interface(
            f"link{number}", "02:00:00:00:00:02", [f"10.0.{number}.2/24"]
        )
        breath.add_wire(wire, interface)
    for now in (1_000, 2_000):
        breath.breathe(now)
    assert (held.told, plain.told) == ([1_000, 2_000], [])
    assert breath.next_deadline() == 5_000
    held.due = NEVER
    stack.call_later(1, print)
    assert 2_000 < breath.next_deadline() < NEVER
