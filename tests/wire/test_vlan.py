"""802.1Q tags against scapy."""

from __future__ import annotations

import pytest
from scapy.layers.l2 import Dot1Q, Ether

from corten.core.arena import Arena, Memory
from corten.wire.ethernet import ETHERTYPE_IPV4, ETHERTYPE_VLAN, Ethernet
from corten.wire.reason import ETHERNET_SHORT, ETHERNET_UNKNOWN_TYPE
from corten.wire.vlan import VLAN_LEN, emit_vlan, parse_vlan

A, B = "02:00:00:00:00:01", "02:00:00:00:00:02"


def parsed(frame: bytes) -> tuple[Ethernet, int]:
    link = Ethernet()
    memory = Memory(frame)
    assert link.parse(memory, 0, len(frame)) == 0
    return link, parse_vlan(link, memory)


@pytest.mark.parametrize("vid", [0, 1, 100, 4094])
def test_as_scapy_writes_it(vid: int) -> None:
    frame = bytes(Ether(src=A, dst=B) / Dot1Q(vlan=vid, prio=7, dei=1, type=0x0800) / b"payload")
    link, found = parsed(frame)
    assert found == vid
    assert (link.ethertype, link.payload_at, link.payload_len) == (ETHERTYPE_IPV4, VLAN_LEN, 7)


def test_as_scapy_reads_it() -> None:
    arena = Arena(VLAN_LEN)
    assert emit_vlan(arena, 0, 0x0200_0000_0002, 0x0200_0000_0001, 42, ETHERTYPE_IPV4) == VLAN_LEN
    seen = Ether(arena.octets(0, VLAN_LEN))
    assert (seen.src, seen.dst, seen.type) == (A, B, ETHERTYPE_VLAN)
    assert (seen[Dot1Q].vlan, seen[Dot1Q].prio, seen[Dot1Q].type) == (42, 0, ETHERTYPE_IPV4)


@pytest.mark.parametrize("length", range(4))
def test_a_cut_tag(length: int) -> None:
    head = bytes(Ether(src=A, dst=B, type=ETHERTYPE_VLAN))
    assert parsed(head + bytes(length))[1] == -ETHERNET_SHORT


def test_a_length_behind_the_tag() -> None:
    frame = bytes(Ether(src=A, dst=B) / Dot1Q(vlan=5, type=0x05FF)) + bytes(46)
    assert parsed(frame)[1] == -ETHERNET_UNKNOWN_TYPE
