"""A link that leases its address: dnsmasq gives one, the server answers there, and returns it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from bench.client import fetch, site_pages
from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from tests.acceptance.serving import Httpd

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HOST = "10.9.0.1"
LINK = f"tap:lease,address=dhcp,host={HOST}/24"
SERVER = [
    "dnsmasq",
    "--no-daemon",
    "-C",
    "/dev/null",
    "--port=0",
    "--interface=lease",
    "--bind-interfaces",
    "--dhcp-range=10.9.0.50,10.9.0.60,2m",
    "--dhcp-option=option:dns-server,10.9.0.53",
    "--dhcp-authoritative",
    "--log-dhcp",
    "--leasefile-ro",
]


@pytest.mark.requirement("RFC 2131 3.1")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_lease_from_dnsmasq(space: Namespace, site: Path, workers: int) -> None:
    if find("dnsmasq") is None:
        pytest.skip("no dnsmasq")
    page = site_pages(str(site))[0]
    server = None
    space.ip("tuntap", "add", "dev", "lease", "mode", "tap", "multi_queue")  # it outlives us
    try:
        with Httpd(space, site, workers=workers, link=LINK) as ours:
            server = Process(SERVER, space, None)
            ours.process.expect("10.9.0.5", 30.0)
            found = re.search(r"link lease: (10\.9\.0\.5\d)/24 for", ours.process.text())
            assert found, ours.process.text()
            for _ in range(10):  # from other ports, and so of any worker
                got = fetch(space, f"http://{found[1]}/{page}")
                assert got == (site / page).read_bytes()
            ping = space.command(["ping", "-c", "2", "-i", "0.2", found[1]])
            assert " 0% packet loss" in ping
        server.expect("DHCPRELEASE", 5.0)
        assert server.text().count("DHCPACK(lease)") == 1  # the other worker overheard it
        assert "DHCPDECLINE" not in server.text()
    finally:
        if server is not None:
            server.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lease_outlives_its_workers(space: Namespace, site: Path, workers: int) -> None:
    """A successor goes on with it: it serves at once, and the server is asked for nothing."""
    if find("dnsmasq") is None:
        pytest.skip("no dnsmasq")
    page = site_pages(str(site))[0]
    server = None
    space.ip("tuntap", "add", "dev", "lease", "mode", "tap", "multi_queue")
    try:
        with Httpd(space, site, workers=workers, link=LINK) as ours:
            server = Process(SERVER, space, None)
            ours.process.expect("10.9.0.5", 30.0)
            found = re.search(r"link lease: (10\.9\.0\.5\d)/24 for", ours.process.text())
            assert found, ours.process.text()
            time.sleep(1.5)  # until it has been told to the supervisor
            for victim in ours.worker_pids():
                os.kill(victim, signal.SIGKILL)
            ours.await_workers(workers)
            for _ in range(10):
                got = fetch(space, f"http://{found[1]}/{page}")
                assert got == (site / page).read_bytes()
            assert server.text().count("DHCPDISCOVER") == 1
            assert server.text().count("DHCPACK(lease)") == 1
        server.expect("DHCPRELEASE", 5.0)
    finally:
        if server is not None:
            server.stop()
