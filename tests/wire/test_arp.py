"""ARP against scapy, and one reason for each malformed message."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import ARP

from corten.core.arena import Arena, Memory
from corten.wire.address import format_mac
from corten.wire.arp import ARP_LEN, REPLY, REQUEST, Arp
from corten.wire.reason import ACCEPTED, ARP_BAD_SENDER, ARP_MALFORMED

# Ethernet, IPv4, 6, 4, request; 02:00:00:00:00:01 at 10.0.2.1; who has 10.0.2.2?
GOLDEN = bytes.fromhex("0001 0800 06 04 0001 020000000001 0a000201 000000000000 0a000202")
HOST = st.integers(0x01000000, 0x7EFFFFFF) | st.integers(0x80000000, 0xDFFFFFFF)
UNICAST = st.integers(1, 2**40 - 1).map(lambda mac: mac | 0x02 << 40)


def parse(data: bytes) -> int:
    return Arp().parse(Memory(data), 0, len(data))


def changed(at: int, value: bytes) -> bytes:
    return GOLDEN[:at] + value + GOLDEN[at + len(value) :]


def test_golden_octets() -> None:
    arp = Arp()
    assert arp.parse(Memory(GOLDEN), 0, len(GOLDEN)) == ACCEPTED
    assert (arp.operation, arp.sender_mac) == (REQUEST, 0x020000000001)
    assert (arp.sender_ip, arp.target_mac, arp.target_ip) == (0x0A000201, 0, 0x0A000202)
    arena = Arena(30)
    assert arp.emit(arena, 1) == ARP_LEN
    assert arena.octets() == b"\0" + GOLDEN + b"\0"


@given(st.sampled_from([REQUEST, REPLY]), UNICAST, HOST, UNICAST, st.integers(0, 2**32 - 1))
def test_parse_and_emit_agree_with_scapy(
    operation: int, sender_mac: int, sender_ip: int, target_mac: int, target_ip: int
) -> None:
    data = bytes(
        ARP(
            op=operation,
            hwsrc=format_mac(sender_mac),
            psrc=str(ipaddress.IPv4Address(sender_ip)),
            hwdst=format_mac(target_mac),
            pdst=str(ipaddress.IPv4Address(target_ip)),
        )
    )
    arp = Arp()
    assert arp.parse(Memory(data + bytes(18)), 0, len(data) + 18) == ACCEPTED
    got = (arp.operation, arp.sender_mac, arp.sender_ip, arp.target_mac, arp.target_ip)
    assert got == (operation, sender_mac, sender_ip, target_mac, target_ip)
    other, arena = Arp(), Arena(ARP_LEN)
    other.fill(operation, sender_mac, sender_ip, target_mac, target_ip)
    other.emit(arena, 0)
    assert arena.octets() == data


@pytest.mark.parametrize("length", range(28))
def test_a_short_message(length: int) -> None:
    assert Arp().parse(Memory(GOLDEN), 0, length) == ARP_MALFORMED


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "0000"),
        (0, "0002"),
        (0, "0006"),
        (2, "86dd"),
        (2, "0806"),
        (4, "00"),
        (4, "ff"),
        (5, "00"),
        (5, "10"),
        (6, "0000"),
        (6, "0003"),
        (6, "0008"),
        (6, "ffff"),
    ],
)
def test_what_is_not_ethernet_and_ipv4_or_no_known_operation(at: int, value: str) -> None:
    assert parse(changed(at, bytes.fromhex(value))) == ARP_MALFORMED


@pytest.mark.parametrize("mac", ["ffffffffffff", "01005e000001", "333300000001", "000000000000"])
def test_a_sender_has_a_unicast_mac(mac: str) -> None:
    assert parse(changed(8, bytes.fromhex(mac))) == ARP_BAD_SENDER


@pytest.mark.parametrize(
    "ip", ["0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"]
)
def test_a_sender_has_a_hosts_address(ip: str) -> None:
    assert parse(changed(14, ipaddress.IPv4Address(ip).packed)) == ARP_BAD_SENDER


def test_a_probe_is_a_request_from_nowhere() -> None:
    probe = changed(14, bytes(4))
    assert parse(probe) == ACCEPTED
    assert parse(probe[:6] + b"\0\2" + probe[8:]) == ARP_BAD_SENDER


@given(st.binary(max_size=60))
def test_parse_never_raises(data: bytes) -> None:
    parse(data)
    parse(GOLDEN[:8] + data)
