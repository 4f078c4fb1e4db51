"""Neighbour discovery on a link: what is asked and answered, and what strangers cannot do."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from corten.core.frame import ReceiveBatch
from corten.endpoint.handler import Handler
from tests.stack.link import OURS, PEER, SECOND, Link

LOCAL, REMOTE = "2001:db8::2", "2001:db8::1"
GROUP, GROUP_MAC = "ff02::1:ff00:2", "33:33:ff:00:00:02"
OTHER_MAC = "02:00:00:00:00:99"


def link(**options: object) -> Link:
    options.setdefault("addresses", ["2001:db8::2/64", "fe80::2/64"])
    return Link(resolve=True, **options)


def packet(
    payload: Packet, source: str = REMOTE, to: str = LOCAL, mac: str = OURS, by: str = PEER
) -> Packet:
    return Ether(src=by, dst=mac) / IPv6(src=source, dst=to, hlim=255) / payload


def solicitation(target: str = LOCAL, source: str = REMOTE, by: str = PEER) -> Packet:
    message = ICMPv6ND_NS(tgt=target)
    if source != "::":
        message = message / ICMPv6NDOptSrcLLAddr(lladdr=by)
    return packet(message, source, GROUP, GROUP_MAC, by)


def advertisement(
    target: str = REMOTE, mac: str = PEER, to: str = LOCAL, s: int = 1, o: int = 1, r: int = 0
) -> Packet:
    message = ICMPv6ND_NA(tgt=target, S=s, O=o, R=r) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    group = to.startswith("ff")
    return packet(message, target, to, "33:33:00:00:00:01" if group else OURS, mac)


def is_question(frame: Packet, target: str) -> bool:
    return ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == target


def echo(source: str = REMOTE) -> Packet:
    return packet(ICMPv6EchoRequest(id=1, seq=1), source)


def connect(net: Link, address: str = REMOTE) -> None:
    net.stack.connect(address, 80, Handler)


@pytest.mark.requirement("RFC 4861 7.2.4")
def test_answers_a_solicitation_for_its_address() -> None:
    (reply,) = link().breath(solicitation())
    assert (reply.dst, reply.src) == (PEER, OURS)
    assert (reply[IPv6].src, reply[IPv6].dst, reply[IPv6].hlim) == (LOCAL, REMOTE, 255)
    na = reply[ICMPv6ND_NA]
    assert (na.tgt, na.S, na.O, na.R) == (LOCAL, 1, 1, 0)
    assert reply[ICMPv6NDOptDstLLAddr].lladdr == OURS
    assert bytes(reply[IPv6]) == bytes(IPv6(bytes(reply[IPv6]).replace(b"", b"")))
    rebuilt = reply[IPv6].copy()
    del rebuilt[ICMPv6ND_NA].cksum
    assert bytes(rebuilt) == bytes(reply[IPv6]), "the checksum is right"


@pytest.mark.requirement("RFC 4861 7.2.4")
def test_answers_one_who_has_no_address_to_everybody() -> None:
    net = link()
    (reply,) = net.breath(solicitation(source="::"))
    assert (reply.dst, reply[IPv6].dst) == ("33:33:00:00:00:01", "ff02::1")
    assert (reply[ICMPv6ND_NA].S, reply[ICMPv6ND_NA].O) == (0, 1)
    assert len(net.interface.neighbours) == 0


@pytest.mark.requirement("RFC 4861 7.2.3")
def test_is_silent_about_others() -> None:
    net = link()
    assert net.breath(solicitation(target="2001:db8::1:0:2")) == []
    assert net.count("nd_not_ours") == 1
    assert len(net.interface.neighbours) == 0


@pytest.mark.requirement("RFC 4861 7.2.2")
def test_a_packet_waits_for_the_answer() -> None:
    net = link()
    connect(net)
    (question,) = net.breath()
    assert (question.dst, question[IPv6].dst) == ("33:33:ff:00:00:01", "ff02::1:ff00:1")
    assert is_question(question, REMOTE) and question[IPv6].src == LOCAL
    assert question[ICMPv6NDOptSrcLLAddr].lladdr == OURS
    (syn,) = net.breath(advertisement())
    assert syn.dst == PEER and syn[TCP].flags == "S"
    assert not net.interface.unresolved


@pytest.mark.requirement("RFC 4861 7.2.2")
def test_a_solicitation_tells_enough_to_answer_by() -> None:
    net = link()
    net.breath(solicitation())
    connect(net)
    (syn,) = net.breath()
    assert syn.dst == PEER and TCP in syn, "stale, and used at once"
    later = net.breath(after=5 * SECOND)
    probes = [f for f in later if is_question(f, REMOTE)]
    assert [f.dst for f in probes] == [PEER], "verified by unicast after the delay"


@pytest.mark.requirement("RFC 4861 7.2.2")
def test_asks_three_times_and_the_connection_hears_of_it() -> None:
    net = link()
    heard: list[object] = []

    class Client(Handler):
        def on_close(self, connection: object, error: object) -> None:
            heard.append((net.now, error))

    net.stack.connect("2001:db8::77", 80, Client)
    asked = [f for f in net.breath() if is_question(f, "2001:db8::77")]
    for _ in range(30):
        asked += [f for f in net.breath(after=SECOND // 4) if is_question(f, "2001:db8::77")]
    assert len(asked) == 3
    ((when, error),) = heard
    assert isinstance(error, OSError) and error.errno == errno.EHOSTUNREACH
    assert when <= 5 * SECOND
    assert net.stack.leaks() == []


@pytest.mark.requirement("RFC 4861 7.2.5")
def test_an_advertisement_nobody_asked_for_is_not_learnt() -> None:
    net = link()
    net.breath(*[advertisement(f"2001:db8::1:{i:x}") for i in range(200)])
    assert len(net.interface.neighbours) == 0 and net.count("nd_not_ours") == 200


@pytest.mark.requirement("RFC 4861 7.2.5")
def test_a_station_that_changes_its_card_says_so() -> None:
    net = link()
    net.breath(solicitation())
    connect(net)
    net.breath()
    net.breath(advertisement(mac=OTHER_MAC, to="ff02::1", s=0, o=0))
    (entry,) = net.interface.neighbours.entries()
    assert entry.mac == int(PEER.replace(":", ""), 16), "no override, no change"
    net.breath(advertisement(mac=OTHER_MAC, to="ff02::1", s=0))
    assert entry.mac == int(OTHER_MAC.replace(":", ""), 16)


@pytest.mark.requirement("RFC 6980 5")
def test_never_in_fragments() -> None:
    net = link()
    whole = (
        IPv6(src=REMOTE, dst=LOCAL, hlim=255) / IPv6ExtHdrFragment(id=5) / ICMPv6ND_NS(tgt=LOCAL)
    )
    assert net.breath(Ether(src=PEER, dst=OURS) / whole) == []
    assert net.count("nd_malformed") == 1


def test_what_another_worker_heard_is_learnt_and_not_answered() -> None:
    net = link()
    batch = ReceiveBatch()
    batch.append(bytes(solicitation()))
    net.stack.receive(net.now, net.interface, batch, 1)
    assert net.take() == [] and len(net.interface.neighbours) == 1


def test_the_delay_is_by_chance() -> None:
    delays = set()
    for i in range(60):
        net = link(addresses=[f"2001:db8::{i + 2:x}/64"], dad="on")
        trial = net.interface.tentative[0].trial
        assert net.now <= trial.due_at < net.now + SECOND
        delays.add((trial.due_at - net.now) // (SECOND // 10))
    assert len(delays) == 10, "spread over the second"


# -- duplicates -----------------------------------------------------------------------------


def trying(how: str = "on") -> Link:
    return link(addresses=["2001:db8::2/64"], dad=how, shows_groups=True)


@pytest.mark.requirement("RFC 4862 5.4.2")
def test_an_address_is_tried_before_it_is_used() -> None:
    net = trying()
    assert net.interface.addresses == []
    assert net.breath(solicitation(), echo()) == [], "neither answered for nor taken"
    sent: list[Packet] = []
    for _ in range(25):
        sent += net.breath(after=SECOND // 10)
    (question,) = [f for f in sent if is_question(f, LOCAL)]
    assert (question[IPv6].src, question[IPv6].dst) == ("::", GROUP)
    assert ICMPv6NDOptSrcLLAddr not in question
    assert question[ICMPv6ND_NS].payload.type == 14, "with a nonce"
    assert [a.text() for a in net.interface.addresses] == [LOCAL]
    (told,) = [f for f in sent if ICMPv6ND_NA in f]
    assert (told[IPv6].dst, told[ICMPv6ND_NA].S, told[ICMPv6ND_NA].O) == ("ff02::1", 0, 1)
    replies = net.breath(solicitation(), echo())
    assert any(ICMPv6EchoReply in f for f in replies)
    assert net.stack.leaks() == []


@pytest.mark.requirement("RFC 4862 5.4.3", "RFC 4862 5.4.5")
@pytest.mark.requirement("RFC 4862 5.4.4")
@pytest.mark.parametrize("how", ["on", "optimistic"])
@pytest.mark.parametrize(
    "rival",
    [
        solicitation(source="::", by=OTHER_MAC),
        advertisement(LOCAL, OTHER_MAC, "ff02::1", s=0),
    ],
)
def test_an_address_that_somebody_else_has_is_not_used(
    rival: Packet, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    net = trying(how)
    net.breath(after=SECOND // 100)
    net.breath(rival)
    net.breath(after=SECOND // 100)
    for _ in range(30):
        net.breath(after=SECOND // 10)
    assert net.interface.addresses == [] and net.interface.tentative == []
    assert (net.count("nd_conflict"), net.count("addresses_lost")) == (1, 1)
    (line,) = [r.getMessage() for r in caplog.records]
    assert LOCAL in line and OTHER_MAC in line
    assert net.breath(solicitation(), echo()) == []


@pytest.mark.requirement("RFC 4862 5.4.3")
def test_who_asks_for_a_tentative_address_gets_no_answer_and_does_no_harm() -> None:
    net = trying()
    assert net.breath(solicitation()) == []
    for _ in range(25):
        net.breath(after=SECOND // 10)
    assert [a.text() for a in net.interface.addresses] == [LOCAL]


@pytest.mark.requirement("RFC 7527 4.2")
def test_our_own_question_heard_back_is_no_conflict() -> None:
    net = trying()
    looped = 0
    for _ in range(60):
        for frame in net.breath(after=SECOND // 10):
            if is_question(frame, LOCAL) and looped == 0:
                looped += 1
                net.breath(frame)
    assert [a.text() for a in net.interface.addresses] == [LOCAL]
    assert net.count("nd_looped_back") == 1 and net.count("nd_conflict") == 0


@pytest.mark.requirement("RFC 4429 3.3")
def test_an_optimistic_address_answers_without_overriding() -> None:
    net = trying("optimistic")
    assert [a.text() for a in net.interface.addresses] == [LOCAL]
    (reply,) = [f for f in net.breath(solicitation()) if ICMPv6ND_NA in f]
    assert (reply[ICMPv6ND_NA].S, reply[ICMPv6ND_NA].O) == (1, 0)
    for _ in range(25):
        net.breath(after=SECOND // 10)
    (reply,) = [f for f in net.breath(solicitation()) if ICMPv6ND_NA in f]
    assert reply[ICMPv6ND_NA].O == 1


def test_connections_of_a_lost_address_are_over() -> None:
    net = trying("optimistic")
    heard: list[object] = []

    class Client(Handler):
        def on_close(self, connection: object, error: object) -> None:
            heard.append(error)

    net.breath(solicitation())
    net.stack.connect(REMOTE, 80, Client)
    net.breath(solicitation(source="::", by=OTHER_MAC))
    net.breath(after=SECOND // 10)
    net.breath(after=SECOND // 10)
    (error,) = heard
    assert isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL


# -- redirects ------------------------------------------------------------------------------

FAR = "2001:db8:ffff::5"


def routed() -> Link:
    net = link(gateway="fe80::1")
    net.breath(packet(ICMPv6ND_NS(tgt="fe80::2") / ICMPv6NDOptSrcLLAddr(lladdr=PEER), "fe80::1",
                      "fe80::2"))  # fmt: skip
    connect(net, FAR)
    (syn,) = [f for f in net.breath() if TCP in f]
    assert syn.dst == PEER
    return net


def redirect(target: str, source: str = "fe80::1", mac: str = OTHER_MAC) -> Packet:
    option = ICMPv6NDOptDstLLAddr(lladdr=mac)
    return packet(ICMPv6ND_Redirect(tgt=target, dst=FAR) / option, source)


@pytest.mark.requirement("RFC 4861 8.3")
@pytest.mark.parametrize("target", ["fe80::9", FAR])
def test_a_redirect_moves_what_is_on_its_way(target: str) -> None:
    net = routed()
    net.breath(redirect(target))
    (syn,) = [f for f in net.breath(after=SECOND) if TCP in f]
    assert syn.dst == OTHER_MAC
    assert net.count("redirects_taken") == 1


@pytest.mark.requirement("RFC 4861 8.1")
def test_a_redirect_of_another_than_the_first_hop_is_dropped() -> None:
    net = routed()
    net.breath(redirect("fe80::9", source="fe80::66"))
    (syn,) = [f for f in net.breath(after=SECOND) if TCP in f]
    assert syn.dst == PEER and net.count("nd_bad_router") == 1
    assert net.interface.hops.redirects == {}


def test_redirects_are_bounded() -> None:
    net = routed()
    for i in range(2000):
        message = ICMPv6ND_Redirect(tgt="fe80::9", dst=f"2001:db8:ffff::{i:x}")
        net.breath(packet(message, "fe80::1"))
    assert len(net.interface.hops.redirects) == 1024
