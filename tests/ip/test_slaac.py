"""Stateless autoconfiguration: what a link makes of router advertisements (RFC 4862, 7217)."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.wire.address import parse_address
from tests.plain import IS_PLAIN
from tests.stack.link import OURS, PEER, SECOND, Link

ROUTER, OTHER, OTHER_MAC = "fe80::1", "fe80::9", "02:00:00:00:00:09"
PREFIX = "2001:db8:1::"
FAR = "2001:db8:ffff::5"
HOUR = 3600


class Auto(Link):
    """A link that configures itself."""

    def __init__(self, seconds: float = 0, **options: object) -> None:
        options.setdefault("addresses", [])
        options.setdefault("dad", "on")
        super().__init__(resolve=True, slaac=True, **options)
        if seconds:
            self.pass_time(seconds)

    def pass_time(self, seconds: float, step: float = 0.1) -> list[Packet]:
        sent: list[Packet] = []
        for _ in range(round(seconds / step)):
            sent += self.breath(after=int(step * SECOND))
        return sent

    def hear(self, *parts: Packet, source: str = ROUTER, mac: str = PEER, **fields: object) -> None:
        message = ICMPv6ND_RA(**{"routerlifetime": 1800, **fields})
        message = message / ICMPv6NDOptSrcLLAddr(lladdr=mac)
        for part in parts:
            message = message / part
        self.breath(
            Ether(src=mac, dst="33:33:00:00:00:01")
            / IPv6(src=source, dst="ff02::1", hlim=255)
            / message
        )

    def addresses(self) -> list[str]:
        """Those that were made from prefixes."""
        own = self.interface.tentative + self.interface.addresses
        return [a.text() for a in own if not a.text().startswith("fe80")]


def prefix(
    network: str = PREFIX, length: int = 64, valid: int = 86400, preferred: int = 14400,
    on_link: int = 1, auto: int = 1,
) -> Packet:  # fmt: skip
    return ICMPv6NDOptPrefixInfo(
        prefix=network, prefixlen=length, validlifetime=valid, preferredlifetime=preferred,
        L=on_link, A=auto,
    )  # fmt: skip


@pytest.mark.requirement("RFC 4862 5.3", "RFC 4291 2.1")
@pytest.mark.requirement("RFC 7217 5")
def test_a_link_local_address_comes_by_itself_and_is_the_same_again() -> None:
    first, again = Auto(3), Auto(3)
    (mine,) = first.interface.addresses
    assert ipaddress.IPv6Address(mine.text()) in ipaddress.IPv6Network("fe80::/64")
    assert again.interface.addresses[0].text() == mine.text()
    assert Auto(3, stable=b"another key").interface.addresses[0].text() != mine.text()
    assert "ff:fe" not in mine.text(), "it does not tell the card's address"


@pytest.mark.requirement("RFC 7559 2")
def test_routers_are_asked_ever_more_rarely() -> None:
    net = Auto()
    asked: list[float] = []
    while net.now < 400 * SECOND:
        for frame in net.breath(after=SECOND // 5):
            if ICMPv6ND_RS in frame:
                assert frame[IPv6].dst == "ff02::2" and frame[IPv6].hlim == 255
                asked.append(net.now / SECOND)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert 1 <= asked[0] <= 2.3
    for i, gap in enumerate(gaps):
        assert 0.8 * 4 * 2**i <= gap <= 1.3 * 4 * 2**i
    assert len(asked) >= 6


@pytest.mark.requirement("RFC 7559 2.1")
def test_an_answer_ends_the_questions() -> None:
    net = Auto(3)
    net.hear(prefix(), routerlifetime=0)
    assert any(ICMPv6ND_RS in f for f in net.pass_time(20)), "no default router yet"
    net.hear(prefix())
    assert not any(ICMPv6ND_RS in f for f in net.pass_time(300, 1))


@pytest.mark.requirement("RFC 4862 5.5.3")
def test_a_prefix_becomes_an_address() -> None:
    net = Auto(3)
    net.hear(prefix())
    (text,) = net.addresses()
    assert ipaddress.IPv6Address(text) in ipaddress.IPv6Network("2001:db8:1::/64")
    assert text not in [a.text() for a in net.interface.addresses], "tried first"
    net.pass_time(2.2)
    assert text in [a.text() for a in net.interface.addresses]
    net.stack.connect(FAR, 80, Handler)
    (syn,) = [f for f in net.breath() if TCP in f]
    assert (syn.dst, syn[IPv6].src) == (PEER, text), "through the router"


@pytest.mark.requirement("RFC 4862 5.5.3")
@pytest.mark.parametrize(
    "option",
    [
        prefix(auto=0),
        prefix("fe80::"),
        prefix("ff02::"),
        prefix(length=63),
        prefix(length=129),
        prefix(length=0),
        prefix(valid=100, preferred=101),
        prefix(valid=0, preferred=0),
    ],
)
def test_prefixes_that_make_no_address(option: Packet) -> None:
    net = Auto(3)
    net.hear(option)
    assert net.addresses() == []


@pytest.mark.requirement("RFC 4862 5.5.3")
def test_one_message_does_not_cut_an_address_off() -> None:
    """e) 1 to 3: the two-hour rule."""
    net = Auto(3)
    net.hear(prefix())
    (address,) = [a for a in net.interface.tentative if a.is_auto and a.high >> 48 != 0xFE80]

    def left() -> int:
        return round((address.valid_until - net.now) / SECOND)

    net.hear(prefix(valid=60, preferred=0))
    assert (left(), address.deprecated) == (2 * HOUR, True)
    net.hear(prefix(valid=30, preferred=10))
    assert (left(), address.deprecated) == (2 * HOUR, False)
    net.hear(prefix(valid=3 * HOUR, preferred=10))
    assert left() == 3 * HOUR
    net.pass_time(HOUR * 2, 60)
    net.hear(prefix(valid=1, preferred=0))
    assert HOUR - 10 <= left() <= HOUR
    net.hear(prefix(valid=HOUR + 600, preferred=0))
    assert left() == HOUR + 600
    net.hear(prefix(valid=0xFFFFFFFF, preferred=0xFFFFFFFF))
    assert address.valid_until == address.preferred_until == 0x7FFF_FFFF_FFFF_FFFF


@pytest.mark.requirement("RFC 4862 5.5.4")
def test_an_address_is_deprecated_and_then_invalid() -> None:
    net = Auto(3)
    net.hear(prefix(valid=3 * HOUR, preferred=600))
    net.pass_time(5)
    address = net.interface.addresses[1]
    assert not address.deprecated
    net.pass_time(600, 20)
    assert address.deprecated and address in net.interface.addresses
    net.pass_time(3 * HOUR, 60)
    assert net.addresses() == []


@pytest.mark.requirement("RFC 7217 6")
def test_a_duplicate_is_replaced_by_another_three_times() -> None:
    net = Auto(3)
    net.hear(prefix())
    seen: list[str] = []
    for _ in range(10):
        for text in net.addresses():
            seen.append(text)
            message = ICMPv6ND_NA(tgt=text, S=0) / ICMPv6NDOptDstLLAddr(lladdr=OTHER_MAC)
            rival = IPv6(src=text, dst="ff02::1", hlim=255) / message
            net.breath(Ether(src=OTHER_MAC, dst="33:33:00:00:00:01") / rival)
        net.pass_time(0.2)
    assert len(seen) == len(set(seen)) == 4
    assert net.addresses() == [] and net.count("addresses_lost") == 4
    net.hear(prefix())
    assert net.addresses() == [], "not for ever"


@pytest.mark.requirement("RFC 5942 4")
def test_only_a_router_says_what_is_on_link() -> None:
    net = Auto(3)
    net.hear(prefix(on_link=0))
    net.pass_time(3)
    high, low = parse_address("2001:db8:1::77")
    assert not net.interface.on_link(high, low)
    net.hear(prefix())
    assert net.interface.on_link(high, low)
    net.hear(prefix(valid=0, preferred=0))
    assert not net.interface.on_link(high, low), "6.3.4: there is no two-hour rule for this"


@pytest.mark.requirement("RFC 4861 6.3.4")
def test_what_a_router_sets() -> None:
    net = Auto(3)
    timing = net.interface.neighbours.nd_timing
    net.hear(ICMPv6NDOptMTU(mtu=1400), chlim=33, reachabletime=60_000, retranstimer=2000)
    assert (net.interface.hop_limit, net.interface.mtu_v6) == (33, 1400)
    assert (timing.base_reachable_ns, timing.retrans_ns) == (60 * SECOND, 2 * SECOND)
    net.hear(chlim=0, reachabletime=0, retranstimer=0)
    for mtu in (0, 1279, 1501, 65536):
        net.hear(ICMPv6NDOptMTU(mtu=mtu), chlim=0)
    assert (net.interface.hop_limit, net.interface.mtu_v6) == (33, 1400)
    assert (timing.base_reachable_ns, timing.retrans_ns) == (60 * SECOND, 2 * SECOND)
    net.hear(retranstimer=1)
    assert timing.retrans_ns == 2 * SECOND, "nobody makes us ask a thousand times a second"


@pytest.mark.requirement("RFC 8106 5.3.1")
def test_name_servers_and_search_names_live_as_long_as_said() -> None:
    net = Auto(3)
    servers = ["2001:db8::53", "fe80::53"]
    net.hear(
        ICMPv6NDOptRDNSS(dns=servers, lifetime=60),
        ICMPv6NDOptDNSSL(searchlist=["Example.org", "a.b"], lifetime=30),
    )
    assert net.interface.name_servers == [parse_address(s) for s in servers]
    assert net.interface.search_names == ["example.org", "a.b"]
    net.pass_time(31, 1)
    assert net.interface.search_names == [] and len(net.interface.name_servers) == 2
    net.hear(ICMPv6NDOptRDNSS(dns=servers[:1], lifetime=0))
    assert net.interface.name_servers == [parse_address("fe80::53")]
    net.pass_time(31, 1)
    assert net.interface.name_servers == []


@pytest.mark.requirement("RFC 8106 5.2")
@pytest.mark.parametrize(
    "names",
    [
        b"\xc0\x00" + bytes(6),
        b"\x05abc" + bytes(4),
        b"\x40" + b"a" * 7,
        b"\x03a\x00b" + bytes(4),
        b"\x07example",
        b"\x01/\x00" + bytes(5),
    ],
)
def test_search_names_that_are_none(names: bytes) -> None:
    net = Auto(3)
    option = bytes([31, 1 + len(names) // 8]) + bytes(2) + (60).to_bytes(4, "big") + names
    net.hear(Raw(option))
    assert len(net.interface.hops.routers) == 1, "the rest of the message counts"
    assert net.interface.search_names == []


@pytest.mark.requirement("RFC 4191 3.2")
@pytest.mark.requirement("RFC 4861 6.3.6")
def test_the_preferred_router_unless_it_is_not_reachable() -> None:
    net = Auto(3)
    net.hear(prefix(), prf=3)
    net.hear(source=OTHER, mac=OTHER_MAC, prf=1)
    net.pass_time(3)
    net.stack.connect(FAR, 80, Handler)
    (syn,) = [f for f in net.breath() if TCP in f]
    assert syn.dst == OTHER_MAC
    frames = net.pass_time(30)
    syns = [f.dst for f in frames if TCP in f]
    assert syns[-1] == PEER, "it answered no probe: the other one"
    assert any(ICMPv6ND_NS in f and f.dst == OTHER_MAC for f in frames)


@pytest.mark.requirement("RFC 4861 6.3.5")
def test_a_router_whose_time_is_over_is_used_no_more() -> None:
    net = Auto(3)
    net.hear(prefix())
    net.hear(source=OTHER, mac=OTHER_MAC, routerlifetime=9000)
    net.pass_time(3)
    net.stack.connect(FAR, 80, Handler)
    (syn,) = [f for f in net.breath() if TCP in f]
    assert syn.dst == PEER
    net.hear(routerlifetime=0)
    syns = [f.dst for f in net.pass_time(3) if TCP in f]
    assert set(syns) == {OTHER_MAC}
    net.pass_time(9000, 10)
    assert net.interface.hops.routers == []
    with pytest.raises(CortenError, match="no route"):
        net.stack.connect(FAR, 80, Handler)


@pytest.mark.requirement("RFC 4861 7.2.5")
def test_a_router_that_becomes_a_host_is_used_no_more() -> None:
    net = Auto(3)
    net.hear(prefix())
    host = ICMPv6ND_NA(tgt=ROUTER, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=PEER)
    net.breath(Ether(src=PEER, dst=OURS) / IPv6(src=ROUTER, dst="ff02::1", hlim=255) / host)
    assert net.interface.hops.routers == [] and net.count("routers_lost") == 1


@pytest.mark.requirement("RFC 6583 7.1")
def test_ten_thousand_routers_prefixes_and_servers() -> None:
    net = Auto(3)
    net.hear(prefix())
    for i in range(150 if IS_PLAIN else 700):
        options = [prefix(f"2001:db8:{i:x}:{j:x}::") for j in range(14)]
        servers = ICMPv6NDOptRDNSS(dns=[f"2001:db8::{i:x}"], lifetime=6000)
        net.hear(*options, servers, source=f"fe80::{i + 100:x}", mac=OTHER_MAC)
    hops = net.interface.hops
    assert len(hops.routers) == 16 and len(hops.prefixes) == 32
    assert len(net.addresses()) <= 16 and len(net.interface.name_servers) == 8
    assert hops.routers[0].low == 1, "the first one stays"
    assert net.count("nd_table_full") > 0
    assert len(net.interface.neighbours) <= 64


def test_without_slaac_routers_are_not_heard() -> None:
    net = Link(resolve=True, addresses=["2001:db8::2/64"])
    message = ICMPv6ND_RA(routerlifetime=1800) / prefix()
    net.breath(
        Ether(src=PEER, dst="33:33:00:00:00:01")
        / IPv6(src=ROUTER, dst="ff02::1", hlim=255)
        / message
    )
    assert net.interface.hops.routers == [] and net.count("nd_not_ours") == 1
