"""The server over IPv6, and programs of the kernel's side: curl, ping, a load of pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.client import site_pages
from bench.namespace import Namespace, NamespaceError
from bench.process import Process
from bench.server import corten
from tests.acceptance.serving import Httpd
from tests.netns import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ADDRESS = "fd00::2"
HOST_MAC = "02:00:00:00:00:01"
OUR_MAC = "02:00:00:00:00:02"
LINK = f"tap:six,address={ADDRESS}/64,address=fe80::2/64,address=10.9.0.2/24,mac={OUR_MAC}"
# both sides know each other, so that this tests the data path alone
KNOWN = f",neighbour=fd00::1={HOST_MAC}"


@pytest.fixture
def six(dual: Namespace) -> Namespace:
    """A device whose station the server is told."""
    space = dual
    space.ip("tuntap", "add", "dev", "six", "mode", "tap", "multi_queue")
    space.ip("link", "set", "six", "address", HOST_MAC, "up")
    space.ip("-6", "neigh", "add", ADDRESS, "lladdr", OUR_MAC, "dev", "six", "nud", "permanent")
    return space


def curl(space: Namespace, *words: str) -> bytes:
    """What curl prints, byte for byte."""
    return space.command(["curl", "-sS", "-f", "-g", "-m", "10", *words]).encode("latin-1")


def same(space: Namespace, site: Path, page: str, tmp_path: Path) -> bool:
    found = tmp_path / "found"
    curl(space, "-6", "-o", str(found), f"http://[{ADDRESS}]/{page}")
    return found.read_bytes() == (site / page).read_bytes()


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2])
def test_curl_and_ping_over_ipv6(
    six: Namespace, site: Path, tmp_path: Path, workers: int, offload: str
) -> None:
    pages = site_pages(str(site))
    biggest = max(pages, key=lambda page: (site / page).stat().st_size)
    with Httpd(six, site, workers=workers, offload=offload, link=LINK + KNOWN):
        assert "fd00::1" in six.ip("-6", "addr", "show", "dev", "six")
        assert all(same(six, site, page, tmp_path) for page in [*pages[:10], biggest])
        for size in ("0", "56", "1400"):
            said = six.command(["ping", "-6", "-c", "3", "-i", "0.2", "-s", size, ADDRESS])
            assert " 0% packet loss" in said
        both = curl(six, "-4", "-o", str(tmp_path / "four"), f"http://10.9.0.2/{pages[0]}")
        assert both == b""
        assert (tmp_path / "four").read_bytes() == (site / pages[0]).read_bytes()
        with pytest.raises(NamespaceError, match=r"refused|Couldn't connect|Failed to connect"):
            curl(six, "-6", f"http://[{ADDRESS}]:81/")


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_load_over_ipv6(six: Namespace, site: Path, offload: str) -> None:
    pages = site_pages(str(site))
    with Httpd(six, site, workers=2, offload=offload, link=LINK + KNOWN) as server:
        words = [*corten(), "load", *(f"http://[{ADDRESS}]/{page}" for page in pages[:20])]
        words += ["--json", "--hashes", "--link", "kernel,address=fd00::1", "-c", "50", "-d", "2"]
        process = Process(words, server.client, None, directory=str(ROOT))
        try:
            found = json.loads(process.wait(60).strip().splitlines()[-1])
        finally:
            process.stop()
        assert found["requests"] > 200
        assert not any(found["errors"].values())


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_path_whose_mtu_is_smaller(
    six: Namespace, site: Path, tmp_path: Path, offload: str
) -> None:
    """The client's route to us takes 1280 octets, and its SYN says so in its MSS."""
    pages = site_pages(str(site))
    biggest = max(pages, key=lambda page: (site / page).stat().st_size)
    with Httpd(six, site, offload=offload, link=LINK + KNOWN):
        six.ip("-6", "route", "add", f"{ADDRESS}/128", "dev", "six", "mtu", "1280")
        assert same(six, site, biggest, tmp_path)


def test_a_client_over_ipv6(six: Namespace, site: Path) -> None:
    """Our own connections, to the kernel's stack: a server of its sockets."""
    pages = site_pages(str(site))
    words = [*corten(), "httpd", "8080", str(site), "--link", "kernel,address=::"]
    server = Process(words, six, None, directory=str(ROOT))
    try:
        server.expect("ready")
        words = [*corten(), "load", *(f"http://[fd00::1]:8080/{page}" for page in pages[:20])]
        words += ["--json", "--hashes", "--link", LINK + KNOWN, "-c", "20", "-d", "2"]
        client = Process(words, six, None, directory=str(ROOT))
        try:
            found = json.loads(client.wait(60).strip().splitlines()[-1])
        finally:
            client.stop()
    finally:
        server.stop()
    assert found["requests"] > 100
    assert not any(found["errors"].values())
