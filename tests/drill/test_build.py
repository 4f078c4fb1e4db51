"""Inbound packets octet by octet, and the changes a script makes in them."""

from __future__ import annotations

import struct

import pytest

from corten.drill.build import Builder
from corten.drill.error import Differs, ScriptError
from corten.drill.flow import Flow
from corten.drill.nodes import Packet
from corten.drill.parser import parse_script
from corten.drill.pattern import pattern
from corten.drill.seen import SeenIcmp, SeenTcp, decode
from corten.sim.packet import checksum

MACS = bytes(12)


def frame(text: str, version: int = 4) -> bytes:
    packet = parse_script(f"0 {text}").events[0].action
    assert isinstance(packet, Packet)
    flow = Flow(40_001, 8080)
    flow.hear_syn(1000)
    flow.learn(77_000, 0, 1001)
    ends = ("192.0.2.1", "192.168.0.1") if version == 4 else ("fd3d::1", "fd3d::2")
    return Builder(version, *ends, MACS).frame(packet, flow)


def seen(text: str, version: int = 4) -> SeenTcp:
    found = decode(0, frame(text, version))
    assert isinstance(found, SeenTcp)
    return found


@pytest.mark.parametrize("version", [4, 6])
def test_a_segment(version: int) -> None:
    found = seen("< [ect0] PEW. 1:101(100) ack 5 win 10 urg 3 <nop,nop,TS val 7 ecr 0>", version)
    assert (found.source_port, found.target_port) == (40_001, 8080)
    assert (found.seq, found.ack, found.window, found.urgent) == (1001, 77_005, 10, 3)
    assert found.flags == 8 | 16 | 64 | 128
    assert found.options == [(1, b""), (1, b""), (8, struct.pack("!2I", 7, 0))]
    assert found.payload == pattern(1, 100)
    assert found.ip.tos == 2


def test_data_on_a_syn_begins_behind_it() -> None:
    assert seen("< S 0:10(10) win 5").payload == pattern(1, 10)


def test_sack_edges_count_from_our_isn() -> None:
    found = seen("< . 1:1(0) ack 1 win 5 <nop,nop,sack 1001:2001>")
    assert found.option(5) == struct.pack("!2I", 78_001, 79_001)


def test_an_icmp_error_quotes_our_segment() -> None:
    found = decode(0, frame("< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]"))
    assert isinstance(found, SeenIcmp)
    assert (found.type, found.code, found.rest) == (3, 4, 1200)
    quoted = found.body
    assert checksum(quoted[:20]) == 0
    assert quoted[12:20] == bytes([192, 168, 0, 1, 192, 0, 2, 1])
    assert int.from_bytes(quoted[2:4], "big") == 1500
    assert quoted[20:] == struct.pack("!2HI", 8080, 40_001, 77_001)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("rep tcp checksum 0x1234", "TCP checksum"),
        ("rep tcp data_off 0x0F", "data offset"),
        ("rep ipv4 checksum 0x1234", "IPv4 header checksum"),
        ("rep ipv4 tot_len 0x0FFF", "total length"),
        ("trun tcp 0 10", "without a whole header"),
    ],
)
def test_a_change_is_seen(change: str, wrong: str) -> None:
    with pytest.raises(Differs, match=wrong):
        seen(f"< . 1:1(0) ack 1 win 5 {{{change}}}")


def test_inserted_options_grow_the_header() -> None:
    found = seen("< S 0:0(0) win 5 {ins tcp 20 0x02040000}")
    assert found.options == [(2, b"\0\0")]


def test_lengths_and_checksums_that_are_not_named_are_made_right() -> None:
    found = seen("< . 1:11(10) ack 1 win 5 {rep tcp urg_ptr 0x0007}")
    assert found.urgent == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("< . 1:1(0) ack 1", "needs win"),
        ("< . ...(0) ack 1 win 5", "leave its numbers open"),
        ("< . 1:1(0) ack 1 win 5 <mss 1460,nop>", "multiple of four"),
        ("< . 1:1(0) ack 1 win 5 {rep tcp nothing 0x1}", "no such field"),
        ("< . 1:1(0) ack 1 win 5 {ins tcp 99 0x1}", "not an offset"),
        ("< icmp nonsense [1:1(0)]", "no such ICMP type"),
    ],
)
def test_what_cannot_be_built(text: str, reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        frame(text)
