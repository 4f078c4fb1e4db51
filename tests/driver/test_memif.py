"""The memif driver over real shared memory, and a peer that writes into it what it likes."""

from __future__ import annotations

import mmap
import os
import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.core.arena import Buffer, checksum_of
from corten.core.frame import CHECKSUM_GOOD, GSO_TCPV4, ReceiveBatch, TransmitBatch
from corten.driver import memif
from corten.driver.memif_control import Layout
from corten.driver.memif_memory import arm
from tests.driver.memif_link import Link, received, send

FRAME = bytes(range(60))


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    Link.close_all()


@pytest.fixture
def link(tmp_path: Path) -> Link:
    return Link(tmp_path, size=4)


def layout_of(link: Link) -> Layout:
    peer = link.client._peer  # type: ignore[union-attr]  # what the client has laid out
    layout: Layout = peer.control.layout
    return layout


def memory_of(link: Link) -> mmap.mmap:
    """The shared memory, as a hostile peer has it."""
    region = layout_of(link).regions[0]
    return mmap.mmap(region.fd, region.size)


def tcp_frame(payload_len: int, source_port: int = 1000) -> tuple[bytes, bytes]:
    """Headers of a segment whose checksum field holds the pseudo-header's sum only, and payload."""
    payload = random.Random(payload_len).randbytes(payload_len)
    ip = bytearray(struct.pack("!BBHHHBBH", 0x45, 0, 40 + payload_len, 7, 0, 64, 6, 0))
    ip += bytes([10, 0, 0, 1, 10, 0, 0, 2])
    ip[10:12] = checksum_of(bytes(ip)).to_bytes(2, "big")
    pseudo = bytes(ip[12:20]) + struct.pack("!HH", 6, 20 + payload_len)
    half = 0xFFFF - checksum_of(pseudo)
    tcp = struct.pack("!HHIIBBHHH", source_port, 80, 1, 2, 0x50, 0x10, 512, half, 0)
    return bytes(12) + b"\x08\x00" + bytes(ip) + tcp, payload


def unfinished(payload_len: int, gso_size: int = 0) -> TransmitBatch:
    """A batch of one frame whose checksum, and segmentation if a size is given, is left to do."""
    headers, payload = tcp_frame(payload_len)
    batch = TransmitBatch()
    at = batch.begin()
    batch.headers.store(at, headers)
    batch.add_slice(Buffer(payload), 0, len(payload))
    batch.needs_checksum(34, 16)
    if gso_size:
        batch.needs_segmentation(GSO_TCPV4, gso_size)
    batch.commit(len(headers))
    return batch


def is_whole(frame: bytes) -> bool:
    """Whether a TCP segment's checksum is right."""
    pseudo = frame[26:34] + struct.pack("!HH", 6, len(frame) - 34)
    return checksum_of(pseudo + frame[34:]) == 0


# -- as it should be --------------------------------------------------------------------------


def test_frames_arrive_in_order_both_ways(link: Link) -> None:
    frames = [bytes([i]) * (14 + i) for i in range(10)]
    for one, two in (link.ends, link.ends[::-1]):
        for _ in range(10):  # round the ring, several times
            assert send(one, *frames) == 10
            assert received(two) == frames
        assert (one.transmitted, two.received) == (100, 100)
        assert one.transmit_dropped == two.receive_dropped == 0


def test_indices_go_round_at_65536(tmp_path: Path) -> None:
    link = Link(tmp_path, size=9)
    frames = [FRAME] * 256
    for one, two in (link.ends, link.ends[::-1]):
        for _ in range(300):
            assert send(one, *frames) == 256
            batch = ReceiveBatch()
            while two.receive(batch):
                pass
            assert batch.count == 256
        assert two.received == 300 * 256


def test_a_full_ring_drops_and_counts(link: Link) -> None:
    for one, two in (link.ends, link.ends[::-1]):
        assert send(one, *[FRAME] * 20) == 16
        assert one.transmit_dropped == 4
        assert received(two) == [FRAME] * 16
        assert send(one, FRAME) == 1


