"""Steering by our own program: the keyed hash with which it spreads flows over the queues.

    sum   = k0 + k1 * w1 + k2 * w2 + …         modulo 2**64, w: 32-bit words, k: 64-bit numbers
    queue = ((sum >> 32) * queues) >> 32

The words are the addresses of the packet that arrives, source first (two of IPv4, eight of IPv6),
then both ports of TCP and UDP; fragments and other protocols have no ports, so all fragments
between two hosts come to one worker. With secret keys this is strongly universal (multilinear
hashing): nobody can choose flows that meet at one worker, and a program computes it in a dozen
multiplications without a table.

`corten.driver.steering_program` writes the program, this is the same in a worker's hands; a test
runs both over the same packets.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.core.limit import U32
from cython.cimports.corten.ip.steering import EPHEMERAL_COUNT, EPHEMERAL_FIRST, Steering
from cython.cimports.corten.wire.address_field import is_v4, low_v4
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP

if not cython.compiled:
    SPREAD_KEYS = 10  # k0, one for each word of two IPv6 addresses, one for the ports
    PORTS_KEY = 9


@cython.final
@cython.cclass
class Spread(Steering):
    """The steering of one device with the program."""

    _keys: cython.ulonglong[::1]
    _queues: cython.ulonglong
    _start: cython.ulonglong  # the sum of the flow in hand, with port 0
    _mine: cython.ulonglong

    def __init__(self, place: int, keys: list[int], queues: int) -> None:
        if len(keys) != SPREAD_KEYS or queues < 1:
            raise ValueError(
                f"{SPREAD_KEYS} keys are wanted and a queue, not {len(keys)}, {queues}"
            )
        Steering.__init__(self, place, gathers=True)
        self._keys = memoryview(array("Q", keys))
        self._queues = queues
        self._mine = place
        self._start = 0

    @cython.cfunc
    def _addresses(
        self,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> cython.ulonglong:
        """The sum as far as the addresses go."""
        keys: cython.ulonglong[::1] = self._keys
        wrap: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        total: cython.ulonglong = keys[0]
        if is_v4(remote_high, remote_low):
            total += keys[1] * low_v4(remote_low) + keys[2] * low_v4(local_low)
            return total & wrap
        total += keys[1] * (remote_high >> 32) + keys[2] * (remote_high & U32)
        total += keys[3] * (remote_low >> 32) + keys[4] * (remote_low & U32)
        total += keys[5] * (local_high >> 32) + keys[6] * (local_high & U32)
        total += keys[7] * (local_low >> 32) + keys[8] * (local_low & U32)
        return total & wrap

    @cython.cfunc
    def _with_ports(self, start: cython.ulonglong, ports: cython.ulonglong) -> cython.ulonglong:
        wrap: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
        return (start + self._keys[PORTS_KEY] * ports) & wrap

    @cython.cfunc
    @cython.exceptval(check=False)
    def _queue(self, total: cython.ulonglong) -> cython.ulonglong:
        return ((total >> 32) * self._queues) >> 32

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
        total: cython.ulonglong = self._addresses(remote_high, remote_low, local_high, local_low)
        if protocol in (PROTOCOL_TCP, PROTOCOL_UDP):
            ports: cython.ulonglong = remote_port
            total = self._with_ports(total, (ports << 16) | local_port)
        return cython.cast(cython.int, self._queue(total))

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
        ports: cython.ulonglong = remote_port
        self._start = self._with_ports(
            self._addresses(remote_high, remote_low, local_high, local_low), ports << 16
        )
        return EPHEMERAL_COUNT

    @cython.ccall
    def port(self, turn: cython.longlong) -> cython.uint:
        local: cython.uint = EPHEMERAL_FIRST + cython.cast(cython.uint, turn)
        total: cython.ulonglong = self._with_ports(self._start, local)
        return local if self._queue(total) == self._mine else 0
