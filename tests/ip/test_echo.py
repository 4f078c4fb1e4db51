"""Echo requests of our own, their replies, and replies too long for one frame (RFC 792)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from corten.endpoint.error import CortenError
from corten.endpoint.ping import Ping, PingHandler
from tests.stack.link import OURS, PEER, SECOND, Link
from tests.udp.bench import HERE, THERE

LOCAL, REMOTE = "2001:db8::2", "2001:db8::1"


class Heard(PingHandler):
    def __init__(self) -> None:
        self.replies: list[tuple[int, bytes, float, int]] = []
        self.errors: list[tuple[int, OSError]] = []

    def on_reply(self, ping: Ping, sequence: int, data: bytes, seconds: float, ttl: int) -> None:
        self.replies.append((sequence, data, seconds, ttl))

    def on_error(self, ping: Ping, sequence: int, error: OSError) -> None:
        self.errors.append((sequence, error))


def answer(request: Packet, **changed: object) -> Packet:
    """What a host answers; `changed`: fields of its IP header."""
    ip, icmp = request[IP], request[ICMP]
    values: dict[str, object] = {"src": ip.dst, "dst": ip.src, "ttl": 61}
    reply = ICMP(type=0, id=icmp.id, seq=icmp.seq) / Raw(bytes(icmp.payload))
    return Ether(src=PEER, dst=OURS) / IP(**{**values, **changed}) / reply


def test_a_request_and_its_reply() -> None:
    link, heard = Link(), Heard()
    ping = link.stack.ping(THERE, heard, ttl=9, dscp=8)
    assert ping.send(5, b"data!")
    (request,) = link.breath()
    assert (request[IP].src, request[IP].dst) == (HERE, THERE)
    assert (request[IP].ttl, request[IP].tos, request[ICMP].type) == (9, 32, 8)
    assert (request[ICMP].id, request[ICMP].seq) == (ping.identifier, 5)
    again = IP(bytes(request[IP]))
    good = again[ICMP].chksum
    del again[ICMP].chksum
    assert IP(bytes(again))[ICMP].chksum == good
    assert link.breath(answer(request), after=SECOND // 4) == []
    assert heard.replies == [(5, b"data!", 0.25, 61)]
    link.breath(answer(request))
    assert heard.replies[1][2] < 0  # a second reply answers nothing
    ping.close()
    ping.close()
    assert link.stack.leaks() == []


def test_over_ipv6_too() -> None:
    link = Link(addresses=[f"{LOCAL}/64", "fe80::2/64"], neighbours={REMOTE: PEER})
    heard = Heard()
    ping = link.stack.ping(REMOTE, heard)
    ping.send(1, bytes(range(56)))
    (request,) = link.breath()
    right = IPv6(src=LOCAL, dst=REMOTE, fl=request[IPv6].fl) / ICMPv6EchoRequest(
        id=ping.identifier, seq=1, data=bytes(range(56))
    )
    assert bytes(request[IPv6]) == bytes(right)
    reply = ICMPv6EchoReply(id=ping.identifier, seq=1, data=bytes(range(56)))
    link.breath(Ether(src=PEER, dst=OURS) / IPv6(src=REMOTE, dst=LOCAL, hlim=33) / reply)
    assert heard.replies == [(1, bytes(range(56)), 0.0, 33)]


def test_what_is_no_reply_to_us() -> None:
    link, heard = Link(addresses=["10.0.0.2/24", "10.0.0.3/24"]), Heard()
    ping = link.stack.ping(THERE, heard)
    ping.send(1, b"x")
    (request,) = link.breath()
    other = answer(request)
    other[ICMP].id ^= 1
    link.breath(answer(request, src="10.0.0.9"), answer(request, dst="10.0.0.3"), other)
    assert heard.replies == [] and link.count("echo_unknown") == 3
    ping.close()
    link.breath(answer(request))
    assert heard.replies == [] and link.count("echo_unknown") == 4


def test_errors_are_told_with_their_request() -> None:
    link, heard = Link(), Heard()
    ping = link.stack.ping(THERE, heard, ttl=1)
    ping.send(7, b"x" * 20)
    (request,) = link.breath()
    outer = Ether(src=PEER, dst=OURS) / IP(src="10.0.0.9", dst=HERE)
    link.breath(outer / ICMP(type=11) / Raw(bytes(request[IP])[:28]))
    ((sequence, error),) = heard.errors
    assert sequence == 7 and "time exceeded" in str(error)
    link.breath(outer / ICMP(type=11) / Raw(bytes(request[IP])[:27]))
    assert len(heard.errors) == 1


@pytest.mark.parametrize("size", [1472, 1473, 65507])
def test_long_ones_are_cut_both_ways(size: int) -> None:
    link, heard = Link(), Heard()
    data = bytes(i * 3 & 255 for i in range(size))
    link.stack.ping(THERE, heard).send(1, data)
    frames = link.breath()
    assert len(frames) == -(-(size + 8) // 1480)
    body = b"".join(bytes(frame[IP].payload) for frame in frames)
    back = bytes([0]) + body[1:]  # made a reply of, its checksum mended
    total = int.from_bytes(body[2:4], "big") + 0x0800
    back = back[:2] + ((total & 0xFFFF) + (total >> 16)).to_bytes(2, "big") + back[4:]
    for at in range(0, len(back), 1480):
        part = Raw(back[at : at + 1480])
        more = int(at + 1480 < len(back))
        head = IP(src=THERE, dst=HERE, proto=1, id=5, frag=at // 8, flags=more)
        link.breath(Ether(src=PEER, dst=OURS) / head / part)
    assert [(s, d) for s, d, _, _ in heard.replies] == [(1, data)]


@pytest.mark.requirement("RFC 1122 3.2.2.6")
def test_a_long_request_is_answered_in_fragments() -> None:
    link = Link()
    data = bytes(i * 3 & 255 for i in range(65507))
    request = bytes(ICMP(id=3, seq=4) / Raw(data))
    frames: list[Packet] = []
    for at in range(0, len(request), 1480):
        more = int(at + 1480 < len(request))
        head = IP(src=THERE, dst=HERE, proto=1, id=5, frag=at // 8, flags=more)
        frames += link.breath(Ether(src=PEER, dst=OURS) / head / Raw(request[at : at + 1480]))
    assert len(frames) == 45
    body = b"".join(bytes(frame[IP].payload) for frame in frames)
    assert body == bytes(ICMP(type=0, id=3, seq=4) / Raw(data))
    assert link.count("icmp_echo_replies") == 1
    assert link.stack.leaks() == []


def test_identifiers_differ_and_wrong_calls_say_so() -> None:
    link, heard = Link(), Heard()
    pings = [link.stack.ping(THERE, heard) for _ in range(200)]
    assert len({ping.identifier for ping in pings}) == 200
    for wrong in ({"ttl": 0}, {"ttl": 256}, {"dscp": 64}):
        with pytest.raises(CortenError):
            link.stack.ping(THERE, heard, **wrong)
    for address in ("224.0.0.1", "10.0.0.255", "x", "192.0.2.1"):
        with pytest.raises(CortenError):
            link.stack.ping(address, heard)
    with pytest.raises(CortenError, match="65507"):
        pings[0].send(1, bytes(65508))
    with pytest.raises(CortenError, match="sequence"):
        pings[0].send(65536, b"")
    pings[0].close()
    with pytest.raises(CortenError, match="closed"):
        pings[0].send(1, b"")
