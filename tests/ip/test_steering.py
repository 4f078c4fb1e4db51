"""Ports that bring the answers home: what a steering says of a flow, and what one may choose."""

from __future__ import annotations

import ipaddress
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.chance import Chance
from corten.core.toeplitz import DEFAULT_KEY, Toeplitz
from corten.ip.rss import Rss
from corten.ip.spread import SPREAD_KEYS, Spread
from corten.ip.steering import EPHEMERAL_COUNT, EPHEMERAL_FIRST, Steering
from corten.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP

TCP, UDP = PROTOCOL_TCP, PROTOCOL_UDP
KEYS = [Chance(7).fork(i).next64() for i in range(SPREAD_KEYS)]
ALL = ["tcp4", "udp4", "tcp6", "udp6"]
WORKERS = 4
PAIRS = [("192.0.2.7", "10.0.0.2"), ("2001:db8::7", "fd00::2")]


def halves(text: str) -> tuple[int, int]:
    address = ipaddress.ip_address(text)
    whole = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
    return whole >> 64, whole & (2**64 - 1)


def rss(place: int, key: bytes = DEFAULT_KEY, ports: list[str] = ALL, entries: int = 128) -> Rss:
    return Rss(place, key, [i % WORKERS for i in range(entries)], ports)


def spread(place: int, queues: int = WORKERS) -> Spread:
    return Spread(place, KEYS, queues)


def ports_of(steering: Steering, remote: str, local: str, port: int = 443) -> list[int]:
    """All that the steering names for a flow."""
    turns = steering.begin(TCP, *halves(remote), port, *halves(local))
    return [found for turn in range(turns) if (found := steering.port(turn))]


@pytest.mark.slow
@pytest.mark.parametrize("make", [rss, spread])
@pytest.mark.parametrize(("remote", "local"), PAIRS)
@pytest.mark.requirement("RFC 6056 3.3.4")
def test_each_port_is_one_workers_and_each_is_named_once(
    make: type[Steering], remote: str, local: str
) -> None:
    named = [ports_of(make(place), remote, local) for place in range(WORKERS)]
    assert sorted(port for ports in named for port in ports) == list(
        range(EPHEMERAL_FIRST, EPHEMERAL_FIRST + EPHEMERAL_COUNT)
    )
    asked = make(0)
    for place, ports in enumerate(named):
        for port in ports[::97]:
            assert asked.worker_of(TCP, *halves(remote), 443, *halves(local), port) == place
    assert min(map(len, named)) > 0.95 * EPHEMERAL_COUNT / WORKERS


def test_rss_finds_a_port_in_every_turn() -> None:
    """With the usual key nothing is tried in vain, and ports come in the order of their turns."""
    steering = rss(2)
    turns = steering.begin(TCP, *halves("192.0.2.7"), 443, *halves("10.0.0.2"))
    ports = [steering.port(turn) for turn in range(500)]
    assert turns == EPHEMERAL_COUNT // WORKERS
    assert 0 not in ports and ports == sorted(ports)


def test_rss_hashes_as_the_vectors_do() -> None:
    remote, local = halves("66.9.149.187"), halves("161.142.100.80")
    queues = list(range(128))
    asked = Rss(0, DEFAULT_KEY, queues, ["tcp4"])
    assert asked.worker_of(TCP, *remote, 2794, *local, 1766) == 0x51CCC178 & 127
    assert asked.worker_of(UDP, *remote, 2794, *local, 1766) == 0x323E8FC2 & 127
    assert asked.worker_of(PROTOCOL_ICMP, *remote, 0, *local, 0) == 0x323E8FC2 & 127
    six = [halves(text) for text in ("3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1")]
    asked = Rss(0, DEFAULT_KEY, queues, ["tcp6"])
    assert asked.worker_of(TCP, *six[0], 2794, *six[1], 1766) == 0x40207D3D & 127


