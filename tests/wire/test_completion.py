"""Checksums that a link left undone are right in the copy; what is not understood stays."""

from __future__ import annotations

import pytest

from corten.wire.completion import completed

scapy = pytest.importorskip("scapy.all")
ETHER = scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = scapy.IP(src="10.0.0.1", dst="10.0.0.2")
V6 = scapy.IPv6(src="fd00::1", dst="fd00::2")


@pytest.mark.parametrize("payload", [b"", b"odd", b"even", bytes(60000)])
@pytest.mark.parametrize(
    "head", [V4, V6, scapy.IP(src="10.0.0.1", dst="10.0.0.2", options=b"\1\1\1\1")]
)
@pytest.mark.parametrize("transport", [scapy.TCP(sport=1, dport=2), scapy.UDP(sport=1, dport=2)])
def test_it_is_as_others_compute_it(head: object, transport: object, payload: bytes) -> None:
    packet = head / transport / payload
    right = bytes(packet)
    layer = packet.copy()
    layer[transport.__class__].chksum = 0x1234
    assert completed(bytes(layer), False) == right
    for link in (ETHER, ETHER / scapy.Dot1Q(vlan=7)):
        assert completed(bytes(link / layer), True) == bytes(link / packet)
        padded = bytes(link / layer) + b"padding"
        assert completed(padded, True) == bytes(link / packet) + b"padding"


@pytest.mark.parametrize(
    "packet",
    [
        V4 / scapy.UDP(sport=1, dport=2, chksum=0) / b"none",
        V4 / scapy.ICMP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", flags="MF") / scapy.TCP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", frag=7) / scapy.TCP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", len=1000) / scapy.TCP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", len=30) / scapy.TCP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", ihl=4) / scapy.TCP(chksum=1),
        scapy.IP(src="10.0.0.1", dst="10.0.0.2", version=5) / scapy.TCP(chksum=1),
        scapy.IPv6(src="fd00::1", dst="fd00::2", plen=9) / scapy.TCP(chksum=1),
        V6 / scapy.IPv6ExtHdrHopByHop() / scapy.TCP(chksum=1),
    ],
)
def test_what_has_none_or_is_not_understood_stays(packet: object) -> None:
    raw = bytes(packet)  # type: ignore[call-overload]
    assert completed(raw, False) == raw
    assert completed(bytes(ETHER / packet), True) == bytes(ETHER / packet)


def test_short_frames_stay() -> None:
    whole = bytes(ETHER / V4 / scapy.TCP(chksum=1) / b"data")
    for length in range(len(whole)):
        assert completed(whole[:length], True) == whole[:length]
    whole = bytes(V6 / scapy.UDP(chksum=1) / b"data")
    for length in range(len(whole)):
        assert completed(whole[:length], False) == whole[:length]


def test_other_ethertypes_stay() -> None:
    frame = bytes(ETHER / scapy.ARP())
    assert completed(frame, True) == frame


def test_a_udp_checksum_of_zero_is_written_as_all_ones() -> None:
    empty = completed(bytes(V4 / scapy.UDP(sport=1, dport=2, chksum=1) / b"\0\0"), False)
    payload = empty[26:28]  # added to the sum, it makes 0xffff
    made = completed(bytes(V4 / scapy.UDP(sport=1, dport=2, chksum=1) / payload), False)
    assert made[26:28] == b"\xff\xff"
