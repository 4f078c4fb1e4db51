"""A driver that plays a capture: what came in then comes in again, what is sent goes nowhere.

Strategy. The file is read in portions and never kept. Frames that were inbound, or whose direction
nobody has said, arrive at the spacing they had, from the first `advance` on, or as fast as they are
taken. So what a stack did with a peer's frames can be seen again without the peer.

Rules. A capture is somebody else's file: it is read through once before it is played, and what is
no capture of this kind of link is refused in one line. What the stack sends is counted, and kept
where the caller wants it (`sent`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.frame import (
    BATCH_FRAMES,
    FRAME_LEN_MAX,
    ReceiveBatch,
    TransmitBatch,
)
from cython.cimports.corten.driver.driver import Driver

from corten.endpoint.error import CortenError
from corten.wire.pcapng import ETHERNET, OUTBOUND, Decoder, Packet, PcapngError

if not cython.compiled:
    PORTION = 1 << 16  # octets read at a time

_ETHERNET_LEN = 14
_GAP_MAX_NS: cython.longlong = 3600 * 1_000_000_000  # between two frames: more is a clock set anew


@cython.cclass
class Replay(Driver):
    """One link, as it was recorded."""

    _packets: Iterator[Packet]
    _next: Any  # the next to arrive: a Packet, or None at the end
    _fast: cython.bint
    _now: cython.longlong
    _due: cython.longlong  # when the next one arrives
    sent: Any  # list of what the stack has sent, or None: nobody wants it

    def __init__(
        self, packets: Iterable[Packet], fast: bool = False, sent: list[bytes] | None = None
    ) -> None:
        """`packets`: see `packets_of`. `fast`: without their spacing."""
        Driver.__init__(self)
        self.has_deadlines = True
        self._packets = iter(packets)
        self._fast = fast
        self._now = 0
        self._due = -1
        self.sent = sent
        self._next = next(self._packets, None)

    @cython.ccall
    def advance(self, now: cython.longlong) -> cython.void:
        if self._due < 0:
            self._due = now
        self._now = now

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        if self._next is None:
            return NEVER
        return self._now if self._fast else self._due

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        taken: cython.Py_ssize_t = 0
        while taken < BATCH_FRAMES and self._next is not None:
            if not self._fast and (self._due < 0 or self._due > self._now):
                break
            if len(self._next.frame) > FRAME_LEN_MAX:
                self.receive_dropped += 1
            elif batch.append(self._next.frame):
                taken += 1
            else:
                break
            self._turn_over()
        self.received += taken
        return taken

    @cython.cfunc
    def _turn_over(self) -> cython.void:
        """The next frame, and when it is due."""
        before = self._next.time_ns
        self._next = next(self._packets, None)
        if self._next is not None:
            self._due += min(max(self._next.time_ns - before, 0), _GAP_MAX_NS)

    @cython.ccall
    def is_over(self) -> cython.bint:
        """Whether every frame has arrived."""
        return self._next is None

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        self.transmitted += batch.count
        if self.sent is not None:
            i: cython.Py_ssize_t
            for i in range(batch.count):
                self.sent.append(batch.frame(i))
        return batch.count

    def fileno(self) -> int:
        """There is none: `next_deadline` says when the next frame comes."""
        return -1

    def close(self) -> None:
        self._next = None
        self._packets = iter(())


def packets_of(path: str, link_type: int = ETHERNET) -> Iterator[Packet]:
    """What came in, in a capture file of that link type. CortenError, one line."""
    return (each for each in _read(path, link_type) if each.direction != OUTBOUND)


def station_of(path: str) -> str:
    """The hardware address that an Ethernet capture was recorded at: whose frames went out, or to
    whom the first frame came that is one station's; "" when nothing says. Reads the whole file.
    CortenError, one line, for what is no whole capture."""
    sender = receiver = b""
    for each in _read(path, ETHERNET):
        if len(each.frame) < _ETHERNET_LEN:
            continue
        if each.direction == OUTBOUND:
            sender = sender or each.frame[6:12]
        elif not each.frame[0] & 1:
            receiver = receiver or each.frame[:6]
    return (sender or receiver).hex(":")


def _read(path: str, link_type: int) -> Iterator[Packet]:
    decoder = Decoder()
    try:
        with open(path, "rb") as file:
            while data := file.read(PORTION):
                for each in decoder.feed(data):
                    if each.link_type != link_type:
                        found = each.link_type
                        raise PcapngError(f"link type {found}, where {link_type} is played")
                    yield each
        decoder.end()
    except OSError as error:
        raise CortenError(f"{path}: {error.strerror}") from None
    except PcapngError as error:
        raise CortenError(f"{path}: {error}") from None
