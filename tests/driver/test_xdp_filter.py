"""Whose is a frame? Each kind of it, sent over a veth pair to a device that carries the filter."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.namespace import Namespace
from corten.driver.device import Wanted
from corten.driver.xdp_device import XdpDevice, open_device
from corten.driver.xdp_filter import _advice, group_of, key_of
from corten.endpoint.error import CortenError
from tests.driver.veth import NAME, has_program, lay
from tests.netns import namespace

pytestmark = pytest.mark.e2e
xdp = pytest.importorskip("corten.driver.xdp", exc_type=ImportError)

OURS, OURS6 = "10.9.0.2", "fd09::2:3:4"
HOSTS, HOSTS6 = "10.9.0.1", "fd09::1"
ALL = "33:33:00:00:00:01"


def packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def ethernet(kind: int, body: bytes, tag: int | None = None) -> bytes:
    vlan = b"" if tag is None else b"\x81\x00" + tag.to_bytes(2, "big")
    return bytes(6) + b"\2\0\0\0\0\3" + vlan + kind.to_bytes(2, "big") + body.ljust(46, b"\0")


def ipv4(to: str, **more: Any) -> bytes:
    head = b"\x45\0\0\x28\0\0" + more.pop("fragment", b"\0\0") + b"\x40\x06\0\0"
    return ethernet(0x0800, head + packed("10.9.0.3") + packed(to) + bytes(20), **more)


def arp(target: str, operation: int = 1, **more: Any) -> bytes:
    head = b"\0\1\x08\0\6\4" + operation.to_bytes(2, "big")
    body = head + bytes(6) + packed("10.9.0.3") + bytes(6) + packed(target)
    return ethernet(0x0806, body, **more)


def ipv6(to: str, body: bytes = bytes(20), next_header: int = 6) -> bytes:
    head = b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes([next_header, 255])
    return ethernet(0x86DD, head + packed("fd09::3") + packed(to) + body)


def nd(to: str, kind: int, target: str = "::") -> bytes:
    return ipv6(to, bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + packed(target), 58)


# name -> the frame, and whose it is: True the stack's, False the kernel's
FRAMES: dict[str, tuple[bytes, bool]] = {
    "IPv4 to us": (ipv4(OURS), True),
    "IPv4 to us, a later fragment": (ipv4(OURS, fragment=b"\0\x40"), True),
    "IPv4 to the kernel": (ipv4(HOSTS), False),
    "IPv4 to a neighbour of ours": (ipv4("10.9.0.20"), False),
    "IPv4 to all": (ipv4("255.255.255.255"), False),
    "IPv4 cut short": (ipv4(OURS)[:33], False),
    "ARP asks for us": (arp(OURS), True),
    "ARP answers us": (arp(OURS, 2), True),
    "ARP asks for the kernel": (arp(HOSTS), False),
    "ARP answers the kernel": (arp(HOSTS, 2), False),
    "ARP announces somebody": (arp("10.9.0.3"), False),
    "ARP cut short": (arp(OURS)[:41], False),
    "IPv6 to us": (ipv6(OURS6), True),
    "IPv6 to the kernel": (ipv6(HOSTS6), False),
    "IPv6 cut short": (ipv6(OURS6)[:53], False),
    "NS to our group": (nd("ff02::1:ff03:4", 135, OURS6), True),
    "NS to the kernel's group": (nd("ff02::1:ff00:1", 135, HOSTS6), False),
    "NA to us": (nd(OURS6, 136, "fd09::3"), True),
    "NA to all, about us": (nd("ff02::1", 136, OURS6), True),
    "NA to all, about another": (nd("ff02::1", 136, "fd09::3"), False),
    "NA to the kernel, about us": (nd(HOSTS6, 136, OURS6), False),
    "NA cut short": (nd("ff02::1", 136, OURS6)[:77], False),
    "RA to all": (nd("ff02::1", 134), False),
    "not ND, though it looks so": (ipv6("ff02::1", b"\x88" + bytes(7) + packed(OURS6), 17), False),
    "tagged, to us": (ipv4(OURS, tag=5), False),
    "of another protocol": (ethernet(0x88CC, packed(OURS) * 10), False),
    "as short as can be": (bytes(14), False),
}
OF_VLAN_5: dict[str, tuple[bytes, bool]] = {
    "IPv4 with our tag": (ipv4(OURS, tag=5), True),
    "and a priority": (ipv4(OURS, tag=5 | 0x6000), True),
    "ARP with our tag": (arp(OURS, tag=5), True),
    "IPv4 with our tag to the kernel": (ipv4(HOSTS, tag=5), False),
    "IPv4 with another tag": (ipv4(OURS, tag=6), False),
    "IPv4 without a tag": (ipv4(OURS), False),
}


class Bench:
    """A device with the filter on it, a driver behind it, and both onlookers' views."""

    def __init__(self, ours: Namespace, theirs: Namespace, **more: Any) -> None:
        with ours.inside():
            self.device: XdpDevice = open_device(
                Wanted("xdp", NAME, ours=[f"{OURS}/24", f"{OURS6}/64"], **more)
            )
            self.driver = xdp.open_queue(self.device.queue(0).own())
            self.kernel = tap_of(0x0003)  # ETH_P_ALL
        with theirs.inside():
            self.sender = tap_of(0)
        self.batch = self.driver.make_batch()

    def send(self, frame: bytes) -> tuple[bool, bool]:
        """Whether the stack got it, whether the kernel did. A frame of a stranger's goes behind it:
        when that has come, there is no more to wait for."""
        last = ethernet(0x88B5, os.urandom(8))
        for each in (frame, last):
            self.sender.send(each)
        mine = theirs = False
        while True:
            assert select.select([self.kernel], [], [], 5.0)[0]
            seen = self.kernel.recv(4096)
            if seen[:22] == last[:22]:
                break
            theirs = theirs or seen.startswith((frame, frame[:12] + frame[16:]))  # tag taken off
        for i in range(self.driver.receive(self.batch)):
            mine = mine or self.batch.frame(i)[: len(frame)] == frame
        self.batch.clear()
        return mine, theirs

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.close()
        self.device.close()
        self.kernel.close()
        self.sender.close()