def test_a_symmetric_key_is_served_too() -> None:
    """Its blocks of ports are not alike: turns without a port say so."""
    key = b"\x6d\x5a" * 20
    named = [ports_of(rss(place, key), "192.0.2.7", "10.0.0.2") for place in range(WORKERS)]
    assert len({port for ports in named for port in ports}) == EPHEMERAL_COUNT


def test_ports_that_are_not_hashed_are_all_alike() -> None:
    steering = rss(1, ports=["tcp4"])
    count = steering.begin(UDP, *halves("192.0.2.7"), 53, *halves("10.0.0.2"))
    assert count == EPHEMERAL_COUNT and steering.port(0) == EPHEMERAL_FIRST
    steering.begin(TCP, *halves("2001:db8::7"), 53, *halves("fd00::2"))
    assert steering.port(5) == EPHEMERAL_FIRST + 5


def test_a_worker_without_an_entry_takes_any_port() -> None:
    steering = Rss(9, DEFAULT_KEY, [0] * 128, ALL)
    assert steering.begin(TCP, *halves("192.0.2.7"), 53, *halves("10.0.0.2")) == EPHEMERAL_COUNT


@pytest.mark.parametrize("entries", [0, 3, 8192])
def test_a_table_that_is_not_understood_is_refused(entries: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        rss(0, entries=entries)


@given(st.binary(min_size=40, max_size=40), st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_whatever_the_key_a_named_port_leads_here(key: bytes, remote_port: int, ip: int) -> None:
    steering = Rss(1, key, [0, 1, 1, 0, -1, 1, 0, 1], ["tcp4"])
    remote, local = (0, 0xFFFF << 32 | ip), halves("10.0.0.2")
    turns = steering.begin(TCP, *remote, remote_port, *local)
    made, workers = Toeplitz(key), [0, 1, 1, 0, -1, 1, 0, 1]
    for turn in range(0, turns, max(1, turns // 7)):
        port = steering.port(turn)
        if port and turns < EPHEMERAL_COUNT:
            found = made.addresses_v4(ip, 0x0A000002) ^ made.ports_v4(remote_port, port)
            assert workers[found & 7] == 1


def test_the_spread_is_the_sum_that_is_written_down() -> None:
    words = [0xC0000207, 0x0A000002]
    total = KEYS[0] + KEYS[1] * words[0] + KEYS[2] * words[1]
    alone = (total % 2**64 >> 32) * 64 >> 32
    whole = ((total + KEYS[9] * (443 << 16 | 5000)) % 2**64 >> 32) * 64 >> 32
    asked = spread(0, 64)
    remote, local = halves("192.0.2.7"), halves("10.0.0.2")
    assert asked.worker_of(TCP, *remote, 443, *local, 5000) == whole
    assert asked.worker_of(UDP, *remote, 443, *local, 5000) == whole
    assert asked.worker_of(PROTOCOL_ICMP, *remote, 443, *local, 5000) == alone


def test_the_spread_is_even() -> None:
    asked = spread(0, 16)
    remote, local = halves("2001:db8::7"), halves("fd00::2")
    seen = Counter(asked.worker_of(TCP, *remote, port, *local, 80) for port in range(1024, 17408))
    assert len(seen) == 16 and max(seen.values()) < 1.2 * 1024


@pytest.mark.parametrize(("keys", "queues"), [(KEYS[:9], 4), (KEYS, 0)])
def test_a_spread_that_cannot_be_is_refused(keys: list[int], queues: int) -> None:
    with pytest.raises(ValueError, match="keys are wanted"):
        Spread(0, keys, queues)


def test_nobody_knows_by_itself() -> None:
    base = Steering()
    assert base.worker_of(TCP, 0, 1, 2, 0, 3, 4) == -1
    assert not base.gathers
    assert base.begin(TCP, 0, 1, 2, 0, 3) == EPHEMERAL_COUNT
    assert base.port(EPHEMERAL_COUNT - 1) == 65535
