"""UDP and fragments over IPv6 (RFC 8200 4.5, 8.1; RFC 5722, 6946, 7112, 7739; RFC 4443)."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.stack.link import OURS, PEER, SECOND, Link
from tests.udp.bench import Kept

LOCAL, REMOTE = "2001:db8::2", "2001:db8::1"
DATA = bytes(i * 5 & 255 for i in range(65527))


def link() -> tuple[Link, Kept]:
    made = Link(addresses=[f"{LOCAL}/64", "fe80::2/64"], neighbours={REMOTE: PEER})
    kept = Kept(echo=True)
    made.stack.bind(7, kept)
    return made, kept


def packet(payload: Packet, **ip: object) -> Packet:
    values: dict[str, object] = {"src": REMOTE, "dst": LOCAL}
    return Ether(src=PEER, dst=OURS) / IPv6(**{**values, **ip}) / payload


def datagram(data: bytes, **ip: object) -> Packet:
    return packet(UDP(sport=5000, dport=7) / Raw(data), **ip)


def pieces(data: bytes, size: int, number: int = 7, nh: int = 17) -> list[Packet]:
    whole = bytes(datagram(data)[UDP])
    return [
        packet(
            IPv6ExtHdrFragment(nh=nh, id=number, offset=at // 8, m=int(at + size < len(whole)))
            / Raw(whole[at : at + size])
        )
        for at in range(0, len(whole), size)
    ]


def test_an_echo_and_its_checksum() -> None:
    net, kept = link()
    (reply,) = net.breath(datagram(b"hello"))
    assert kept.got == [(b"hello", (REMOTE, 5000))] and kept.locals == [(LOCAL, 7)]
    right = IPv6(src=LOCAL, dst=REMOTE, hlim=64) / UDP(sport=7, dport=5000) / Raw(b"hello")
    right.fl = reply[IPv6].fl
    assert bytes(reply[IPv6]) == bytes(right)


@pytest.mark.requirement("RFC 8200 8.1")
def test_no_checksum_is_no_datagram() -> None:
    net, kept = link()
    bare = datagram(b"x")
    bare[UDP].chksum = 0
    assert net.breath(bare) == [] and kept.got == []
    assert net.count("udp_no_checksum") == 1


@pytest.mark.requirement("RFC 4443 3.1")
def test_a_closed_port_is_reported() -> None:
    net, _ = link()
    (error,) = net.breath(packet(UDP(sport=5, dport=8)))
    assert error[ICMPv6DestUnreach].code == 4


@pytest.mark.requirement("RFC 8200 5")
@pytest.mark.requirement("RFC 8200 4.5")
@pytest.mark.requirement("RFC 7739 5")
def test_fragments_both_ways() -> None:
    net, kept = link()
    numbers = set()
    for size in (1453, 4000, 65527):
        kept.got.clear()
        reply = net.breath(*pieces(DATA[:size], 1232)[::-1])
        assert kept.got == [(DATA[:size], (REMOTE, 5000))]
        body = b""
        for i, frame in enumerate(reply):
            header = frame[IPv6ExtHdrFragment]
            assert frame[IPv6].plen + 40 <= 1500 and frame[IPv6].nh == 44 and header.nh == 17
            assert header.offset * 8 == len(body) and header.m == (i < len(reply) - 1)
            body += bytes(header.payload)
        assert body[8:] == DATA[:size]
        (number,) = {frame[IPv6ExtHdrFragment].id for frame in reply}
        numbers.add(number)
    assert len(numbers) == 3 and max(numbers) > 1 << 16
    assert net.stack.leaks() == []


def test_headers_ahead_of_the_fragment_header_are_the_first_ones() -> None:
    net, kept = link()
    frames = []
    whole = bytes(datagram(DATA[:1992])[UDP])
    for at in (0, 1000):
        header = IPv6ExtHdrFragment(nh=17, id=9, offset=at // 8, m=int(at == 0))
        frames.append(packet(IPv6ExtHdrDestOpt() / header / Raw(whole[at : at + 1000])))
    net.breath(*frames)
    assert kept.got == [(DATA[:1992], (REMOTE, 5000))]


@pytest.mark.requirement("RFC 6946 4")
def test_an_atomic_fragment_is_handled_alone() -> None:
    net, kept = link()
    first, second = pieces(DATA[:1992], 1000)
    atomic = packet(IPv6ExtHdrFragment(nh=17, id=7) / datagram(b"alone")[UDP])
    atomic[UDP].chksum = int.from_bytes(bytes(datagram(b"alone")[UDP])[6:8], "big")
    net.breath(first, atomic, second)
    assert [data for data, _ in kept.got] == [b"alone", DATA[:1992]]


@pytest.mark.requirement("RFC 5722 4")
def test_an_overlap_drops_all_silently() -> None:
    net, kept = link()
    first, second, third = pieces(DATA[:2992], 1000)
    bad = packet(IPv6ExtHdrFragment(nh=17, id=7, offset=120, m=1) / Raw(bytes(80)))
    assert net.breath(first, bad, second, third) == []
    assert net.breath(after=61 * SECOND) == [] and kept.got == []
    assert net.stack.leaks() == []


@pytest.mark.requirement("RFC 8200 4.5 parameter problems")
def test_lengths_are_reported() -> None:
    net, _ = link()
    (error,) = net.breath(packet(IPv6ExtHdrFragment(nh=17, id=1, m=1) / Raw(bytes(1001))))
    assert (error[ICMPv6ParamProblem].code, error[ICMPv6ParamProblem].ptr) == (0, 4)
    (error,) = net.breath(packet(IPv6ExtHdrFragment(nh=17, id=1, offset=8191) / Raw(bytes(100))))
    assert (error[ICMPv6ParamProblem].code, error[ICMPv6ParamProblem].ptr) == (0, 42)
    assert len(net.stack.fragments) == 0


@pytest.mark.requirement("RFC 4443 3.3")
def test_time_exceeded_if_the_first_came() -> None:
    net, _ = link()
    first, second, _ = pieces(DATA[:2992], 1000)
    net.breath(second)
    assert net.breath(after=61 * SECOND) == []
    net.breath(second)
    net.breath(first)
    (error,) = net.breath(after=61 * SECOND)
    assert error[ICMPv6TimeExceeded].code == 1
    quote = bytes(error[IPv6])[48:]
    assert quote == bytes(first[IPv6])[: len(quote)] and len(quote) > 1000
    assert net.stack.leaks() == []


@pytest.mark.requirement("RFC 7112 5")
def test_a_first_fragment_without_its_headers() -> None:
    net, _ = link()
    (error,) = net.breath(packet(IPv6ExtHdrFragment(nh=6, id=1, m=1) / Raw(bytes(16))))
    assert error[ICMPv6ParamProblem].code == 3
    assert len(net.stack.fragments) == 0


def test_a_fragment_in_a_fragment_is_dropped() -> None:
    net, kept = link()
    inner = bytes(IPv6ExtHdrFragment(nh=17, id=3, m=1) / Raw(bytes(16)))
    halves = [
        packet(
            IPv6ExtHdrFragment(nh=44, id=2, offset=at // 8, m=int(at == 0))
            / Raw(inner[at : at + 16])
        )
        for at in (0, 16)
    ]
    assert net.breath(*halves) == [] and kept.got == []
    assert len(net.stack.fragments) == 0


def test_errors_reach_their_endpoint() -> None:
    net, kept = link()
    endpoint = net.stack.bind(9, kept, peer=(REMOTE, 53))
    endpoint.send(bytes(1400))
    (sent,) = net.breath()
    quote = Raw(bytes(sent[IPv6])[:100])
    net.breath(packet(ICMPv6DestUnreach(code=4) / quote))
    net.breath(packet(ICMPv6DestUnreach(code=0) / quote))
    numbers = [error.errno for error, _ in kept.errors]
    assert numbers == [errno.ECONNREFUSED, errno.ENETUNREACH]
    net.breath(packet(ICMPv6PacketTooBig(mtu=1280) / quote))
    endpoint.send(bytes(1400))
    assert len(net.breath()) == 2
    net.breath(packet(ICMPv6PacketTooBig(mtu=1279) / quote))
    assert endpoint.info()["path_mtu"] == 1280