def tap_of(protocol: int) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.bind((NAME, protocol))
    return made


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace("ours") as ours, namespace("theirs") as theirs:
        lay(ours, theirs)
        yield ours, theirs


@pytest.mark.parametrize(
    ("cases", "more"),
    [
        (FRAMES, {"options": {"mode": "native"}}),
        (FRAMES, {"options": {"mode": "generic"}}),
        (OF_VLAN_5, {"vlan": 5}),
    ],
    ids=["native", "generic", "vlan"],
)
def test_whose_is_a_frame(
    pair: tuple[Namespace, Namespace], cases: dict[str, tuple[bytes, bool]], more: dict[str, Any]
) -> None:
    with Bench(*pair, **more) as bench:
        assert has_program(pair[0])
        found = {name: bench.send(frame) for name, (frame, _) in cases.items()}
    assert found == {name: (ours, not ours) for name, (_, ours) in cases.items()}
    assert not has_program(pair[0])


def test_what_is_ours_is_dropped_while_no_worker_is_there(
    pair: tuple[Namespace, Namespace],
) -> None:
    with Bench(*pair) as bench:
        bench.driver.close()
        assert bench.send(ipv4(OURS)) == (False, False)
        assert bench.send(ipv4(HOSTS)) == (False, True)


def test_addresses_come_and_go(pair: tuple[Namespace, Namespace]) -> None:
    frame, group = ipv6("fd09::9:3:4"), nd("ff02::1:ff03:4", 135, OURS6)
    with Bench(*pair) as bench:
        assert bench.send(frame) == (False, True)
        bench.device.add_address("fd09::9:3:4/64")
        assert bench.send(frame) == (True, False)
        bench.device.remove_address("fd09::9:3:4/64")
        assert bench.send(frame) == (False, True)
        assert bench.send(group) == (True, False)  # another address has the same group
        bench.device.remove_address(f"{OURS6}/64")
        assert bench.send(group) == (False, True)
        bench.device.remove_address(f"{OURS}/24")
        assert bench.send(ipv4(OURS)) == (False, True)


