"""The TAP driver against the kernel: ARP, ping, super-segments, refusals, removal."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from corten.core.arena import checksum_of
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.device import Wanted
from corten.driver.tap_device import TapDevice, open_device
from corten.endpoint.error import CortenError
from tests.netns import namespace

pytestmark = pytest.mark.e2e
tap = pytest.importorskip("corten.driver.tap", exc_type=ImportError)
MAC, IP = bytes.fromhex("020000000002"), bytes([10, 9, 0, 2])


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("tap") as made:
        yield made


def opened(space: Namespace, offload: bool = True, name: str = "") -> tuple[TapDevice, tap.Tap]:
    with space.inside():
        wanted = Wanted("tap", name, 1, ["10.9.0.1/24"], ["10.9.0.2/24"], 1500, offload)
        device = open_device(wanted)
    return device, tap.Tap(device.fds[0], device.name, offload)


def answer(frame: bytes) -> bytes:
    """What a host would say to an ARP request or an echo request; b"" to anything else."""
    if frame[12:14] == b"\x08\x06" and frame[38:42] == IP:
        return frame[6:12] + MAC + frame[12:20] + b"\0\2" + MAC + IP + frame[22:32]
    if frame[12:14] == b"\x08\0" and frame[23] == 1 and frame[34] == 8 and frame[30:34] == IP:
        icmp = bytearray(frame[34:])
        icmp[0] = 0
        icmp[2:4] = b"\0\0"
        icmp[2:4] = checksum_of(bytes(icmp)).to_bytes(2, "big")
        ip = frame[14:26] + frame[30:34] + frame[26:30]
        return frame[6:12] + MAC + frame[12:14] + ip + bytes(icmp)
    return b""


@pytest.mark.parametrize("offload", [True, False])
def test_arp_and_ping(space: Namespace, offload: bool) -> None:
    device, driver = opened(space, offload)
    words = ["ping", "-c", "3", "-i", "0.02", "-s", "1400", "-W", "2", "10.9.0.2"]
    pinger = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=space.preparation(),  # noqa: PLW1509  (the tests run no threads)
    )
    incoming, outgoing = ReceiveBatch(), TransmitBatch()
    while pinger.poll() is None:
        select.select([driver.fileno()], [], [], 0.1)
        for i in range(driver.receive(incoming)):
            if reply := answer(incoming.frame(i)):
                outgoing.append(reply)
        incoming.clear()
        driver.transmit(outgoing)
        outgoing.clear()
    text, _ = pinger.communicate()
    assert " 0% packet loss" in text
    assert driver.transmitted >= 4
    assert driver.transmit_dropped == 0
    device.close()


def test_a_burst_ends_and_goes_on(space: Namespace) -> None:
    device, driver = opened(space)
    space.ip("neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", device.name)
    with space.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i in range(100):
            sender.sendto(bytes([i]) * 40, ("10.9.0.2", 9))
    batch = ReceiveBatch()
    payloads = []
    for expected in (64, 36):
        got = driver.receive(batch)
        assert got >= expected or expected == 36
        frames = [batch.frame(i) for i in range(got)]
        payloads += [frame[42] for frame in frames if frame[23:24] == b"\x11"]
        assert all(batch.frame_at[i] % 2 == 0 for i in range(got))
        batch.clear()
    assert payloads == list(range(100))
    device.close()


def test_the_kernels_checksum_is_left_undone_only_with_offload(space: Namespace) -> None:
    for offload in (True, False):
        device, driver = opened(space, offload, f"t{offload:d}")
        space.ip("neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", device.name)
        with space.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(40), ("10.9.0.2", 9))
        batch = ReceiveBatch()
        driver.receive(batch)
        flags = [batch.frame_flags[i] for i in range(batch.count) if batch.frame(i)[23] == 17]
        assert flags == [CHECKSUM_GOOD if offload else 0]
        device.close()


def test_a_write_while_the_device_is_down_is_a_counted_drop(space: Namespace) -> None:
    device, driver = opened(space)
    space.ip("link", "set", device.name, "down")
    outgoing = TransmitBatch()
    outgoing.append(bytes(60))
    assert driver.transmit(outgoing) == 0
    assert driver.transmit_dropped == 1
    device.close()


def test_a_removed_device_ends_the_link(space: Namespace) -> None:
    device, driver = opened(space)
    space.ip("link", "delete", device.name)
    with pytest.raises(CortenError, match="was removed"):
        driver.receive(ReceiveBatch())
    device.close()


def test_a_closed_driver_takes_nothing(space: Namespace) -> None:
    device, _ = opened(space)
    driver = tap.Tap(os.dup(device.fds[0]))
    driver.close()
    driver.close()
    assert driver.fileno() == -1
    outgoing = TransmitBatch()
    outgoing.append(bytes(60))
    assert driver.transmit(outgoing) == 0
    device.close()


def test_what_is_created_goes_with_its_descriptors(space: Namespace) -> None:
    device, _ = opened(space)
    assert device.name in space.ip("link", "show")
    assert "qlen 8192" in space.ip("link", "show", device.name)
    device.close()
    until = time.monotonic() + 2.0
    while device.name in space.ip("link", "show") and time.monotonic() < until:
        time.sleep(0.01)
    assert device.name not in space.ip("link", "show")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"queues": 0}, "1 to 256 queues"),
        ({"queues": 257}, "1 to 256 queues"),
        ({"mtu": 67}, "68 to 65521"),
        ({"name": "sixteenletters00"}, "longer than 15"),
        ({"name": "lo"}, "no multi-queue TAP"),
        ({"name": "a/b"}, "no name for a device"),
        ({"ours": ["127.0.0.1/8"]}, "127.0.0.1 is in use"),
        ({"hosts": ["127.0.0.7/24"]}, "overlaps 127.0.0.1/8 on lo"),
    ],
)
def test_what_cannot_be_is_one_line(
    space: Namespace, options: dict[str, object], says: str
) -> None:
    with space.inside(), pytest.raises(CortenError, match=says) as caught:
        open_device(Wanted(**{"driver": "tap", "mtu": 1500, **options}))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_without_the_right_it_says_which(space: Namespace) -> None:
    script = (
        "import os\n"
        "from corten.driver.device import Wanted\n"
        "from corten.driver.tap_device import open_device\n"
        "from corten.endpoint.error import CortenError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: open_device(Wanted('tap', mtu=1500))\n"
        "except CortenError as error: print(error)\n"
    )
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    assert "run as root" in space.command([sys.executable, "-c", script])


@pytest.mark.parametrize("kind", ["tap", "tun"])
def test_a_device_of_ones_own_needs_no_capability(space: Namespace, kind: str) -> None:
    """What `corten check` says that root should do once is enough, even with a short queue."""
    space.ip("tuntap", "add", "dev", "own", "mode", kind, "multi_queue", "user", str(os.geteuid()))
    space.ip("address", "add", "10.9.0.1/24", "dev", "own")
    space.ip("link", "set", "own", "up")
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m", "corten"]
    link = f"{kind}:own,address=10.9.0.2/24"
    assert " 0% " in space.command([*without, "ping", "10.9.0.1", "-c", "2", "--link", link])


def test_mtu_is_the_devices_own_where_nothing_is_said(space: Namespace) -> None:
    space.ip("tuntap", "add", "dev", "own", "mode", "tap", "multi_queue")
    space.ip("link", "set", "own", "mtu", "4000")
    with space.inside():
        for name, asked, mtu in (("own", 0, 4000), ("own", 1400, 1400), ("new", 0, 1500)):
            device = open_device(Wanted("tap", name, mtu=asked))
            assert device.mtu == mtu
            assert f"mtu {mtu} " in space.ip("link", "show", name)
            device.close()


def test_a_single_queue_device_is_refused(space: Namespace) -> None:
    space.ip("tuntap", "add", "dev", "single", "mode", "tap")
    with space.inside(), pytest.raises(CortenError, match="no multi-queue TAP"):
        open_device(Wanted("tap", "single", mtu=1500))
