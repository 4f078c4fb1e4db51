"""`dig` through the stack's resolver: asked of `corten nameserver`, which asks dnsmasq."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten
from tests.acceptance.serving import ADDRESS, CLIENT_ADDRESS, LINK
from tests.netns import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MANY = 60  # more addresses than a datagram without EDNS holds
UPSTREAM = [
    "--no-daemon",
    "--no-resolv",
    "--no-hosts",
    "--bind-dynamic",
    f"--listen-address={CLIENT_ADDRESS}",
    "--local=/test/",
    "--host-record=host.test,192.0.2.7,2001:db8::7",
    "--cname=alias.test,host.test",
    "--log-queries",
    *(f"--host-record=many.test,192.0.2.{i}" for i in range(1, MANY + 1)),
]


@pytest.fixture(params=[1, 2], ids=["1 worker", "2 workers"])
def names(space: Namespace, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A name server of ours on a TAP device, and dnsmasq on its other side."""
    for program in ("dnsmasq", "dig"):
        if find(program) is None:
            pytest.skip(f"no {program}")
    words = [*corten(), "nameserver", "53", "--ask", CLIENT_ADDRESS, "--link", LINK]
    ours = Process([*words, "--workers", str(request.param)], space, None, directory=str(ROOT))
    upstream = None
    try:
        ours.expect("ready")
        upstream = Process(["dnsmasq", "-C", "/dev/null", *UPSTREAM], space, None)
        upstream.expect("started")
        yield space
    finally:
        if upstream is not None:
            upstream.stop()
        ours.stop()


def dig(space: Namespace, *words: str) -> list[str]:
    """What dig prints, a line each."""
    text = space.command(["dig", f"@{ADDRESS}", "+time=5", "+tries=1", *words])
    return [line for line in text.splitlines() if line]


def test_dig(names: Namespace) -> None:
    assert dig(names, "+short", "host.test", "A") == ["192.0.2.7"]
    assert dig(names, "+short", "HOST.test", "AAAA") == ["2001:db8::7"]
    assert dig(names, "+short", "+noedns", "alias.test", "A")[-1] == "192.0.2.7"
    assert dig(names, "+short", "+tcp", "host.test", "A") == ["192.0.2.7"]
    assert any("NXDOMAIN" in line for line in dig(names, "nobody.test", "A"))
    assert any("NOTIMP" in line for line in dig(names, "host.test", "TXT"))
    many = dig(names, "+short", "+noedns", "many.test", "A")
    assert sorted(many) == sorted(f"192.0.2.{i}" for i in range(1, MANY + 1))
    for _ in range(20):  # from other ports, and so of any worker
        assert dig(names, "+short", "host.test", "A") == ["192.0.2.7"]
