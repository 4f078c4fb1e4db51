"""A stack driven frame by frame, quickly: one connection at a time, in any state, at any ISN.

Rules. The peer's segments carry no option, so that every number is plain. Time is virtual and free:
before each case the clock jumps to where the stack's next ISS is the wanted one (it goes with the
clock, RFC 6528), which is how sequence numbers are made to wrap.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from corten.tcp.config import Config
from corten.tcp.info import STATES
from corten.wire import reason
from tests.malformed import frames

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
WINDOW = 8000  # the peer's
BUFFER = 2048
QUEUED = 10  # octets in flight where there are some
PORT, CLOSED_PORT, PEER_PORT = 80, 81, 40_000
OWN_PORT = 50_000  # of what the stack opens
SECOND = 1_000_000_000
MS = 1_000_000
ROUND_TRIP = 100 * MS  # longer than any delay before an answer
AFTERMATH = 400 * SECOND
WRAP = 1 << 32
TICK = 4000  # nanoseconds of the ISN's clock


@dataclass
class Seen:
    """A segment of the stack's, in numbers relative to ISS and IRS."""

    flags: int
    seq: int
    ack: int
    window: int
    payload: bytes


class App(Handler):
    """What the application is told."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.data = 0
        self.eof = False
        self.is_closed = False
        self.error: Exception | None = None

    def on_open(self, connection: Any) -> None:
        self.connection = connection

    def on_data(self, connection: Any, data: bytes) -> None:
        self.data += len(data)

    def on_eof(self, connection: Any) -> None:
        self.eof = True

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.is_closed, self.error = True, error


@dataclass
class Numbers:
    """Where the two sequence spaces begin, and how far they have been seen."""

    irs: int
    iss: int = 0
    heard: int = 0  # SND.NXT, relative
    sent: int = 0  # RCV.NXT, relative
    edge: int = 0  # of the window announced, relative
    seen: list[Seen] = field(default_factory=list)


class Bench:
    """The stack at 10.0.0.1, the script at 10.0.0.2."""

    def __init__(self, irs: int = 100_000, iss: int | None = None) -> None:
        self.now = SECOND
        config = Config(
            receive_buffer=BUFFER, timestamps=False, sack=False, window_scale=False,
            delayed_ack_ns=40 * MS,
        )  # fmt: skip
        self.stack = Stack(Chance(1), b"k" * 32, config, now=self.now)
        self.interface = self.stack.add_interface(
            "wire", frames.OURS.hex(":"), ["10.0.0.1/24"], mtu=9000,
            neighbours={"10.0.0.2": frames.PEER.hex(":")},
        )  # fmt: skip
        self.interface.outgoing.clear()
        self.app: App | None = None
        self.stack.listen(PORT, self._accept)
        self.batch = ReceiveBatch()
        self.irs, self.iss = irs, iss
        self.port = PORT
        self.names = self.stack.counters.names
        self.values = self.stack.counters.values
        self.drops = [i for i, name in enumerate(self.names) if name.upper() in reason.PROSE]
        self.n = Numbers(irs)
        self.offsets = {is_active: self._measure(is_active) for is_active in (False, True)}

    def _accept(self) -> App:
        self.app = App()
        return self.app

    # -- time -------------------------------------------------------------------------------

    def _measure(self, is_active: bool) -> int:
        """The part of the ISN that does not go with the clock."""
        self.begin(PORT, is_active=False)
        if is_active:
            self.connect()
        else:
            self.send(SYN, 0, 0)
        offset = (self.n.iss - self.now // TICK) % WRAP
        self.end()
        return offset

    def begin(self, port: int, is_active: bool) -> None:
        """A new case: the clock at the instant of the wanted ISS, nothing heard yet."""
        if self.iss is not None and hasattr(self, "offsets"):
            ticks = (self.iss - self.offsets[is_active] - self.now // TICK) % WRAP
            self.now += ticks * TICK
            self.stack.expire(self.now)
        self.port = port
        self.app = None
        self.n = Numbers(self.irs)

    def wait(self, span: int) -> None:
        """Let time pass, with a breath at each deadline."""
        end = self.now + span
        while (deadline := self.stack.next_deadline()) <= end:
            self.now = max(self.now + 1, deadline)
            self.breathe()
        self.now = end
        self.breathe()

    # -- segments ---------------------------------------------------------------------------

    def breathe(self) -> None:
        stack, now = self.stack, self.now
        stack.receive(now, self.interface, self.batch)
        stack.expire(now)
        stack.deliver(now)
        stack.release(now)
        self.batch.clear()
        again = True
        while again:
            again = stack.transmit(now)
            outgoing = self.interface.outgoing
            for i in range(outgoing.count):
                self._hear(outgoing.frame(i))
            outgoing.clear()

    def send(self, flags: int, seq: int, ack: int, data: int = 0, window: int = WINDOW) -> None:
        """A segment of the peer's, numbers relative; a breath."""
        n = self.n
        local = OWN_PORT if self.port == PEER_PORT else self.port
        frame = frames.tcp(
            PEER_PORT, local, n.irs + seq, n.iss + ack, flags, window, data=bytes(data)
        )
        self.batch.append(bytes(frame))
        self.breathe()

    def _hear(self, frame: bytes) -> None:
        if frame[12:14] != b"\x08\0" or frame[23] != 6:
            return
        n = self.n
        total = int.from_bytes(frame[16:18], "big")
        seq, ack, offset, flags, window = struct.unpack_from("!IIBBH", frame, 38)
        if flags & SYN:
            n.iss = seq
        payload = frame[34 + (offset >> 4) * 4 : 14 + total]
        seen = Seen(flags, _signed(seq - n.iss), _signed(ack - n.irs), window, payload)
        n.seen.append(seen)
        if not flags & RST:
            n.heard = max(n.heard, seen.seq + len(payload) + bool(flags & (SYN | FIN)))
            if flags & ACK:
                n.sent, n.edge = seen.ack, seen.ack + window

    # -- the way into a state ---------------------------------------------------------------

    def connect(self) -> None:
        self.port = PEER_PORT
        self.stack.expire(self.now)
        self.app = App()
        app = self.app
        app.connection = self.stack.connect(
            "10.0.0.2", PEER_PORT, lambda: app, source=(None, OWN_PORT)
        )
        self.breathe()

    def open(self) -> None:
        self.send(SYN, 0, 0)
        self.wait(ROUND_TRIP)
        self.send(ACK, 1, 1)

    def transmit(self) -> None:
        """Octets of ours that stay unacknowledged."""
        assert self.app is not None
        self.app.connection.send(b"x" * QUEUED)
        self.breathe()

    def shut(self) -> None:
        """Our FIN."""
        assert self.app is not None
        self.app.connection.close()
        self.breathe()

    def finish_peer(self) -> None:
        """The peer's FIN, acknowledging what it acknowledged before."""
        self.send(FIN | ACK, 1, 1)
        self.wait(60 * MS)

    # -- what there is ----------------------------------------------------------------------

    def tcb(self) -> Any:
        """The one connection, or None."""
        return next(iter(self.stack.connections()), None)

    def state(self) -> str:
        """The state, as the oracle names it."""
        tcb = self.tcb()
        if tcb is not None:
            return STATES[tcb.state]
        return "TIME-WAIT" if self.stack.host.time_wait_live else "none"

    def counted(self) -> list[int]:
        return [self.values[i] for i in self.drops]

    def end(self) -> list[str]:
        """End what is left of the connection; what remains of it after all time-outs."""
        for tcb in self.stack.connections():
            if tcb.handler is not None:
                tcb.abort()
                self.breathe()
            else:
                self.send(RST, _signed(tcb.rcv_nxt - self.n.irs), 0)
        self.now += AFTERMATH
        self.breathe()
        return list(self.stack.leaks())


def _signed(difference: int) -> int:
    """A distance in sequence space."""
    return (difference + (1 << 31)) % WRAP - (1 << 31)