def test_a_ring_that_is_half_full_is_congested(link: Link) -> None:
    for one, two in (link.ends, link.ends[::-1]):
        send(one, *[FRAME] * 8)
        assert not one.congested
        send(one, FRAME)
        assert one.congested and not one.is_full()
        send(one, *[FRAME] * 4)
        assert one.is_full()
        received(two)
        assert not one.is_full()
        send(one, FRAME)
        assert not one.congested
        received(two)


def test_a_burst_is_256_frames_and_fewer_where_few_wait(tmp_path: Path) -> None:
    link = Link(tmp_path, workers=(1, 2), size=8, rings=2)
    server = link.drivers[0][0]
    for client in link.drivers[1]:
        assert send(client, *[FRAME] * 200) == 200
    batch = ReceiveBatch()
    counts = []
    while server.receive(batch):
        counts.append(batch.count)
        batch.clear()
    assert sum(counts) == 400
    assert counts[0] == max(counts) == 256
    for client in link.drivers[1]:
        assert send(client, *[FRAME] * 20) == 20
    assert server.receive(batch) == 32, "of each ring 16 at the most"


def test_a_batch_without_room_leaves_the_rest(link: Link) -> None:
    server, client = link.ends
    send(client, *[bytes([i]) * 1000 for i in range(5)])
    batch = ReceiveBatch(3000)
    assert server.receive(batch) == 2
    batch.clear()
    assert server.receive(batch) == 2
    batch.clear()
    assert server.receive(batch) == 1


@pytest.mark.parametrize("length", [14, 256, 257, 512, 3000, 4096])
def test_long_frames_take_several_slots(tmp_path: Path, length: int) -> None:
    link = Link(tmp_path, size=4, buffer=256)
    frame = random.Random(1).randbytes(length)
    for one, two in (link.ends, link.ends[::-1]):
        for _ in range(20):
            assert send(one, frame) == 1
            assert received(two) == [frame]
        assert send(one, bytes(4097)) == 0, "longer than the ring"
        assert received(two) == []


def test_what_is_too_short_for_ethernet_is_dropped(link: Link) -> None:
    server, client = link.ends
    send(client, bytes(13), FRAME)
    assert received(server) == [FRAME]
    assert server.receive_dropped == server.unreadable == 1


# -- between two Cortens ----------------------------------------------------------------------


def test_what_both_leave_undone_is_said_beside_the_frame(tmp_path: Path) -> None:
    link = Link(tmp_path, size=8)
    for one, two in (link.ends, link.ends[::-1]):
        assert one.offload_checksum
        assert one.offload_segmentation
        for payload_len, gso_size in ((100, 0), (64000, 1448)):
            assert one.transmit(unfinished(payload_len, gso_size)) == 1
            batch = ReceiveBatch()
            assert two.receive(batch) == 1
            assert batch.frame(0) == b"".join(tcp_frame(payload_len))
            assert batch.frame_flags[0] == CHECKSUM_GOOD
            assert batch.frame_gso[0] == gso_size
        send(one, FRAME)
        batch.clear()
        two.receive(batch)
        assert (batch.frame_flags[0], batch.frame_gso[0]) == (0, 0)


@pytest.mark.parametrize("offload", [(True, False), (False, True)])
def test_what_one_does_not_leave_undone_is_done(tmp_path: Path, offload: tuple[bool, bool]) -> None:
    """Frames made before the peer was another one are finished here."""
    link = Link(tmp_path, size=8, offload=offload)
    for one, two in (link.ends, link.ends[::-1]):
        assert not one.offload_checksum
        assert one.transmit(unfinished(100)) == 1
        (frame,) = received(two)
        assert is_whole(frame)
        assert one.transmit(unfinished(5000, 1448)) == 1
        frames = received(two)
        assert [len(frame) - 54 for frame in frames] == [1448, 1448, 1448, 656]
        assert all(is_whole(frame) for frame in frames)
        assert b"".join(frame[54:] for frame in frames) == tcp_frame(5000)[1]


