"""TCP over IPv6: the same connections, other headers; both families on one listener."""

from __future__ import annotations

from typing import ClassVar

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.wire.address import parse_address
from tests.stack.link import OURS, PEER, SECOND, Link

LOCAL = "2001:db8::2"
REMOTE = "2001:db8::1"
ADDRESSES = ["10.0.0.2/24", "2001:db8::2/64", "fe80::2/64"]
NEIGHBOURS = {"10.0.0.1": PEER, REMOTE: PEER, "fe80::1": PEER, "fe80::99": PEER}


class Echo(Handler):
    errors: ClassVar[list[object]] = []

    def on_data(self, connection: Connection, data: bytes) -> None:
        connection.send(data)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        Echo.errors.append(error)


@pytest.fixture(autouse=True)
def no_errors() -> None:
    Echo.errors.clear()


def link(**options: object) -> Link:
    options.setdefault("addresses", ADDRESSES)
    options.setdefault("neighbours", NEIGHBOURS)
    return Link(**options)


def segment(source: str, to: str, **fields: object) -> Packet:
    fields = {"sport": 999, "dport": 80, **fields}
    family = IPv6 if ":" in to else IP
    return Ether(src=PEER, dst=OURS) / family(src=source, dst=to) / TCP(**fields)


def checked(packet: Packet) -> Packet:
    """The packet, whose checksums scapy computes alike."""
    layer = IPv6 if IPv6 in packet else IP
    again = layer(bytes(packet[layer]))
    del again[TCP].chksum
    assert bytes(again) == bytes(packet[layer])
    return packet


def talk(net: Link, source: str, to: str, data: bytes = b"hello") -> None:
    """A whole connection: SYN to RST-free end."""
    (answer,) = net.breath(segment(source, to, flags="S", seq=100, options=[("MSS", 1440)]))
    assert checked(answer)[TCP].flags == "SA"
    seq, ack = 101, answer[TCP].seq + 1
    net.breath(segment(source, to, flags="A", seq=seq, ack=ack))
    sent = net.breath(segment(source, to, flags="PA", seq=seq, ack=ack) / Raw(data))
    (reply,) = [p for p in sent if Raw in p]
    assert checked(reply)[Raw].load == data
    assert reply[TCP].ack == seq + len(data)
    net.breath(segment(source, to, flags="R", seq=seq + len(data)))
    assert not net.stack.leaks()


@pytest.mark.parametrize(
    ("source", "to"), [("10.0.0.1", "10.0.0.2"), (REMOTE, LOCAL), ("fe80::1", "fe80::2")]
)
def test_a_listener_accepts_both_families(source: str, to: str) -> None:
    net = link()
    net.stack.listen(80, Echo)
    talk(net, source, to)


@pytest.mark.parametrize(
    ("address", "refused"), [(LOCAL, "10.0.0.2"), ("10.0.0.2", LOCAL), (LOCAL, "fe80::2")]
)
def test_an_address_fixes_the_family(address: str, refused: str) -> None:
    net = link()
    net.stack.listen(80, Echo, address=address)
    source = {"10.0.0.2": "10.0.0.1", LOCAL: REMOTE, "fe80::2": "fe80::1"}
    talk(net, source[address], address)
    (answer,) = net.breath(segment(source[refused], refused, flags="S", seq=1))
    assert checked(answer)[TCP].flags == "RA"


def test_listeners_of_two_families_share_a_port() -> None:
    net = link()
    net.stack.listen(80, Echo, address=LOCAL)
    net.stack.listen(80, Echo, address="10.0.0.2")
    talk(net, REMOTE, LOCAL)
    talk(net, "10.0.0.1", "10.0.0.2")
    with pytest.raises(CortenError, match="in use"):
        net.stack.listen(80, Echo)


def open_towards(net: Link, address: str, **options: object) -> Packet:
    net.stack.connect(address, 80, Echo, **options)
    (syn,) = net.breath()
    return checked(syn)


@pytest.mark.requirement("RFC 6437 3")
def test_a_flow_has_one_label_of_its_own() -> None:
    net = link()
    labels = {open_towards(net, REMOTE)[IPv6].fl for _ in range(3)}
    other = open_towards(net, "fe80::1%test0")[IPv6].fl
    assert len(labels) == 1
    assert labels != {other}
    assert 0 not in {other, *labels}
    assert {open_towards(link(), REMOTE)[IPv6].fl} == labels, "one secret, one label"


