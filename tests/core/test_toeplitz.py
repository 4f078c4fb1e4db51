"""The hash of RSS: the vectors of its authors, and that it is linear."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.toeplitz import DEFAULT_KEY, TOEPLITZ_INPUT_LEN, Toeplitz

HASH = Toeplitz(DEFAULT_KEY)
WORD = 2**64 - 1

V4 = [  # Microsoft, "Verifying the RSS hash calculation"; the 82599's data sheet
    ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323E8FC2, 0x51CCC178),
    ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xD718262A, 0xC626B0EA),
    ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xD2D0A5DE, 0x5C2B394A),
    ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xAFC7327F),
    ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5D1809C5, 0x10E828A2),
]
V6 = [
    ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2CC18CD5, 0x40207D3D),
    ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0F0C461C, 0xDDE51BBF),
    (
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        "fe80::200:f8ff:fe21:67cf",
        38024,
        0x4B61E985,
        0x02D1FEEF,
    ),
]


@pytest.mark.parametrize("vector", V4)
def test_vectors_of_ipv4(vector: tuple[str, int, str, int, int, int]) -> None:
    source, source_port, destination, destination_port, alone, with_ports = vector
    found = HASH.addresses_v4(
        int(ipaddress.ip_address(source)), int(ipaddress.ip_address(destination))
    )
    assert found == alone
    assert found ^ HASH.ports_v4(source_port, destination_port) == with_ports


@pytest.mark.parametrize("vector", V6)
def test_vectors_of_ipv6(vector: tuple[str, int, str, int, int, int]) -> None:
    source, source_port, destination, destination_port, alone, with_ports = vector
    ends = [int(ipaddress.ip_address(text)) for text in (source, destination)]
    halves = [half for end in ends for half in (end >> 64, end & WORD)]
    found = HASH.addresses_v6(*halves)
    assert found == alone
    assert found ^ HASH.ports_v6(source_port, destination_port) == with_ports


def by_its_definition(key: bytes, data: bytes) -> int:
    """Bit by bit, as the text has it."""
    whole, result = int.from_bytes(key, "big"), 0
    for i in range(8 * len(data)):
        if data[i // 8] >> (7 - i % 8) & 1:
            result ^= whole >> (8 * len(key) - 32 - i) & 0xFFFF_FFFF
    return result


@given(st.binary(min_size=40, max_size=52), st.binary(max_size=TOEPLITZ_INPUT_LEN))
def test_it_is_what_the_definition_says(key: bytes, data: bytes) -> None:
    made = Toeplitz(key)
    found = 0
    for place, value in enumerate(data):
        found ^= made.octet(place, value)
    assert found == by_its_definition(key, data)
    assert made.key == key


@given(st.integers(0, WORD), st.integers(0, WORD), st.integers(0, 28))
def test_it_is_linear(a: int, b: int, at: int) -> None:
    assert HASH.number(at, a ^ b, 8) == HASH.number(at, a, 8) ^ HASH.number(at, b, 8)


def test_every_port_block_reaches_every_entry_twice() -> None:
    """What a choice of port can rely on with the usual key and 128 entries."""
    low = [HASH.ports_v4(0, port) & 127 for port in range(256)]
    assert sorted(low) == sorted(list(range(128)) * 2)
    assert len({HASH.ports_v4(0, port) & 3 for port in range(4)}) == 1  # neighbours do not do


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="40 octets"):
        Toeplitz(bytes(39))
    with pytest.raises(IndexError):
        HASH.octet(TOEPLITZ_INPUT_LEN, 0)
