"""Cutting a super-segment by hand: every segment complete, the payload whole."""

from __future__ import annotations

import pytest

from corten.core.arena import checksum_of
from corten.driver.segment import cut

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
