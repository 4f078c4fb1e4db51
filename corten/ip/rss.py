"""Steering by a NIC's receive side scaling: a Toeplitz hash, a table from its low bits to queues.

Strategy. The key and the table are read from the device (`corten.driver.rss`). Our port is the last
field of what is hashed, and the hash is linear, so the hash of a flow is what the rest gives xor
what two octets of the port give. The low octets that lead to this worker are listed once for each
value that the rest may leave in the table's bits: choosing a port is then two look-ups, and no port
is tried in vain. (Neighbouring ports would be a bad guess: with the usual key four of them in a row
share a queue.)

Rules. A table whose length is no power of two is not understood. Where a protocol's ports are not
hashed, or no entry leads here, every port is as good as another.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.toeplitz import (
    V4_DESTINATION_PORT_AT,
    V6_DESTINATION_PORT_AT,
    Toeplitz,
)
from cython.cimports.corten.ip.steering import EPHEMERAL_COUNT, EPHEMERAL_FIRST, Steering
from cython.cimports.corten.wire.address_field import is_v4, low_v4
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP

if not cython.compiled:
    RSS_ENTRIES_MAX = 4096  # more than any NIC's table has
    BLOCK = 256  # ports that differ in their low octet alone
    BLOCKS = 252  # of them, from EPHEMERAL_FIRST on


@cython.final
@cython.cclass
class LowOctets:
    """For each entry that a flow may have when its port ends in 0: the low octets that turn it into
    an entry of ours."""

    most: cython.Py_ssize_t  # of any entry
    _counts: cython.ushort[::1]
    _octets: cython.uchar[::1]  # `most` places an entry

    def __init__(self, hash: Toeplitz, place: int, ours: list[bool]) -> None:
        """`place`: of the low octet in what is hashed. `ours`: by entry."""
        mask = len(ours) - 1
        moves = [hash.octet(place, value) & mask for value in range(BLOCK)]
        by_move: dict[int, list[int]] = {}
        for value, move in enumerate(moves):
            by_move.setdefault(move, []).append(value)
        leading = [entry for entry, is_ours in enumerate(ours) if is_ours]
        rows = [
            sorted(value for entry in leading for value in by_move.get(start ^ entry, ()))
            for start in range(len(ours))
        ]
        self.most = max(map(len, rows))
        self._counts = memoryview(array("H", map(len, rows)))
        filled = [bytes(row).ljust(self.most, b"\0") for row in rows]
        self._octets = memoryview(bytearray(b"".join(filled) or b"\0"))

    @cython.cfunc
    def find(self, entry: cython.Py_ssize_t, k: cython.Py_ssize_t) -> cython.int:
        """The k-th low octet for an entry; -1: it has not so many."""
        if k >= self._counts[entry]:
            return -1
        return self._octets[entry * self.most + k]


@cython.final
@cython.cclass
class Rss(Steering):
    """The steering of one NIC."""

    _hash: Toeplitz
    _workers: cython.int[::1]  # by entry of the table
    _mask: cython.uint
    _ports: list  # which protocols' ports are hashed: "tcp4", "udp4", "tcp6", "udp6"
    _with_ports: cython.uint  # the same, a bit each
    _low_v4: LowOctets
    _low_v6: LowOctets
    _low: LowOctets  # of the flow in hand
    _is_v4: cython.bint
    _any: cython.bint  # the flow in hand may have any port
    _start: cython.uint  # its hash with port 0

    def __init__(self, place: int, key: bytes, workers: list[int], ports: list[str]) -> None:
        """`workers`: who has the queue of each entry, -1 for nobody here. ValueError for a key or a
        table that is not understood."""
        count = len(workers)
        if not 1 <= count <= RSS_ENTRIES_MAX or count & (count - 1):
            raise ValueError(f"an indirection table of {count} entries: a power of two is wanted")
        Steering.__init__(self, place)
        self._hash = Toeplitz(key)
        self._workers = memoryview(array("i", workers))
        self._mask = count - 1
        self._ports = list(ports)
        self._with_ports = sum(1 << i for i, name in enumerate(_NAMES) if name in ports)
        ours = [worker == place for worker in workers]
        self._low_v4 = LowOctets(self._hash, V4_DESTINATION_PORT_AT + 1, ours)
        self._low_v6 = LowOctets(self._hash, V6_DESTINATION_PORT_AT + 1, ours)
        self._low = self._low_v4
        self._is_v4 = True
        self._any = True
        self._start = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _hashes_ports(self, protocol: cython.uint, v4: cython.bint) -> cython.bint:
        bit: cython.uint = 0 if v4 else 2
        if protocol == PROTOCOL_UDP:
            bit += 1
        elif protocol != PROTOCOL_TCP:
            return False
        return (self._with_ports >> bit) & 1 != 0

    @cython.cfunc
    def _addresses(
        self,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> cython.uint:
        if is_v4(remote_high, remote_low):
            return self._hash.addresses_v4(low_v4(remote_low), low_v4(local_low))
        return self._hash.addresses_v6(remote_high, remote_low, local_high, local_low)

    @cython.cfunc
    def _both_ports(self, v4: cython.bint, remote: cython.uint, local: cython.uint) -> cython.uint:
        return self._hash.ports_v4(remote, local) if v4 else self._hash.ports_v6(remote, local)

    @cython.ccall
    def worker_of(
        self,
        protocol: cython.uint,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        remote_port: cython.uint,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
        local_port: cython.uint,
    ) -> cython.int:
        v4: cython.bint = is_v4(remote_high, remote_low)
        found: cython.uint = self._addresses(remote_high, remote_low, local_high, local_low)
        if self._hashes_ports(protocol, v4):
            found ^= self._both_ports(v4, remote_port, local_port)
        return self._workers[found & self._mask]

    @cython.ccall
    def begin(
        self,
        protocol: cython.uint,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        remote_port: cython.uint,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> cython.longlong:
        v4: cython.bint = is_v4(remote_high, remote_low)
        self._is_v4 = v4
        self._low = self._low_v4 if v4 else self._low_v6
        self._any = self._low.most == 0 or not self._hashes_ports(protocol, v4)
        if self._any:
            return EPHEMERAL_COUNT
        self._start = self._addresses(remote_high, remote_low, local_high, local_low)
        self._start ^= self._both_ports(v4, remote_port, 0)
        return BLOCKS * self._low.most

    @cython.ccall
    def port(self, turn: cython.longlong) -> cython.uint:
        if self._any:
            return EPHEMERAL_FIRST + cython.cast(cython.uint, turn)
        most: cython.longlong = self._low.most
        block: cython.uint = EPHEMERAL_FIRST + BLOCK * cython.cast(cython.uint, turn // most)
        start: cython.uint = self._start ^ self._both_ports(self._is_v4, 0, block)
        low: cython.int = self._low.find(
            start & self._mask, cython.cast(cython.Py_ssize_t, turn % most)
        )
        return 0 if low < 0 else block + cython.cast(cython.uint, low)


_NAMES = ("tcp4", "udp4", "tcp6", "udp6")
