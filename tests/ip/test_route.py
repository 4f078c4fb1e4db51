"""Routes, gateways and source addresses; the neighbour table's bound."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from tests.stack.link import Link


def asked_for(link: Link) -> str:
    (request,) = [p for p in link.breath() if ARP in p]
    return str(request[ARP].pdst)


def test_on_link_goes_direct_and_the_rest_to_the_gateway() -> None:
    link = Link(resolve=True, gateway="10.0.0.254")
    link.stack.connect("10.0.0.77", 80, Handler)
    assert asked_for(link) == "10.0.0.77"
    link.stack.connect("192.0.2.1", 80, Handler)
    assert asked_for(link) == "10.0.0.254"


def test_the_longest_prefix_wins() -> None:
    link = Link(resolve=True, gateway="10.0.0.254")
    link.stack.add_route("192.0.0.0/16", link.interface, "10.0.0.3")
    link.stack.add_route("192.0.2.0/24", link.interface, "10.0.0.4")
    link.stack.connect("192.0.2.1", 80, Handler)
    assert asked_for(link) == "10.0.0.4"


def test_the_source_is_the_address_of_the_next_hops_subnet() -> None:
    link = Link(addresses=["10.9.0.2/24", "10.0.0.2/24"])
    link.stack.connect("10.0.0.1", 80, Handler)
    (syn,) = [p for p in link.breath() if TCP in p]
    assert syn[IP].src == "10.0.0.2"


@pytest.mark.parametrize(
    ("address", "words"),
    [("192.0.2.1", "no route"), ("10.0.0.255", "single host"), ("224.0.0.1", "single host")],
)
def test_impossible_destinations_are_refused(address: str, words: str) -> None:
    with pytest.raises(CortenError, match=words):
        Link().stack.connect(address, 80, Handler)


def test_multicast_is_refused_even_with_a_gateway() -> None:
    with pytest.raises(CortenError, match="single host"):
        Link(gateway="10.0.0.254").stack.connect("224.0.0.1", 80, Handler)


def test_a_gateway_off_the_link_is_refused() -> None:
    with pytest.raises(CortenError, match="not in a subnet"):
        Link(gateway="10.1.0.1")
    with pytest.raises(CortenError, match="not in a subnet"):
        link = Link()
        link.stack.add_route("192.0.2.0/24", link.interface, "10.5.0.1")


def test_impossible_links_are_refused() -> None:
    with pytest.raises(CortenError, match="mtu"):
        Link(mtu=67)
    with pytest.raises(CortenError, match="address"):
        Link(addresses=[])
