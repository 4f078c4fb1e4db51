"""One connection as the script numbers it, and how its numbers become those on the wire.

Rules. In segments with SYN sequence numbers are absolute in the script's space, in all others they
count from the initial ones. The peer's ISN on the wire is the one in the script; the stack's is
learnt from its SYN. Timestamps of the stack are mapped by a table from what the script wrote to
what came; one that the script never wrote is reckoned from the first by the clock.
"""

from __future__ import annotations

U32 = 0xFFFFFFFF


class Flow:
    """The numbers of one connection."""

    def __init__(self, peer_port: int, stack_port: int) -> None:
        self.peer_port = peer_port
        self.stack_port = stack_port
        self.peer_isn: int | None = None
        self.stack_isn: int | None = None  # on the wire
        self.script_isn = 0  # what the script calls it
        self.stamps: dict[int, int] = {}  # script's TS val -> the stack's
        self.first_stamp: tuple[int, int] | None = None
        self.last_stamp = 0

    # -- learning ---------------------------------------------------------------------------

    def hear_syn(self, seq: int) -> None:
        """The peer sends a SYN: its number counts from the first one on."""
        if self.peer_isn is None:
            self.peer_isn = seq

    def learn(self, seq: int, script_seq: int, ack: int | None) -> None:
        """The stack has sent a SYN (ack None) or SYN-ACK. Another ISN than before: a new
        incarnation of the connection."""
        if self.stack_isn is None or self.stack_isn != seq:
            renewed = self.stack_isn is not None
            self.stack_isn = seq
            self.script_isn = script_seq
            if ack is not None:
                self.peer_isn = (ack - 1) & U32
            elif renewed:
                self.peer_isn = None
            if renewed:
                self.stamps.clear()
                self.first_stamp = None

    # -- sequence numbers -------------------------------------------------------------------

    def peer_base(self, syn: bool) -> int:
        """What is added to the script's numbers of the peer's octets."""
        return 0 if syn else self.peer_isn or 0

    def stack_base(self, syn: bool) -> int:
        """What is added to the script's numbers of the stack's octets."""
        if self.stack_isn is None:
            return 0
        return self.stack_isn - self.script_isn if syn else self.stack_isn

    # -- timestamps -------------------------------------------------------------------------

    def note_stamp(self, written: int | None, live: int) -> None:
        """The stack sent TS val `live` where the script wrote `written` (None: nothing)."""
        self.last_stamp = live
        if written is None:
            return
        self.stamps[written] = live
        if self.first_stamp is None:
            self.first_stamp = (written, live)

    def stamp_of(self, written: int) -> int:
        """The stack's TS val that the script calls `written` in an echo."""
        if written in self.stamps:
            return self.stamps[written]
        if self.first_stamp is not None:
            first, live = self.first_stamp
            return (live + written - first) & U32
        return self.last_stamp if written else 0

    def script_stamp(self, live: int) -> int:
        """What the script would call the stack's TS val `live`."""
        if self.first_stamp is None:
            return live
        first, base = self.first_stamp
        return (first + live - base) & U32
