"""Which queue of a TAP or TUN a packet comes out of: the program in the kernel says what
`corten.ip.spread` says, on real devices too, and without it the device learns."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from corten.core.chance import Chance
from corten.driver import bpf, steering_program
from corten.driver.device import Wanted
from corten.driver.tap_device import TapDevice, open_device
from corten.endpoint.error import CortenError
from corten.ip.spread import Spread
from corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP
from tests.netns import namespace

pytestmark = pytest.mark.e2e
QUEUES = 4
OURS, HOST = "10.9.0.2", "10.9.0.1"
OURS6, HOST6 = "fd09::2", "fd09::1"
_TEST_RUN = 10


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("steer") as made:
        made.speak_ipv6()
        yield made


def halves(text: str) -> tuple[int, int]:
    address = ipaddress.ip_address(text)
    whole = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
    return whole >> 64, whole & (2**64 - 1)


# -- the program alone ---------------------------------------------------------------------------


def loaded(keys: list[int], queues: int, ethernet: bool) -> int:
    try:
        return steering_program.load(keys, queues, ethernet)
    except CortenError as error:
        pytest.skip(str(error))


def run_once(program: int, packet: bytes) -> int:
    """The queue that the kernel's own run of the program gives. A socket filter sees what follows
    14 octets of Ethernet, so these are put in front."""
    data = ctypes.create_string_buffer(b"\0" * 12 + b"\x88\xb5" + packet, 14 + len(packet))
    attributes = struct.pack("<4IQQ2I", program, 0, len(data), 0, ctypes.addressof(data), 0, 1, 0)
    held = ctypes.create_string_buffer(attributes.ljust(80, b"\0"), 80)
    library = ctypes.CDLL(None, use_errno=True)
    number = bpf._SYSTEM_CALL[os.uname().machine]
    if library.syscall(number, _TEST_RUN, held, 80) < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_TEST_RUN")
    (answer,) = struct.unpack_from("<I", held, 4)
    return int(answer)


def any_packet(chance: Chance, v6: bool) -> tuple[bytes, int, int, int, int, int, int]:
    """An IP packet that arrives; its protocol, ports, ends, and whether it is a fragment."""
    protocol = (PROTOCOL_TCP, PROTOCOL_UDP, 1)[chance.below(3)]
    remote, local = chance.next64() << 64 | chance.next64(), chance.next64() << 64 | chance.next64()
    ports = chance.next32()
    transport = struct.pack(">I", ports) + bytes(20)
    if v6:
        ends = remote.to_bytes(16, "big") + local.to_bytes(16, "big")
        head = struct.pack(">IHBB", 0x6000_0000, len(transport), protocol, 64)
        return head + ends + transport, protocol, ports >> 16, ports & 0xFFFF, remote, local, 0
    remote, local = remote & 0xFFFF_FFFF, local & 0xFFFF_FFFF
    options = bytes(4 * chance.below(11))
    place = (0, 0x4000, 0x2000, 0x2001, 100)[chance.below(5)]  # whole, DF, and three fragments
    head = struct.pack(
        ">BBHHHBBHII",
        0x45 + len(options) // 4,
        0,
        20 + len(options) + len(transport),
        7,
        place,
        64,
        protocol,
        0,
        remote,
        local,
    )
    fragment = place & 0x3FFF
    return (
        head + options + transport,
        protocol,
        ports >> 16,
        ports & 0xFFFF,
        remote,
        local,
        fragment,
    )


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("ethernet", [True, False])
@pytest.mark.parametrize("queues", [2, 7, 256])
def test_the_kernel_and_we_find_the_same_queue(v6: bool, ethernet: bool, queues: int) -> None:
    keys = steering_program.make_keys()
    program, spread = loaded(keys, queues, ethernet), Spread(0, keys, queues)
    chance = Chance(queues)
    for _ in range(300):
        packet, protocol, remote_port, local_port, remote, local, fragment = any_packet(chance, v6)
        mapped = 0 if v6 else 0xFFFF << 32
        ends = [
            half
            for end in (remote | mapped, local | mapped)
            for half in (end >> 64, end & 2**64 - 1)
        ]
        counted = 0 if fragment else protocol
        expected = spread.worker_of(counted, *ends[:2], remote_port, *ends[2:], local_port)
        type = b"\x86\xdd" if v6 else b"\x08\x00"
        tag = b"\x81\x00\x00\x2a" if chance.below(3) == 0 else b""
        frame = bytes(12) + tag + type + packet if ethernet else packet
        assert run_once(program, frame) == expected
    os.close(program)


@pytest.mark.parametrize(
    "frame",
    [
        bytes(12) + b"\x08\x06" + bytes(28),
        bytes(12) + b"\x08\x00\x45" + bytes(18),
        bytes(12) + b"\x08\x00\x45" + bytes(8) + b"\x06" + bytes(12),
        bytes(12) + b"\x81\x00\x00",
        bytes(64),
    ],
)
def test_what_is_no_flow_goes_to_the_first_queue(frame: bytes) -> None:
    program = loaded(steering_program.make_keys(), 64, True)
    assert run_once(program, frame) == 0
    os.close(program)


# -- on devices ----------------------------------------------------------------------------------


def opened(space: Namespace, kind: str = "tap", how: str = "auto", name: str = "") -> TapDevice:
    with space.inside():
        device = open_device(
            Wanted(
                kind,
                name,
                QUEUES,
                [f"{HOST}/24", f"{HOST6}/64"],
                [f"{OURS}/24"],
                1500,
                False,
                {"steering": how},
            )
        )
    if kind == "tap":
        for address in (OURS, OURS6):
            space.ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:02", "dev", device.name)
    return device


def programmed(space: Namespace, kind: str = "tap", name: str = "") -> TapDevice:
    device = opened(space, kind, name=name)
    if device.keys is None:
        device.close()
        pytest.skip("a steering program may not be loaded here: CAP_BPF is missing")
    return device


def read_datagrams(device: TapDevice, ethernet: bool) -> dict[int, list[bytes]]:
    """What waits in each queue: UDP packets from their IP header on."""
    found: dict[int, list[bytes]] = {place: [] for place in range(QUEUES)}
    for place, fd in enumerate(device.fds):
        while select.select([fd], [], [], 0)[0]:
            packet = os.read(fd, 70000)[10 + 14 * ethernet :]
            if (packet[0] >> 4 == 4 and packet[9] == 17) or (
                packet[0] >> 4 == 6 and packet[6] == 17
            ):
                found[place].append(packet)
    return found


def spread_of(device: TapDevice) -> Spread:
    assert device.keys is not None
    return Spread(0, device.keys, QUEUES)


@pytest.mark.parametrize("kind", ["tap", "tun"])
@pytest.mark.parametrize(
    ("family", "host", "ours"),
    [(socket.AF_INET, HOST, OURS), (socket.AF_INET6, HOST6, OURS6)],
)
def test_each_flow_comes_out_of_its_workers_queue(
    space: Namespace, kind: str, family: int, host: str, ours: str
) -> None:
    device = programmed(space, kind)
    os.close(os.dup(device.fds[2]))  # a worker that dies lets go of its copy: no queue moves
    with space.inside():
        senders = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(64)]
    expected: dict[int, set[int]] = {place: set() for place in range(QUEUES)}
    for sender in senders:
        sender.bind((host, 0))
        sender.sendto(b"x", (ours, 9))
        port = sender.getsockname()[1]
        place = spread_of(device).worker_of(PROTOCOL_UDP, *halves(host), port, *halves(ours), 9)
        expected[place].add(port)
        sender.close()
    at = 20 if family == socket.AF_INET else 40
    found = read_datagrams(device, kind == "tap")
    assert {
        place: {int.from_bytes(packet[at : at + 2], "big") for packet in packets}
        for place, packets in found.items()
    } == expected
    assert all(expected.values())
    device.close()


def test_fragments_meet_at_one_queue(space: Namespace) -> None:
    device = programmed(space)
    with space.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(8):
            sender.sendto(bytes(4000), (OURS, 9))
    found = read_datagrams(device, True)
    place = spread_of(device).worker_of(0, *halves(HOST), 0, *halves(OURS), 0)
    assert [len(found[i]) for i in range(QUEUES)] == [24 * (i == place) for i in range(QUEUES)]
    device.close()


def reply_place(space: Namespace, device: TapDevice, place: int, port: int) -> int:
    """Write a datagram on a queue; the place of the queue that its answer comes out of."""
    with space.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind((HOST, port))
        host.settimeout(5.0)
        station = space.ip("link", "show", "dev", device.name).split("link/ether ")[1].split()[0]
        udp = struct.pack(">4H", 5000, port, 9, 0) + b"?"
        head = bytearray(struct.pack(">BBHHHBBH", 0x45, 0, 29, 0, 0, 64, 17, 0))
        head += socket.inet_aton(OURS) + socket.inet_aton(HOST)
        total = sum(struct.unpack(">10H", head))
        total = (total >> 16) + (total & 0xFFFF)
        head[10:12] = (0xFFFF - total).to_bytes(2, "big")
        ethernet = (
            bytes.fromhex(station.replace(":", "")) + bytes.fromhex("020000000002") + b"\x08\0"
        )
        os.write(device.fds[place], bytes(10) + ethernet + bytes(head) + udp)
        _, peer = host.recvfrom(100)
        host.sendto(b"!", peer)
    found = read_datagrams(device, True)
    (answered,) = [queue for queue, packets in found.items() if packets]
    return answered


def test_without_a_program_the_device_learns(space: Namespace) -> None:
    device = opened(space, how="learnt")
    assert device.keys is None and "steering" not in device.queue(0).values
    assert [reply_place(space, device, i % 4, 7000 + i) for i in range(12)] == [0, 1, 2, 3] * 3
    device.close()


def test_no_program_stays_on_a_device_that_stays(space: Namespace) -> None:
    space.ip("tuntap", "add", "dev", "theirs", "mode", "tap", "multi_queue")
    for ends_well in (True, False):
        device = programmed(space, name="theirs")
        values = device.queue(3).values["steering"]
        assert (values["place"], values["queues"]) == (3, QUEUES)
        if ends_well:
            device.close()
        else:  # killed: nothing is taken back, and the next owner sets what it wants
            for fd in device.fds:
                os.close(fd)
            space.ip("address", "flush", "dev", "theirs")
        device = opened(space, how="learnt", name="theirs")
        assert [reply_place(space, device, i % 4, 7000 + i) for i in range(8)] == [0, 1, 2, 3] * 2
        device.close()


def test_one_queue_needs_no_program(space: Namespace) -> None:
    with space.inside():
        device = open_device(Wanted("tap", "", 1, ["10.9.0.1/24"], [], 1500))
    assert device.keys is None
    device.close()


def test_who_may_not_load_one_learns_or_is_told(space: Namespace) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    space.ip("tuntap", "add", "dev", "mine", "mode", "tap", "multi_queue", "user", "65534")
    space.ip("link", "set", "mine", "up", "txqueuelen", "8192")
    script = (
        "import os, sys\n"
        "from corten.driver.device import Wanted\n"
        "from corten.driver.tap_device import open_device\n"
        "from corten.endpoint.error import CortenError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "import corten.driver.tap_device as module\n"
        "module.configure = lambda request: None\n"  # it runs a Python that others may not run
        "for how in ('auto', 'program'):\n"
        "    wanted = Wanted('tap', 'mine', 2, [], [], 1500, True, {'steering': how})\n"
        "    try: device = open_device(wanted); print(device.keys); device.close()\n"
        "    except CortenError as error: print(error)\n"
    )
    said = space.command([sys.executable, "-c", script]).splitlines()
    assert said[0] == "None"
    assert "CAP_BPF" in said[1] and "steering=learnt" in said[1]
