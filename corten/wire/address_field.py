"""IPv4 addresses as 128 bits: ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). Header module.

Above the wire every address is two 64-bit integers, `high` and `low`. An IPv4 address has `high`
zero and ::ffff in the upper half of `low`, so one table and one comparison serve both families.
"""

from __future__ import annotations

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def v4_low(v4: cython.uint) -> cython.ulonglong:
    """The low half of an IPv4 address's 128 bits; the high half is 0."""
    mapped: cython.ulonglong = 0xFFFF
    return (mapped << 32) | v4


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def low_v4(low: cython.ulonglong) -> cython.uint:
    """The IPv4 address in the low half of a mapped address."""
    mask: cython.uint = 0xFFFF_FFFF
    return cython.cast(cython.uint, low & mask)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_v4(high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
    """Whether the 128 bits are an IPv4 address."""
    return high == 0 and (low >> 32) == 0xFFFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_loopback(high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
    """Whether the address never leaves its host: 127/8 (RFC 1122 3.2.1.3) or ::1 (RFC 4291)."""
    return high == 0 and (low >> 24 == 0xFF_FF7F or low == 1)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def in_prefix(
    high: cython.ulonglong,
    low: cython.ulonglong,
    network_high: cython.ulonglong,
    network_low: cython.ulonglong,
    prefix_len: cython.int,
) -> cython.bint:
    """Whether the first `prefix_len` of 128 bits are the network's."""
    if prefix_len <= 0:
        return True
    if prefix_len <= 64:
        return (high >> (64 - prefix_len)) == (network_high >> (64 - prefix_len))
    return high == network_high and (low >> (128 - prefix_len)) == (
        network_low >> (128 - prefix_len)
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_group_v6(high: cython.ulonglong) -> cython.bint:
    """Whether an IPv6 address with this upper half is a multicast group (RFC 4291, 2.7)."""
    return high >> 56 == 0xFF


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def is_link_local_v6(high: cython.ulonglong) -> cython.bint:
    """Whether an address with this upper half is in fe80::/10 (RFC 4291, 2.5.6)."""
    return high >> 54 == 0x3FA
