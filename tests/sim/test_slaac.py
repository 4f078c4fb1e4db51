"""Hosts that configure themselves, in a simulated network: routers come and go, addresses clash."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.sim import Network
from corten.sim.advertiser import Advertiser
from corten.sim.host import Host

FAR = "2001:db8:ffff::5"


class Echo(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.send(data)

    def on_eof(self, connection: Any) -> None:
        connection.close()


class Asker(Handler):
    """Says something, keeps the answer, closes."""

    answers: list[bytes]

    def on_open(self, connection: Any) -> None:
        connection.send(b"over IPv6")

    def on_data(self, connection: Any, data: bytes) -> None:
        Asker.answers.append(data)
        connection.close()


def addresses(host: Host) -> list[str]:
    texts = [address.text() for address in host.ports[0].interface.addresses]
    return sorted(texts, reverse=True)  # the link-local one first


def auto_network(*names: str, **router: Any) -> tuple[Network, Any, Advertiser, list[Host]]:
    network = Network(seed=11)
    wire = network.link(delay_ms=1)
    hosts = [network.host(name) for name in names]
    for host in hosts:
        host.attach(wire, "", slaac=True)
    routed = Advertiser(network, wire, prefixes=("2001:db8:1::/64",), **router)
    return network, wire, routed, hosts


@pytest.mark.requirement("RFC 4862 5.5")
def test_hosts_configure_themselves_and_speak_to_each_other() -> None:
    network, _, _, (a, b) = auto_network("a", "b")
    network.run(until_ms=10_000)
    for host in (a, b):
        local, made = addresses(host)
        assert ipaddress.IPv6Address(local) in ipaddress.IPv6Network("fe80::/64")
        assert ipaddress.IPv6Address(made) in ipaddress.IPv6Network("2001:db8:1::/64")
    assert len({*addresses(a), *addresses(b)}) == 4
    Asker.answers = []
    b.listen(7, Echo)
    a.connect(addresses(b)[1], 7, Asker)
    network.run(until_ms=20_000)
    assert Asker.answers == [b"over IPv6"]


@pytest.mark.requirement("RFC 4862 5.4")
@pytest.mark.parametrize("seed", range(20))
def test_two_hosts_never_share_an_address(seed: int) -> None:
    network = Network(seed=seed)
    wire = network.link(delay_ms=1)
    hosts = [network.host(name) for name in "ab"]
    for host in hosts:
        host.attach(wire, "fd00::5/64", dad="on")
    network.run(until_ms=10_000)
    holders = [host for host in hosts if addresses(host)]
    assert len(holders) <= 1
    counters = [host.stack.counters.snapshot()["nd_conflict"] for host in hosts]
    assert sum(counters) >= 1


@pytest.mark.requirement("RFC 4862 5.4")
def test_who_comes_later_finds_the_address_taken() -> None:
    network = Network(seed=3)
    wire = network.link(delay_ms=1)
    a, b = network.host("a"), network.host("b")
    a.attach(wire, "fd00::5/64", dad="on")
    network.run(until_ms=5_000)
    b.attach(wire, "fd00::5/64", dad="on")
    network.run(until_ms=10_000)
    assert (addresses(a), addresses(b)) == (["fd00::5"], [])


@pytest.mark.requirement("RFC 4861 7.3.3")
def test_a_router_dies_and_the_other_takes_over() -> None:
    network, wire, first, (a,) = auto_network("a")
    second = Advertiser(network, wire, "fe80::2", lifetime=1800)
    network.run(until_ms=8_000)
    a.connect(FAR, 80, Handler)
    network.run(until_ms=9_000)
    assert len(first.passed) >= 1 and second.passed == []
    first.dies()
    network.run(until_ms=60_000)
    assert second.passed, "unreachable within the time of a SYN"
    assert all(frame[:6] == second.mac_octets for frame in second.passed)


@pytest.mark.requirement("RFC 4861 6.3.5")
def test_when_every_router_is_gone_there_is_no_route() -> None:
    network, _, router, (a,) = auto_network("a", lifetime=30)
    network.run(until_ms=8_000)
    router.dies()
    network.run(until_ms=60_000)
    with pytest.raises(CortenError, match="no route"):
        a.connect(FAR, 80, Handler)
    assert addresses(a)[1:], "the addresses stay as long as they were given for"
