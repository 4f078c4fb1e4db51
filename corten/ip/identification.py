"""What names a datagram that may be cut: IPv4's identification (RFC 6864), IPv6's (RFC 7739).

Strategy. RFC 7739 5.3: counters, by a keyed hash of (source, destination, protocol), and another
part of the hash added to each: who sees the numbers of its own datagrams learns nothing of those to
others, and of one flow they do not repeat before the field is through. The steps are of random
size, so that two flows that share a counter do not tell how much the other sends. Workers that
share an address take different residues: their numbers do not meet.

Rules. A datagram that is not cut and may not be cut (IPv4 with DF, «atomic») has the number 0.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.limit import IDENTIFICATION_USE_OF_KEY
from cython.cimports.corten.core.siphash import Siphash

if not cython.compiled:
    IDENTIFICATION_COUNTERS = 1024
    STEP_MAX = 3


@cython.final
@cython.cclass
class Identification:
    """The counters of one worker's stack: `index` of `workers`."""

    _key: Siphash
    _chance: Chance
    _counts: cython.ulonglong[::1]
    _index: cython.ulonglong
    _workers: cython.ulonglong

    def __init__(self, key: Siphash, chance: Chance, index: int, workers: int) -> None:
        self._key = key
        self._chance = chance
        self._index = index
        self._workers = workers
        counts = array("Q", (chance.next32() for _ in range(IDENTIFICATION_COUNTERS)))
        self._counts = memoryview(counts)

    @cython.ccall
    def next(
        self,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        protocol: cython.uint,
    ) -> cython.uint:
        """The next number towards `remote`: 32 bits, of which IPv4 takes the lower 16."""
        mask: cython.ulonglong = 0xFFFF_FFFF
        use: cython.ulonglong = IDENTIFICATION_USE_OF_KEY
        hash: cython.ulonglong = self._key.words2_4(
            local_high, local_low, remote_high, remote_low, use ^ protocol
        )
        place: cython.Py_ssize_t = cython.cast(
            cython.Py_ssize_t, (hash >> 32) & (IDENTIFICATION_COUNTERS - 1)
        )
        count: cython.ulonglong = self._counts[place] + 1 + self._chance.below(STEP_MAX)
        self._counts[place] = count & mask
        number: cython.ulonglong = (hash & mask) + count * self._workers + self._index
        return cython.cast(cython.uint, number & mask)