# -- rings and workers ------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [(1, 4), (4, 1), (2, 4), (4, 2), (3, 2), (2, 2)])
def test_a_flow_stays_with_its_workers(tmp_path: Path, workers: tuple[int, int]) -> None:
    """What a client's worker sends is answered to that worker by whoever got it."""
    link = Link(tmp_path, workers=workers, size=6, offload=(False, False))
    servers, clients = link.drivers
    reached = set()
    for port in range(1000, 1200):
        for place, client in enumerate(clients):
            headers, payload = tcp_frame(10, port * 4 + place)
            there = headers + payload
            assert send(client, there) == 1
            got = [i for i, server in enumerate(servers) if received(server) == [there]]
            assert len(got) == 1
            reached.add(got[0])
            back = there[:26] + there[30:34] + there[26:30] + there[36:38] + there[34:36]
            assert send(servers[got[0]], back + bytes(30)) == 1
            found = [i for i, each in enumerate(clients) if received(each)]
            assert found == [place]
    assert reached == set(range(workers[0]))


def test_a_worker_without_a_ring_drops_what_it_sends(tmp_path: Path) -> None:
    link = Link(tmp_path, workers=(2, 1), rings=1)
    idle = link.drivers[0][1]
    assert send(idle, FRAME) == 0
    assert idle.transmit_dropped == 1
    assert received(idle) == []
    assert not idle.is_ready()
    assert idle.filenos() == []


# -- waking -----------------------------------------------------------------------------------


def count_of(fd: int) -> int:
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0


def test_whoever_is_awake_is_not_woken(link: Link) -> None:
    for one, two in (link.ends, link.ends[::-1]):
        (fd,) = two.filenos()
        count_of(fd)  # the other end was started after this one
        send(one, FRAME)
        assert count_of(fd) == 0
        assert received(two) == [FRAME]
        assert two.is_ready(), "once more"
        assert two.receive(ReceiveBatch()) == 0
        assert not two.is_ready(), "now it sleeps"
        send(one, FRAME, FRAME)
        assert count_of(fd) == 1
        assert two.is_ready()
        assert received(two) == [FRAME] * 2
        send(one, FRAME)
        assert count_of(fd) == 0, "it is awake again"


def test_a_stale_signal_wakes_once(link: Link) -> None:
    server, _ = link.ends
    (fd,) = server.filenos()
    os.eventfd_write(fd, 5)
    server.is_ready()
    assert not server.is_ready()
    assert count_of(fd) == 0


def test_a_frame_before_the_sleep_is_seen(link: Link) -> None:
    server, client = link.ends
    assert server.is_ready()
    send(client, FRAME)
    assert server.is_ready()
    assert received(server) == [FRAME]


# -- the peer comes and goes, workers die -----------------------------------------------------


def test_without_a_peer_the_link_is_down(tmp_path: Path) -> None:
    link = Link(tmp_path)
    assert link.client is not None
    link.client.close()
    link.keeper.turn()
    link.client = link.device("client", 1)
    link.server.close()
    link.keeper.turn()
    queue = link.client.queue(0)
    assert queue.fds == []
    link.drivers[1][0].renew(queue.values, queue.fds)
    client = link.drivers[1][0]
    assert send(client, FRAME) == 0
    assert client.transmit_dropped == 1
    assert received(client) == []
    assert not client.offload_checksum


def test_a_successor_goes_on_where_the_dead_one_was(link: Link) -> None:
    """Its driver is simply forgotten: only what lies in the memory is left."""
    server, client = link.ends
    for _ in range(7):
        send(client, *[FRAME] * 5)
        send(server, *[FRAME] * 5)
        received(server), received(client)
    send(client, b"to server" * 5)
    send(server, b"to client" * 5)
    link.open()
    server, client = link.ends
    assert received(server) == [b"to server" * 5]
    assert received(client) == [b"to client" * 5]
    assert send(server, *[FRAME] * 20) == 16
    assert send(client, *[FRAME] * 20) == 16


def test_a_successor_wakes_the_peer(link: Link) -> None:
    """The dead one may have shown frames and not said so."""
    server, _ = link.ends
    (fd,) = server.filenos()
    count_of(fd)
    link.open()
    assert count_of(fd) == 1


# -- a hostile peer ---------------------------------------------------------------------------


