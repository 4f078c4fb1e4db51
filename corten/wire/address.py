"""Addresses as text, and which of them a host can have.

Addresses are 128 bits as (high, low); `address_field` says how IPv4 lies in them. Text is strict:
what is not exactly one address is a ValueError with one line that says what was wrong, because it
comes from a person or a configuration, never from the wire.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import cython

_LOW_HALF = (1 << 64) - 1
_MAPPED = 0xFFFF
_SHORTEST_V4, _SHORTEST_V6 = 96 + 8, 16  # of 128: in these nothing hides that no host can have
_LINK_LOCAL_V4, _LINK_LOCAL_V6 = 0xA9FE, 0x3FA  # 169.254/16 and fe80::/10 by their first bits
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_PREFIX_LEN = re.compile(r"0|[1-9][0-9]{0,2}")


def parse_address(text: str) -> tuple[int, int]:
    """(high, low) of an IPv4 or IPv6 address. Zone identifiers are refused."""
    try:
        if ":" not in text:
            return 0, (_MAPPED << 32) | int(IPv4Address(text))
        if "%" in text:
            raise ValueError
        number = int(IPv6Address(text))
    except ValueError:
        raise ValueError(f"not an IP address: {text!r}") from None
    return number >> 64, number & _LOW_HALF


def format_address(high: int, low: int) -> str:
    """The text of an address: dotted for IPv4, else as RFC 5952 recommends."""
    if high == 0 and low >> 32 == _MAPPED:
        return str(IPv4Address(low & 0xFFFF_FFFF))
    return str(IPv6Address((high << 64) | low))


def parse_network(text: str) -> tuple[int, int, int]:
    """(high, low, prefix length) of "10.0.2.2/24": host bits stay, the length is of 128 bits."""
    address, slash, prefix = text.partition("/")
    high, low = parse_address(address)
    shortest = 96 if high == 0 and low >> 32 == _MAPPED and ":" not in address else 0
    if not slash or not _PREFIX_LEN.fullmatch(prefix) or int(prefix) > 128 - shortest:
        raise ValueError(f"not an address with a prefix length (/0 to /{128 - shortest}): {text!r}")
    return high, low, shortest + int(prefix)


def parse_mac(text: str) -> int:
    """The 48 bits of "02:00:00:00:00:01"."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"not a MAC address (six octets aa:bb:cc:dd:ee:ff): {text!r}")
    return int(text.replace(":", ""), 16)


def format_mac(mac: int) -> str:
    """48 bits as aa:bb:cc:dd:ee:ff."""
    return ":".join(f"{(mac >> shift) & 0xFF:02x}" for shift in (40, 32, 24, 16, 8, 0))


@cython.ccall
@cython.exceptval(check=False)
def is_host_v4(v4: cython.uint) -> cython.bint:
    """Whether an address can be a unicast source on the wire (RFC 1122, 3.2.1.3).

    Not 0/8 (this network), 127/8 (loopback), 224/4 (multicast), 240/4 (reserved, broadcast).
    """
    network: cython.uint = v4 >> 24
    return 0 < network < 224 and network != 127


def is_too_wide(high: int, low: int, prefix_len: int) -> bool:
    """Whether a prefix, its length of 128 bits, is more than one host can have as a whole."""
    v4 = high == 0 and low >> 32 == _MAPPED
    return prefix_len < (_SHORTEST_V4 if v4 else _SHORTEST_V6)


def holds_hosts(high: int, low: int) -> bool:
    """Whether a prefix that is not too wide has addresses that can be routed to a host: of IPv4
    those of `is_host_v4`, of IPv6 not ::/16 and ff00::/8; no link-local ones."""
    if high == 0 and low >> 32 == _MAPPED:
        v4 = low & 0xFFFF_FFFF
        return bool(is_host_v4(v4)) and v4 >> 16 != _LINK_LOCAL_V4
    return high >> 48 != 0 and high >> 56 != 0xFF and high >> 54 != _LINK_LOCAL_V6
