"""ICMP errors to their endpoint, once each, and to nobody else (RFC 1122 4.1.3.3)."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.stack.link import OURS, PEER, Link
from tests.udp.bench import HERE, THERE, Kept


def error(kind: int, code: int, sport: int, dport: int = 9, quoted: int = 28) -> Packet:
    """An ICMP error about a datagram of ours from `sport`."""
    quote = bytes(
        IP(src=HERE, dst=THERE, flags="DF") / UDP(sport=sport, dport=dport) / Raw(b"data")
    )
    outer = Ether(src=PEER, dst=OURS) / IP(src=THERE, dst=HERE)
    return outer / ICMP(type=kind, code=code) / Raw(quote[:quoted])


@pytest.mark.requirement("RFC 1122 4.1.3.3")
def test_port_unreachable_is_refused_once_and_others_are_untouched() -> None:
    link, mine, other, bound = Link(), Kept(), Kept(), Kept()
    endpoint = link.stack.bind(7, mine, peer=(THERE, 9))
    link.stack.bind(8, other, peer=(THERE, 9))
    link.stack.bind(7, bound)
    endpoint.send(b"data")
    link.breath()
    assert link.breath(error(3, 3, 7)) == []
    link.breath()
    ((refused, peer),) = mine.errors
    assert isinstance(refused, ConnectionRefusedError) and peer == (THERE, 9)
    assert other.errors == bound.errors == []
    assert mine.closed == []  # a hint: the endpoint lives on
    assert endpoint.send(b"again")


def test_an_endpoint_without_a_peer_is_told_of_whom() -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    link.breath(error(3, 3, 7, dport=1234))
    ((refused, peer),) = kept.errors
    assert isinstance(refused, ConnectionRefusedError) and peer == (THERE, 1234)


@pytest.mark.parametrize(
    ("kind", "code", "number"),
    [
        (3, 0, errno.ENETUNREACH),
        (3, 1, errno.EHOSTUNREACH),
        (3, 2, errno.ENOPROTOOPT),
        (3, 3, errno.ECONNREFUSED),
        (3, 5, errno.EOPNOTSUPP),
        (3, 6, errno.ENETUNREACH),
        (3, 7, errno.EHOSTDOWN),
        (3, 9, errno.ENETUNREACH),
        (3, 10, errno.EHOSTUNREACH),
        (3, 13, errno.EHOSTUNREACH),
        (3, 200, errno.EHOSTUNREACH),
        (11, 0, errno.EHOSTUNREACH),
        (12, 0, errno.EPROTO),
    ],
)
def test_causes(kind: int, code: int, number: int) -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept, peer=(THERE, 9))
    link.breath(error(kind, code, 7))
    ((told, _),) = kept.errors
    assert told.errno == number
    assert isinstance(told, ConnectionRefusedError) == (number == errno.ECONNREFUSED)


@pytest.mark.parametrize("quoted", range(28))
def test_a_quote_without_ports_is_nobodys(quoted: int) -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    assert link.breath(error(3, 3, 7, quoted=quoted)) == []
    assert kept.errors == []
    assert link.count("icmp_bad_quote") == 1


def test_what_nobody_sent_is_told_to_nobody() -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept, peer=(THERE, 9))
    assert link.breath(error(3, 3, 8), error(3, 3, 7, dport=10)) == []
    later = error(3, 3, 7)
    fragment = IP(src=HERE, dst=THERE, proto=17, frag=100) / Raw(bytes(later[Raw].load)[20:])
    link.breath(
        Ether(src=PEER, dst=OURS) / IP(src=THERE, dst=HERE) / ICMP(type=3, code=3) / fragment
    )
    assert kept.errors == []
    assert link.count("icmp_bad_quote") == 3


def test_a_flood_of_errors_is_bounded() -> None:
    link, kept = Link(), Kept()
    link.stack.bind(7, kept)
    link.breath(*[error(3, 3, 7) for _ in range(200)])
    assert len(kept.errors) == 64