@pytest.mark.requirement("MUST-15")
def test_the_mss_follows_from_the_link_and_defaults_to_1220() -> None:
    net = link()
    assert dict(open_towards(net, REMOTE)[TCP].options)["MSS"] == 1440
    assert dict(open_towards(link(mtu=1280), REMOTE)[TCP].options)["MSS"] == 1220
    net.stack.listen(80, Echo)
    (answer,) = net.breath(segment(REMOTE, LOCAL, flags="S", seq=100))
    seq, ack = 101, answer[TCP].seq + 1
    data = b"x" * 1300
    net.breath(segment(REMOTE, LOCAL, flags="A", seq=seq, ack=ack))
    sent = net.breath(segment(REMOTE, LOCAL, flags="PA", seq=seq, ack=ack) / Raw(data))
    assert [len(p[Raw].load) for p in sent if Raw in p] == [1220, 80]


def test_a_link_local_address_goes_out_of_the_link_it_names() -> None:
    net = link()
    other = net.stack.add_interface(
        "second", "02:00:00:00:00:0b", ["fe80::b/64"], neighbours={"fe80::1": PEER}
    )
    net.stack.connect("fe80::1%second", 80, Handler)
    assert net.breath() == []
    assert other.outgoing.count == 1
    syn = Ether(other.outgoing.frame(0))
    assert (syn[IPv6].src, syn[IPv6].dst) == ("fe80::b", "fe80::1")
    other.outgoing.clear()
    assert open_towards(net, "fe80::1%0")[IPv6].src == "fe80::2"
    with pytest.raises(CortenError, match="no link 'third'; there are test0, second"):
        net.stack.connect("fe80::1%third", 80, Handler)


def test_a_gateway_may_be_link_local_and_each_family_has_its_own() -> None:
    net = link(gateway=["10.0.0.1", "fe80::99"])
    assert open_towards(net, "2001:db8:77::1")[IPv6].src == LOCAL
    assert open_towards(net, "192.0.2.1")[IP].src == "10.0.0.2"


@pytest.mark.requirement("MUST-46")
@pytest.mark.parametrize("address", ["ff02::1", "ff0e::5", "::", "10.0.0.255", "224.0.0.1"])
def test_no_connection_to_what_is_no_single_host(address: str) -> None:
    with pytest.raises(CortenError, match="single host"):
        link(gateway=["10.0.0.1", "fe80::99"]).stack.connect(address, 80, Handler)


@pytest.mark.parametrize(
    ("address", "options", "words"),
    [
        ("2001:db8:5::1", {}, "no route"),
        (REMOTE, {"source": ("10.0.0.2", None)}, "other family"),
        (REMOTE, {"source": ("2001:db8::7", None)}, "not an address of this stack"),
    ],
)
def test_impossible_opens_are_refused(address: str, options: dict, words: str) -> None:
    with pytest.raises(CortenError, match=words):
        link().stack.connect(address, 80, Handler, **options)


def test_a_link_without_ipv6_has_nothing_to_send_it_from() -> None:
    net = Link()
    net.stack.add_route("2001:db8::/32", net.interface)
    with pytest.raises(CortenError, match="add an IPv6 one"):
        net.stack.connect(REMOTE, 80, Handler)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ff02::1/64", "not an address that a host can have"),
        ("::/64", "not an address that a host can have"),
        ("::1/128", "not an address that a host can have"),
        ("2001:db8::1", "prefix length"),
    ],
)
def test_impossible_own_addresses_are_refused(address: str, words: str) -> None:
    with pytest.raises(CortenError, match=words):
        Link(addresses=[address])


@pytest.mark.requirement("RFC 8200 5")
def test_ipv6_needs_1280_octets() -> None:
    with pytest.raises(CortenError, match="mtu=1280"):
        Link(addresses=["2001:db8::2/64"], mtu=1279)


# -- routes that come and go ----------------------------------------------------------------


def test_metrics_decide_between_routes_of_one_length() -> None:
    net = link(resolve=True, neighbours={"fe80::a": PEER, "fe80::b": OURS})
    net.stack.add_route("2001:db8:7::/48", net.interface, "fe80::a", metric=20)
    net.stack.add_route("2001:db8:7::/48", net.interface, "fe80::b", metric=10)
    assert open_towards(net, "2001:db8:7::1").dst == OURS
    net.stack.routes.remove("2001:db8:7::/48", net.interface)
    assert open_towards(net, "2001:db8:7::1").dst == OURS, "the first of them is gone"


