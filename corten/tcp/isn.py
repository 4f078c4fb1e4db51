"""Initial sequence numbers and timestamp offsets (RFC 6528, RFC 7323 5.4).

ISN = M + F(addresses, ports, secret): M ticks every 4 microseconds, F is SipHash-2-4 under a key
that outlives a worker, so that numbers grow for one pair of sockets and tell nothing about others.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import OTHER_USE_OF_KEY, U32
from cython.cimports.corten.core.siphash import Siphash

if not cython.compiled:
    TICK_NS = 4_000  # MUST-8
    TIMESTAMP_TICK_NS = 1_000_000  # RFC 7323 5.4: between 1 ms and 1 s


@cython.cfunc
@cython.exceptval(check=False)
def initial_sequence(
    secret: Siphash,
    remote_high: cython.ulonglong,
    remote_low: cython.ulonglong,
    local_high: cython.ulonglong,
    local_low: cython.ulonglong,
    ports: cython.ulonglong,
    now: cython.longlong,
) -> cython.uint:
    """The ISN of one pair of sockets at an instant."""
    f: cython.ulonglong = secret.words2_4(remote_high, remote_low, local_high, local_low, ports)
    return cython.cast(cython.uint, (f + cython.cast(cython.ulonglong, now // TICK_NS)) & U32)


@cython.cfunc
@cython.exceptval(check=False)
def timestamp_offset(
    secret: Siphash,
    remote_high: cython.ulonglong,
    remote_low: cython.ulonglong,
    local_high: cython.ulonglong,
    local_low: cython.ulonglong,
    ports: cython.ulonglong,
) -> cython.uint:
    """What is added to the clock in this pair's timestamps: the same for every connection of the
    pair, so that they grow over a reuse of its ports."""
    f: cython.ulonglong = secret.words2_4(
        remote_high ^ OTHER_USE_OF_KEY, remote_low, local_high, local_low, ports
    )
    return cython.cast(cython.uint, f & U32)
