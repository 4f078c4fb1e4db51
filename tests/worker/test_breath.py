"""A worker that is behind with its input reads on before it lets timers expire."""

from __future__ import annotations

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch, TransmitBatch
from corten.driver.driver import Driver
from corten.stack.stack import Stack
from corten.worker.breath import Breath

BURST = 64
BEHIND_MAX = 64


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
