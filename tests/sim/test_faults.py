"""Enumerated faults over one short session: whatever single thing goes wrong, everything arrives.

Connect, 10 kB each way, close. Each packet is dropped, each pair of packets, each is duplicated and
swapped with the next, and each bit of each header is turned.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import lru_cache

import pytest

from corten.sim import Fault, drop, duplicate, flip, swap
from corten.sim.scenario import VARIANTS, session
from tests.trace.pace import COMPILED

pytestmark = [pytest.mark.sim, pytest.mark.timeout(900)]

PARTS = 8
SHORT = 1500  # octets each way where there is much to enumerate
ARP_PACKETS = 4  # the first ones
HEADERS_LEN = 14 + 20 + 32  # Ethernet, IPv4, TCP with timestamps


@lru_cache
def packets(octets: int = 10_000, variant: str = "sack") -> int:
    """How many packets the session takes when nothing goes wrong."""
    return session(1, octets=octets, variant=variant).links[0].packets


def run_all(
    part: int,
    all_faults: Iterable[list[Fault]],
    stride: int = 1,
    octets: int = 10_000,
    variant: str = "sack",
    parts: int = PARTS,
) -> None:
    mine: Iterator[list[Fault]] = itertools.islice(
        iter(all_faults), part * stride, None, parts * stride
    )
    for faults in mine:
        # ARP has no checksum: an address learnt wrong is a black hole until it ages
        may_fail = any(f.kind == "flip" and f.packet < ARP_PACKETS for f in faults)
        session(1, faults, octets, may_fail, variant)


def test_nothing_goes_wrong() -> None:
    network = session(1)
    assert network.links[0].lost == 0
    assert 15 < packets() < 80


every_part = pytest.mark.parametrize("part", range(PARTS))
every_variant = pytest.mark.parametrize("variant", VARIANTS)


@every_variant
def test_drop_each_packet(variant: str) -> None:
    run_all(0, map(drop, range(packets(variant=variant))), 1, variant=variant, parts=1)


@every_part
@every_variant
def test_drop_each_pair(part: int, variant: str) -> None:
    pairs = itertools.combinations(range(packets(variant=variant)), 2)
    run_all(part, (drop(*pair) for pair in pairs), 1 if COMPILED else 9, variant=variant)


@every_variant
def test_duplicate_each_packet(variant: str) -> None:
    run_all(0, map(duplicate, range(packets(variant=variant))), 1, variant=variant, parts=1)


@every_variant
def test_swap_each_packet_with_the_next(variant: str) -> None:
    run_all(0, map(swap, range(packets(variant=variant))), 1, variant=variant, parts=1)


@every_part
def test_flip_each_bit_of_each_header(part: int) -> None:
    places = itertools.product(range(packets(SHORT)), range(HEADERS_LEN * 8))
    run_all(part, (flip(*place) for place in places), 1 if COMPILED else 37, SHORT)
