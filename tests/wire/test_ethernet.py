"""Ethernet headers against scapy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether

from corten.core.arena import Arena, Memory
from corten.wire.address import format_mac
from corten.wire.ethernet import (
    BROADCAST_MAC,
    ETHERNET_LEN,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    Ethernet,
    emit_ethernet,
)
from corten.wire.reason import ACCEPTED, ETHERNET_SHORT, ETHERNET_UNKNOWN_TYPE

MAC = st.integers(0, 2**48 - 1)


@given(MAC, MAC, st.integers(0x600, 0xFFFF), st.binary(max_size=60), st.integers(0, 9))
def test_parse_agrees_with_scapy(
    destination: int, source: int, kind: int, payload: bytes, at: int
) -> None:
    frame = bytes(Ether(dst=format_mac(destination), src=format_mac(source), type=kind) / payload)
    ethernet = Ethernet()
    assert ethernet.parse(Memory(bytes(at) + frame), at, len(frame)) == ACCEPTED
    assert (ethernet.destination, ethernet.source) == (destination, source)
    assert ethernet.ethertype == kind
    assert (ethernet.payload_at, ethernet.payload_len) == (at + 14, len(payload))


@given(MAC, MAC, st.integers(0, 0xFFFF))
def test_emit_agrees_with_scapy(destination: int, source: int, kind: int) -> None:
    arena = Arena(20)
    assert emit_ethernet(arena, 3, destination, source, kind) == ETHERNET_LEN
    want = bytes(Ether(dst=format_mac(destination), src=format_mac(source), type=kind))
    assert arena.octets() == bytes(3) + want[:14] + bytes(3)


def test_golden_octets() -> None:
    arena = Arena(14)
    emit_ethernet(arena, 0, BROADCAST_MAC, 0x020000000001, ETHERTYPE_ARP)
    assert arena.octets().hex() == "ffffffffffff0200000000010806"
    assert (ETHERTYPE_IPV4, ETHERTYPE_IPV6) == (0x0800, 0x86DD)


@pytest.mark.parametrize("length", range(14))
def test_a_short_frame(length: int) -> None:
    assert Ethernet().parse(Memory(bytes(64)), 0, length) == ETHERNET_SHORT


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (0, ETHERNET_UNKNOWN_TYPE),
        (46, ETHERNET_UNKNOWN_TYPE),
        (1535, ETHERNET_UNKNOWN_TYPE),
        (1536, ACCEPTED),
        (33024, ACCEPTED),
        (65535, ACCEPTED),
    ],
)
def test_a_length_is_no_type(kind: int, reason: int) -> None:
    frame = bytes(12) + kind.to_bytes(2, "big") + bytes(46)
    assert Ethernet().parse(Memory(frame), 0, len(frame)) == reason


@given(st.binary(max_size=80))
def test_parse_never_raises(data: bytes) -> None:
    Ethernet().parse(Memory(data), 0, len(data))
