"""What a worker tells its successor of the neighbours."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import ARP
from scapy.packet import Packet

from corten.core.arena import Memory
from corten.endpoint.handler import Handler
from corten.ip.neighbour import REACHABLE, STALE, STATIC
from corten.ip.teaching import TAUGHT_LEN, TAUGHT_MAX, learn, taught
from tests.stack.link import OURS, PEER, SECOND, Link, arp


def syn(link: Link, address: str = "10.0.0.1") -> list[Packet]:
    """What leaves when the link's stack begins to speak to a station."""
    link.stack.connect(address, 80, Handler)
    return link.breath()


def teach(teacher: Link, learner: Link) -> None:
    learner.now = teacher.now
    for message in taught(teacher.interface):
        memory = Memory(b"head" + message)
        learn(learner.interface, memory, 4, len(message), learner.now)


def entries(link: Link) -> dict[int, tuple[int, int]]:
    return {e.address_low & 0xFF: (e.state, e.mac) for e in link.interface.neighbours.entries()}


def test_the_successor_answers_without_asking() -> None:
    teacher, learner = Link(resolve=True), Link(resolve=True)
    teacher.breath(arp())
    teach(teacher, learner)
    (sent,) = syn(learner)
    assert TCP in sent and sent.dst == PEER
    assert entries(learner) == {1: (REACHABLE, int(PEER.replace(":", ""), 16))}


def test_it_counts_as_reachable_no_longer_than_for_the_teacher() -> None:
    teacher, learner = Link(resolve=True), Link(resolve=True)
    teacher.breath(arp())
    teach(teacher, learner)
    (here,), (there,) = (link.interface.neighbours.entries() for link in (teacher, learner))
    assert here.fresh_until == there.fresh_until
    learner.now = here.fresh_until + SECOND
    sent = syn(learner)
    assert any(ARP in frame and frame.dst == PEER for frame in sent), "verified, by unicast"
    assert any(TCP in frame for frame in sent), "and in use meanwhile"


def test_static_and_unknown_stations_are_not_told() -> None:
    teacher = Link(neighbours={"10.0.0.9": PEER}, resolve=True)
    syn(teacher, "10.0.0.5")
    assert {state for state, _ in entries(teacher).values()} >= {STATIC}
    assert taught(teacher.interface) == []


def test_what_is_known_already_stays_and_what_waits_leaves() -> None:
    teacher, learner = Link(resolve=True), Link(resolve=True)
    teacher.breath(arp(), arp(psrc="10.0.0.7", hwsrc="02:00:00:00:00:07"))
    learner.breath(arp(hwsrc="02:00:00:00:00:99"))
    (request,) = syn(learner, "10.0.0.7")
    assert ARP in request
    teach(teacher, learner)
    (sent,) = learner.breath()
    assert sent.dst == "02:00:00:00:00:07"
    assert entries(learner)[1] == (REACHABLE, 0x020000000099)
    learner.breath(after=2 * SECOND)
    assert learner.count("neighbour_unreachable") == 0


def test_stale_stays_stale() -> None:
    teacher, learner = Link(resolve=True), Link(resolve=True)
    teacher.breath(arp())
    (entry,) = teacher.interface.neighbours.entries()
    entry.doubt(teacher.now)
    assert entry.state == STALE
    teach(teacher, learner)
    assert entries(learner)[1][0] == STALE


@pytest.mark.parametrize("length", [0, 1, TAUGHT_LEN - 1, TAUGHT_LEN + 5])
def test_a_message_cut_short_is_read_as_far_as_it_goes(length: int) -> None:
    teacher, learner = Link(resolve=True), Link(resolve=True)
    teacher.breath(arp())
    (message,) = taught(teacher.interface)
    memory = Memory((message + bytes(8))[:length])
    learn(learner.interface, memory, 0, length, learner.now)
    assert len(learner.interface.neighbours) == (length >= TAUGHT_LEN)


def test_a_large_table_is_told_in_several_messages() -> None:
    teacher = Link(addresses=["10.0.0.2/16"], resolve=True)
    count = TAUGHT_MAX + 100
    for i in range(count):
        station = f"02:00:00:01:{i >> 8:02x}:{i & 255:02x}"
        teacher.breath(arp(psrc=f"10.0.{1 + (i >> 8)}.{i & 255}", hwsrc=station, to=OURS))
    messages = taught(teacher.interface)
    assert [len(each) // TAUGHT_LEN for each in messages] == [TAUGHT_MAX, 100]
    learner = Link(addresses=["10.0.0.2/16"], resolve=True)
    teach(teacher, learner)
    assert len(learner.interface.neighbours) == count
