"""What a worker's successor is told of its links: leases and advertisements, as plain values."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from corten.dhcp.lease import Lease
from corten.worker.learnt import learnt_of, lease_in, take_up
from tests.stack.link import PEER, SECOND, Link

ROUTER = "fe80::1"
PREFIX = "2001:db8:7::"
KEY = b"k" * 32


def advertisement(valid: int = 600, lifetime: int = 300) -> Ether:
    head = Ether(src=PEER, dst="33:33:00:00:00:01") / IPv6(src=ROUTER, dst="ff02::1", hlim=255)
    prefix = ICMPv6NDOptPrefixInfo(
        prefix=PREFIX, prefixlen=64, validlifetime=valid, preferredlifetime=valid // 2
    )
    return head / ICMPv6ND_RA(routerlifetime=lifetime) / ICMPv6NDOptSrcLLAddr(lladdr=PEER) / prefix


def auto() -> Link:
    return Link(addresses=[], slaac=True, stable=KEY, resolve=True)


def told(link: Link, leases: Any = None) -> dict[str, Any]:
    worker = SimpleNamespace(stack=link.stack, leases=leases)
    found: dict[str, Any] = json.loads(json.dumps(learnt_of(worker, link.interface)))
    return found


def given(link: Link, learnt: dict[str, Any]) -> None:
    link.stack.expire(link.now)
    take_up(SimpleNamespace(stack=link.stack, leases=None), link.interface, learnt)


def addresses(link: Link) -> list[tuple[str, int, int]]:
    return sorted((a.text(), a.preferred_until, a.valid_until) for a in link.interface.addresses)


def test_a_successor_has_the_addresses_at_once() -> None:
    first, second = auto(), auto()
    first.breath(advertisement())
    first.breath(after=3 * SECOND)
    assert len(addresses(first)) == 2
    second.now = first.now
    given(second, told(first))
    assert addresses(second) == addresses(first)
    (here,), (there,) = (link.interface.hops.routers for link in (first, second))
    assert (here.until, here.preference) == (there.until, there.preference)
    assert second.interface.hops.on_link(0x2001_0DB8_0007_0000, 5)
    second.breath(advertisement(), after=SECOND)
    assert len(addresses(second)) == 2, "the next advertisement is about the same addresses"


def test_what_is_over_is_left_out() -> None:
    first, second = auto(), auto()
    first.breath(advertisement(valid=7300, lifetime=10))
    learnt = told(first)
    second.now = first.now + 20 * SECOND
    given(second, learnt)
    assert not second.interface.hops.routers
    assert len(addresses(second)) == 2
    third = auto()
    third.now = first.now + 7400 * SECOND
    given(third, learnt)
    assert len(addresses(third)) == 1


def test_a_lease_goes_there_and_back() -> None:
    lease = Lease(
        "10.0.0.50", 24, "10.0.0.1", "10.0.0.1", (("10.1.0.0/16", "10.0.0.9"),), ("10.0.0.1",),
        1400, 30.0, 50.0, float("inf"),
    )  # fmt: skip
    client = SimpleNamespace(lease=lease, leased=12.5)
    leases = SimpleNamespace(client_of=lambda interface: client)
    assert lease_in(told(Link(), leases)) == (lease, 12.5)
    assert lease_in({}) is None


def test_a_link_that_learns_nothing_has_nothing_to_tell() -> None:
    assert told(Link()) == {}
