"""Checksums over pseudo-headers, against scapy's and against the definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import checksum as scapy_checksum

from corten.core.arena import Memory, sum_octets
from corten.wire.checksum import finish, placed, pseudo_sum, pseudo_sum_v4

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
MAPPED = 0xFFFF << 32


def sum_of(data: bytes) -> int:
    return sum_octets(Memory(data), 0, len(data))


@given(U32, U32, st.integers(0, 255))
def test_the_ipv4_pseudo_header(source: int, destination: int, protocol: int) -> None:
    octets = source.to_bytes(4, "big") + destination.to_bytes(4, "big") + bytes([0, protocol])
    assert pseudo_sum_v4(source, destination, protocol) == sum_of(octets)


@given(U64, U64, U64, U64, st.integers(0, 255))
def test_the_ipv6_pseudo_header(a: int, b: int, c: int, d: int, protocol: int) -> None:
    octets = b"".join(part.to_bytes(8, "big") for part in (a, b, c, d)) + bytes([0, protocol])
    assert pseudo_sum(a, b, c, d, protocol) == sum_of(octets)


@given(U32, U32, st.integers(1, 255))
def test_mapped_addresses_have_the_ipv4_pseudo_header(a: int, b: int, protocol: int) -> None:
    assert pseudo_sum(0, MAPPED | a, 0, MAPPED | b, protocol) == pseudo_sum_v4(a, b, protocol)


def test_the_largest_numbers_do_not_overflow() -> None:
    most = 2**64 - 1
    assert pseudo_sum(most, most, most, most, 255) == 255
    assert pseudo_sum_v4(2**32 - 1, 2**32 - 1, 255) == 255
    assert finish(most) == 0
    assert finish(0) == 0xFFFF


@given(st.binary(max_size=200))
def test_finish_gives_the_checksum_of_a_header(data: bytes) -> None:
    got = finish(sum_of(data))
    # scapy, like most, says 0xffff or 0 for data that sums to nothing
    assert (got - scapy_checksum(data)) % 65535 == 0
    assert 0 <= got <= 0xFFFF


@given(U64)
def test_finish_folds_every_carry(total: int) -> None:
    folded = total % 65535 or (65535 if total else 0)
    assert finish(total) == 0xFFFF - folded


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_parts_at_odd_places_add_up(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    memory = Memory(data)
    total = 0
    for i in range(len(edges) - 1):
        part = sum_octets(memory, edges[i], edges[i + 1] - edges[i])
        total += placed(part, edges[i])
    assert (finish(total) - finish(sum_of(data))) % 65535 == 0