def test_a_new_address_a_new_link_and_a_route_change_the_way() -> None:
    net = link(gateway=["fe80::99"])
    assert open_towards(net, "2001:db8:7::1").dst == PEER
    net.stack.add_address(net.interface, "2001:db8:7::2/64")
    net.stack.add_neighbour(net.interface, "2001:db8:7::1", OURS)
    net.breath()  # announced
    syn = open_towards(net, "2001:db8:7::1")
    assert (syn[IPv6].src, syn.dst) == ("2001:db8:7::2", OURS)
    net.stack.routes.remove_address(net.interface, *parse_address("2001:db8:7::2"))
    assert open_towards(net, "2001:db8:7::1")[IPv6].src == LOCAL


def test_an_address_stands_on_one_link_only() -> None:
    net = link()
    with pytest.raises(CortenError, match="has this address already"):
        net.stack.add_interface("second", "02:00:00:00:00:0b", ["fe80::2/64"])
    with pytest.raises(CortenError, match="has this address already"):
        net.stack.add_address(net.interface, "2001:db8::2/64")


@pytest.mark.requirement("RFC 1122 3.3.4.2")
def test_what_is_sent_from_an_address_leaves_on_its_link() -> None:
    net = link()
    other = net.stack.add_interface("second", "02:00:00:00:00:0b", ["2001:db8:b::2/64"])
    with pytest.raises(CortenError, match="no route"):
        net.stack.connect(REMOTE, 80, Handler, source=("2001:db8:b::2", None))
    assert other.outgoing.count == 0


# -- errors --------------------------------------------------------------------------------


def error_about(syn: Packet, layer: Packet, quoted: bytes | None = None) -> Packet:
    octets = bytes(syn[IPv6]) if quoted is None else quoted
    return Ether(src=PEER, dst=OURS) / IPv6(src="2001:db8::99", dst=LOCAL) / layer / Raw(octets)


@pytest.mark.requirement("MUST-54")
@pytest.mark.parametrize(
    ("layer", "error"),
    [
        (ICMPv6DestUnreach(code=0), None),
        (ICMPv6DestUnreach(code=1), OSError),
        (ICMPv6DestUnreach(code=2), None),
        (ICMPv6DestUnreach(code=3), None),
        (ICMPv6DestUnreach(code=4), ConnectionRefusedError),
        (ICMPv6DestUnreach(code=5), OSError),
        (ICMPv6DestUnreach(code=6), OSError),
        (ICMPv6TimeExceeded(code=0), None),
        (ICMPv6ParamProblem(code=0), None),
        (ICMPv6ParamProblem(code=1), ConnectionRefusedError),
    ],
)
def test_an_error_ends_an_open_that_nobody_will_answer(
    layer: Packet, error: type[Exception] | None
) -> None:
    net = link()
    syn = open_towards(net, REMOTE)
    net.breath(error_about(syn, layer))
    assert net.count("icmp_errors_in") == 1
    if error is None:
        assert Echo.errors == []
    else:
        (told,) = Echo.errors
        assert isinstance(told, error)
        assert not net.stack.leaks()


def quotes(syn: Packet) -> list[tuple[bytes, str]]:
    """Quotes that are not ours, and what they count as."""
    octets = bytes(syn[IPv6])
    wrong_seq = bytearray(octets)
    wrong_seq[44:48] = bytes(4)
    strange = bytearray(octets)
    strange[6] = 253
    version = bytearray(octets)
    version[0] = 0x45
    other = bytearray(octets)
    other[39] ^= 1
    return [
        (octets[:0], "icmpv6_bad_quote"),
        (octets[:39], "icmpv6_bad_quote"),
        (octets[:47], "icmp_bad_quote"),
        (bytes(wrong_seq), "icmp_bad_quote"),
        (bytes(other), "icmp_bad_quote"),
        (bytes(strange), "icmpv6_bad_quote"),
        (bytes(version), "icmpv6_bad_quote"),
    ]


