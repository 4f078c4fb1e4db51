"""Links that are not plain Ethernet: a tagged VLAN, and bare IP packets."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from corten.core.chance import Chance
from corten.core.frame import ReceiveBatch
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from tests.stack.link import OURS, PEER, Link

VID = 42


class Echo(Handler):
    def on_data(self, connection: object, data: bytes) -> None:
        connection.send(data)  # type: ignore[attr-defined]  # a Connection


def tagged(packet: Packet, vid: int = VID, to: str = OURS) -> Packet:
    return Ether(src=PEER, dst=to) / Dot1Q(vlan=vid) / packet


def echo_request() -> Packet:
    return IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(id=1, seq=2) / b"abcd"


@pytest.fixture
def link() -> Link:
    return Link(vlan=VID)


def test_what_leaves_is_tagged(link: Link) -> None:
    assert [frame[Dot1Q].vlan for frame in link.announced] == [VID]
    assert link.announced[0][ARP].psrc == "10.0.0.2"
    (reply,) = link.breath(tagged(echo_request()))
    assert reply[Dot1Q].vlan == VID
    assert reply[ICMP].type == 0
    assert bytes(reply[ICMP].payload) == b"abcd"


def test_arp_inside_the_tag() -> None:
    link = Link(resolve=True, vlan=VID)
    (reply,) = link.breath(
        tagged(ARP(op=1, hwsrc=PEER, psrc="10.0.0.1", pdst="10.0.0.2"), to="ff:ff:ff:ff:ff:ff")
    )
    assert (reply[Dot1Q].vlan, reply[ARP].op, reply[ARP].psrc) == (VID, 2, "10.0.0.2")


def test_a_handshake_and_data(link: Link) -> None:
    link.stack.listen(80, Echo)
    syn = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=999, dport=80, flags="S", seq=100)
    (syn_ack,) = link.breath(tagged(syn))
    assert syn_ack[Dot1Q].vlan == VID
    ack = syn_ack[TCP].seq + 1
    data = TCP(sport=999, dport=80, flags="PA", seq=101, ack=ack) / b"hello"
    (answer,) = link.breath(tagged(IP(src="10.0.0.1", dst="10.0.0.2") / data))
    assert bytes(answer[TCP].payload) == b"hello"
    assert answer[Dot1Q].vlan == VID
    expected = answer[TCP].chksum
    del answer[TCP].chksum
    assert Ether(bytes(answer))[TCP].chksum == expected


@pytest.mark.parametrize(
    "frame",
    [
        Ether(src=PEER, dst=OURS) / echo_request(),
        tagged(echo_request(), VID + 1),
        tagged(echo_request(), 0),
    ],
    ids=["untagged", "another", "priority only"],
)
def test_other_frames_are_not_ours(link: Link, frame: Packet) -> None:
    assert link.breath(frame) == []
    assert link.count("vlan_not_ours") == 1


def test_an_untagged_link_takes_no_vlan_but_a_priority() -> None:
    link = Link()
    assert link.breath(tagged(echo_request())) == []
    assert link.count("vlan_not_ours") == 1
    assert len(link.breath(tagged(echo_request(), 0))) == 1


@pytest.mark.parametrize("vid", [-1, 4095, 4096])
def test_impossible_vlans(vid: int) -> None:
    with pytest.raises(CortenError, match="vlan="):
        Link(vlan=vid)


# -- bare IP --------------------------------------------------------------------------------


class Tunnel:
    """A stack on a link without Ethernet."""

    def __init__(self) -> None:
        self.now = 10**9
        self.stack = Stack(Chance(1), b"k" * 32, now=self.now)
        self.interface = self.stack.add_interface(
            "tun0", "", ["10.0.0.2/24"], ethernet=False, gateway="10.0.0.1"
        )

    def breath(self, *packets: Packet | bytes) -> list[Packet]:
        batch = ReceiveBatch()
        for packet in packets:
            assert batch.append(bytes(packet))
        self.stack.receive(self.now, self.interface, batch)
        self.stack.expire(self.now)
        self.stack.deliver(self.now)
        self.stack.release(self.now)
        outgoing = self.interface.outgoing
        assert not self.stack.transmit(self.now)
        sent = [IP(outgoing.frame(i)) for i in range(outgoing.count)]
        outgoing.clear()
        return sent


def test_nothing_is_announced_and_nobody_is_asked_for() -> None:
    tunnel = Tunnel()
    assert tunnel.interface.outgoing.count == 0
    tunnel.stack.connect("192.0.2.9", 80, Handler)
    (syn,) = tunnel.breath()
    assert (syn.src, syn.dst, str(syn[TCP].flags)) == ("10.0.0.2", "192.0.2.9", "S")


def test_bare_packets_both_ways() -> None:
    tunnel = Tunnel()
    tunnel.stack.listen(80, Echo)
    (reply,) = tunnel.breath(echo_request())
    assert (reply[ICMP].type, bytes(reply[ICMP].payload)) == (0, b"abcd")
    syn = IP(src="10.0.0.7", dst="10.0.0.2") / TCP(sport=999, dport=80, flags="S", seq=100)
    (syn_ack,) = tunnel.breath(syn)
    assert str(syn_ack[TCP].flags) == "SA"
    expected = syn_ack[TCP].chksum
    del syn_ack[TCP].chksum
    assert IP(bytes(syn_ack))[TCP].chksum == expected


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x55" * 40, b"\xf0" * 40])
def test_neither_version(octets: bytes) -> None:
    tunnel = Tunnel()
    assert tunnel.breath(octets) == []
    assert tunnel.stack.counters.snapshot()["link_unknown_version"] == 1
