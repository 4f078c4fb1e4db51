"""One line a packet, worded as tcpdump words it; and never an exception."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from corten.wire.describe import describe

FROM_TO = {"src": "10.0.2.1", "dst": "10.0.2.2"}
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]


def ethernet(packet: Packet) -> bytes:
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)


def tcp(payload: bytes = b"", **fields: object) -> bytes:
    return ethernet(IP(**FROM_TO) / TCP(sport=4660, dport=80, window=512, **fields) / payload)


ENDS = "IP 10.0.2.1.4660 > 10.0.2.2.80: "


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (
            tcp(flags="S", seq=7, options=SYN_OPTIONS),
            "Flags [S], seq 7, win 512, "
            "options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0",
        ),
        (tcp(flags="SA", seq=9, ack=8), "Flags [S.], seq 9, ack 8, win 512, length 0"),
        (tcp(flags="A", seq=8, ack=10), "Flags [.], ack 10, win 512, length 0"),
        (tcp(b"hello", flags="PA", seq=8, ack=1), "Flags [P.], seq 8:13, ack 1, win 512, length 5"),
        (
            tcp(b"ab", flags="A", seq=0xFFFFFFFF, ack=1),
            "Flags [.], seq 4294967295:1, ack 1, win 512, length 2",
        ),
        (tcp(flags="FA", seq=1, ack=2), "Flags [F.], seq 1, ack 2, win 512, length 0"),
        (tcp(flags="R", seq=1), "Flags [R], seq 1, win 512, length 0"),
        (tcp(flags="SEC", seq=1), "Flags [SEW], seq 1, win 512, length 0"),
        (tcp(flags=0), "Flags [none], win 512, length 0"),
        (
            tcp(flags="A", ack=1, options=[("NOP", None), ("NOP", None), ("SAck", (5, 6, 8, 9))]),
            "Flags [.], ack 1, win 512, options [nop,nop,sack 2 {5:6}{8:9}], length 0",
        ),
        (
            tcp(flags="A", ack=1, options=[(254, b"\1\2"), ("EOL", None)]),
            "Flags [.], ack 1, win 512, options [opt-254:0102,eol], length 0",
        ),
    ],
)
def test_segments(frame: bytes, line: str) -> None:
    assert describe(frame) == ENDS + line


@pytest.mark.parametrize(
    ("packet", "line"),
    [
        (
            ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.2.1", pdst="10.0.2.2"),
            "ARP, Request who-has 10.0.2.2 tell 10.0.2.1, length 28",
        ),
        (
            ARP(op=2, hwsrc="02:00:00:00:00:01", psrc="10.0.2.1", pdst="10.0.2.2"),
            "ARP, Reply 10.0.2.1 is-at 02:00:00:00:00:01, length 28",
        ),
        (
            IP(**FROM_TO) / ICMP(type=8, id=3, seq=4) / b"data",
            "IP 10.0.2.1 > 10.0.2.2: ICMP echo request, id 3, seq 4, length 12",
        ),
        (
            IP(**FROM_TO) / ICMP(type=0, id=3, seq=4),
            "IP 10.0.2.1 > 10.0.2.2: ICMP echo reply, id 3, seq 4, length 8",
        ),
        (
            IP(**FROM_TO)
            / ICMP(type=3, code=4, nexthopmtu=1400)
            / bytes(IP(src="10.0.2.2", dst="10.9.9.9") / TCP())[:28],
            "IP 10.0.2.1 > 10.0.2.2: ICMP 10.9.9.9 need to frag (mtu 1400), length 36",
        ),
        (
            IP(**FROM_TO) / ICMP(type=3, code=1) / b"cut",
            "IP 10.0.2.1 > 10.0.2.2: ICMP [bad quote] host unreachable, length 11",
        ),
        (
            IP(**FROM_TO) / ICMP(type=11, code=0),
            "IP 10.0.2.1 > 10.0.2.2: ICMP time exceeded in-transit, length 8",
        ),
        (
            IP(**FROM_TO) / ICMP(type=5, code=1, gw="10.0.2.9"),
            "IP 10.0.2.1 > 10.0.2.2: ICMP redirect to 10.0.2.9, length 8",
        ),
        (
            IP(**FROM_TO) / ICMP(type=9, code=1, chksum=0),
            "IP 10.0.2.1 > 10.0.2.2: ICMP [icmp_bad_checksum] type-9 code-1, length 8",
        ),
        (IP(**FROM_TO, proto=1) / b"x", "IP 10.0.2.1 > 10.0.2.2: ICMP [icmp_short], length 1"),
        (
            IP(**FROM_TO) / UDP(sport=53, dport=99) / b"query",
            "IP 10.0.2.1.53 > 10.0.2.2.99: UDP, length 5",
        ),
        (IP(**FROM_TO, proto=99) / b"abc", "IP 10.0.2.1 > 10.0.2.2: ip-proto-99 3"),
        (
            IP(**FROM_TO, proto=6, flags="MF", frag=185, id=7) / bytes(8),
            "IP [ipv4_fragment] 10.0.2.1 > 10.0.2.2: ip-proto-6 (frag 7:8@1480+)",
        ),
        (
            IPv6(src="fe80::1", dst="2001:db8::2") / TCP(sport=1, dport=2, flags="A", ack=5),
            "IP6 fe80::1.1 > 2001:db8::2.2: Flags [.], ack 5, win 8192, length 0",
        ),
        (
            IP(**FROM_TO, chksum=1) / TCP(sport=1, dport=2, flags="R", seq=1),
            "IP [ipv4_bad_checksum] 10.0.2.1.1 > 10.0.2.2.2: Flags [R], seq 1, win 8192, length 0",
        ),
        (IP(**FROM_TO, proto=6) / b"short", "IP 10.0.2.1 > 10.0.2.2: TCP [tcp_short], length 5"),
    ],
)
def test_packets(packet: Packet, line: str) -> None:
    assert describe(ethernet(packet)) == line
    if isinstance(packet, IP | IPv6):
        assert describe(bytes(packet), "ip") == line


def test_frames_that_are_nothing() -> None:
    assert describe(b"") == "[ethernet_short], length 0"
    assert describe(b"", "ip") == "IP [ipv4_short], length 0"
    frame = bytes.fromhex("02000000000202000000000188cc00")
    assert describe(frame) == "02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x88cc, length 15"


@given(st.binary(max_size=120), st.sampled_from(["ethernet", "ip"]))
def test_describe_never_raises(data: bytes, link: str) -> None:
    for start in (b"", b"\x45", b"\x60", bytes(12) + b"\x08\x00\x45", bytes(12) + b"\x08\x06"):
        assert "\n" not in describe(start + data, link)


def test_describe_never_raises_on_damaged_packets() -> None:
    chance = random.Random(1)
    frames = [
        tcp(b"payload", flags="PA", options=SYN_OPTIONS),
        ethernet(ARP()),
        ethernet(IP(**FROM_TO) / ICMP(type=3, code=1) / bytes(IP(**FROM_TO) / TCP())),
        ethernet(IPv6() / UDP()),
    ]
    for _ in range(3000):
        frame = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(4)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        describe(bytes(frame[: chance.randrange(len(frame) + 1)]))
