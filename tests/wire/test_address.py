"""Addresses as text and as 128 bits; what a host can have."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.wire.address import (
    format_address,
    format_mac,
    is_host_v4,
    parse_address,
    parse_mac,
    parse_network,
)

MAPPED = 0xFFFF << 32


def v4(text: str) -> int:
    return int(ipaddress.IPv4Address(text))


def test_ipv4_lies_mapped_in_the_low_half() -> None:
    assert parse_address("10.0.2.2") == (0, MAPPED | 0x0A000202)
    assert parse_address("::ffff:10.0.2.2") == parse_address("10.0.2.2")
    assert parse_address("2001:db8::1") == (0x20010DB8 << 32, 1)


@pytest.mark.parametrize(
    ("given_text", "want"),
    [  # RFC 5952, 4 and 5
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("255.255.255.255", "255.255.255.255"),
    ],
)
def test_addresses_are_written_as_recommended(given_text: str, want: str) -> None:
    assert format_address(*parse_address(given_text)) == want


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10.0.2",
        "10.0.2.2 ",
        "010.0.2.2",
        "10.0.2.256",
        "10.0.2.2/24",
        "0x0a000202",
        "1.2.3.4.5",
        "-1.2.3.4",
        "localhost",
        ":::",
        "fe80::1%eth0",
        "1::2::3",
        "12345::",
        "٣.0.0.1",
    ],
)
def test_what_is_no_address_says_so_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="not an IP address") as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__


@given(st.integers(0, (1 << 128) - 1))
def test_every_address_survives_its_text(number: int) -> None:
    high, low = number >> 64, number & ((1 << 64) - 1)
    assert parse_address(format_address(high, low)) == (high, low)


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_survives_its_text(address: ipaddress.IPv4Address) -> None:
    assert parse_address(str(address)) == (0, MAPPED | int(address))
    assert format_address(0, MAPPED | int(address)) == str(address)


def test_a_network_counts_all_128_bits() -> None:
    assert parse_network("10.0.2.2/24") == (0, MAPPED | 0x0A000202, 120)
    assert parse_network("10.0.2.2/0")[2] == 96
    assert parse_network("10.0.2.2/32")[2] == 128
    assert parse_network("2001:db8::1/64") == (0x20010DB8 << 32, 1, 64)
    assert parse_network("::ffff:10.0.2.2/120") == parse_network("10.0.2.2/24")
    assert parse_network("::/0")[2] == 0


@pytest.mark.parametrize(
    "text",
    [
        "10.0.2.2",
        "10.0.2.2/",
        "10.0.2.2/33",
        "10.0.2.2/-1",
        "10.0.2.2/024",
        "10.0.2.2/+8",
        "10.0.2.2/255.255.255.0",
        "::1/129",
        "10.0.2/24",
        "/24",
        "10.0.2.2/8/8",
        "10.0.2.2/٣",
    ],
)
def test_what_is_no_network_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="not an"):
        parse_network(text)


def test_mac_addresses() -> None:
    assert parse_mac("02:00:5E:10:00:01") == 0x02005E100001
    assert format_mac(0x02005E100001) == "02:00:5e:10:00:01"
    assert format_mac(0) == "00:00:00:00:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:00:5e:10:00",
        "02:00:5e:10:00:01:02",
        "2:0:5e:10:0:1",
        "02-00-5e-10-00-01",
        "02:00:5e:10:00:0g",
        " 02:00:5e:10:00:01",
        "02:00:5e:10:00:01\n",
        "02005e100001",
    ],
)
def test_what_is_no_mac_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="not a MAC address"):
        parse_mac(text)


@pytest.mark.parametrize(
    ("first", "last", "host"),
    [
        ("0.0.0.0", "0.255.255.255", False),
        ("1.0.0.0", "126.255.255.255", True),
        ("127.0.0.0", "127.255.255.255", False),
        ("128.0.0.0", "223.255.255.255", True),
        ("224.0.0.0", "239.255.255.255", False),
        ("240.0.0.0", "255.255.255.255", False),
    ],
)
def test_which_addresses_a_host_can_have(first: str, last: str, host: bool) -> None:
    assert is_host_v4(v4(first)) == host
    assert is_host_v4(v4(last)) == host


@pytest.mark.plain
def test_the_header_agrees_with_the_text() -> None:
    from corten.wire.address_field import is_v4, low_v4, v4_low

    assert (0, v4_low(v4("10.0.2.2"))) == parse_address("10.0.2.2")
    assert low_v4(v4_low(0xFFFFFFFF)) == 0xFFFFFFFF
    assert is_v4(*parse_address("255.255.255.255"))
    for text in ("::1", "::fffe:1.2.3.4", "1::ffff:1.2.3.4"):
        assert not is_v4(*parse_address(text))


@pytest.mark.plain
@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 128))
def test_a_prefix_covers_what_ipaddress_says(
    address: ipaddress.IPv4Address, network: ipaddress.IPv4Address, prefix_len: int
) -> None:
    from corten.wire.address_field import in_prefix

    halves = (*parse_address(str(address)), *parse_address(str(network)))
    numbers = [high << 64 | low for high, low in (halves[:2], halves[2:])]
    want = numbers[0] >> (128 - prefix_len) == numbers[1] >> (128 - prefix_len)
    assert in_prefix(*halves, prefix_len) == want
    assert in_prefix(*halves[:2], *halves[:2], prefix_len)