def test_an_index_that_cannot_be_ends_the_ring(link: Link) -> None:
    memory, layout = memory_of(link), layout_of(link)
    server, client = link.ends
    struct.pack_into("=H", memory, layout.c2s[0].offset + 6, 17)  # head, of a ring of 16
    assert received(server) == []
    assert server.broken == 1
    struct.pack_into("=H", memory, layout.c2s[0].offset + 6, 1)
    assert received(server) == [], "it stays so until the peer comes anew"
    struct.pack_into("=H", memory, layout.s2c[0].offset + 6, 40000)
    assert send(server, FRAME) == 0
    assert server.broken == 2
    struct.pack_into("=H", memory, layout.s2c[0].offset + 64, 17)  # tail
    struct.pack_into("=H", memory, layout.c2s[0].offset + 64, 17)
    assert received(client) == []
    assert send(client, FRAME) == 0
    assert client.broken == 2
    assert server.broken == 2


@pytest.mark.parametrize(
    ("flags", "region", "length", "offset"),
    [
        (0, 1, 60, 0),
        (0, 0xFFFF, 60, 0),
        (0, 0, 0xFFFF_FFFF, 0),
        (0, 0, 60, 0xFFFF_FFFF),
        (0, 0, 60, 0xFFFF_FFC4),
        (0, 0, 0, 0),
        (0, 0, 70000, 0),
        (1, 0, 60, 0),  # goes on, where nothing is
        (0xFFFF, 0, 60, 0),
    ],
)
def test_a_descriptor_that_cannot_be_costs_its_frame(
    link: Link, flags: int, region: int, length: int, offset: int
) -> None:
    memory, layout = memory_of(link), layout_of(link)
    server, _ = link.ends
    ring = layout.c2s[0]
    struct.pack_into("=HHIII", memory, ring.offset + 128, flags, region, length, offset, 0)
    struct.pack_into("=H", memory, ring.offset + 6, 1)
    assert received(server) == []
    assert server.unreadable == server.receive_dropped == 1
    assert server.broken == 0
    assert struct.unpack_from("=H", memory, ring.offset + 64) == (1,)
    if region == 0 and length > 0 and offset == 0:
        return  # as a buffer that is lent it would be one
    ring = layout.s2c[0]
    struct.pack_into("=HHIII", memory, ring.offset + 128, flags, region, length, offset, 0)
    assert send(server, FRAME) == 0
    assert server.broken == 1


def test_a_chain_without_end_is_cut(tmp_path: Path) -> None:
    link = Link(tmp_path, size=9)
    memory, layout = memory_of(link), layout_of(link)
    server, _ = link.ends
    ring = layout.c2s[0]
    for i in range(512):
        struct.pack_into("=HHIII", memory, ring.offset + 128 + 16 * i, 1, 0, 20, 0, 0)
    struct.pack_into("=H", memory, ring.offset + 6, 512)
    assert received(server) == []
    assert server.unreadable == 7
    flags = [struct.unpack_from("=H", memory, ring.offset + 128 + 16 * i)[0] for i in range(512)]
    assert not any(flags), "slots go back without NEXT"


def test_a_server_cannot_make_the_client_read_elsewhere(link: Link) -> None:
    """The client knows where its buffers lie; what the descriptor says of it does not count."""
    memory, layout = memory_of(link), layout_of(link)
    server, client = link.ends
    send(server, FRAME)
    at = layout.s2c[0].offset + 128
    struct.pack_into("=HHIII", memory, at, 0, 9, 60, 0xFFFF_0000, 0)
    assert received(client) == [FRAME]
    assert struct.unpack_from("=HHI", memory, at) == (0, 0, 2048)
    send(server, FRAME)
    struct.pack_into("=I", memory, at + 16 + 4, 2049)
    assert received(client) == []
    assert client.unreadable == 1


def test_a_segment_size_larger_than_the_frame_is_none(tmp_path: Path) -> None:
    link = Link(tmp_path, size=8)
    memory, layout = memory_of(link), layout_of(link)
    server, client = link.ends
    send(client, FRAME)
    struct.pack_into("=I", memory, layout.c2s[0].offset + 128 + 12, 0xFFFF_FFFF)
    batch = ReceiveBatch()
    assert server.receive(batch) == 1
    assert (batch.frame_flags[0], batch.frame_gso[0]) == (CHECKSUM_GOOD, 0)


