"""Who asks learns why each frame of a burst went no further; who does not pays nothing."""

from __future__ import annotations

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.stack.stack import Stack
from corten.wire.reason import (
    ARP_NOT_OURS,
    ETHERNET_NOT_OURS,
    ETHERNET_SHORT,
    ETHERNET_UNKNOWN_TYPE,
    IPV4_SHORT,
)

OURS = bytes.fromhex("020000000002")
THEIRS = bytes.fromhex("020000000001")
ARP = bytes.fromhex("0001080006040001") + THEIRS + bytes([10, 0, 0, 1]) + bytes(6)
FRAMES = {
    b"short": ETHERNET_SHORT,
    OURS + THEIRS + b"\x08\x06" + ARP + bytes([10, 0, 0, 2]): 0,
    OURS + THEIRS + b"\x08\x06" + ARP + bytes([10, 0, 0, 3]): ARP_NOT_OURS,
    THEIRS + OURS + b"\x08\x00" + bytes(40): ETHERNET_NOT_OURS,
    OURS + THEIRS + b"\x12\x34" + bytes(40): ETHERNET_UNKNOWN_TYPE,
    OURS + THEIRS + b"\x08\x00\x45": IPV4_SHORT,
}


def test_reasons_stand_beside_their_frames() -> None:
    stack = Stack(Chance(1), bytes(32))
    interface = stack.add_interface("a", OURS.hex(":"), ["10.0.0.2/24"])
    asking, silent = ReceiveBatch(), ReceiveBatch()
    asking.ask_reasons()
    for batch in (asking, silent):
        for frame in FRAMES:
            batch.append(frame)
        stack.receive(1, interface, batch)
    assert asking.reasons is not None
    assert asking.reasons[: len(FRAMES)] == list(FRAMES.values())
    assert silent.reasons is None
    counted = stack.counters.snapshot()
    assert counted["ethernet_short"] == counted["arp_not_ours"] == 2
