"""Links that are not plain Ethernet: TUN against the kernel, a VLAN between two stacks."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from bench.client import fetch, site_pages
from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten
from tests.acceptance.serving import ADDRESS, URL, Httpd, failed_under_load
from tests.netns import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
VID = 42
CONNECTIONS = 4


def same(space: Namespace, site: Path, page: str) -> bool:
    return fetch(space, URL + page) == (site / page).read_bytes()


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2])
def test_pages_and_load_over_tun(space: Namespace, site: Path, workers: int, offload: str) -> None:
    pages = site_pages(str(site))
    with Httpd(
        space, site, workers=workers, offload=offload, link=f"tun,address={ADDRESS}/24"
    ) as s:
        ping = space.command(["ping", "-c", "3", "-i", "0.2", "-s", "1400", ADDRESS])
        assert " 0% packet loss" in ping
        assert all(same(space, site, page) for page in pages[:20])
        assert failed_under_load(s, 200, 2, pages) == 0


def join(space: Namespace, *devices: str) -> None:
    """A bridge over devices; it passes tags as they are."""
    space.ip("link", "add", "bridge", "type", "bridge")
    for device in devices:
        space.ip("link", "set", device, "master", "bridge")
    space.ip("link", "set", "bridge", "up")


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_vlan_between_two_stacks(
    space: Namespace, site: Path, tmp_path: Path, offload: str
) -> None:
    if find("tshark") is None:
        pytest.skip("no tshark")
    page = site_pages(str(site))[0]
    capture = tmp_path / "capture.pcap"
    link = f"tap:server,vlan={VID},address={ADDRESS}/24"
    with Httpd(space, site, offload=offload, link=link):
        words = ["tshark", "-i", "server", "-w", str(capture), "-a", "duration:25", "-q"]
        shark = Process(words, space, None)
        shark.expect("Capturing on")
        words = [*corten(), "load", URL + page, "--json", "--hashes", "-d", "0.5"]
        words += ["-c", str(CONNECTIONS)]
        words += ["--link", f"tap:client,vlan={VID},address=10.9.0.9/24,offload={offload}"]
        client = Process(words, space, None, directory=str(ROOT))
        try:
            until = time.monotonic() + 20
            while "client:" not in space.ip("link", "show") and time.monotonic() < until:
                time.sleep(0.05)
            join(space, "server", "client")
            found = json.loads(client.wait(40).strip().splitlines()[-1])
        finally:
            client.stop()
            shark.stop()
    assert found["requests"] > CONNECTIONS
    assert not any(found["errors"].values())
    octets = found["gigabits_per_second"] * found["seconds"] * 1e9 / 8
    whole = found["requests"] - CONNECTIONS  # the first reply of each may have begun too early
    assert octets >= whole * (site / page).stat().st_size * 0.99
    assert _judge(capture, "not vlan and (tcp or arp)") == []
    assert len(_judge(capture, f"vlan.id == {VID} and tcp")) > 80
    assert _judge(capture, "_ws.malformed") == []
    if offload == "off":
        assert _judge(capture, 'tcp.checksum.status == "Bad"') == []


def _judge(capture: Path, display_filter: str) -> list[str]:
    """The frames of a capture that tshark finds the filter true of."""
    words = ["tshark", "-r", str(capture), "-o", "tcp.check_checksum:TRUE", "-Y", display_filter]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()
