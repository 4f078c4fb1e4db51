"""IPv6 from frame to answer: whose packets are taken, what is answered, what must not be."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    HBHOptUnknown,
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ParamProblem,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from corten.endpoint.handler import Handler
from tests.stack.link import OURS, PEER, SECOND, Link

LOCAL = "2001:db8::2"
REMOTE = "2001:db8::1"
GROUP = "33:33:ff:00:00:02"
SOLICITED = "ff02::1:ff00:2"


def link(**options: object) -> Link:
    options.setdefault("addresses", ["2001:db8::2/64", "fe80::2/64"])
    options.setdefault("neighbours", {REMOTE: PEER, "fe80::1": PEER})
    return Link(**options)


def frame(
    payload: Packet, to: str = LOCAL, source: str = REMOTE, mac: str = OURS, **fields: object
) -> Packet:
    return Ether(src=PEER, dst=mac) / IPv6(src=source, dst=to, **fields) / payload


def echo(**fields: object) -> Packet:
    return ICMPv6EchoRequest(id=7, seq=1, data=b"data", **fields)


@pytest.mark.requirement("RFC 4443 2.2")
@pytest.mark.requirement("RFC 4443 4.2")
def test_an_echo_request_is_answered_from_the_address_it_was_sent_to() -> None:
    net = link()
    for to, source in ((LOCAL, REMOTE), ("fe80::2", "fe80::1")):
        (answer,) = net.breath(frame(echo(), to, source))
        assert (answer.dst, answer.src) == (PEER, OURS)
        assert (answer[IPv6].src, answer[IPv6].dst, answer[IPv6].hlim) == (to, source, 64)
        assert bytes(answer[IPv6]) == bytes(
            IPv6(src=to, dst=source, hlim=64) / ICMPv6EchoReply(id=7, seq=1, data=b"data")
        )
    assert net.count("icmp_echo_replies") == 2
    assert not net.stack.leaks()


@pytest.mark.requirement("RFC 4443 2.2")
@pytest.mark.requirement("RFC 4443 4.2")
def test_an_echo_request_to_a_group_is_answered_from_an_address_of_the_same_scope() -> None:
    net = link()
    (answer,) = net.breath(frame(echo(), "ff02::1", "fe80::1", "33:33:00:00:00:01"))
    assert answer[IPv6].src == "fe80::2"
    (answer,) = net.breath(frame(echo(), "ff02::1", REMOTE, "33:33:00:00:00:01"))
    assert answer[IPv6].src == LOCAL


@pytest.mark.parametrize(
    ("packet", "counter"),
    [
        (frame(echo(), "2001:db8::3"), "ipv6_not_ours"),
        (frame(echo(), "2001:db8::3", mac="33:33:00:00:00:01"), "ipv6_not_ours"),
        (frame(echo(), LOCAL, mac="33:33:00:00:00:01"), "ipv6_not_ours"),
        (frame(echo(), LOCAL, mac="ff:ff:ff:ff:ff:ff"), "ipv6_not_ours"),
        (frame(echo(), "ff02::1:ff00:3", mac="33:33:ff:00:00:03"), "ipv6_not_ours"),
        (frame(echo(), "ff02::2", mac="33:33:00:00:00:02"), "ipv6_not_ours"),
        (frame(echo(), "ff05::1", mac="33:33:00:00:00:01"), "ipv6_not_ours"),
        (frame(echo(), "::1"), "ipv6_not_ours"),
        (frame(echo(), source="::1"), "ipv6_bad_source"),
        (frame(echo(), source="ff02::1"), "ipv6_bad_source"),
        (frame(echo(), source="::ffff:10.0.0.1"), "ipv6_bad_source"),
        (frame(echo(), source=LOCAL), "ipv6_bad_source"),
        (frame(echo(), source="fe80::2"), "ipv6_bad_source"),
        (frame(echo(), source="::"), "icmpv6_unknown_type"),
        (frame(echo(), mac="01:00:5e:00:00:01"), "ethernet_not_ours"),
        (frame(Raw(b""), nh=59), "ipv6_no_next_header"),
        (frame(ICMPv6EchoReply()), "echo_unknown"),
        (frame(Raw(bytes([200, 0, 0, 0, 0, 0, 0, 0])), nh=58), "icmpv6_bad_checksum"),
        (frame(Raw(bytes(7)), nh=58), "icmpv6_short"),
    ],
)
def test_what_is_not_for_us_or_makes_no_sense_is_dropped_without_a_word(
    packet: Packet, counter: str
) -> None:
    net = link()
    before = net.stack.counters.snapshot()
    assert net.breath(packet) == []
    after = net.stack.counters.snapshot()
    risen = {name for name in after if after[name] != before[name]}
    assert risen == {counter, "frames_in"}
    assert not net.stack.leaks()


@pytest.mark.requirement("RFC 1122 3.3.4.2")
def test_a_packet_for_an_address_of_another_link_is_dropped() -> None:
    net = link()
    net.stack.add_interface("other", "02:00:00:00:00:09", ["2001:db8:9::9/64", "10.9.0.9/24"])
    net.stack.transmit(net.now)
    assert net.breath(frame(echo(), "2001:db8:9::9")) == []
    assert net.count("ipv6_not_ours") == 1
    ping = Ether(src=PEER, dst=OURS) / IP(src="10.9.0.1", dst="10.9.0.9") / ICMP()
    assert net.breath(ping) == []
    assert net.count("ipv4_not_ours") == 1


@pytest.mark.requirement("RFC 8200 4.2")
@pytest.mark.parametrize("header", [IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt])
@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize(("bits", "answers"), [(0, (1, 1)), (1, (0, 0)), (2, (1, 1)), (3, (1, 0))])
def test_unknown_options_are_skipped_dropped_or_reported(
    header: type[Packet], group: bool, bits: int, answers: tuple[int, int]
) -> None:
    net = link()
    option = HBHOptUnknown(otype=bits << 6 | 0x1E, optdata=b"abcd")
    to, mac = (SOLICITED, GROUP) if group else (LOCAL, OURS)
    packet = frame(header(options=[option]) / echo(), to, mac=mac)
    sent = net.breath(packet)
    assert len(sent) == answers[group]
    if sent and bits == 0:
        assert ICMPv6EchoReply in sent[0]
    elif sent:
        problem = sent[0][ICMPv6ParamProblem]
        assert (problem.code, problem.ptr) == (2, 42)
        assert sent[0][IPv6].src == LOCAL
        assert bytes(problem)[8:] == bytes(packet[IPv6])


@pytest.mark.requirement("RFC 4443 3.4")
@pytest.mark.requirement("RFC 8200 4")
@pytest.mark.parametrize(
    ("payload", "fields", "code", "pointer"),
    [
        (Raw(bytes(8)), {"nh": 41}, 1, 6),
        (Raw(bytes(8)), {"nh": 255}, 1, 6),
        (IPv6ExtHdrDestOpt(nh=253) / Raw(bytes(8)), {}, 1, 40),
        (IPv6ExtHdrDestOpt() / IPv6ExtHdrHopByHop() / UDP(), {}, 1, 40),
        (Raw(bytes([6, 0, 0, 1, 0, 0, 0, 0]) + bytes(20)), {"nh": 43}, 0, 42),
        (Raw(bytes([6, 0, 0, 1, 0, 0, 0, 0]) + bytes(8)), {"nh": 44}, 3, 0),
    ],
)
def test_what_cannot_be_processed_is_reported_with_its_place(
    payload: Packet, fields: dict[str, int], code: int, pointer: int
) -> None:
    net = link()
    packet = frame(payload, **fields)
    (answer,) = net.breath(packet)
    problem = answer[ICMPv6ParamProblem]
    assert (problem.code, problem.ptr) == (code, pointer)
    assert (answer[IPv6].src, answer[IPv6].dst) == (LOCAL, REMOTE)
    assert bytes(problem)[8:] == bytes(packet[IPv6])
    checked = IPv6(bytes(answer[IPv6]))
    del checked[ICMPv6ParamProblem].cksum
    assert bytes(checked) == bytes(answer[IPv6])


@pytest.mark.requirement("RFC 4443 2.4")
def test_an_error_quotes_as_much_as_fits_in_1280_octets() -> None:
    net = link()
    for length in (100, 1184, 1185, 1400):
        packet = frame(UDP(dport=9) / Raw(b"x" * length))
        (answer,) = net.breath(packet)
        quoted = bytes(answer[ICMPv6DestUnreach])[8:]
        assert quoted == bytes(packet[IPv6])[: 1280 - 48]
        assert len(answer[IPv6]) <= 1280
        assert answer[ICMPv6DestUnreach].code == 4


@pytest.mark.requirement("RFC 4443 2.4")
@pytest.mark.parametrize(
    "packet",
    [
        frame(IPv6ExtHdrDestOpt(nh=253) / Raw(bytes(8)), source="::"),
        frame(UDP(), SOLICITED, mac=GROUP),
        frame(IPv6ExtHdrDestOpt(nh=253) / Raw(bytes(8)), "ff02::1", mac="33:33:00:00:00:01"),
        frame(
            IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x9E)])
            / ICMPv6DestUnreach()
            / IPv6(src=LOCAL, dst=REMOTE)
            / TCP()
        ),
        frame(
            IPv6ExtHdrDestOpt(nh=58, options=[HBHOptUnknown(otype=0x9E)])
            / Raw(bytes([137]) + bytes(39))
        ),
    ],
    ids=["nobody", "group", "next header to a group", "error", "redirect"],
)
def test_no_error_is_sent(packet: Packet) -> None:
    net = link()
    assert net.breath(packet) == []
    assert net.count("icmp_errors_out") == 0


def test_errors_keep_a_rate() -> None:
    net = link()
    for _ in range(3):
        net.breath(*[frame(UDP()) for _ in range(40)])
    assert net.count("icmp_errors_out") <= 50
    assert net.count("icmp_rate_limited") >= 70
    assert net.breath(frame(UDP()), after=SECOND)


@pytest.mark.requirement("MUST-57")
def test_a_syn_to_a_group_or_from_nobody_is_dropped() -> None:
    net = link()
    net.stack.listen(80, Handler)
    syn = TCP(sport=9, dport=80, flags="S")
    assert net.breath(frame(syn, SOLICITED, mac=GROUP)) == []
    assert net.breath(frame(syn, "ff02::1", mac="33:33:00:00:00:01")) == []
    assert net.count("tcp_to_broadcast") == 2
    assert not net.stack.leaks()


@pytest.mark.requirement("MUST-63")
@pytest.mark.parametrize("source", ["::", "ff02::1", "::1", "::ffff:10.0.0.9", LOCAL])
def test_a_syn_from_what_is_no_host_is_dropped(source: str) -> None:
    net = link()
    net.stack.listen(80, Handler)
    assert net.breath(frame(TCP(sport=9, dport=80, flags="S"), source=source)) == []
    assert net.count("ipv6_bad_source") == 1
    assert not net.stack.leaks()


def test_padding_behind_the_packet_is_no_payload() -> None:
    net = link()
    packet = bytes(frame(echo())) + b"padding"
    (answer,) = net.breath(packet)
    assert answer[ICMPv6EchoReply].data == b"data"


def test_a_segment_behind_extension_headers_arrives() -> None:
    net = link()
    syn = TCP(sport=9, dport=81, flags="S", seq=5)
    (answer,) = net.breath(frame(IPv6ExtHdrHopByHop() / IPv6ExtHdrFragment() / syn))
    assert answer[TCP].flags == "RA"
    assert answer[TCP].ack == 6
