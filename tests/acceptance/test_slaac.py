"""A link that configures itself: radvd advertises, the server is reached at what it made of it."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.client import site_pages
from bench.machine import find
from bench.namespace import Namespace, write_setting
from bench.process import Process
from tests.acceptance.serving import Httpd
from tests.netns import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PREFIX = ipaddress.IPv6Network("2001:db8:7::/64")
LINK = "tap:auto,address=slaac"
ADVERTISE = f"""
interface auto {{
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix {PREFIX} {{}};
    RDNSS 2001:db8:7::53 {{}};
}};
"""


@pytest.fixture
def six(space: Namespace) -> Namespace:
    """A namespace with IPv6."""
    if find("radvd") is None:
        pytest.skip("no radvd")
    try:
        space.speak_ipv6(dad=True)
        with space.inside():
            write_setting("net/ipv6/conf/all/forwarding", "1")
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    return space


@contextmanager
def radvd(space: Namespace, where: Path) -> Iterator[Process]:
    """The kernel's side is the router."""
    space.ip("-6", "addr", "add", f"{PREFIX[1]}/64", "dev", "auto", "nodad")
    config = where / "radvd.conf"
    config.write_text(ADVERTISE, encoding="ascii")
    words = ["radvd", "-n", "-m", "stderr", "-d", "1", "-C", str(config)]
    process = Process([*words, "-p", str(where / "radvd.pid")], space, None, directory=str(ROOT))
    try:
        yield process
    finally:
        process.stop()


def made(server: Httpd) -> str:
    """The address that the server says it made of the prefix."""
    server.process.expect("address 2001:db8:7:", 30.0)
    found = re.findall(r"link auto: address (\S+)", server.process.text())
    (address,) = [text for text in found if ipaddress.IPv6Address(text) in PREFIX]
    return str(address)


def fetched(space: Namespace, address: str, page: str, where: Path) -> bytes:
    words = ["curl", "-sS", "-f", "-g", "-6", "-m", "10", "-o", str(where / "found")]
    space.command([*words, f"http://[{address}]/{page}"])
    return (where / "found").read_bytes()


@pytest.mark.requirement("RFC 4862 5.5")
@pytest.mark.parametrize("workers", [1, 2])
def test_ping_and_curl_reach_an_address_from_radvd(
    six: Namespace, site: Path, tmp_path: Path, workers: int
) -> None:
    page = site_pages(str(site))[0]
    link = f"{LINK},stable=key"
    with Httpd(six, site, workers=workers, link=link) as server, radvd(six, tmp_path):
        address = made(server)
        local = re.findall(r"link auto: address (fe80\S+)", server.process.text())[0]
        for to in (address, f"{local}%auto"):
            said = six.command(["ping", "-6", "-c", "3", "-i", "0.2", to])
            assert " 0% packet loss" in said
        for _ in range(8):
            assert fetched(six, address, page, tmp_path) == (site / page).read_bytes()
    with Httpd(six, site, workers=workers, link=link) as server, radvd(six, tmp_path):
        assert made(server) == address, "the same after a restart"


@pytest.mark.requirement("RFC 4861 7.2.4")
def test_the_kernel_does_not_take_an_address_that_is_ours(six: Namespace, site: Path) -> None:
    with Httpd(six, site, link="tap:auto,address=fd00::5/64,dad=on") as server:
        server.process.expect("address fd00::5", 20.0)
        six.ip("-6", "addr", "add", "fd00::5/64", "dev", "auto")
        until = time.monotonic() + 10
        while "dadfailed" not in six.ip("-6", "addr", "show", "dev", "auto"):
            assert time.monotonic() < until
            time.sleep(0.1)
        six.ip("-6", "addr", "del", "fd00::5/64", "dev", "auto")
        assert " 0% packet loss" in six.command(["ping", "-6", "-c", "1", "fd00::5"])


@pytest.mark.parametrize("workers", [1, 2])
def test_addresses_outlive_their_workers(
    six: Namespace, site: Path, tmp_path: Path, workers: int
) -> None:
    """A successor has them before any router speaks: there is none any more."""
    page = site_pages(str(site))[0]
    with Httpd(six, site, workers=workers, link=LINK) as server:
        with radvd(six, tmp_path):
            address = made(server)
            time.sleep(1.5)  # until they have been told to the supervisor
        for victim in server.worker_pids():
            os.kill(victim, signal.SIGKILL)
        server.await_workers(workers)
        for _ in range(8):
            assert fetched(six, address, page, tmp_path) == (site / page).read_bytes()