def scribble(chance: random.Random, memory: mmap.mmap, layout: Layout) -> None:
    """Something almost right, or not at all, somewhere in a ring."""
    ring = chance.choice([*layout.c2s, *layout.s2c])
    size = 1 << ring.log2_size
    what = chance.randrange(40)
    if what < 20:
        at = ring.offset + chance.choice([6, 64])
        (index,) = struct.unpack_from("=H", memory, at)
        step = chance.choice([1, 1, 1, 2, size // 2]) if what else chance.randrange(65536)
        struct.pack_into("=H", memory, at, (index + step) & 0xFFFF)
    elif what < 39:
        at = ring.offset + 128 + 16 * chance.randrange(size)
        length = chance.choice([13, 14, 60, 60, 256, 2048, 65600, 65601, 1 << 31, 0xFFFF_FFFF, 0])
        offset = chance.choice([0, 8192, layout.regions[0].size - 60, 0xFFFF_FFF0])
        flags = chance.choice([0, 0, 0, 1, 0xFFFF])
        region = chance.choice([0, 0, 0, 0, 1, 0xFFFF])
        struct.pack_into(
            "=HHIII", memory, at, flags, region, length, offset, chance.getrandbits(32)
        )
    else:
        struct.pack_into("=H", memory, ring.offset + 4, chance.choice([0, 1, 0xFFFF]))


def begin_again(memory: mmap.mmap, layout: Layout) -> None:
    """As at the first connection."""
    for ring in (*layout.c2s, *layout.s2c):
        memory[ring.offset + 4 : ring.offset + ring.length] = bytes(ring.length - 4)
    for i in range(1 << layout.c2s[0].log2_size):
        for ring in layout.c2s:
            struct.pack_into("=HHIII", memory, ring.offset + 128 + 16 * i, 0, 0, 60, 8192 * i, 0)
    arm(layout, 2048)


@pytest.mark.parametrize("rounds", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("whose", ["server", "client"])
@pytest.mark.timeout(1200)
def test_random_ring_states_harm_nothing(tmp_path: Path, rounds: int, whose: str) -> None:
    """Whatever is written there: nothing raises, hangs or lies outside; a new peer is served."""
    rounds //= 1 if str(memif.__file__).endswith(".so") else 10
    chance = random.Random(rounds)
    link = Link(tmp_path, size=4, rings=2)
    memory, layout = memory_of(link), layout_of(link)
    batch, outgoing = ReceiveBatch(), TransmitBatch()
    outgoing.append(FRAME)
    outgoing.append(bytes(5000))
    driver = link.ends[0] if whose == "server" else link.ends[1]
    for step in range(rounds):
        scribble(chance, memory, layout)
        taken = driver.receive(batch)
        assert taken <= 64
        for i in range(taken):
            assert 14 <= batch.frame_len[i] <= 65600
        batch.clear()
        driver.transmit(outgoing)
        driver.is_ready()
        if step % 20 == 19:
            begin_again(memory, layout)
            link.renew()
    counts = (driver.received, driver.transmitted, driver.broken, driver.unreadable)
    assert min(counts) > rounds / 200, counts
    server, client = link.ends
    for one, two in ((server, client), (client, server)):
        assert send(one, FRAME) == 1
        assert received(two) == [FRAME]


def rate(link: Link, seconds: float = 0.5) -> float:
    """Frames a second through both, for curiosity: `python -m tests.driver.test_memif`."""
    server, client = link.ends
    outgoing, batch = TransmitBatch(), ReceiveBatch()
    for _ in range(64):
        outgoing.append(bytes(200))
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        client.transmit(outgoing)
        count += server.receive(batch)
        batch.clear()
    return count / seconds


def main(*_: Any) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        link = Link(Path(folder))
        print(f"{rate(link):,.0f} frames a second, both ends on one core")
        link.close()


if __name__ == "__main__":
    main()
