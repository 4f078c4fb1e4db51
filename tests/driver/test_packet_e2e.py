"""The packet driver on one end of a veth pair, raw sockets and the kernel at the other end."""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from corten.core.arena import Buffer
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.device import Wanted
from corten.driver.kind import open_queue
from corten.driver.packet_device import PacketDevice, open_device
from corten.endpoint.error import CortenError
from tests.netns import namespace

pytestmark = pytest.mark.e2e
packet = pytest.importorskip("corten.driver.packet", exc_type=ImportError)
OURS, PEERS = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
SOL_PACKET, VNET_HDR, IGNORE_OUTGOING = 263, 15, 23
SUPER_TCP4 = struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16)
SUPER_UDP4 = struct.pack("<BBHHHH", 1, 5, 42, 1000, 34, 6)
PLAIN = bytes(10)


class Pair:
    """A veth pair: `wire` in both namespaces, no address at our end."""

    def __init__(self, ours: Namespace, theirs: Namespace) -> None:
        self.ours, self.theirs = ours, theirs
        words = ["link", "add", "wire", "address", OURS.hex(":"), "type", "veth"]
        ours.ip(*words, "peer", "name", "wire", "address", PEERS.hex(":"), "netns", theirs.path)
        for side in (ours, theirs):
            side.ip("link", "set", "wire", "up")
        theirs.ip("address", "add", "10.9.0.1/24", "dev", "wire")
        theirs.ip("neigh", "add", "10.9.0.2", "lladdr", OURS.hex(":"), "dev", "wire")
        with theirs.inside():
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.raw.setsockopt(SOL_PACKET, VNET_HDR, 1)
            self.raw.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
            self.raw.bind(("wire", 3))
            self.raw.settimeout(2.0)

    def open(self, queues: int = 1, offload: bool = True, **more: object) -> PacketDevice:
        with self.ours.inside():
            wanted = Wanted("packet", "wire", queues, offload=offload, **more)  # type: ignore[arg-type]
            return open_device(wanted)

    def driver(self, **more: object) -> packet.Packet:
        """The driver of the only queue; the device's own descriptors are closed."""
        device = self.open(**more)  # type: ignore[arg-type]
        driver = open_queue(device.queue(0).own())
        device.close()
        return driver


@pytest.fixture
def pair() -> Iterator[Pair]:
    with namespace("packet") as ours, namespace("peer") as theirs:
        made = Pair(ours, theirs)
        yield made
        made.raw.close()


def ipv4(protocol: int, payload: bytes, source: int = 1, target: int = 2) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0)
    head += bytes([10, 9, 0, source, 10, 9, 0, target])
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", 0xFFFF - total) + head[12:] + payload


def tcp(payload: bytes) -> bytes:
    return struct.pack("!HHIIBBHHH", 1000, 80, 1, 1, 0x50, 0x10, 9999, 0, 0) + payload


def ethernet(data: bytes, tag: int = 0, kind: int = 0x0800) -> bytes:
    between = struct.pack("!HH", 0x8100, tag) if tag else b""
    return OURS + PEERS + between + struct.pack("!H", kind) + data


def numbered(count: int, base: int = 0) -> list[bytes]:
    """Frames of a type of their own, which the kernel has nothing to say about."""
    return [ethernet(struct.pack("!I", base + i) + bytes(60), kind=0x88B5) for i in range(count)]


def numbers(frames: list[bytes]) -> list[int]:
    return [int.from_bytes(frame[14:18], "big") for frame in frames if frame[12:14] == b"\x88\xb5"]


def received(driver: packet.Packet, count: int, seconds: float = 2.0) -> list[bytes]:
    """So many frames that are of this test (the kernel has things of its own to say)."""
    batch = driver.make_batch()
    found: list[bytes] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        driver.receive(batch)
        frames = [batch.frame(i) for i in range(batch.count)]
        found += [frame for frame in frames if frame[6:12] == PEERS and frame[12:14] != b"\x86\xdd"]
        batch.clear()
    return found


