"""ARP: answers, learning, waiting packets, ageing, announcements (RFC 826, 1122, 5227)."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from corten.core.frame import ReceiveBatch
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from tests.malformed.frames import mend
from tests.plain import IS_PLAIN
from tests.stack.link import OURS, PEER, SECOND, Link, arp


def is_request(packet: object, target: str) -> bool:
    return ARP in packet and packet[ARP].op == 1 and packet[ARP].pdst == target


def test_announces_itself_at_start() -> None:
    (announcement,) = Link().announced
    assert announcement.dst == "ff:ff:ff:ff:ff:ff"
    assert (announcement[ARP].op, announcement[ARP].psrc, announcement[ARP].pdst) == (
        1,
        "10.0.0.2",
        "10.0.0.2",
    )
    assert Link(leader=False).announced == []


@pytest.mark.requirement("RFC 826")
def test_answers_a_request_for_its_address() -> None:
    link = Link(resolve=True)
    (reply,) = link.breath(arp())
    assert (reply.dst, reply[ARP].op, reply[ARP].hwsrc) == (PEER, 2, OURS)
    assert (reply[ARP].psrc, reply[ARP].pdst, reply[ARP].hwdst) == ("10.0.0.2", "10.0.0.1", PEER)


def test_answers_a_probe_without_learning_it() -> None:
    link = Link(resolve=True)
    (reply,) = link.breath(arp(psrc="0.0.0.0"))
    assert reply[ARP].op == 2
    assert len(link.interface.neighbours) == 0


def test_is_silent_about_others() -> None:
    link = Link(resolve=True)
    assert link.breath(arp(pdst="10.0.0.9")) == []
    assert link.count("arp_not_ours") == 1
    assert len(link.interface.neighbours) == 0, "nobody who does not speak to us is learnt"


def test_counts_a_conflict() -> None:
    link = Link(resolve=True)
    link.breath(arp(psrc="10.0.0.2"))
    assert link.count("arp_conflict") == 1


def test_ten_thousand_strangers_do_not_grow_the_table() -> None:
    link = Link(resolve=True)
    for i in range(1000 if IS_PLAIN else 10_000):
        link.breath(arp(op=2, psrc=f"10.{i >> 8 & 255}.{i & 255}.7", to=OURS, hwdst=OURS))
    assert len(link.interface.neighbours) <= 256, "off-link senders are not learnt"


def connect(link: Link, address: str = "10.0.0.1") -> None:
    link.stack.connect(address, 80, Handler)


@pytest.mark.requirement("RFC 1122 2.3.2.2")
def test_a_packet_waits_for_the_answer() -> None:
    link = Link(resolve=True)
    connect(link)
    (request,) = link.breath()
    assert is_request(request, "10.0.0.1") and request.dst == "ff:ff:ff:ff:ff:ff"
    (syn,) = link.breath(arp(op=2, to=OURS, hwdst=OURS))
    assert syn.dst == PEER and syn[TCP].flags == "S"
    assert syn[IP].chksum == IP(bytes(syn[IP])).chksum


def test_many_wait_for_one_answer() -> None:
    link = Link(resolve=True)
    for _ in range(150):
        connect(link)
    link.breath()
    sent = link.breath(arp(op=2, to=OURS, hwdst=OURS))
    assert len([p for p in sent if TCP in p]) == 150
    assert link.count("neighbour_queue_full") == 0


@pytest.mark.requirement("RFC 1122 2.3.2.1")
def test_asks_at_most_once_a_second_and_gives_up() -> None:
    link = Link(resolve=True)
    for _ in range(206):
        connect(link)
    sent = link.breath()
    assert len([p for p in sent if is_request(p, "10.0.0.1")]) == 1
    assert link.count("neighbour_queue_full") == 14, "192 wait, the oldest gave way"
    asked = 1
    for _ in range(100):
        asked += len([p for p in link.breath(after=SECOND // 10) if ARP in p])
    assert asked <= 11
    assert link.count("neighbour_unreachable") > 0


@pytest.mark.requirement("RFC 1122 2.3.2.1")
def test_an_old_entry_is_asked_for_by_unicast_while_in_use() -> None:
    link = Link(resolve=True)
    connect(link)
    link.breath()
    link.breath(arp(op=2, to=OURS, hwdst=OURS))
    requests = [p for p in link.breath(after=64 * SECOND) if ARP in p]
    assert [p.dst for p in requests] == [PEER]


def test_a_static_entry_is_neither_asked_for_nor_overwritten() -> None:
    link = Link()
    link.breath(arp(hwsrc="02:00:00:00:00:99"))
    connect(link)
    (syn,) = link.breath(after=10_000 * SECOND)
    assert syn[TCP].flags == "S" and syn.dst == PEER


def test_a_relayed_message_is_learnt_but_not_answered() -> None:
    link = Link(resolve=True)
    batch = ReceiveBatch()
    batch.append(bytes(arp()))
    link.stack.receive(link.now, link.interface, batch, 1)
    assert link.take() == []
    assert len(link.interface.neighbours) == 1


def test_malformed_messages_are_counted() -> None:
    link = Link(resolve=True)
    assert link.breath(arp(op=9)) == []
    assert link.count("arp_malformed") == 1
    assert link.breath(arp(hwsrc="ff:ff:ff:ff:ff:ff")) == []
    assert link.count("arp_bad_sender") == 1


def test_wrong_static_entry_is_one_clear_line() -> None:
    try:
        Link(neighbours={"10.0.0.1": "nonsense"})
    except CortenError as error:
        assert "nonsense" in str(error) and "\n" not in str(error)
    else:
        raise AssertionError("accepted")


def test_a_station_that_no_longer_answers_is_asked_again_before_its_minute_is_over() -> None:
    """RFC 1122 2.3.2.1: it has another card now, or what it said was garbled on the way."""
    link = Link(resolve=True)
    link.breath(arp(op=2, hwsrc="02:00:00:00:00:77", hwdst=OURS))
    link.stack.connect("10.0.0.1", 80, Handler)
    asked: list[str] = []
    for _ in range(20):
        asked += [p.dst for p in link.breath(after=SECOND) if is_request(p, "10.0.0.1")]
    assert asked[0] == "02:00:00:00:00:77"
    assert asked[1] == "ff:ff:ff:ff:ff:ff"
    found = link.breath(arp(op=2, hwdst=OURS), after=SECOND)
    for _ in range(20):
        found += link.breath(after=SECOND)
    assert any(TCP in p and p.dst == PEER for p in found)


def strangers(link: Link, count: int) -> None:
    """Others who speak to us once, each under an address of its own."""
    frame = bytearray(bytes(arp()))
    for first in range(0, count, 100):
        burst = []
        for i in range(first, first + 100):
            frame[30:32] = bytes([1 + i // 250, 1 + i % 250])
            burst.append(bytes(frame))
        link.breath(*burst)


def test_an_entry_evicted_while_paths_hold_it_still_hears_answers() -> None:
    """The table is small; connections are not cut off because strangers filled it."""
    link = Link(resolve=True, addresses=["10.0.0.2/16"])
    link.stack.connect("10.0.0.1", 80, Handler)
    link.breath(arp(op=2, hwdst=OURS))
    table = link.interface.neighbours
    mine = table.entries()[0]
    strangers(link, 4200)
    assert len(table) == 4096 and mine not in table.entries()
    for _ in range(200):
        found = link.breath(after=SECOND)
        if any(is_request(p, "10.0.0.1") for p in found):
            break
    assert mine in table.entries()


@pytest.mark.requirement("RFC 6583 7.1")
def test_strangers_evict_neither_static_entries_nor_stations_in_use() -> None:
    link = Link(resolve=True, addresses=["10.0.0.2/16"], neighbours={"10.0.0.77": PEER})
    link.breath(arp(psrc="10.0.0.1"))
    table = link.interface.neighbours
    static, used = table.entries()
    used.confirm(link.now)
    strangers(link, 4200)
    assert len(table) == 4096
    assert static in table.entries() and used in table.entries()


@pytest.mark.requirement("RFC 6583 7.1")
def test_a_scan_of_the_link_is_bounded_and_costs_nobody_his_entry() -> None:
    """Segments from addresses that nobody has: we ask for each, and hold its answer."""
    link = Link(resolve=True, addresses=["10.0.0.2/16"])
    link.breath(arp(psrc="10.0.0.1"))
    used = link.interface.neighbours.entries()[0]
    used.confirm(link.now)
    syn = bytearray(bytes(Ether(src=PEER, dst=OURS) / IP(dst="10.0.0.2") / TCP(flags="S")))
    syn[26:30] = bytes([10, 0, 0, 0])
    burst: list[bytes] = []
    for i in range(4500):
        syn[28:30] = bytes([1 + i // 250, 1 + i % 250])
        burst.append(bytes(mend(syn)))
        if len(burst) == 50:
            link.breath(*burst)
            burst.clear()
    assert len(link.interface.neighbours) <= 4096
    assert used in link.interface.neighbours.entries()
    for _ in range(120):
        link.breath(after=SECOND // 4)
    assert link.interface.unresolved == [] and link.interface.asking == []


def test_a_connection_hears_that_nobody_answers() -> None:
    """A missing entry is no error; one that all requests went unanswered for is."""
    link = Link(resolve=True)
    heard: list[object] = []

    class Client(Handler):
        def on_close(self, connection: object, error: object) -> None:
            heard.append(error)

    link.stack.connect("10.0.0.9", 80, Client)
    for _ in range(24):
        link.breath(after=SECOND // 4)
        if heard:
            break
        assert link.now < 7 * SECOND
    (error,) = heard
    assert isinstance(error, OSError) and error.errno == errno.EHOSTUNREACH
    assert "10.0.0.9" in str(error)
    assert link.now <= 7 * SECOND
    link.breath(after=SECOND)
    assert link.stack.leaks() == []


def test_a_connection_whose_neighbour_answers_at_last_lives_on() -> None:
    link = Link(resolve=True)
    connect(link)
    for _ in range(17):
        link.breath(after=SECOND // 4)
    assert any(TCP in p for p in link.breath(arp(op=2, to=OURS, hwdst=OURS)))
    for _ in range(40):
        link.breath(after=SECOND // 4)
    assert [c.state for c in link.stack.connections()] != []


# -- address conflict detection (RFC 5227) --------------------------------------------------


def probing() -> Link:
    return Link(resolve=True, acd=True)


def pass_time(link: Link, seconds: int) -> list[Packet]:
    return [f for _ in range(seconds * 10) for f in link.breath(after=SECOND // 10)]


RIVAL = "02:00:00:00:00:99"


@pytest.mark.requirement("RFC 5227 2.1.1")
@pytest.mark.requirement("RFC 5227 2.3")
def test_probes_before_use_and_announces_twice() -> None:
    link = probing()
    assert link.announced == [] and link.interface.addresses == []
    assert link.breath(arp()) == [], "not ours yet"
    sent = [f[ARP] for f in pass_time(link, 11) if ARP in f]
    assert [(a.psrc, a.pdst) for a in sent] == [("0.0.0.0", "10.0.0.2")] * 3 + [
        ("10.0.0.2", "10.0.0.2")
    ] * 2
    (reply,) = link.breath(arp())
    assert reply[ARP].op == 2


@pytest.mark.requirement("RFC 5227 2.1.1")
@pytest.mark.parametrize(
    "rival",
    [
        arp(op=2, hwsrc=RIVAL, psrc="10.0.0.2", pdst="10.0.0.7"),
        arp(op=1, hwsrc=RIVAL, psrc="10.0.0.2", pdst="10.0.0.7"),
        arp(op=1, hwsrc=RIVAL, psrc="0.0.0.0", pdst="10.0.0.2"),
    ],
)
def test_an_address_in_use_or_probed_for_is_not_taken(
    rival: Packet, caplog: pytest.LogCaptureFixture
) -> None:
    link = probing()
    pass_time(link, 2)
    link.breath(rival)
    assert [f for f in pass_time(link, 15) if ARP in f] == []
    assert link.interface.addresses == [] and link.count("addresses_lost") == 1
    assert any("10.0.0.2" in r.getMessage() and RIVAL in r.getMessage() for r in caplog.records)


def test_our_own_probe_heard_back_is_no_conflict() -> None:
    link = probing()
    for _ in range(120):
        for frame in link.breath(after=SECOND // 10):
            link.breath(frame)
    assert [a.text() for a in link.interface.addresses] == ["10.0.0.2"]


@pytest.mark.requirement("RFC 5227 2.4")
def test_defends_once_then_gives_up_and_connections_end() -> None:
    link = probing()
    pass_time(link, 11)
    heard: list[object] = []

    class Client(Handler):
        def on_close(self, connection: object, error: object) -> None:
            heard.append(error)

    link.breath(arp())
    link.stack.connect("10.0.0.1", 80, Client)
    conflict = arp(op=2, hwsrc=RIVAL, psrc="10.0.0.2")
    (defence,) = [f for f in link.breath(conflict) if ARP in f]
    assert (defence.dst, defence[ARP].psrc, defence[ARP].pdst) == (
        "ff:ff:ff:ff:ff:ff",
        "10.0.0.2",
        "10.0.0.2",
    )
    pass_time(link, 3)
    assert [f for f in link.breath(conflict) if ARP in f] == []
    pass_time(link, 1)
    assert link.interface.addresses == [] and len(heard) == 1
    assert link.breath(arp()) == []


@pytest.mark.requirement("RFC 5227 2.4")
def test_without_probing_an_address_is_kept_and_defended_quietly() -> None:
    link = Link(resolve=True)
    conflict = arp(op=2, hwsrc=RIVAL, psrc="10.0.0.2")
    defences = sum(len(link.breath(conflict, after=SECOND)) for _ in range(25))
    assert defences == 3
    assert [a.text() for a in link.interface.addresses] == ["10.0.0.2"]
    assert link.count("arp_conflict") == 25


# -- redirects ------------------------------------------------------------------------------


@pytest.mark.requirement("RFC 1122 3.2.2.2")
@pytest.mark.parametrize(
    ("by", "to", "taken"),
    [
        ("10.0.0.1", "10.0.0.9", True),
        ("10.0.0.66", "10.0.0.9", False),
        ("10.0.0.1", "10.9.9.9", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "10.0.0.255", False),
    ],
)
def test_a_redirect_from_the_gateway_in_use_is_followed(by: str, to: str, taken: bool) -> None:
    stations = {"10.0.0.1": PEER, "10.0.0.9": RIVAL}
    link = Link(gateway="10.0.0.1", neighbours=stations)
    connect(link, "192.0.2.7")
    (syn,) = link.breath()
    assert syn.dst == PEER
    message = IP(src=by, dst="10.0.0.2") / ICMP(type=5, code=1, gw=to) / bytes(syn[IP])[:28]
    link.breath(Ether(src=PEER, dst=OURS) / message)
    (again,) = link.breath(after=SECOND)
    assert again.dst == (RIVAL if taken else PEER)
    assert link.count("redirects_taken") == taken
