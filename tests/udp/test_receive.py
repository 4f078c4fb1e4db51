"""Datagrams to their endpoint: who gets what, and what nobody gets (RFC 768, RFC 1122 4.1)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Raw

from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
from corten.udp.port import RECEIVED_MAX
from tests.stack.link import Link
from tests.udp.bench import Kept, udp

BROADCAST = "ff:ff:ff:ff:ff:ff"


def test_a_datagram_reaches_its_port_and_is_answered() -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    (reply,) = link.breath(udp(b"hello"))
    assert kept.got == [(b"hello", ("10.0.0.1", 5000))]
    assert (reply[IP].src, reply[IP].dst) == ("10.0.0.2", "10.0.0.1")
    assert (reply[UDP].sport, reply[UDP].dport) == (7, 5000)
    assert bytes(reply[UDP].payload) == b"hello"
    again = IP(bytes(reply[IP]))
    sums = again.chksum, again[UDP].chksum
    del again.chksum, again[UDP].chksum
    rebuilt = IP(bytes(again))
    assert (rebuilt.chksum, rebuilt[UDP].chksum) == sums
    assert link.stack.leaks() == []


def test_an_empty_datagram_is_one() -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    (reply,) = link.breath(udp(b""))
    assert kept.got == [(b"", ("10.0.0.1", 5000))]
    assert reply[UDP].len == 8


@pytest.mark.requirement("RFC 1122 4.1.3.5")
def test_answers_leave_from_the_address_that_was_asked() -> None:
    link, kept = Link(addresses=["10.0.0.2/24", "10.0.0.3/24"]), Kept(echo=True)
    endpoint = link.stack.bind(7, kept)
    first, second = link.breath(udp(b"a", dst="10.0.0.3"), udp(b"b"))
    assert kept.locals == [("10.0.0.3", 7), ("10.0.0.2", 7)]
    assert (first[IP].src, second[IP].src) == ("10.0.0.3", "10.0.0.2")
    assert endpoint.local == ("0.0.0.0", 7)
    assert endpoint.send(b"c", ("10.0.0.1", 9), source="10.0.0.3")
    (third,) = link.breath()
    assert third[IP].src == "10.0.0.3"


def test_an_exact_address_comes_before_any_and_a_peer_before_both() -> None:
    link = Link(addresses=["10.0.0.2/24", "10.0.0.3/24"])
    anybody, exact, connected = Kept(), Kept(), Kept()
    link.stack.bind(7, anybody)
    link.stack.bind(7, exact, "10.0.0.3")
    link.stack.bind(7, connected, "10.0.0.3", peer=("10.0.0.1", 5000))
    link.breath(
        udp(b"1"),
        udp(b"2", dst="10.0.0.3", sport=5001),
        udp(b"3", dst="10.0.0.3"),
    )
    assert [k.got[0][0] for k in (anybody, exact, connected)] == [b"1", b"2", b"3"]


def test_a_connected_endpoint_hears_its_peer_alone() -> None:
    link, kept = Link(), Kept()
    endpoint = link.stack.bind(7, kept, peer=("10.0.0.1", 5000))
    assert (endpoint.local, endpoint.peer) == (("10.0.0.2", 7), ("10.0.0.1", 5000))
    (error,) = link.breath(udp(b"x", sport=5001), udp(b"y"))
    assert kept.got == [(b"y", ("10.0.0.1", 5000))]
    assert (error[ICMP].type, error[ICMP].code) == (3, 3)
    assert endpoint.send(b"z")
    (sent,) = link.breath()
    assert sent[UDP].dport == 5000
    with pytest.raises(CortenError, match="peer alone"):
        endpoint.send(b"z", ("10.0.0.1", 5001))


@pytest.mark.requirement("RFC 1122 4.1.3.1")
def test_a_closed_port_is_unreachable() -> None:
    link = Link()
    asked = udp(b"C" * 300, id=0x1042)
    (error,) = link.breath(asked)
    assert (error[ICMP].type, error[ICMP].code) == (3, 3)
    quote = bytes(error[ICMP].payload)
    assert quote == bytes(asked[IP])[: len(quote)] and len(quote) >= 28
    assert link.count("udp_no_endpoint") == 1


@pytest.mark.requirement("RFC 1122 3.2.2 no error about a broadcast")
def test_nobody_is_told_of_a_closed_port_behind_a_broadcast() -> None:
    link = Link()
    for to, dst in (
        (BROADCAST, "10.0.0.255"),
        (BROADCAST, "255.255.255.255"),
        (BROADCAST, "10.0.0.2"),
    ):
        assert link.breath(udp(b"x", to=to, dst=dst)) == []
    assert link.breath(udp(b"x", to="01:00:5e:00:00:01", dst="224.0.0.1")) == []


def test_a_broadcast_reaches_a_port_and_the_answer_leaves_from_an_own_address() -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    (reply,) = link.breath(udp(b"x", to=BROADCAST, dst="10.0.0.255"))
    assert kept.locals == [("10.0.0.255", 7)]
    assert reply[IP].src == "10.0.0.2"


@pytest.mark.requirement("RFC 1122 4.1.3.6")
@pytest.mark.parametrize(
    "source",
    ["224.0.0.1", "255.255.255.255", "10.0.0.255", "127.0.0.1", "10.0.0.2", "240.0.0.1", "0.0.0.1"],
)
def test_a_bad_source_is_dropped(source: str) -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    assert link.breath(udp(b"x", src=source)) == []
    assert kept.got == []
    assert link.count("ipv4_bad_source") == 1


@pytest.mark.requirement("RFC 1122 4.1.3.4")
def test_checksums_none_right_and_wrong() -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    bare, wrong = udp(b"none"), udp(b"wrong")
    bare[UDP].chksum = 0
    wrong[UDP].chksum = 0x1234
    assert link.breath(bare, wrong, udp(b"right")) == []
    assert [data for data, _ in kept.got] == [b"none", b"right"]
    assert link.count("udp_bad_checksum") == 1


@pytest.mark.parametrize(
    ("length", "counted"), [(0, "udp_bad_length"), (7, "udp_bad_length"), (13, "udp_bad_length")]
)
def test_a_length_that_cannot_be(length: int, counted: str) -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    packet = udp(b"abcd")
    packet[UDP].len = length
    assert link.breath(packet) == []
    assert kept.got == [] and link.count(counted) == 1


def test_a_shorter_length_cuts_the_datagram() -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    packet = udp(b"abcd")
    packet[UDP].len, packet[UDP].chksum = 10, 0
    link.breath(packet)
    assert kept.got[0][0] == b"ab"


def test_port_zero_is_not_answered() -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    assert link.breath(udp(b"x", dport=0)) == []
    assert link.breath(udp(b"no reply expected", sport=0)) == []  # RFC 768
    assert [data for data, _ in kept.got] == [b"no reply expected"]
    assert kept.closed == []


def test_what_an_endpoint_keeps_is_bounded_and_the_newest_gives_way() -> None:
    link = Link()
    kept = Kept()
    endpoint = link.stack.bind(7, kept)
    packet = bytes(udp(b"x"))
    from corten.core.frame import ReceiveBatch

    for _ in range(RECEIVED_MAX // 128 + 2):
        batch = ReceiveBatch()
        for _ in range(128):
            batch.append(packet)
        link.stack.receive(link.now, link.interface, batch)
    assert link.count("udp_queue_full") == 256 == endpoint.info()["dropped"]
    link.breath()
    assert len(kept.got) == RECEIVED_MAX
    assert link.stack.leaks() == []


class Failing(DatagramHandler):
    def __init__(self) -> None:
        self.closed: list[Exception | None] = []

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        raise RuntimeError("no")

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        self.closed.append(error)


def test_a_handler_that_raises_closes_its_own_endpoint_only() -> None:
    link, failing, kept = Link(), Failing(), Kept()
    link.stack.bind(8, failing)
    link.stack.bind(7, kept)
    link.breath(udp(b"x", dport=8), udp(b"y", dport=8), udp(b"z"))
    assert len(failing.closed) == 1 and isinstance(failing.closed[0], RuntimeError)
    assert [data for data, _ in kept.got] == [b"z"]
    assert link.count("handler_errors") == 1
    (error,) = link.breath(udp(b"x", dport=8))
    assert error[ICMP].code == 3
    assert link.stack.leaks() == []


def test_closing_is_told_once_and_the_port_is_free_again() -> None:
    link, kept = Link(), Kept()
    endpoint = link.stack.bind(7, kept)
    assert endpoint.send(b"last words", ("10.0.0.1", 9))
    endpoint.close()
    endpoint.close()
    assert endpoint.send(b"too late", ("10.0.0.1", 9)) is False
    (sent,) = link.breath()
    assert sent[Raw].load == b"last words"
    link.breath()
    assert kept.closed == [None]
    with pytest.raises(CortenError, match="closed"):
        endpoint.send(b"x", ("10.0.0.1", 9))
    link.stack.bind(7, Kept())
    assert link.stack.leaks() == []