def sent(driver: packet.Packet, *frames: bytes) -> int:
    batch = TransmitBatch()
    for frame in frames:
        assert batch.append(frame)
    return int(driver.transmit(batch))


# -- receiving ------------------------------------------------------------------------------------


def test_a_burst_ends_and_goes_on(pair: Pair) -> None:
    driver = pair.driver()
    for frame in numbered(300):
        pair.raw.send(PLAIN + frame)
    batch = driver.make_batch()
    assert driver.receive(batch) == 256
    assert batch.arena is not None
    frames = [batch.frame(i) for i in range(256)]
    batch.clear()
    assert driver.is_ready()
    assert numbers(frames + received(driver, 44)) == list(range(300))
    assert driver.received == 300
    assert not driver.is_ready()
    driver.close()


def test_any_batch_will_do(pair: Pair) -> None:
    driver = pair.driver()
    whole = ethernet(ipv4(6, tcp(bytes(20000))))
    pair.raw.send(PLAIN + numbered(1)[0])
    pair.raw.send(SUPER_TCP4 + whole)
    batch = ReceiveBatch()
    assert driver.receive(batch) == 2
    assert [batch.frame(0), batch.frame(1)] == [numbered(1)[0], whole]
    assert batch.frame_gso[1] == 1448
    driver.close()


@pytest.mark.parametrize("offload", [True, False])
def test_the_ring_goes_round(pair: Pair, offload: bool) -> None:
    driver = pair.driver(offload=offload, options={"ring": 1})
    seen: list[int] = []
    for turn in range(20):  # 655 slots
        for frame in numbered(100, turn * 100):
            pair.raw.send(PLAIN + frame)
        seen += numbers(received(driver, 100))
    assert seen == list(range(2000))
    assert driver.receive_dropped == 0
    driver.close()


def test_what_finds_no_slot_is_counted(pair: Pair) -> None:
    driver = pair.driver(options={"ring": 1})
    for frame in numbered(1000):
        pair.raw.send(PLAIN + frame)
    assert numbers(received(driver, 655)) == list(range(655))
    pair.raw.send(PLAIN + numbered(1, 1000)[0])  # its slot says that some are lost
    assert numbers(received(driver, 1)) == [1000]
    assert driver.receive_dropped == 345
    driver.close()


