"""What leaves: ports, options, sizes, fragments, and what is refused (RFC 768, 6864, 8085)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from corten.endpoint.error import CortenError
from tests.stack.link import OURS, PEER, SECOND, Link, arp
from tests.udp.bench import HERE, THERE, Kept, udp

PEER_PORT = (THERE, 9)


def whole(frames: list[Packet]) -> tuple[bytes, list[int]]:
    """The IP payload that fragments make up, and their offsets; each is what RFC 791 wants."""
    parts: dict[int, bytes] = {}
    for i, frame in enumerate(frames):
        ip = frame[IP]
        assert ip.len <= 1500
        assert "DF" not in ip.flags or len(frames) == 1
        assert ("MF" in ip.flags) == (i < len(frames) - 1)
        body = bytes(ip.payload)
        assert i == len(frames) - 1 or len(body) % 8 == 0
        parts[ip.frag * 8] = body
    data = b""
    for at in sorted(parts):
        assert at == len(data)
        data += parts[at]
    assert len({frame[IP].id for frame in frames}) == 1
    return data, sorted(parts)


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 2952, 2953, 9000, 65507])
def test_every_size_arrives_whole(size: int) -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    data = bytes(i * 7 & 255 for i in range(size))
    assert endpoint.send(data, PEER_PORT)
    frames = link.breath()
    assert len(frames) == max(1, -(-(size + 8) // 1480))
    body, _ = whole(frames)
    assert body[8:] == data
    again = IP(src=HERE, dst=THERE) / UDP(body)
    good = again[UDP].chksum
    del again[UDP].chksum
    assert IP(bytes(again))[UDP].chksum == good
    assert link.stack.leaks() == []


def test_sizes_that_cannot_be() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    with pytest.raises(CortenError, match="65507 are the most"):
        endpoint.send(bytes(65508), PEER_PORT)
    assert link.breath() == []


@pytest.mark.requirement("RFC 6864 4.1")
def test_what_is_not_cut_may_not_be_cut_and_has_no_identification() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    for _ in range(3):
        endpoint.send(b"x", PEER_PORT)
    for frame in link.breath():
        assert frame[IP].flags == "DF" and frame[IP].id == 0


@pytest.mark.requirement("RFC 6864 4.3")
def test_identifications_of_what_is_cut_do_not_repeat() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    seen = []
    for _ in range(1000):
        endpoint.send(bytes(1500), PEER_PORT)
        first, second = link.breath()
        assert first[IP].id == second[IP].id
        seen.append(first[IP].id)
    assert len(set(seen)) == len(seen)


def test_ttl_and_dscp_are_the_endpoints() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept(), ttl=3, dscp=46)
    endpoint.send(b"x", PEER_PORT)
    endpoint.send(bytes(2000), PEER_PORT)
    for frame in link.breath():
        assert (frame[IP].ttl, frame[IP].tos) == (3, 46 << 2)
    for wrong in ({"ttl": 0}, {"ttl": 256}, {"dscp": 64}, {"ttl": "x"}, {"colour": 1}):
        with pytest.raises(CortenError):
            link.stack.bind(8, Kept(), **wrong)


def test_dont_fragment_refuses_what_is_too_long_and_says_so() -> None:
    link, kept = Link(), Kept()
    endpoint = link.stack.bind(7, kept, dont_fragment=True)
    assert endpoint.send(bytes(1472), PEER_PORT)
    assert endpoint.send(bytes(1473), PEER_PORT) is False
    assert len(link.breath()) == 1
    ((error, peer),) = kept.errors
    assert isinstance(error, OSError) and error.strerror and peer == PEER_PORT


def too_big(mtu: int, about: Packet, source: str = "10.0.0.1") -> Packet:
    error = ICMP(type=3, code=4, nexthopmtu=mtu)
    return Ether(src=PEER, dst=OURS) / IP(src=source, dst=HERE) / error / Raw(bytes(about[IP])[:28])


@pytest.mark.requirement("RFC 1191 6.1")
def test_a_path_that_takes_less_is_sent_fragments() -> None:
    link, kept = Link(), Kept()
    endpoint = link.stack.bind(7, kept)
    endpoint.send(bytes(1400), PEER_PORT)
    (frame,) = link.breath()
    assert link.breath(too_big(1000, frame)) == []
    endpoint.send(bytes(1400), PEER_PORT)
    frames = link.breath()
    assert len(frames) == 2 and all(f[IP].len <= 1000 for f in frames)
    assert kept.errors == []  # the next one is cut: nothing to tell


@pytest.mark.parametrize("mtu", [0, 1, 67, 68, 551, 1428, 1500, 65535])
def test_a_path_mtu_that_cannot_be_is_not_believed(mtu: int) -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    endpoint.send(bytes(1400), PEER_PORT)
    (frame,) = link.breath()
    link.breath(too_big(mtu, frame))
    endpoint.send(bytes(1400), PEER_PORT)
    assert len(link.breath()) == 1


def test_a_broadcast_needs_leave() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    with pytest.raises(CortenError, match="broadcast=True"):
        endpoint.send(b"x", ("10.0.0.255", 9))
    with pytest.raises(CortenError, match="single host"):
        endpoint.send(b"x", ("224.0.0.1", 9))
    loud = link.stack.bind(8, Kept(), broadcast=True)
    loud.send(b"x", ("10.0.0.255", 9))
    (frame,) = link.breath()
    assert frame.dst == "ff:ff:ff:ff:ff:ff"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda e: e.send(b"x"),
        lambda e: e.send(b"x", "10.0.0.1"),
        lambda e: e.send(b"x", ("10.0.0", 9)),
        lambda e: e.send(b"x", (THERE, 65536)),
        lambda e: e.send(b"x", (THERE, -1)),
        lambda e: e.send(b"x", PEER_PORT, source="10.0.0.9"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(wrong: object) -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    with pytest.raises(CortenError):
        wrong(endpoint)  # type: ignore[operator]
    assert link.breath() == []


def test_without_a_route_nothing_is_sent_and_nothing_raises() -> None:
    link = Link()
    endpoint = link.stack.bind(7, Kept())
    assert endpoint.send(b"x", ("192.0.2.1", 9)) is False
    assert link.count("no_route") == 1


def test_an_unresolved_neighbour_holds_so_much_and_then_says_no() -> None:
    link, kept = Link(resolve=True), Kept()
    endpoint = link.stack.bind(7, kept)
    sent = 0
    while endpoint.send(bytes(1000), PEER_PORT):
        sent += 1
        requests = link.breath()
        assert all(ARP in frame for frame in requests)
        assert sent < 500
    assert sent > 50
    link.breath()
    assert kept.writable == 0
    frames = link.breath(arp(op=2, psrc=THERE, hwsrc=PEER, pdst=HERE, to=OURS))
    assert sum(UDP in frame for frame in frames) == sent
    link.breath()
    assert kept.writable == 1
    assert endpoint.send(b"x", PEER_PORT)
    link.breath()
    assert link.stack.leaks() == []


def test_a_neighbour_that_never_answers_frees_the_queue() -> None:
    link, kept = Link(resolve=True), Kept()
    endpoint = link.stack.bind(7, kept)
    while endpoint.send(bytes(1000), PEER_PORT):
        link.breath()
    for _ in range(10):
        link.breath(after=SECOND)
    assert kept.writable == 1
    assert link.stack.leaks() == []


def test_a_breaths_sends_are_bounded() -> None:
    link, kept = Link(), Kept()
    endpoint = link.stack.bind(7, kept)
    accepted = 0
    while endpoint.send(b"x", PEER_PORT):
        accepted += 1
    assert accepted == 1024
    assert len(link.breath()) == 1024
    assert link.stack.next_deadline() == link.now  # there is something to tell
    link.breath()
    assert kept.writable == 1
    assert endpoint.info()["datagrams_out"] == 1024


@pytest.mark.requirement("RFC 6056 3.3")
def test_ephemeral_ports_are_spread_and_not_taken_twice() -> None:
    link = Link()
    ports = [link.stack.bind(0, Kept()).local[1] for _ in range(500)]
    assert len(set(ports)) == 500
    assert min(ports) >= 1024 and max(ports) - min(ports) > 40000
    assert sorted(ports) != ports
    again = Link().stack.bind(0, Kept(), peer=PEER_PORT)
    assert again.local[1] >= 1024


def test_a_port_is_bound_once() -> None:
    link = Link()
    link.stack.bind(7, Kept())
    with pytest.raises(CortenError, match="in use"):
        link.stack.bind(7, Kept())
    link.stack.bind(7, Kept(), HERE)
    with pytest.raises(CortenError, match="in use"):
        link.stack.bind(7, Kept(), HERE)
    link.stack.bind(7, Kept(), peer=PEER_PORT)
    with pytest.raises(CortenError, match="in use"):
        link.stack.bind(7, Kept(), peer=PEER_PORT)
    for wrong in (-1, 65536):
        with pytest.raises(CortenError):
            link.stack.bind(wrong, Kept())
    with pytest.raises(CortenError, match="not an address of this stack"):
        link.stack.bind(9, Kept(), "10.0.0.9")
    with pytest.raises(TypeError, match="DatagramHandler"):
        link.stack.bind(9, object())  # type: ignore[arg-type]


def test_a_flood_of_answers_leaves_over_several_batches() -> None:
    link, kept = Link(), Kept(echo=True)
    link.stack.bind(7, kept)
    replies = link.breath(*[udp(bytes(1400)) for _ in range(250)], *[udp(b"") for _ in range(6)])
    assert len(replies) == 256
    assert [bytes(r[UDP].payload)[:1] for r in replies[-6:]] == [b""] * 6


@pytest.mark.parametrize("there", [HERE, "127.0.0.1"])
@pytest.mark.parametrize("size", [5, 20_000])
def test_a_stack_speaks_to_itself(there: str, size: int) -> None:
    link, service, asker = Link(), Kept(echo=True), Kept()
    link.stack.bind(7, service)
    endpoint = link.stack.bind(0, asker)
    assert endpoint.send(bytes(size), (there, 7))
    for _ in range(4):
        assert link.breath() == []
    assert asker.got == [(bytes(size), (there, 7))]
    assert link.stack.leaks() == []
