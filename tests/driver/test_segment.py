"""Cutting a super-segment by hand: every segment complete, the payload whole."""

from __future__ import annotations

import pytest

from corten.core.arena import checksum_of
from corten.driver.segment import cut, cut_datagrams, network_at

ETHERNET4 = bytes(12) + b"\x08\x00"
ETHERNET6 = bytes(12) + b"\x86\xdd"
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80


def super_segment(
    version: int, payload: bytes, flags: int = ACK, sequence: int = 0xFFFFFF00
) -> bytes:
    tcp = bytearray(32)
    tcp[4:8] = sequence.to_bytes(4, "big")
    tcp[12] = 8 << 4
    tcp[13] = flags
    if version == 4:
        ip = bytearray.fromhex("4500000000070000400600000a0000010a000002")
        return ETHERNET4 + bytes(ip) + bytes(tcp) + payload
    ip = bytearray.fromhex("6000000000000640") + bytes(31) + b"\1" + b"\0"
    return ETHERNET6 + bytes(ip[:40]) + bytes(tcp) + payload


@pytest.mark.parametrize(("version", "transport_at"), [(4, 34), (6, 54)])
def test_segments_carry_the_payload_in_order(version: int, transport_at: int) -> None:
    payload = bytes(range(256)) * 20
    segments = cut(super_segment(version, payload, ACK | FIN | PSH | CWR), transport_at, 1000)
    assert b"".join(s[transport_at + 32 :] for s in segments) == payload
    assert [len(s) - transport_at - 32 for s in segments] == [1000] * 5 + [120]
    sequences = [int.from_bytes(s[transport_at + 4 : transport_at + 8], "big") for s in segments]
    assert sequences == [(0xFFFFFF00 + 1000 * i) & 0xFFFFFFFF for i in range(6)]
    flags = [s[transport_at + 13] for s in segments]
    assert flags == [ACK | CWR, ACK, ACK, ACK, ACK, ACK | FIN | PSH]


def test_ipv4_lengths_identifications_and_checksums() -> None:
    segments = cut(super_segment(4, bytes(2500)), 34, 1000)
    for i, segment in enumerate(segments):
        assert int.from_bytes(segment[16:18], "big") == len(segment) - 14
        assert int.from_bytes(segment[18:20], "big") == 7 + i
        assert checksum_of(segment[14:34]) == 0
        pseudo = segment[26:34] + b"\0\6" + (len(segment) - 34).to_bytes(2, "big")
        assert checksum_of(pseudo + segment[34:]) == 0


def test_ipv6_lengths_and_checksums() -> None:
    for segment in cut(super_segment(6, bytes(1500)), 54, 1000):
        assert int.from_bytes(segment[18:20], "big") == len(segment) - 54
        pseudo = segment[22:54] + b"\0\6" + (len(segment) - 54).to_bytes(2, "big")
        assert checksum_of(pseudo + segment[54:]) == 0


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        cut(super_segment(4, bytes(10)), 34, size)


def test_segments_keep_their_tag() -> None:
    whole = super_segment(4, bytes(range(256)) * 8)
    tagged = whole[:12] + b"\x81\0\0\x2a" + whole[12:]
    assert network_at(tagged) == 18
    plain = cut(whole, 34, 1000)
    segments = cut(tagged, 38, 1000, network_at(tagged))
    assert segments == [s[:12] + b"\x81\0\0\x2a" + s[12:] for s in plain]


def datagrams(version: int, payload: bytes, tag: bytes = b"") -> bytes:
    udp = b"\0\x35\0\x36" + (8 + len(payload)).to_bytes(2, "big") + b"\0\0"
    if version == 4:
        ip = bytearray.fromhex("4500000000070000401100000a0000010a000002")
        return bytes(12) + tag + b"\x08\x00" + bytes(ip) + udp + payload
    ip = bytearray.fromhex("6000000000001140") + bytes(31) + b"\1"
    return bytes(12) + tag + b"\x86\xdd" + bytes(ip) + udp + payload


@pytest.mark.parametrize("tag", [b"", b"\x81\0\0\x2a"])
@pytest.mark.parametrize(("version", "ip_len"), [(4, 20), (6, 40)])
def test_datagrams_are_complete_each(version: int, ip_len: int, tag: bytes) -> None:
    payload = bytes(range(250)) * 10
    found = cut_datagrams(datagrams(version, payload, tag), 1000)
    ip_at = 14 + len(tag)
    udp_at = ip_at + ip_len
    assert b"".join(each[udp_at + 8 :] for each in found) == payload
    assert [len(each) - udp_at - 8 for each in found] == [1000, 1000, 500]
    for i, each in enumerate(found):
        length = len(each) - udp_at
        assert each[:ip_at] == datagrams(version, b"", tag)[:ip_at]
        assert int.from_bytes(each[udp_at + 4 : udp_at + 6], "big") == length
        pseudo = each[ip_at + (12 if version == 4 else 8) : udp_at]
        pseudo += b"\0\x11" + length.to_bytes(2, "big")
        assert checksum_of(pseudo + each[udp_at:]) == 0
        if version == 4:
            assert int.from_bytes(each[ip_at + 2 : ip_at + 4], "big") == 20 + length
            assert int.from_bytes(each[ip_at + 4 : ip_at + 6], "big") == 7 + i
            assert checksum_of(each[ip_at:udp_at]) == 0


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_no_datagram_is_not_cut(version: int) -> None:
    whole = datagrams(version, bytes(100))
    assert cut_datagrams(whole, 0) == []
    assert cut_datagrams(super_segment(version, bytes(100)), 50) == []
    for length in range(14 + (20 if version == 4 else 40) + 8):
        assert cut_datagrams(whole[:length], 50) == []
    assert cut_datagrams(whole[:14] + b"\x41" + whole[15:], 50) == []
    assert cut_datagrams(bytes(200), 50) == []


def test_a_checksum_of_zero_is_written_as_its_other_self() -> None:
    """0 would say that there is none (RFC 768)."""
    plain = cut_datagrams(datagrams(4, bytes(2)), 2)[0]
    (sum_now,) = [int.from_bytes(plain[40:42], "big")]
    zero = cut_datagrams(datagrams(4, sum_now.to_bytes(2, "big")), 2)[0]
    assert zero[40:42] == b"\xff\xff"
