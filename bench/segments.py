"""Segments without requests, on the path of `bench.path`: what it costs to take or to send one.

segment    1,448 octets in order, taken and acknowledged, one a connection and breath
ack        1,448 octets sent, and their acknowledgement taken
disorder   two such segments, the second first
drop       a segment whose checksum is wrong
"""

from __future__ import annotations

from functools import partial

from bench.path import CLIENT, CONNECTIONS, SERVER, STEP_NS, Client, Timed, stack_of
from corten.core.frame import TransmitBatch
from corten.driver.pipe import Pipe
from corten.endpoint.connection import Connection
from corten.endpoint.handler import Handler

_SEGMENT = bytes(1448)
_OPENING_TURNS = 10
_CLOSING_TURNS = 6


class Sink(Handler):
    """Takes what comes and says nothing."""

    octets = 0

    def on_data(self, connection: Connection, data: bytes) -> None:
        Sink.octets += len(data)


class Source(Handler):
    """Sends whenever it is asked to."""

    def __init__(self, sources: list[Connection]) -> None:
        self.sources = sources

    def on_open(self, connection: Connection) -> None:
        self.sources.append(connection)


class _Spoiler(Client):
    """A client whose frames come in pairs the wrong way round, or again with a wrong checksum."""

    def __init__(self, pipe: Pipe, kind: str) -> None:
        super().__init__(pipe, 0, False, offload=False)
        self.kind = kind
        self.spoils = False
        self.bad: list[bytes] = []  # sent again and again

    def turn(self, now: int) -> None:
        super().turn(now)
        if self.spoils and self.bad:
            self._pass_on(self.bad)

    def send(self) -> None:
        outgoing = self.interface.outgoing
        if not self.spoils:
            super().send()
            return
        frames = [outgoing.frame(i) for i in range(outgoing.count)]
        if self.kind == "disorder":
            self._pass_on([f for i in range(0, len(frames), 2) for f in frames[i : i + 2][::-1]])
        else:
            self.bad += [each[:-1] + bytes([each[-1] ^ 1]) for each in frames]

    def _pass_on(self, frames: list[bytes]) -> None:
        batch = TransmitBatch()
        for each in frames:
            batch.append(each)
        self.pipe.transmit(batch)


def stream(scenario: str, segments: int) -> tuple[int, int]:
    """So many segments; how many there were, and the nanoseconds of the server's breaths.
    RuntimeError when they did not end as they should."""
    ours, theirs = Pipe.pair(limit=1 << 16, offload=True)
    server, interface = stack_of(2, SERVER, CLIENT)
    sources: list[Connection] = []
    outwards = scenario == "ack"
    server.listen(80, partial(Source, sources) if outwards else Sink)
    breath = Timed(server, ours, interface)
    plain = scenario in ("segment", "ack")
    client = Client(theirs, 0, False) if plain else _Spoiler(theirs, scenario)
    for _ in range(CONNECTIONS):
        client.stack.connect(SERVER[0], 80, Sink if outwards else partial(Source, sources))
    each = 2 if scenario == "disorder" else 1
    turns = segments // CONNECTIONS // each
    Sink.octets = 0
    now = 0
    for turn in range(_OPENING_TURNS + turns + _CLOSING_TURNS):
        now += STEP_NS
        busy = _OPENING_TURNS <= turn < _OPENING_TURNS + turns
        if isinstance(client, _Spoiler):
            client.spoils = busy
        for source in sources if busy else ():
            if scenario == "drop" and turn > _OPENING_TURNS:
                break  # it is the same segment again
            for _ in range(each):
                source.send(_SEGMENT)
        client.turn(now)
        breath.breathe(now)
    count = turns * CONNECTIONS * each
    dropped = server.counters.snapshot().get("tcp_bad_checksum", 0)
    arrived = dropped if scenario == "drop" else Sink.octets // len(_SEGMENT)
    if arrived < count or (scenario == "drop" and Sink.octets):
        raise RuntimeError(f"{arrived} of {count} segments, {Sink.octets} octets")
    return count, breath.ns
