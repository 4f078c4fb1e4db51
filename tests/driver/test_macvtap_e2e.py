"""Macvtap through the TAP driver: a station on one end of a veth pair, the kernel at the other."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace, connect
from corten.driver import macvtap
from corten.driver.device import Wanted
from corten.driver.tap_device import open_device
from corten.endpoint.error import CortenError
from tests.descriptors import descriptors
from tests.netns import Client, Program, namespace, pattern

pytestmark = pytest.mark.e2e
pytest.importorskip("corten.driver.tap", exc_type=ImportError)
ADDRESS = "10.9.0.2"


@pytest.fixture
def spaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Ours, with `mv0` on its end of the wire, and the peer's."""
    with namespace("macvtap") as ours, namespace("peer") as peer:
        connect(ours, peer, "10.9.1.1/24", "10.9.0.1/24")
        made = ["link", "add", "link", "wire", "name", "mv0", "type", "macvtap", "mode", "bridge"]
        try:
            ours.ip(*made)
        except Exception as error:
            pytest.skip(f"no macvtap: {error}")
        yield ours, peer


@pytest.mark.slow
@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_peer_is_served(
    spaces: tuple[Namespace, Namespace], workers: int, offload: str
) -> None:
    ours, peer = spaces
    link = f"tap:mv0,address={ADDRESS}/24,offload={offload}"
    text = json.dumps({"links": [link], "workers": workers})
    program = Program(ours, "-m", "tests.worker.server", text)
    try:
        program.wait_for("ready")
        peer.command(["ping", "-c", "3", "-i", "0.05", "-W", "2", "-s", "1400", ADDRESS])
        mac = ours.ip("-o", "link", "show", "mv0").partition("link/ether ")[2].split()[0]
        assert mac in peer.ip("neigh", "show", ADDRESS)
        for _ in range(4):
            with peer.inside():
                client = Client(socket.create_connection((ADDRESS, 80), 10.0))
            for length in (0, 1, 1460, 1_000_000):
                assert client.ask(f"/{length}") == pattern(length)
            body = pattern(1_000_000)
            assert client.ask("/sum", body).decode() == hashlib.sha256(body).hexdigest()
            client.close()
        assert program.end(signal.SIGTERM) == 0
    finally:
        program.close()
    assert "mv0" in ours.ip("link", "show")  # it was there before, and stays


def test_its_own_address_and_mtu_hold(spaces: tuple[Namespace, Namespace]) -> None:
    ours, _ = spaces
    ours.ip("link", "set", "wire", "mtu", "9000")
    ours.ip("link", "set", "mv0", "mtu", "4000", "address", "02:00:00:00:00:77")
    with ours.inside():
        device = open_device(Wanted("tap", "mv0", 2, ["10.9.0.1/24"], ["10.9.0.2/24"]))
    assert (device.mac, device.keeps_mac, device.mtu) == ("02:00:00:00:00:77", True, 4000)
    assert len({os.fstat(fd).st_rdev for fd in device.fds}) == 1
    assert "10.9.0.1" not in ours.ip("address", "show", "mv0")
    assert "qlen 8192" in ours.ip("link", "show", "mv0")
    device.close()
    device.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hosts": ["10.9.0.3/24"], "asks_host": True}, "leave out host="),
        ({"mtu": 9000}, "has 1500: leave out mtu="),
        ({"ours": ["10.9.1.1/24"]}, "10.9.1.1 is in use"),
        ({"driver": "tun"}, "no multi-queue TUN"),
        ({"name": "wire"}, "no multi-queue TAP"),
    ],
)
def test_what_cannot_be_is_one_line(
    spaces: tuple[Namespace, Namespace], options: dict[str, object], says: str
) -> None:
    ours, _ = spaces
    before = descriptors()
    with ours.inside(), pytest.raises(CortenError, match=says) as caught:
        open_device(Wanted(**{"driver": "tap", "name": "mv0", **options}))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert descriptors() == before


def test_another_hardware_address_hears_nothing(spaces: tuple[Namespace, Namespace]) -> None:
    ours, _ = spaces
    link = f"tap:mv0,address={ADDRESS}/24,mac=02:00:00:00:00:99"
    program = Program(ours, "-m", "tests.worker.server", json.dumps({"links": [link]}))
    try:
        assert "leave out mac=" in program.wait_for("error")
    finally:
        program.close()


def test_a_node_is_made_where_the_hosts_is_anothers(
    spaces: tuple[Namespace, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = spaces
    before = sorted(os.listdir("/dev"))
    for path in ("/dev/null", "/dev/none"):  # another device's, and none at all
        monkeypatch.setattr(macvtap.Node, "path", path)
        with ours.inside():
            node = macvtap.node_of("mv0")
            assert node is not None
            fd = macvtap.open_node(node)
        assert os.fstat(fd).st_rdev == node.number
        os.close(fd)
    assert sorted(os.listdir("/dev")) == before


def test_without_the_right_it_says_which(spaces: tuple[Namespace, Namespace]) -> None:
    """Who may not mount anything has /sys: here it shows a namespace that has no such device."""
    ours, _ = spaces
    script = (
        "import os, sys\n"
        "from corten.driver.macvtap import Node, node_of, open_node\n"
        "from corten.endpoint.error import CortenError\n"
        "node = node_of('mv0')\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(node_of('mv0'))\n"
        "try: open_node(Node('mv0', 999, node.number))\n"
        "except CortenError as error: print(error)\n"
    )
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    none, error = ours.command([sys.executable, "-c", script]).splitlines()
    assert none == "None"
    assert "run as root, or let `mknod /dev/tap999 c" in error


def test_who_may_open_the_node_needs_no_capability(spaces: tuple[Namespace, Namespace]) -> None:
    ours, _ = spaces
    ours.ip("link", "set", "mv0", "up", "txqueuelen", "8192")
    with ours.inside():
        node = macvtap.node_of("mv0")
    assert node is not None
    if not os.path.exists(node.path):
        pytest.skip("/dev does not show devices as they come")
    script = (
        "from corten.driver import macvtap\n"
        "from corten.driver.device import Wanted\n"
        "from corten.driver.tap_device import open_device\n"
        "try: macvtap._mounted('sysfs')\n"
        "except OSError: print('not mounted')\n"
        # /sys is that of another namespace here
        f"macvtap.node_of = lambda name: macvtap.Node('mv0', {node.index}, {node.number})\n"
        "print(len(open_device(Wanted('tap', 'mv0', 2)).fds))\n"
    )
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    said = ours.command([*without, sys.executable, "-c", script])
    assert said.split("\n")[:2] == ["not mounted", "2"]
