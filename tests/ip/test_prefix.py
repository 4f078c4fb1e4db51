"""A prefix that is ours as a whole: whoever asks for any address of it hears from that address."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from tests.stack.link import OURS, PEER, Link, arp

ANY = ("10.9.0.0", "10.9.0.1", "10.9.77.5", "10.9.255.255")  # no subnet: no broadcast in it


def trap(*prefixes: str) -> Link:
    """A link that has 10.9/16 and fd09::/64, beside an address of each family."""
    link = Link(
        addresses=["10.0.0.2/24", "fd00::2/64"],
        neighbours={"10.0.0.1": PEER, "fd00::1": PEER},
    )
    for prefix in prefixes or ("10.9.0.0/16", "fd09::/64"):
        link.stack.routes.add_prefix(link.interface, prefix)
    return link


def to(address: str, payload: Packet, source: str = "10.0.0.1") -> Packet:
    network = IPv6(src=source, dst=address) if ":" in address else IP(src=source, dst=address)
    return Ether(src=PEER, dst=OURS) / network / payload


class Greeter(Handler):
    def on_open(self, connection: object) -> None:
        connection.send(b"hello")  # type: ignore[attr-defined]


@pytest.mark.parametrize("address", ANY)
def test_arp_answers_for_each(address: str) -> None:
    (answer,) = trap().breath(arp(pdst=address))
    assert (answer[ARP].op, answer[ARP].psrc, answer[ARP].hwsrc) == (2, address, OURS)


def test_arp_is_silent_beside_it() -> None:
    assert trap().breath(arp(pdst="10.8.255.255"), arp(pdst="10.10.0.0")) == []


def test_neighbour_discovery_answers_for_each() -> None:
    link = trap()
    target = "fd09::1234:5678"
    asked = (
        Ether(src=PEER, dst="33:33:ff:34:56:78")
        / IPv6(src="fd00::1", dst="ff02::1:ff34:5678", hlim=255)
        / ICMPv6ND_NS(tgt=target)
        / ICMPv6NDOptSrcLLAddr(lladdr=PEER)
    )
    (answer,) = link.breath(asked)
    said = answer[ICMPv6ND_NA]
    assert (answer[IPv6].src, said.tgt, said.S, said.O) == (target, target, 1, 1)
    beside = asked.copy()
    beside[ICMPv6ND_NS].tgt = "fd0a::1234:5678"
    del beside[ICMPv6ND_NS].cksum
    assert link.breath(beside) == []


@pytest.mark.parametrize("address", [*ANY, "fd09::1", "fd09::ffff:0:1"])
def test_a_connection_to_each_is_answered_from_it(address: str) -> None:
    link = trap()
    link.stack.listen(80, Greeter)
    layer, peer = (IPv6, "fd00::1") if ":" in address else (IP, "10.0.0.1")
    (syn_ack,) = link.breath(to(address, TCP(sport=1000, dport=80, flags="S", seq=7), peer))
    assert (syn_ack[layer].src, syn_ack[TCP].flags) == (address, "SA")
    done = TCP(sport=1000, dport=80, flags="A", seq=8, ack=syn_ack[TCP].seq + 1)
    (data,) = link.breath(to(address, done, peer))
    assert (data[layer].src, data[Raw].load) == (address, b"hello")


@pytest.mark.parametrize("address", ["10.9.3.4", "fd09::3:4"])
def test_a_closed_port_says_so_from_the_address(address: str) -> None:
    layer, peer = (IPv6, "fd00::1") if ":" in address else (IP, "10.0.0.1")
    link = trap()
    (reset,) = link.breath(to(address, TCP(sport=1000, dport=81, flags="S", seq=7), peer))
    assert (reset[layer].src, reset[TCP].flags, reset[TCP].ack) == (address, "RA", 8)
    (unreachable,) = link.breath(to(address, UDP(sport=9, dport=9) / b"?", peer))
    assert unreachable[layer].src == address


def test_each_can_be_pinged() -> None:
    link = trap()
    (answer,) = link.breath(to("10.9.8.7", ICMP(type=8) / b"?"))
    assert (answer[IP].src, answer[ICMP].type) == ("10.9.8.7", 0)
    (answer,) = link.breath(to("fd09::8:7", ICMPv6EchoRequest(data=b"?"), "fd00::1"))
    assert answer[IPv6].src == "fd09::8:7"
    assert ICMPv6EchoReply in answer


def test_a_listener_may_have_one_of_them_and_a_connection_come_from_one() -> None:
    link = trap()
    link.stack.listen(80, Greeter, "10.9.0.80")
    answers = [
        link.breath(to(address, TCP(sport=1000, dport=80, flags="S")))[0][TCP].flags
        for address in ("10.9.0.80", "10.9.0.81")
    ]
    assert answers == ["SA", "RA"]
    link.stack.connect("10.0.0.1", 80, Handler, source=("10.9.4.4", None))
    link.stack.connect("10.0.0.1", 80, Handler)
    assert [syn[IP].src for syn in link.breath()] == ["10.9.4.4", "10.0.0.2"]


def test_a_datagram_is_answered_from_where_it_went() -> None:
    class Mirror(DatagramHandler):
        def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
            endpoint.send(data, peer)

    link = trap()
    link.stack.bind(7, Mirror())
    (answer,) = link.breath(to("10.9.8.7", UDP(sport=9, dport=7) / b"?"))
    assert (answer[IP].src, answer[Raw].load) == ("10.9.8.7", b"?")


def test_who_says_he_is_one_of_us_is_not_believed() -> None:
    link = trap()
    assert link.breath(to("10.0.0.2", TCP(dport=80, flags="S"), "10.9.0.9")) == []
    assert link.count("ipv4_bad_source") == 1
    assert link.breath(arp(op=2, psrc="10.9.0.9", pdst="10.0.0.2")) == []
    assert link.count("arp_conflict") == 1


def test_to_ourselves_it_is_the_loopback() -> None:
    link = trap()
    link.stack.listen(80, Greeter)
    link.stack.connect("10.9.1.1", 80, Handler)
    for _ in range(4):
        assert link.breath() == []  # nothing meets the wire
    assert link.count("connections_accepted") == 1


def test_what_stands_on_it_ends_with_the_link() -> None:
    link = trap()
    link.stack.listen(80, Greeter)
    for address in ("10.9.1.1", "10.9.2.2"):
        (answer,) = link.breath(to(address, TCP(sport=1000, dport=80, flags="S", seq=7)))
        done = TCP(sport=1000, dport=80, flags="A", seq=8, ack=answer[TCP].seq + 1)
        link.breath(to(address, done))
    link.stack.leave(link.interface)
    resets = link.breath()
    assert {p[IP].src for p in resets if p[TCP].flags & 4} == {"10.9.1.1", "10.9.2.2"}
    link.stack.remove_interface(link.interface)
    link.stack.transmit(link.now)
    for each in link.stack.leaks():
        assert "listener" in each


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("10.0.0.0/16", "overlaps 10.0.0.2's subnet"),
        ("10.0.0.128/25", "overlaps 10.0.0.2's subnet"),
        ("fd00::/32", "overlaps fd00::2's subnet"),
        ("0.0.0.0/0", "wider"),
        ("::/0", "wider"),
        ("10.9.0.0", "prefix length"),
        ("10.9.0.1/16", "bits behind"),
        ("fd09::1/64", "bits behind"),
        ("127.0.0.0/8", "no addresses that a host"),
        ("0.0.0.0/8", "no addresses that a host"),
        ("169.254.0.0/16", "no addresses that a host"),
        ("224.0.0.0/8", "no addresses that a host"),
        ("::/16", "no addresses that a host"),
        ("fe80::/64", "no addresses that a host"),
        ("ff02::/16", "no addresses that a host"),
    ],
)
def test_what_cannot_be_ours_is_refused(prefix: str, words: str) -> None:
    with pytest.raises(CortenError, match=words):
        trap(prefix)


def test_another_links_addresses_are_its_own() -> None:
    link = trap()
    other = link.stack.add_interface("test1", OURS, ["10.5.0.2/24"], dad="off")
    for prefix in ("10.0.0.0/24", "10.9.7.0/24", "10.0.0.0/12"):
        with pytest.raises(CortenError, match=r"link test0 has|overlaps"):
            link.stack.routes.add_prefix(other, prefix)
    with pytest.raises(CortenError, match="has this address already"):
        link.stack.add_address(other, "10.9.7.7/24")
    for address in ("10.9.7.7/24", "10.8.0.1/15"):
        with pytest.raises(CortenError, match="overlaps a prefix"):
            link.stack.add_address(link.interface, address)


def test_an_address_that_is_still_tried_is_the_links_own() -> None:
    link = Link(addresses=["fd00::2/64"], dad="on")
    assert link.interface.addresses == []
    link.stack.routes.add_prefix(link.interface, "fd09::/64")
    with pytest.raises(CortenError, match="overlaps"):
        link.stack.routes.add_prefix(link.interface, "fd00::/48")


def test_a_link_needs_an_address_of_the_family() -> None:
    link = Link()
    with pytest.raises(CortenError, match="give the link an IPv6 address"):
        link.stack.routes.add_prefix(link.interface, "fd09::/64")
