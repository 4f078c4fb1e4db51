"""Which of our addresses to send from, and which of a peer's to try first (RFC 6724).

Both are comparisons rule by rule; here a rule is a place in a tuple, and the larger tuple wins. The
policy table is the default one (2.1). IPv4 addresses take part as mapped ones, so that one list of
both families sorts.
"""

from __future__ import annotations

from collections.abc import Callable

import cython
from cython.cimports.corten.ip.interface import Address
from cython.cimports.corten.wire.address_field import (
    in_prefix,
    is_group_v6,
    is_link_local_v6,
    is_v4,
    low_v4,
)

from corten.wire.address import parse_network

if not cython.compiled:
    # scopes, as they stand in a multicast address (RFC 4291 2.7)
    LINK_LOCAL = 2
    SITE_LOCAL = 5
    GLOBAL = 14

# prefix, precedence, label; the longest prefix counts
POLICY: list[tuple[int, int, int, int, int]] = sorted(
    (
        (*parse_network(prefix), precedence, label)
        for prefix, precedence, label in (
            ("::1/128", 50, 0),
            ("::/0", 40, 1),
            ("2002::/16", 30, 2),
            ("2001::/32", 5, 5),
            ("fc00::/7", 3, 13),
            ("::/96", 1, 3),
            ("fec0::/10", 1, 11),
            ("3ffe::/16", 1, 12),
            ("0.0.0.0/0", 35, 4),  # ::ffff:0:0/96
        )
    ),
    key=lambda row: -row[2],
)


def policy(high: int, low: int) -> tuple[int, int]:
    """(precedence, label) of an address (2.1)."""
    for network_high, network_low, prefix_len, precedence, label in POLICY:
        if in_prefix(high, low, network_high, network_low, prefix_len):
            return precedence, label
    raise AssertionError("::/0 holds every address")


@cython.ccall
@cython.exceptval(check=False)
def scope(high: cython.ulonglong, low: cython.ulonglong) -> cython.int:
    """How far an address reaches (3.1, 3.2)."""
    if is_v4(high, low):
        v4: cython.uint = low_v4(low)
        return LINK_LOCAL if v4 >> 24 == 127 or v4 >> 16 == 0xA9FE else GLOBAL
    if is_group_v6(high):
        return cython.cast(cython.int, (high >> 48) & 15)
    if is_link_local_v6(high) or (high == 0 and low == 1):
        return LINK_LOCAL
    return SITE_LOCAL if high >> 54 == 0x3FB else GLOBAL


def common_prefix_len(a: tuple[int, int], b: tuple[int, int], most: int) -> int:
    """Leading bits that two addresses share, `most` at the most (2.2)."""
    differ = (a[0] ^ b[0]) << 64 | (a[1] ^ b[1])
    return min(most, 128 - differ.bit_length())


def choose_source(
    candidates: list[Address], destination: tuple[int, int], hop: tuple[int, int]
) -> Address | None:
    """The best of a link's addresses to send from to `destination` by way of `hop` (5).

    Candidates are those of its family on the link that leads there, so rules 4 and 5 have nothing
    to say. "Advertised by the next hop" (5.5) is taken as: the hop is in the address's subnet.
    """
    best: Address | None = None
    best_rank: tuple = ()
    family: bool = is_v4(destination[0], destination[1])
    reach = scope(*destination)
    label = policy(*destination)[1]
    for address in candidates:
        if is_v4(address.high, address.low) != family:
            continue
        own = (address.high, address.low)
        own_scope = scope(*own)
        enough: bool = own_scope >= reach
        rank: tuple = (
            own == destination,  # 1
            enough,  # 2: the smallest scope that reaches, else the largest
            -own_scope if enough else own_scope,
            not address.deprecated,  # 3
            address.contains(hop[0], hop[1]),  # 5.5
            policy(*own)[1] == label,  # 6
            address.temporary,  # 7
            common_prefix_len(own, destination, address.prefix_len),  # 8
        )
        if best is None or rank > best_rank:
            best, best_rank = address, rank
    return best


def sort_destinations(
    destinations: list[tuple[int, int]], source_of: Callable[[int, int], Address | None]
) -> list[tuple[int, int]]:
    """Addresses of one peer, the one to try first at the front (6).

    `source_of(high, low)`: what would be sent from, None where there is no way. Rules 4 and 7 have
    nothing to say here.
    """

    def rank(destination: tuple[int, int]) -> tuple:
        source = source_of(*destination)
        precedence, label = policy(*destination)
        if source is None:
            return (False,)  # 1
        own = (source.high, source.low)
        return (
            True,
            scope(*own) == scope(*destination),  # 2
            not source.deprecated,  # 3
            policy(*own)[1] == label,  # 5
            precedence,  # 6
            -scope(*destination),  # 8
            common_prefix_len(own, destination, source.prefix_len),  # 9
        )

    return sorted(destinations, key=rank, reverse=True)  # a stable sort is rule 10
