"""Multicast listener discovery on a link: reports as they stand on the wire, queries that count."""

from __future__ import annotations

import ipaddress

import pytest
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from corten.core.arena import Memory
from corten.wire.mld import MldQuery
from corten.wire.reason import ACCEPTED, MLD_MALFORMED
from tests.stack.link import OURS, PEER, SECOND, Link

ALL = "33:33:00:00:00:01"
GROUP = "ff02::1:ff00:2"


def link(**options: object) -> Link:
    options.setdefault("addresses", ["fe80::2/64", "2001:db8::3/64"])
    net = Link(resolve=True, shows_groups=True, **options)
    net.pass_seconds = lambda n: [f for _ in range(n * 10) for f in net.breath(after=SECOND // 10)]
    return net


def query(message: Packet, source: str = "fe80::1", hops: int = 1, alert: bool = True) -> Packet:
    packet = Ether(src=PEER, dst=ALL) / IPv6(src=source, dst="ff02::1", hlim=hops)
    if alert:
        packet = packet / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    return packet / message


def records(frames: list[Packet]) -> list[tuple[int, str]]:
    """(kind, group) of every record in reports; scapy reads the first alone."""
    found = []
    for frame in frames:
        if ICMPv6MLReport2 in frame:
            octets = bytes(frame[ICMPv6MLReport2])
            for i in range(int.from_bytes(octets[6:8], "big")):
                record = octets[8 + 20 * i : 28 + 20 * i]
                found.append((record[0], str(ipaddress.IPv6Address(record[4:]))))
                assert record[1:4] == bytes(3), "no sources, nothing auxiliary"
    return found


@pytest.mark.requirement("RFC 3810 5.2")
@pytest.mark.requirement("RFC 4861 7.2.1")
def test_a_link_reports_its_groups_at_once() -> None:
    (report,) = link().announced
    assert (report.dst, report[IPv6].dst, report[IPv6].hlim) == ("33:33:00:00:00:16", "ff02::16", 1)
    assert report[IPv6].src == "fe80::2"
    assert isinstance(report[IPv6ExtHdrHopByHop].options[0], RouterAlert)
    expected = ICMPv6MLReport2(
        records=[
            ICMPv6MLDMultAddrRec(rtype=4, dst=GROUP),
            ICMPv6MLDMultAddrRec(rtype=4, dst="ff02::1:ff00:3"),
        ]
    )
    octets = bytes(report[ICMPv6MLReport2])
    head = IPv6(src="fe80::2", dst="ff02::16", hlim=1)
    whole = head / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / expected
    assert octets == bytes(IPv6(bytes(whole))[ICMPv6MLReport2]), "the checksum is right"
    assert records([report]) == [(4, GROUP), (4, "ff02::1:ff00:3")]


@pytest.mark.requirement("RFC 3810 5.2.13")
def test_from_nobody_while_there_is_no_valid_address_and_again_then() -> None:
    net = link(addresses=["fe80::2/64"], dad="on")
    frames = net.announced + net.pass_seconds(4)
    sources = [f[IPv6].src for f in frames if ICMPv6MLReport2 in f]
    assert sources[0] == "::" and sources[-1] == "fe80::2"
    first = next(i for i, f in enumerate(frames) if ICMPv6MLReport2 in f)
    asked = next(i for i, f in enumerate(frames) if ICMPv6ND_NS in f)
    assert first < asked, "a switch has to know who listens"


@pytest.mark.requirement("RFC 3810 6.2")
def test_queries_are_answered() -> None:
    net = link()
    net.pass_seconds(2)
    net.breath(query(ICMPv6MLQuery2(mrd=1000)))
    assert sorted(records(net.pass_seconds(2))) == [(2, GROUP), (2, "ff02::1:ff00:3")]
    net.breath(query(ICMPv6MLQuery2(mrd=1000, mladdr=GROUP)))
    assert records(net.pass_seconds(2)) == [(2, GROUP)]
    net.breath(query(ICMPv6MLQuery2(mrd=1000, mladdr="ff02::1:ff00:99")))
    net.breath(query(ICMPv6MLQuery2(mrd=1000, mladdr="ff05::1:ff00:2")))
    assert records(net.pass_seconds(2)) == []


@pytest.mark.requirement("RFC 3810 6.2")
@pytest.mark.parametrize(
    "wrong",
    [
        query(ICMPv6MLQuery2(mrd=1), source="2001:db8::1"),
        query(ICMPv6MLQuery2(mrd=1), source="::"),
        query(ICMPv6MLQuery2(mrd=1), hops=2),
        query(ICMPv6MLQuery2(mrd=1), hops=255),
        query(ICMPv6MLQuery2(mrd=1), alert=False),
    ],
)
def test_queries_that_do_not_count(wrong: Packet) -> None:
    net = link()
    net.pass_seconds(2)
    net.breath(wrong)
    assert records(net.pass_seconds(2)) == [] and net.count("mld_malformed") == 1


@pytest.mark.requirement("RFC 3810 8.2.1")
def test_a_router_of_version_1_is_spoken_to_in_version_1() -> None:
    net = link(addresses=["fe80::2/64"])
    net.pass_seconds(2)
    net.breath(query(ICMPv6MLQuery(mrd=500)))
    (report,) = net.pass_seconds(1)
    assert (report[IPv6].dst, report[ICMPv6MLReport].mladdr) == (GROUP, GROUP)
    assert ICMPv6MLDone not in report


def test_only_one_worker_of_a_link_reports() -> None:
    net = link(leader=False)
    net.breath(query(ICMPv6MLQuery2(mrd=100)))
    assert net.announced + net.pass_seconds(2) == []


@pytest.mark.requirement("RFC 3810 5.1.3")
@pytest.mark.parametrize(
    ("code", "delay"), [(0, 0), (32767, 32767), (0x8000, 32768), (0xFFFF, 0x1FFF << 10)]
)
def test_the_longest_delay(code: int, delay: int) -> None:
    octets = bytes(ICMPv6MLQuery2(mrd=code, cksum=0, mladdr="ff02::5"))
    got = MldQuery()
    assert got.parse(Memory(octets), 0, len(octets)) == ACCEPTED
    assert (got.response_ms, got.is_v1, got.group_low) == (delay, False, 5)
    for length in (0, 8, 23, 25, 27):
        assert got.parse(Memory(octets), 0, length) == MLD_MALFORMED
    assert got.parse(Memory(octets), 0, 24) == ACCEPTED and got.is_v1
    assert OURS