def test_keys() -> None:
    four, six = ipaddress.ip_address(OURS), ipaddress.ip_address(OURS6)
    assert key_of(four) == packed(f"::ffff:{OURS}")
    assert key_of(six) == packed(OURS6)
    assert group_of(four) == b""
    assert group_of(six) == packed("ff02::1:ff03:4")


# -- what cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"name": "nothing"}, "nothing: no such device"),
        ({"name": "lo"}, "lo is no Ethernet device"),
        ({"queues": 2}, "2 workers want a queue each, and it has 1 to receive and 1 to transmit"),
        ({"mtu": 9000}, "mtu=9000 is above the device's 1500"),
        ({"ours": ["10.9.0.1/24"]}, "10.9.0.1 is in use: it is this host's own, on wire"),
    ],
)
def test_what_cannot_be_is_one_line(
    pair: tuple[Namespace, Namespace], wanted: dict[str, Any], says: str
) -> None:
    with pair[0].inside(), pytest.raises(CortenError, match=says) as caught:
        open_device(Wanted(**{"driver": "xdp", "name": NAME, **wanted}))
    assert "\n" not in str(caught.value)
    assert not has_program(pair[0])


def test_a_device_with_a_program_is_left_alone(pair: tuple[Namespace, Namespace]) -> None:
    with Bench(*pair) as bench:
        for mode in ("auto", "native", "generic"):
            with pair[0].inside(), pytest.raises(CortenError, match="has an XDP program already"):
                open_device(Wanted("xdp", NAME, options={"mode": mode}))
        assert bench.send(ipv4(OURS)) == (True, False)


def test_native_only_where_it_can_be(pair: tuple[Namespace, Namespace]) -> None:
    """A veth with fewer queues to receive than its peer has to transmit."""
    ours, theirs = pair
    ours.ip("link", "delete", NAME)
    words = ["numrxqueues", "1", "numtxqueues", "1", "type", "veth", "peer", "name", NAME]
    ours.ip("link", "add", NAME, *words, "numtxqueues", "2", "netns", theirs.path)
    for side in pair:
        side.ip("link", "set", NAME, "up")
    with ours.inside():
        with pytest.raises(CortenError, match=r"fewer than its peer's.*use mode=generic"):
            open_device(Wanted("xdp", NAME, options={"mode": "native"}))
        device = open_device(Wanted("xdp", NAME))
    assert device.mode == "generic"
    device.close()


def test_advice_names_the_way_out() -> None:
    for code in (errno.EOPNOTSUPP, errno.ERANGE, errno.ENOTCONN, errno.EIO):
        assert _advice("eth0", OSError(code, "no")).endswith("use mode=generic")
    assert "run as root" in _advice("eth0", OSError(errno.EPERM, "no"))


@pytest.mark.parametrize("before", [["unshare", "-Urn"], ["setpriv", "--reuid=65534"]])
def test_without_the_right_it_says_which(before: list[str]) -> None:
    script = (
        "import sys\n"
        "from corten.driver.xdp_filter import open_filter\n"
        "from corten.endpoint.error import CortenError\n"
        "try: open_filter('lo', 1, 1, 'auto')\n"
        "except CortenError as error: print(error)\n"
    )
    words = [*before, sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"not possible here: {done.stderr}")
    assert done.stdout.count("\n") == 1
    assert "needs CAP_BPF" in done.stdout


def test_the_program_goes_with_its_last_holder(pair: tuple[Namespace, Namespace]) -> None:
    with Bench(*pair):
        child = os.fork()
        if child == 0:
            time.sleep(30.0)
            os._exit(0)
    assert has_program(pair[0])
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert not has_program(pair[0])