@pytest.mark.parametrize("size", [3000, 60000])
@pytest.mark.parametrize("offload", [True, False])
def test_a_super_segment_is_whole(pair: Pair, offload: bool, size: int) -> None:
    driver = pair.driver(offload=offload)
    whole = ethernet(ipv4(6, tcp(bytes(range(250)) * (size // 250))))
    frames = [numbered(1)[0], whole, numbered(1, 1)[0], whole]
    for frame in frames:
        pair.raw.send((SUPER_TCP4 if frame is whole else PLAIN) + frame)
    batch = driver.make_batch()
    assert driver.receive(batch) == 4
    assert [batch.frame(i) for i in range(4)] == frames
    assert list(batch.frame_gso[:4]) == [0, 1448, 0, 1448]
    assert list(batch.frame_flags[:4]) == [0, CHECKSUM_GOOD, 0, CHECKSUM_GOOD]
    assert driver.receive(driver.make_batch()) == 0
    driver.close()


def test_more_super_segments_than_a_burst_has_room_for(pair: Pair) -> None:
    driver = pair.driver()
    frames = [ethernet(ipv4(6, tcp(bytes([i]) * 60000))) for i in range(40)]
    for frame in frames:
        pair.raw.send(SUPER_TCP4 + frame)
    batch = driver.make_batch()
    assert 10 <= driver.receive(batch) < 40
    first = [batch.frame(i) for i in range(batch.count)]
    assert first + received(driver, 40 - len(first)) == frames
    assert driver.receive_dropped == 0
    driver.close()


@pytest.mark.parametrize("size", [100, 20000])
def test_a_tag_is_put_back(pair: Pair, size: int) -> None:
    driver = pair.driver()
    tagged = ethernet(ipv4(6, tcp(bytes(size))), tag=0x602A)
    header = struct.pack("<BBHHHH", 1, 1, 58, 1448, 38, 16) if size > 1000 else PLAIN
    pair.raw.send(header + tagged)
    assert received(driver, 1) == [tagged]
    driver.close()


def test_datagrams_in_one_frame_are_many(pair: Pair) -> None:
    driver = pair.driver()
    with pair.theirs.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
        sender.sendto(bytes(1000) + b"\1" * 1000 + b"\2" * 500, ("10.9.0.2", 9))
    frames = received(driver, 3)
    assert [frame[42:] for frame in frames] == [bytes(1000), b"\1" * 1000, b"\2" * 500]
    assert [int.from_bytes(frame[38:40], "big") for frame in frames] == [1008, 1008, 508]
    driver.close()


@pytest.mark.parametrize("computed", [True, False])
def test_whose_checksum_is_left_undone(pair: Pair, computed: bool) -> None:
    """UDP: what the sender has computed nobody has verified."""
    driver = pair.driver()
    pair.theirs.command(["ethtool", "-K", "wire", "tx", "off" if computed else "on"])
    with pair.theirs.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes(40), ("10.9.0.2", 9))
    batch = driver.make_batch()
    driver.receive(batch)
    flags = [batch.frame_flags[i] for i in range(batch.count) if batch.frame(i)[23] == 17]
    assert flags == [0 if computed else CHECKSUM_GOOD]
    driver.close()


def test_a_successor_goes_on_where_its_predecessor_died(pair: Pair) -> None:
    """Both of one queue; the first is never asked to end."""
    device = pair.open()
    first = open_queue(device.queue(0).own())
    for frame in numbered(80):
        pair.raw.send(PLAIN + frame)
    first.receive(first.make_batch())  # given back by nobody
    sent(first, ethernet(bytes(46)))
    second = open_queue(device.queue(0).own())
    assert numbers(received(second, 80)) == list(range(80))
    assert sent(second, *numbered(3)) == 3
    frames = [pair.raw.recv(2048)[10:] for _ in range(4)]
    assert numbers(frames) == [0, 1, 2]
    second.receive(second.make_batch())  # finds nothing, and gives back what it had
    third = open_queue(device.queue(0).own())
    for frame in numbered(5, 80):
        pair.raw.send(PLAIN + frame)
    assert numbers(received(third, 5)) == list(range(80, 85))
    device.close()


def test_workers_share_the_flows_and_hear_nothing_of_their_own(pair: Pair) -> None:
    device = pair.open(queues=2)
    drivers = [open_queue(device.queue(i).own()) for i in range(2)]
    for port in range(64):
        segment = struct.pack("!HH", 2000 + port, 80) + tcp(b"")[4:]
        for _ in range(2):
            pair.raw.send(PLAIN + ethernet(ipv4(6, segment)))
    sent(drivers[0], *numbered(3))
    flows = []
    for driver in drivers:
        frames = received(driver, 128, 0.3)
        assert all(frame[:6] == OURS for frame in frames)
        flows.append([frame[34:36] for frame in frames])
    assert sum(len(each) for each in flows) == 128
    assert not set(flows[0]) & set(flows[1])
    assert all(len(set(each)) > 10 for each in flows)
    device.close()


# -- sending --------------------------------------------------------------------------------------


def test_more_frames_than_slots(pair: Pair) -> None:
    driver = pair.driver()
    for turn in range(10):  # 240 slots
        assert sent(driver, *numbered(250, turn * 250)) == 250
        got = numbers([pair.raw.recv(2048)[10:] for _ in range(250)])
        assert got == list(range(turn * 250, turn * 250 + 250))
    assert driver.transmitted == 2500
    assert driver.transmit_dropped == 0
    driver.close()


def outgoing(driver: packet.Packet, gso_type: int, payload_len: int) -> bytes:
    """Send one super-segment; the frame."""
    payload = (bytes(range(250)) * 300)[:payload_len]
    head = PEERS + OURS + b"\x08\x00" + ipv4(6, tcp(payload), 2, 1)[:40]
    batch = TransmitBatch()
    at = batch.begin()
    batch.headers.store(at, head)
    batch.add_slice(Buffer(payload), 0, payload_len)
    batch.needs_checksum(34, 16)
    batch.needs_segmentation(gso_type, 1448)
    batch.commit(len(head))
    assert driver.transmit(batch) == 1
    return head + payload


def test_a_super_segment_leaves_whole(pair: Pair) -> None:
    driver = pair.driver()
    frame = outgoing(driver, 1, 60000)
    got = pair.raw.recv(70000)
    assert got[1] == 1
    assert got[4:6] == (1448).to_bytes(2, "little")
    assert got[10:] == frame
    driver.close()


def test_a_super_segment_that_is_refused_is_cut(pair: Pair) -> None:
    """It is of IPv4 and says to be of IPv6."""
    driver = pair.driver()
    frame = outgoing(driver, 4, 20000)
    segments = [pair.raw.recv(70000)[10:] for _ in range(14)]
    assert b"".join(segment[54:] for segment in segments) == frame[54:]
    assert driver.segmented() == 1
    assert not driver.offload_segmentation
    assert (driver.transmitted, driver.transmit_dropped) == (1, 0)
    assert sent(driver, *numbered(2)) == 2
    assert numbers([pair.raw.recv(2048)[10:] for _ in range(2)]) == [0, 1]
    driver.close()


def test_a_frame_that_is_none_does_not_stop_those_behind_it(pair: Pair) -> None:
    driver = pair.driver()
    assert sent(driver, b"short", *numbered(2), bytes(3)) == 2
    assert numbers([pair.raw.recv(2048)[10:] for _ in range(2)]) == [0, 1]
    assert (driver.transmitted, driver.transmit_dropped) == (2, 2)
    assert not driver.is_ready()
    driver.close()


def test_what_does_not_fit_into_a_slot_is_dropped(pair: Pair) -> None:
    driver = pair.driver(offload=False)
    assert sent(driver, bytes(3000), *numbered(1)) == 1
    assert driver.transmit_dropped == 1
    driver.close()


# -- the device's life ----------------------------------------------------------------------------


def test_while_the_device_is_down_there_is_silence(pair: Pair) -> None:
    driver = pair.driver()
    pair.ours.ip("link", "set", "wire", "down")
    assert sent(driver, *numbered(3)) == 0
    assert driver.transmit_dropped == 3
    batch = driver.make_batch()
    assert [driver.receive(batch) for _ in range(200)] == [0] * 200
    pair.ours.ip("link", "set", "wire", "up")
    until = time.monotonic() + 5.0
    while not received(driver, 1, 0.05):
        assert time.monotonic() < until
        pair.raw.send(PLAIN + numbered(1)[0])
    assert sent(driver, *numbered(3)) == 3
    driver.close()


def test_a_peer_that_is_down_blocks_nobody(pair: Pair) -> None:
    """Its end takes nothing: after some offers the frames are taken back."""
    driver = pair.driver()
    pair.theirs.ip("link", "set", "wire", "down")
    sent(driver, *numbered(3))
    batch = driver.make_batch()
    for _ in range(200):
        driver.receive(batch)
    assert not driver.is_ready()
    assert driver.transmitted + driver.transmit_dropped == 3
    driver.close()


def test_a_removed_device_ends_the_link(pair: Pair) -> None:
    device = pair.open()
    driver = open_queue(device.queue(0).own())
    pair.ours.ip("link", "delete", "wire")
    batch = driver.make_batch()
    with pytest.raises(CortenError, match="was removed"):
        for _ in range(200):
            driver.receive(batch)
    assert sent(driver, *numbered(1)) == 0
    with pytest.raises(CortenError, match="was removed"):
        open_queue(device.queue(0).own())
    device.close()


def test_a_device_that_is_down_and_then_removed_ends_the_link(pair: Pair) -> None:
    """Of the removal nothing tells but the driver's own timer."""
    driver = pair.driver()
    pair.ours.ip("link", "set", "wire", "down")
    batch = driver.make_batch()
    for _ in range(100):
        driver.receive(batch)
    pair.ours.ip("link", "delete", "wire")
    ready, _, _ = select.select(driver.filenos(), [], [], 5.0)
    assert ready
    with pytest.raises(CortenError, match="was removed"):
        driver.receive(batch)
    driver.close()


def test_a_closed_driver_takes_nothing(pair: Pair) -> None:
    driver = pair.driver()
    driver.close()
    driver.close()
    assert driver.fileno() == -1
    assert sent(driver, bytes(60)) == 0
    assert driver.receive(driver.make_batch()) == 0
    assert not driver.is_ready()


def test_it_is_the_device_that_it_was(pair: Pair) -> None:
    before = pair.ours.ip("-d", "link", "show", "wire")
    device = pair.open(queues=3, ours=["10.9.0.2/24"])
    assert (device.name, device.mtu, device.mac) == ("wire", 1500, OURS.hex(":"))
    assert "allmulti 1" in pair.ours.ip("-d", "link", "show", "wire")
    device.close()
    device.close()
    assert pair.ours.ip("-d", "link", "show", "wire") == before


def test_another_stations_address(pair: Pair) -> None:
    device = pair.open(mac="02:00:00:00:00:77")
    assert device.mac == OURS.hex(":")  # the link's own goes before it
    driver = open_queue(device.queue(0).own())
    frame = bytes.fromhex("020000000077") + numbered(1)[0][6:]
    pair.raw.send(PLAIN + frame)
    assert received(driver, 1) == [frame]
    device.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queues": 0}, "1 to 256 sockets"),
        ({"queues": 257}, "1 to 256 sockets"),
        ({"name": "nowhere"}, "no network device nowhere"),
        ({"name": "lo"}, "lo is no Ethernet device"),
        ({"mtu": 9000}, "ip link set wire mtu 9000"),
        ({"ours": ["127.0.0.1/8"]}, "127.0.0.1 is in use"),
        ({"ours": ["10.9.0.7/24"]}, "10.9.0.7 is in use: it is this host's own, on wire"),
        ({"name": "idle"}, "ip link set idle up"),
        ({"name": "narrow"}, "MTU of 200"),
    ],
)
def test_what_cannot_be_is_one_line(pair: Pair, options: dict[str, object], says: str) -> None:
    pair.ours.ip("address", "add", "10.9.0.7/24", "dev", "wire")
    pair.ours.ip("link", "add", "idle", "type", "bridge")
    pair.ours.ip("link", "add", "narrow", "mtu", "200", "type", "bridge")
    pair.ours.ip("link", "set", "narrow", "up")
    with pair.ours.inside(), pytest.raises(CortenError, match=says) as caught:
        open_device(Wanted(**{"driver": "packet", "name": "wire", **options}))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_without_the_right_it_says_which(pair: Pair) -> None:
    script = (
        "import os\n"
        "from corten.driver.device import Wanted\n"
        "from corten.driver.packet_device import open_device\n"
        "from corten.endpoint.error import CortenError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: open_device(Wanted('packet', 'wire'))\n"
        "except CortenError as error: print(error)\n"
    )
    said = pair.ours.command([sys.executable, "-c", script])
    assert "CAP_NET_RAW: run as root" in said


@pytest.mark.parametrize("silence", ["off", "on"])
def test_a_kernel_that_forwards_is_kept_silent(pair: Pair, silence: str) -> None:
    """Without the program it would redirect, or say that nobody is there."""
    pair.ours.ip("address", "add", "10.9.0.3/24", "dev", "wire")
    pair.ours.command(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    device = pair.open(ours=["10.9.0.2/24"], options={"silence": silence})
    assert device.is_silenced == (silence == "on")
    subprocess.run(
        ["ping", "-c", "3", "-i", "0.2", "-W", "1", "10.9.0.2"],
        capture_output=True,
        check=False,
        preexec_fn=pair.theirs.preparation(),
    )
    pair.raw.setblocking(False)
    frames = []
    try:
        while True:
            frames.append(pair.raw.recv(70000)[10:])
    except BlockingIOError:  # silent: that was all
        pass
    said = [frame for frame in frames if frame[12:14] in (b"\x08\x00", b"\x08\x06")]
    assert bool(said) == (silence == "off")
    device.close()
