"""Ephemeral ports (RFC 6056 3.3.4, algorithm 4: double hash).

port = first + (F + counter) mod count, where F is a keyed hash of the two addresses and the remote
port, and the counter one of a thousand that the same hash picks. Towards one peer ports come one
after the other, so each is used again as late as can be; what they say about connections to other
peers is nothing.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.limit import PORT_USE_OF_KEY, U32
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.tcp.host import TcpHost

if not cython.compiled:
    EPHEMERAL_FIRST = 1024  # RFC 6056 3.2: the whole range
    EPHEMERAL_COUNT = 64512
    COUNTERS_MASK = 1023


@cython.final
@cython.cclass
class EphemeralPorts:
    """Where the search for a free port begins, for each destination."""

    host: TcpHost
    _counters: cython.longlong[::1]

    def __init__(self, host: TcpHost, chance: Chance) -> None:
        self.host = host
        first = [chance.below(EPHEMERAL_COUNT) for _ in range(COUNTERS_MASK + 1)]
        self._counters = memoryview(array("q", first))

    @cython.ccall
    def choose(self, path: Path, remote_port: cython.uint) -> cython.uint:
        """A local port that makes the pair of sockets unique, in TIME-WAIT too, and on every worker
        as far as their filters tell; 0 when there is none. What we listen to is passed over."""
        host: TcpHost = self.host
        f: cython.ulonglong = host.secret.words2_4(
            path.remote_high ^ PORT_USE_OF_KEY,
            path.remote_low,
            path.local_high,
            path.local_low,
            remote_port,
        )
        bucket: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, (f >> 32) & COUNTERS_MASK)
        offset: cython.longlong = cython.cast(cython.longlong, f & U32)
        for _ in range(EPHEMERAL_COUNT):
            turn: cython.longlong = self._counters[bucket]
            self._counters[bucket] = (turn + 1) % EPHEMERAL_COUNT
            port: cython.uint = cython.cast(
                cython.uint, EPHEMERAL_FIRST + (offset + turn) % EPHEMERAL_COUNT
            )
            flow_hash: cython.ulonglong = host.hash_path(path, port, remote_port)
            if host.in_use(path, port, remote_port, flow_hash) or port in host.listeners:
                continue
            if not host.exchange.is_elsewhere(flow_hash):
                return port
        return 0
