"""Checksums that a kernel left undone are known by what stands in their field."""

from __future__ import annotations

import pytest

from corten.core.arena import Memory, checksum_of
from corten.driver.undone import is_undone

ETHERNET = bytes(12)
V4, V6 = bytes([10, 9, 0, 3, 10, 9, 0, 2]), bytes.fromhex("fd09" + "00" * 13 + "03") * 2
AT = {6: 16, 17: 6}  # where the checksum of a protocol stands
LENGTH = {6: 20, 17: 8}


def frame(
    protocol: int,
    addresses: bytes = V4,
    payload: bytes = b"hello",
    fragment: int = 0,
    tag: bool = False,
    options: bytes = b"",
    undone: bool = True,
    longer: int = 0,
) -> bytes:
    body = bytearray(LENGTH.get(protocol, 8)) + payload
    pseudo = addresses + protocol.to_bytes(2, "big") + (len(body) + longer).to_bytes(2, "big")
    at = AT.get(protocol, 2)
    value = 0xFFFF - checksum_of(pseudo) if undone else checksum_of(pseudo + bytes(body))
    body[at : at + 2] = value.to_bytes(2, "big")
    if len(addresses) == 8:
        kind = b"\x08\x00"
        size = 20 + len(options) + len(body) + longer
        ip = bytes([0x45 + len(options) // 4, 0]) + size.to_bytes(2, "big") + bytes(2)
        ip += fragment.to_bytes(2, "big") + bytes([64, protocol, 0, 0]) + addresses + options
    else:
        kind = b"\x86\xdd"
        ip = b"\x60\0\0\0" + (len(body) + longer).to_bytes(2, "big") + bytes([protocol, 64])
        ip += addresses
    return ETHERNET + (b"\x81\x00\0\x05" if tag else b"") + kind + ip + bytes(body)


def seen(octets: bytes) -> bool:
    """Also where the frame does not lie at the front."""
    found = is_undone(Memory(octets), 0, len(octets))
    assert is_undone(Memory(bytes(7) + octets + bytes(9)), 7, len(octets)) == found
    return found


@pytest.mark.parametrize("protocol", [6, 17])
@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize("tag", [False, True])
@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(256)) * 5])
def test_undone_and_done(protocol: int, addresses: bytes, tag: bool, payload: bytes) -> None:
    whole = frame(protocol, addresses, payload, tag=tag)
    assert seen(whole)
    assert seen(whole + bytes(6))  # padding
    assert not seen(frame(protocol, addresses, payload + b"\1", tag=tag, undone=False))
    at = len(whole) - len(payload) - LENGTH[protocol] + AT[protocol]
    damaged = bytearray(whole)
    damaged[at + 1] ^= 1
    assert not seen(bytes(damaged))


def test_ip_options_are_passed_over() -> None:
    assert seen(frame(6, options=b"\x01" * 8))


@pytest.mark.parametrize(
    "octets",
    [
        frame(1),
        frame(58, V6),
        frame(6, fragment=0x2000),
        frame(6, fragment=1),
        frame(6, longer=1),
        frame(6, V6, longer=1),
        frame(17)[:-6],
        bytes(60),
        b"",
    ],
)
def test_what_is_never_left_undone(octets: bytes) -> None:
    assert not seen(octets)


def test_every_cut_is_harmless() -> None:
    for whole in (frame(6), frame(17, V6), frame(6, tag=True), frame(6, options=bytes(40))):
        for length in range(len(whole)):
            assert not is_undone(Memory(whole[:length]), 0, length)


def test_a_header_shorter_than_a_header() -> None:
    octets = bytearray(frame(6))
    octets[14] = 0x41
    assert not seen(bytes(octets))
