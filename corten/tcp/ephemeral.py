"""Ephemeral ports (RFC 6056 3.3.4, algorithm 4: double hash).

port = the (F + counter) mod count-th of those that would do, where F is a keyed hash of the two
addresses and the remote port, and the counter one of a thousand that the same hash picks. Towards
one peer ports come one after the other, so each is used again as late as can be; what they say
about connections to other peers is nothing.

Those that would do are all from 1024 on; where the link can say which worker's queue an answer will
come out of, those that bring it to this one (`corten.ip.steering`), and all others only when these
are taken: an answer can be handed over, a connection that is not opened cannot.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.limit import PORT_USE_OF_KEY, U32
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.ip.steering import EPHEMERAL_COUNT, Steering
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP

if not cython.compiled:
    COUNTERS_MASK = 1023


@cython.final
@cython.cclass
class EphemeralPorts:
    """Where the search for a free port begins, for each destination."""

    host: TcpHost
    _counters: cython.longlong[::1]
    _anywhere: Steering

    def __init__(self, host: TcpHost, chance: Chance) -> None:
        self.host = host
        first = [chance.below(EPHEMERAL_COUNT) for _ in range(COUNTERS_MASK + 1)]
        self._counters = memoryview(array("q", first))
        self._anywhere = Steering()

    @cython.ccall
    def choose(self, path: Path, remote_port: cython.uint) -> cython.uint:
        """A local port that makes the pair of sockets unique, in TIME-WAIT too, and on every worker
        as far as their filters tell; 0 when there is none. What we listen to is passed over."""
        port: cython.uint = self._search(path, remote_port, path.interface.steering)
        return port if port else self._search(path, remote_port, self._anywhere)

    @cython.cfunc
    def _search(self, path: Path, remote_port: cython.uint, steering: Steering) -> cython.uint:
        """The first free port of those that `steering` names; 0 when there is none."""
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
        count: cython.longlong = steering.begin(
            PROTOCOL_TCP,
            path.remote_high,
            path.remote_low,
            remote_port,
            path.local_high,
            path.local_low,
        )
        for _ in range(count):
            turn: cython.longlong = self._counters[bucket]
            self._counters[bucket] = turn + 1
            port: cython.uint = steering.port((offset + turn) % count)
            if port == 0 or port in host.listeners:
                continue
            flow_hash: cython.ulonglong = host.hash_path(path, port, remote_port)
            if host.in_use(path, port, remote_port, flow_hash):
                continue
            if not host.exchange.is_elsewhere(flow_hash):
                return port
        return 0
