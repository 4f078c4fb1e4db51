"""The handshake: as it goes with ourselves and with DPDK, and every way to go wrong."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from corten.driver import memif_message as m
from corten.driver.memif_control import (
    Client,
    Control,
    Identity,
    Layout,
    Region,
    Ring,
    Server,
    offloads,
    workers_of,
)

RING_LEN = 128 + 16 * 256
C2S, S2C = m.AddRing(1, 0, 0, 0, 8, 0), m.AddRing(0, 0, 0, RING_LEN, 8, 0)
INIT = m.Init(m.VERSION, 0, 0, b"", b"DPDK 22.11.11")
REGION = m.AddRegion(0, 1 << 20)
CONNECT = m.Connect(b"net_memif0")
# as testpmd 22.11 with role=client sends it
RECORDED: list[tuple[m.Message, list[int]]] = [
    (INIT, []),
    (REGION, [10]),
    (C2S, [11]),
    (S2C, [12]),
    (CONNECT, []),
]


class Files:
    """Every descriptor is good but for what the test says."""

    def __init__(self) -> None:
        self.taken = False
        self.wrong_region = ""
        self.wrong_ring = ""

    def is_taken(self) -> bool:
        return self.taken

    def region(self, fd: int, size: int) -> str:
        return self.wrong_region

    def ring(self, region_fd: int, offset: int, fd: int) -> str:
        return self.wrong_ring


def build(rings: int, log2_size: int, buffer_len: int) -> Layout:
    length = 128 + (16 << log2_size)
    places = [Ring(0, i * length, log2_size, 100 + i) for i in range(2 * rings)]
    return Layout([Region(1 << 24, 99)], places[:rings], places[rings:])


def said(control: Control) -> list[m.Message]:
    """What it sends now."""
    found = [m.unpack(data) for data, _ in control.outgoing]
    control.outgoing.clear()
    return found


def server(**about: object) -> Server:
    made = Server(Identity(**about), Files())  # type: ignore[arg-type]
    (hello,) = said(made)
    assert isinstance(hello, m.Hello)
    return made


def tell(control: Control, message: m.Message, fds: list[int] | None = None) -> list[m.Message]:
    control.receive(m.pack(message), fds if fds is not None else [])
    return said(control)


def ended(control: Control, answer: list[m.Message]) -> str:
    """Why it is over; it has said so and is deaf."""
    assert control.is_over
    assert not control.is_connected
    assert answer == [m.Disconnect(0, control.reason.encode())]
    assert tell(control, m.Ack()) == []
    return control.reason


# -- as it should be --------------------------------------------------------------------------


def test_dpdks_client() -> None:
    machine = server()
    for message, recorded in RECORDED[:-1]:
        fds = list(recorded)
        assert tell(machine, message, fds) == [m.Ack()]
        assert fds == []
    assert not machine.is_connected
    (answer,) = tell(machine, CONNECT)
    assert isinstance(answer, m.Connected)
    assert machine.is_connected
    assert not machine.offload
    assert machine.layout.fds() == [10, 11, 12]


def test_dpdks_server() -> None:
    machine = Client(Identity(workers=2), 0, 10, 2048, build)
    first = tell(machine, m.Hello(b"DPDK 22.11.11", max_s2c_ring=0, max_c2s_ring=0, max_region=255))
    assert first == [m.Init(m.VERSION, 0, 0, b"", b"Corten workers=2")]
    sent = []
    while not machine.is_connected:
        (message,) = tell(machine, m.Ack())
        sent.append(message)
        if isinstance(message, m.Connect):
            assert tell(machine, m.Connected(b"x")) == []
    length = 128 + 16 * 1024
    assert sent[:-1] == [
        m.AddRegion(0, 1 << 24),
        m.AddRing(1, 0, 0, 0, 10, 0),
        m.AddRing(0, 0, 0, length, 10, 0),
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "buffer_len", "both"),
    [
        (True, True, 2048, True),
        (True, False, 2048, False),
        (False, True, 2048, False),
        (True, True, 512, False),  # a super-segment would need too many of them
    ],
)
def test_two_cortens(ours: bool, theirs: bool, buffer_len: int, both: bool) -> None:
    one = Server(Identity(workers=4, offload=theirs), Files())
    two = Client(Identity(workers=2, offload=ours), 0, 8, buffer_len, build)
    while one.outgoing or two.outgoing:
        for a, b in ((one, two), (two, one)):
            for data, fds in a.outgoing:
                b.receive(data, fds)
            a.outgoing.clear()
    assert one.is_connected
    assert two.is_connected
    assert one.offload == two.offload == both
    assert (len(one.layout.c2s), len(one.layout.s2c)) == (4, 4)
    assert one.layout.fds() == two.layout.fds()


def test_the_clients_rings_are_bounded_by_the_server() -> None:
    machine = Client(Identity(workers=8), 6, 14, 2048, build)
    tell(machine, m.Hello(b"x", max_s2c_ring=2, max_c2s_ring=5, max_log2_ring_size=9))
    assert len(machine.layout.c2s) == len(machine.layout.s2c) == 3
    assert machine.layout.c2s[0].log2_size == 9


def test_names() -> None:
    assert workers_of(b"Corten workers=3 offload") == 3
    assert workers_of(b"Corten workers=99999999") == 0
    assert workers_of(b"Corten workers=\xb2") == 0
    assert workers_of(b"DPDK workers=3") == 0
    assert workers_of(b"") == 0
    assert offloads(b"Corten workers=3 offload")
    assert not offloads(b"Corten workers=3")
    assert not offloads(b"VPP offload")


# -- as it should not -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 0x100}, "Incompatible memif version"),
        ({"id": 5}, "ID not found"),
        ({"mode": 1}, "Only ethernet mode supported"),
    ],
)
def test_an_init_that_does_not_fit(change: dict[str, int], says: str) -> None:
    machine = server()
    assert ended(machine, tell(machine, replace(INIT, **change))) == says  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("secret", "says"), [(b"", "Secret required"), (b"no", "Incorrect secret")]
)
def test_a_secret(secret: bytes, says: str) -> None:
    machine = server(secret=b"yes")
    assert ended(machine, tell(machine, replace(INIT, secret=secret))) == says
    machine = server(secret=b"yes")
    assert tell(machine, replace(INIT, secret=b"yes")) == [m.Ack()]


@pytest.mark.parametrize("late", [False, True])
def test_a_second_client_is_refused(late: bool) -> None:
    files = Files()
    machine = Server(Identity(), files)
    said(machine)
    if late:
        for message, fds in RECORDED[:-1]:
            tell(machine, message, list(fds) or [1])
    files.taken = True
    answer = tell(machine, CONNECT if late else INIT)
    assert ended(machine, answer) == "Already connected"


@pytest.mark.parametrize(
    ("message", "fds", "says"),
    [
        (REGION, [], "Missing region fd"),
        (m.AddRegion(1, 4096), [1], "Invalid region index"),
        (m.AddRegion(0, 0), [1], "Invalid region size"),
        (m.AddRegion(0, 1 << 33), [1], "Invalid region size"),
        (C2S, [1], "Invalid ring region"),
        (INIT, [], "Unexpected message"),
        (m.Hello(b""), [], "Unexpected message"),
        (m.Connected(b""), [], "Unexpected message"),
        (m.Ack(), [], "Unexpected message"),
        (CONNECT, [], "Missing rings"),
    ],
)
def test_what_cannot_follow_an_init(message: m.Message, fds: list[int], says: str) -> None:
    machine = server()
    tell(machine, INIT)
    before = list(fds)
    assert ended(machine, tell(machine, message, fds)) == says
    assert fds == before, "they are the caller's to close"


@pytest.mark.parametrize(
    ("message", "fds", "says"),
    [
        (C2S, [], "Missing interrupt fd"),
        (replace(C2S, index=1), [1], "Invalid ring index"),
        (replace(C2S, region=1), [1], "Invalid ring region"),
        (replace(C2S, log2_size=15), [1], "Invalid ring size"),
        (replace(C2S, private_header_len=8), [1], "Invalid ring size"),
        (replace(C2S, offset=4), [1], "Invalid ring offset"),
        (replace(C2S, offset=(1 << 20) - RING_LEN + 8), [1], "Invalid ring offset"),
        (replace(C2S, offset=0xFFFF_FFF8), [1], "Invalid ring offset"),
    ],
)
def test_what_cannot_be_a_ring(message: m.Message, fds: list[int], says: str) -> None:
    machine = server()
    tell(machine, INIT)
    tell(machine, REGION, [10])
    assert ended(machine, tell(machine, message, fds)) == says


def test_what_the_descriptors_are_not() -> None:
    for which in ("region", "ring"):
        files = Files()
        setattr(files, f"wrong_{which}", "Wrong cookie")
        machine = Server(Identity(), files)
        said(machine)
        answer: list[m.Message] = []
        for message, fds in RECORDED:
            answer = tell(machine, message, list(fds))
            if machine.is_over:
                break
        assert ended(machine, answer) == "Wrong cookie"


def test_regions_and_rings_are_bounded() -> None:
    machine = server()
    tell(machine, INIT)
    for index in range(64):
        assert tell(machine, m.AddRegion(index, 1 << 20), [1]) == [m.Ack()]
    for index in range(64):
        assert tell(machine, replace(C2S, index=index), [1]) == [m.Ack()]
    assert ended(machine, tell(machine, replace(C2S, index=64), [1])) == "Invalid ring index"


@pytest.mark.parametrize("at", range(len(RECORDED)))
def test_every_message_twice_and_left_out(at: int) -> None:
    """What came once too often or not at all ends it, or is refused at its end."""
    for order in (
        [*RECORDED[: at + 1], *RECORDED[at:]],
        [*RECORDED[:at], *RECORDED[at + 1 :]],
    ):
        machine = server()
        for message, fds in order:
            tell(machine, message, list(fds))
        assert not machine.is_connected


def test_after_connected_there_is_nothing_to_say() -> None:
    machine = server()
    for message, fds in RECORDED:
        tell(machine, message, list(fds))
    assert machine.is_connected
    assert ended(machine, tell(machine, m.Ack())) == "Unexpected message"


def test_a_disconnect_is_heard_with_its_reason() -> None:
    for machine in (server(), Client(Identity(), 0, 8, 2048, build)):
        assert tell(machine, m.Disconnect(0, b"Incorrect secret")) == []
        assert machine.is_over
        assert machine.reason == "Incorrect secret"


@pytest.mark.parametrize(
    "message",
    [m.Ack(), m.Connected(b""), INIT, REGION, C2S, CONNECT, m.Hello(b"", 0x300, 0x300)],
)
def test_what_no_server_begins_with(message: m.Message) -> None:
    machine = Client(Identity(), 0, 8, 2048, build)
    ended(machine, tell(machine, message, [1]))


def test_a_server_out_of_order() -> None:
    for messages in (
        [m.Hello(b""), m.Hello(b"")],
        [m.Hello(b""), m.Connected(b"")],
        [m.Hello(b""), *[m.Ack()] * 5],
    ):
        machine = Client(Identity(), 0, 8, 2048, build)
        answer: list[m.Message] = []
        for message in messages:
            answer = tell(machine, message)
        assert ended(machine, answer) == "Unexpected message"


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
@pytest.mark.timeout(600)
def test_random_conversations_harm_nothing(count: int) -> None:
    """Messages that are almost right, in almost the right order, with any descriptors."""
    chance = random.Random(count)
    clients = [message for message, _ in RECORDED]
    servers = [m.Hello(b"Corten workers=1"), *[m.Ack()] * 4, m.Connected(b"")]
    anything = [m.pack(message) for message in (*clients, *servers, m.Disconnect(0, b""))]
    connected = 0
    for step in range(count // 6):
        listens = step % 2 == 0
        machine = Server(Identity(), Files()) if listens else Client(Identity(), 0, 8, 2048, build)
        for message in clients if listens else servers:
            data = m.pack(message)
            if chance.random() < 0.1:
                data = chance.choice(anything)
            if chance.random() < 0.1:
                wild = bytearray(data)
                for _ in range(chance.randrange(1, 4)):
                    wild[chance.randrange(2, 20)] = chance.choice(
                        [0, 1, 0xFF, chance.randrange(256)]
                    )
                data = bytes(wild)[: chance.choice([128, 128, 128, 127, 0])]
            machine.receive(data, [7] * chance.choice([0, *[1] * 8, 3]))
            for text, own in machine.outgoing:
                assert isinstance(m.unpack(text), m.Message)
                assert all(fd >= 0 for fd in own)
            machine.outgoing.clear()
            for ring in (*machine.layout.c2s, *machine.layout.s2c):
                region = machine.layout.regions[ring.region]
                assert ring.offset + ring.length <= region.size
        connected += machine.is_connected
    assert count / 60 < connected < count / 6
