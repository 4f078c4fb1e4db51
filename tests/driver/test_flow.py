"""The flow's number: the same both ways, spread, and of whatever octets without harm."""

from __future__ import annotations

import random

from corten.core.arena import Memory
from corten.driver.flow import FLOWS, flow_hash


def frame(source: bytes, target: bytes, ports: tuple[int, int], tag: bytes = b"") -> bytes:
    """An Ethernet frame with an IP and a TCP header, as far as it matters."""
    both = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    if len(source) == 4:
        ip = b"\x45" + bytes(8) + b"\6" + bytes(2) + source + target
        return bytes(12) + tag + b"\x08\x00" + ip + both + bytes(16)
    ip = b"\x60" + bytes(5) + b"\6\x40" + source + target
    return bytes(12) + tag + b"\x86\xdd" + ip + both + bytes(16)


def hash_of(data: bytes) -> int:
    number: int = flow_hash(Memory(data), 0, len(data))
    return number


def test_both_directions_have_one_number() -> None:
    chance = random.Random(1)
    for length in (4, 16):
        for tag in (b"", b"\x81\x00\x00\x07"):
            one, two = chance.randbytes(length), chance.randbytes(length)
            ports = (chance.randrange(65536), 80)
            there = hash_of(frame(one, two, ports, tag))
            assert there == hash_of(frame(two, one, ports[::-1], tag))
            assert 0 <= there < FLOWS


def test_neighbouring_ports_are_spread_over_a_few_rings() -> None:
    for rings in (2, 3, 4):
        counts = [0] * rings
        for port in range(32768, 33768):
            counts[hash_of(frame(b"\x0a\0\0\1", b"\x0a\0\0\2", (port, 80))) % rings] += 1
        assert min(counts) > 1000 / rings * 0.8


def test_a_fragments_ports_do_not_count() -> None:
    data = bytearray(frame(b"\x0a\0\0\1", b"\x0a\0\0\2", (1000, 80)))
    data[20] = 0x20
    first = hash_of(bytes(data))
    data[34:38] = b"abcd"
    assert hash_of(bytes(data)) == first


def test_anything_has_a_number() -> None:
    chance = random.Random(2)
    for _ in range(2000):
        data = bytearray(chance.randbytes(chance.randrange(1, 80)))
        if len(data) > 14 and chance.random() < 0.8:
            data[12:14] = chance.choice([b"\x08\0", b"\x86\xdd", b"\x81\0"])
        number = flow_hash(Memory(bytes(data)), 0, len(data))
        assert 0 <= number < FLOWS