@pytest.mark.requirement("RFC 5927 4.1")
@pytest.mark.parametrize("case", range(7))
def test_an_error_about_what_we_did_not_send_is_not_believed(case: int) -> None:
    net = link()
    syn = open_towards(net, REMOTE)
    quote, counter = quotes(syn)[case]
    net.breath(error_about(syn, ICMPv6DestUnreach(code=4), quote))
    assert net.count(counter) == 1
    assert net.count("icmp_errors_in") == 0
    assert Echo.errors == []


def test_an_error_is_found_behind_the_extension_headers_of_its_quote() -> None:
    net = link()
    syn = open_towards(net, REMOTE)
    quote = bytes(IPv6(src=LOCAL, dst=REMOTE) / IPv6ExtHdrDestOpt() / syn[TCP])
    net.breath(error_about(syn, ICMPv6DestUnreach(code=4), quote))
    assert isinstance(Echo.errors[0], ConnectionRefusedError)


def established(net: Link, data: bytes) -> list[Packet]:
    """A connection to which we have just sent `data`."""
    net.stack.listen(80, Echo)
    options = [("MSS", 1440)]
    (answer,) = net.breath(segment(REMOTE, LOCAL, flags="S", seq=100, options=options))
    ack = answer[TCP].seq + 1
    net.breath(segment(REMOTE, LOCAL, flags="A", seq=101, ack=ack))
    sent = net.breath(segment(REMOTE, LOCAL, flags="PA", seq=101, ack=ack) / Raw(data))
    return [p for p in sent if Raw in p]


@pytest.mark.requirement("RFC 4443 3.2", "RFC 8201 5.4")
@pytest.mark.requirement("RFC 8201 4")
@pytest.mark.parametrize(
    ("mtu", "then"),
    [(1400, 1340), (1280, 1220), (1279, None), (0, None), (1500, None), (9000, None)],
)
def test_too_big_makes_segments_smaller_but_never_under_1280(mtu: int, then: int | None) -> None:
    net = link()
    sent = established(net, b"x" * 1430)
    again = net.breath(error_about(sent[0], ICMPv6PacketTooBig(mtu=mtu)))
    if then is None:
        assert again == []
        assert net.count("icmpv6_bad_mtu") == (1 if mtu < 1280 else 0)
    else:
        assert len(again[0][Raw].load) == then
    net.breath(segment(REMOTE, LOCAL, flags="R", seq=101 + 1430))
    assert not net.stack.leaks()


@pytest.mark.requirement("RFC 8201 4")
def test_a_lower_mtu_holds_for_ten_minutes() -> None:
    net = link()
    sent = established(net, b"x" * 1430)
    net.breath(error_about(sent[0], ICMPv6PacketTooBig(mtu=1300)))
    path = net.stack.connections()[0].path
    assert path.mtu == 1500
    net.breath(after=599 * SECOND)
    syn = segment(REMOTE, LOCAL, sport=7, flags="S", seq=1, options=[("MSS", 1440)])
    net.breath(syn)
    tcb = next(c for c in net.stack.connections() if c.remote_port == 7)
    assert tcb.snd_mss == 1240


@pytest.mark.parametrize(("segmentation", "frames"), [(True, 1), (False, 3)])
def test_the_link_completes_checksums_and_cuts_segments(segmentation: bool, frames: int) -> None:
    net = link(offload_checksum=True, offload_segmentation=segmentation)
    net.stack.listen(80, Echo)
    options = [("MSS", 1440)]
    (answer,) = net.breath(segment(REMOTE, LOCAL, flags="S", seq=100, options=options))
    ack = answer[TCP].seq + 1
    net.breath(segment(REMOTE, LOCAL, flags="A", seq=101, ack=ack))
    big = segment(REMOTE, LOCAL, flags="PA", seq=101, ack=ack) / Raw(b"y" * 4000)
    outgoing = net.interface.outgoing
    seen = []
    take = net.take

    def look() -> list[Packet]:
        for i in range(outgoing.count):
            place = (outgoing.checksum_start[i], outgoing.checksum_offset[i])
            seen.append((place, outgoing.gso_type[i], outgoing.gso_size[i]))
        return take()

    net.take = look  # type: ignore[method-assign]  # a test's own link
    sent = [p for p in net.breath(big) if Raw in p]
    assert len(sent) == frames
    assert b"".join(p[Raw].load for p in sent) == b"y" * 4000
    assert all(place == (54, 16) for place, _, _ in seen)
    if segmentation:
        assert (4, 1440) in [(kind, size) for _, kind, size in seen]
