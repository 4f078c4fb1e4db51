"""ICMPv4: echo, unreachable, and what is never answered (RFC 792, RFC 1122 3.2.2)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.stack.link import OURS, PEER, SECOND, Link


def packet(payload: Packet, **ip: object) -> Packet:
    values = {"src": "10.0.0.1", "dst": "10.0.0.2"}
    to = ip.pop("to", OURS)
    return Ether(src=PEER, dst=to) / IP(**{**values, **ip}) / payload


@pytest.mark.requirement("RFC 1122 3.2.2.6", "RFC 792")
@pytest.mark.parametrize("size", [0, 1, 56, 1472])
def test_echo_returns_the_same_data(size: int) -> None:
    data = bytes(i & 255 for i in range(size))
    (reply,) = Link().breath(packet(ICMP(id=7, seq=9) / Raw(data)))
    assert (reply.dst, reply[IP].src, reply[IP].dst) == (PEER, "10.0.0.2", "10.0.0.1")
    assert (reply[ICMP].type, reply[ICMP].id, reply[ICMP].seq) == (0, 7, 9)
    assert bytes(reply[ICMP].payload) == data
    rebuilt = IP(bytes(reply[IP]))
    sums = rebuilt.chksum, rebuilt[ICMP].chksum
    del rebuilt.chksum, rebuilt[ICMP].chksum
    again = IP(bytes(rebuilt))
    assert (again.chksum, again[ICMP].chksum) == sums


def test_a_broadcast_echo_is_not_answered() -> None:
    link = Link()
    assert link.breath(packet(ICMP(), dst="10.0.0.255", to="ff:ff:ff:ff:ff:ff")) == []
    assert link.count("icmp_broadcast_echo") == 1


@pytest.mark.requirement("RFC 1122 3.2.2.1")
def test_port_and_protocol_unreachable_quote_what_they_are_about() -> None:
    link = Link()
    asked = packet(UDP(sport=5, dport=6) / Raw(b"C" * 300), id=0x1042)
    (error,) = link.breath(asked)
    assert (error[ICMP].type, error[ICMP].code) == (3, 3)
    assert bytes(error[ICMP].payload) == bytes(asked[IP])[: len(bytes(error[ICMP].payload))]
    assert len(bytes(error[ICMP].payload)) >= 28
    (error,) = link.breath(packet(Raw(b"x" * 20), proto=47))
    assert (error[ICMP].type, error[ICMP].code) == (3, 2)


@pytest.mark.requirement("RFC 1122 3.2.2")
@pytest.mark.parametrize(
    "silent",
    [
        packet(UDP(dport=6), dst="10.0.0.255", to="ff:ff:ff:ff:ff:ff"),
        packet(UDP(dport=6), to="ff:ff:ff:ff:ff:ff"),
        packet(ICMP(type=3, code=3)),
        packet(ICMP(type=13)),
        packet(UDP(dport=6), dst="10.0.0.9"),
        packet(UDP(dport=6), src="10.0.0.255"),
        packet(UDP(dport=6), src="10.0.0.2"),
        packet(UDP(dport=6), flags="MF"),
        packet(UDP(dport=6), frag=3),
    ],
    ids=lambda p: p.summary()[:60],
)
def test_what_must_not_be_answered(silent: Packet) -> None:
    assert Link().breath(silent) == []


def test_errors_keep_a_rate() -> None:
    link = Link()
    flood = [packet(UDP(dport=6)) for _ in range(200)]
    assert len(link.breath(*flood)) <= 50
    assert link.count("icmp_rate_limited") >= 150
    assert 0 < len(link.breath(*flood, after=SECOND)) <= 50


def test_padding_is_cut_and_never_read_as_payload() -> None:
    frame = bytes(packet(ICMP(id=1) / Raw(b"ab"))) + b"\xee" * 30
    (reply,) = Link().breath(frame)
    assert reply[IP].len == 30 and bytes(reply[ICMP].payload) == b"ab"


def test_bad_checksums_are_counted() -> None:
    link = Link()
    assert link.breath(packet(ICMP(chksum=1))) == []
    assert link.breath(packet(ICMP(), chksum=1)) == []
    assert (link.count("icmp_bad_checksum"), link.count("ipv4_bad_checksum")) == (1, 1)
