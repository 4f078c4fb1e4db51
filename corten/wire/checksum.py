"""The Internet checksum over a pseudo-header (RFC 1071; RFC 9293, 3.1; RFC 8200, 8.1).

A sum is a one's-complement sum of big-endian 16-bit words, not inverted, in any integer that holds
it; sums of parts are added and folded once, by `finish`. The pseudo-header's length is left out,
because it changes with each segment while the rest belongs to the connection: add it.

    finish(pseudo_sum + length + sum_octets(header) + placed(sum_range(payload), at))
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.fold import fold, halves


@cython.ccall
@cython.exceptval(check=False)
def pseudo_sum_v4(
    source: cython.uint, destination: cython.uint, protocol: cython.uint
) -> cython.uint:
    """The folded sum of the IPv4 pseudo-header without its length (RFC 9293, 3.1)."""
    return fold(
        (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF) + protocol
    )


@cython.ccall
@cython.exceptval(check=False)
def pseudo_sum(
    source_high: cython.ulonglong,
    source_low: cython.ulonglong,
    destination_high: cython.ulonglong,
    destination_low: cython.ulonglong,
    protocol: cython.uint,
) -> cython.uint:
    """The folded sum of the pseudo-header of 128-bit addresses without its length (RFC 8200, 8.1).

    Of two IPv4-mapped addresses it is the IPv4 pseudo-header's: ::ffff adds 0xffff, which is zero.
    """
    return fold(
        halves(source_high)
        + halves(source_low)
        + halves(destination_high)
        + halves(destination_low)
        + protocol
    )


@cython.ccall
@cython.exceptval(check=False)
def finish(total: cython.ulonglong) -> cython.uint:
    """Fold and invert a sum: the checksum as it stands in a header (RFC 1071, 1)."""
    return 0xFFFF - fold(total)


@cython.ccall
@cython.exceptval(check=False)
def placed(total: cython.uint, at: cython.Py_ssize_t) -> cython.uint:
    """A folded sum of a part that lies `at` octets behind the start of the whole.

    At an odd distance its octets fall into the other halves of the words (RFC 1071, 2 (B)).
    """
    if at & 1:
        return ((total & 0xFF) << 8) | (total >> 8)
    return total
