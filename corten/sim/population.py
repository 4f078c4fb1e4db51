"""Many flows, and where they land: the loops of `corten.sim.workers`, compiled.

Strategy. A million flows are arrays of numbers: who calls (addresses as networks have them: hosts
of popular prefixes, many behind one address, a third IPv6) and from which port. What is asked of
them is asked of the real parts: a `Steering` for the queue, a `Presence` for who may own a flow,
the keyed flow hash of the stack. Only the device's own learnt table is a model here.
"""

from __future__ import annotations

import math
from array import array

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.presence import Presence
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.ip.steering import Steering
from cython.cimports.corten.wire.address_field import v4_low
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP

if not cython.compiled:
    SERVICE_PORT = 443
    TUN_FLOWS_MAX = 4096  # drivers/net/tun.c: MAX_TAP_FLOWS
    SWEEPS = 3  # of a table's model: an entry not written for so many seconds goes

OURS_V4 = (0, 0xFFFF_C633_6402)  # 198.51.100.2
OURS_V6 = (0x2001_0DB8_0000_0001, 2)


@cython.final
@cython.cclass
class Population:
    """`count` flows from a seed: the remote ends of connections to, or from, one service."""

    count: cython.Py_ssize_t
    high: cython.ulonglong[::1]
    low: cython.ulonglong[::1]
    port: cython.uint[::1]
    is_v6: cython.uchar[::1]

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.high = memoryview(array("Q", bytes(8 * count)))
        self.low = memoryview(array("Q", bytes(8 * count)))
        self.port = memoryview(array("I", bytes(4 * count)))
        self.is_v6 = memoryview(bytearray(count))
        self._people(Chance(seed), max(64, count // 64))

    def _people(self, chance: Chance, prefixes: int) -> None:
        """Popular prefixes have most of the hosts: the k-th as many as 1/k."""
        networks = [chance.next64() for _ in range(prefixes)]
        span: cython.double = math.log(prefixes)
        i: cython.Py_ssize_t
        for i in range(self.count):
            network: cython.ulonglong = networks[int(math.exp(chance.fraction() * span)) - 1]
            host: cython.ulonglong = chance.below(254) + 1
            if network % 3 == 0:
                self.is_v6[i] = 1
                self.high[i] = (0x2A00 << 48) | (network >> 16)
                self.low[i] = host if chance.below(5) == 0 else chance.next64()
            else:
                first: cython.ulonglong = 1 + (network >> 32) % 223
                v4: cython.ulonglong = (first << 24) | ((network >> 8) & 0xFF_FF00) | host
                self.low[i] = v4_low(cython.cast(cython.uint, v4))
            self.port[i] = self._port(chance)

    @cython.cfunc
    def _port(self, chance: Chance) -> cython.uint:
        """As systems choose: Linux even ports of its range, others the upper quarter, some any."""
        kind: cython.ulonglong = chance.below(10)
        if kind < 5:
            return 32768 + 2 * cython.cast(cython.uint, chance.below(14116))
        if kind < 9:
            return 49152 + cython.cast(cython.uint, chance.below(16384))
        return 1024 + cython.cast(cython.uint, chance.below(64512))

    @cython.cfunc
    def _asked(
        self, steering: Steering, i: cython.Py_ssize_t, port: cython.uint, local: cython.uint
    ) -> cython.int:
        """Which worker gets flow i."""
        ours: tuple = OURS_V6 if self.is_v6[i] else OURS_V4
        return steering.worker_of(
            PROTOCOL_TCP, self.high[i], self.low[i], port, ours[0], ours[1], local
        )

    def owners(self, steering: Steering) -> cython.uchar[::1]:
        """The worker of each flow that calls us."""
        found: cython.uchar[::1] = memoryview(bytearray(self.count))
        i: cython.Py_ssize_t
        for i in range(self.count):
            found[i] = self._asked(steering, i, self.port[i], SERVICE_PORT)
        return found

    def opened_elsewhere(self, steerings: list[Steering], tries: int, chance: Chance) -> int:
        """Of `tries` connections that workers open, each from a port that its steering gives: how
        many have their answers at another worker."""
        wrong: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        for i in range(tries):
            k: cython.Py_ssize_t = i % self.count
            place: cython.int = cython.cast(cython.int, chance.below(len(steerings)))
            mine: Steering = steerings[place]
            ours: tuple = OURS_V6 if self.is_v6[k] else OURS_V4
            turns: cython.longlong = mine.begin(
                PROTOCOL_TCP, self.high[k], self.low[k], SERVICE_PORT, ours[0], ours[1]
            )
            turn: cython.longlong = cython.cast(cython.longlong, chance.below(turns))
            local: cython.uint = mine.port(turn)
            while local == 0:
                turn = (turn + 1) % turns
                local = mine.port(turn)
            wrong += self._asked(mine, k, SERVICE_PORT, local) != place
        return wrong

    def hashes(self, key: Siphash) -> cython.ulonglong[::1]:
        """The stack's own hash of each flow that calls us."""
        found: cython.ulonglong[::1] = memoryview(array("Q", bytes(8 * self.count)))
        i: cython.Py_ssize_t
        for i in range(self.count):
            ours: tuple = OURS_V6 if self.is_v6[i] else OURS_V4
            ports: cython.ulonglong = self.port[i]
            found[i] = key.flow(
                self.high[i], self.low[i], ours[0], ours[1], (ports << 16) | SERVICE_PORT
            )
        return found


def loads_of(owners: cython.uchar[::1], workers: int, exponent: float) -> list[float]:
    """The load of each worker when flow i has a rate of (i + 1) ** -exponent."""
    found = array("d", bytes(8 * workers))
    loads: cython.double[::1] = memoryview(found)
    power: cython.double = -exponent
    i: cython.Py_ssize_t
    for i in range(len(owners)):
        loads[owners[i]] += math.pow(i + 1, power) if power else 1.0
    return list(found)


def differing(one: cython.uchar[::1], other: cython.uchar[::1]) -> int:
    """How many flows two steerings give to different workers."""
    count: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    for i in range(len(one)):
        count += one[i] != other[i]
    return count


def taken_for_owned(
    hashes: cython.ulonglong[::1],
    owners: cython.uchar[::1],
    workers: int,
    presence_len: int,
    strangers: int,
    chance: Chance,
) -> tuple[int, int]:
    """New flows by chance, each at a worker by chance: how many of them another worker's filter
    takes for its own, and how many hand-overs they cost, there and back."""
    drawn = array("Q", [chance.next64() for _ in range(strangers)])
    asked: cython.ulonglong[::1] = memoryview(drawn)
    at: cython.uchar[::1] = memoryview(bytearray(chance.below(workers) for _ in range(strangers)))
    yes: cython.ushort[::1] = memoryview(array("H", bytes(2 * strangers)))
    filter: Presence = Presence(bytearray(presence_len))
    worker: cython.int
    i: cython.Py_ssize_t
    for worker in range(workers):
        filter.clear()
        for i in range(len(hashes)):
            if owners[i] == worker:
                filter.opened(hashes[i])
        for i in range(strangers):
            if at[i] != worker and filter.may_own(asked[i]):
                yes[i] += 1
    deceived = sum(1 for n in yes if n)
    return deceived, sum(n + 1 for n in yes if n)


def learnt_elsewhere(
    flows: int, workers: int, seconds: int, rate: int, exponent: float, chance: Chance
) -> tuple[int, int]:
    """A device that learns (drivers/net/tun.c) under connections that workers opened: of `rate`
    packets a second, each of a flow by chance (rates as `loads_of` has them) and answered at once,
    how many came out of another worker's queue, and how many packets there were."""
    weights = array("d", [math.pow(i + 1, -exponent) for i in range(flows)])
    for i in range(1, flows):
        weights[i] += weights[i - 1]
    below: cython.double[::1] = memoryview(weights)
    owner: cython.uchar[::1] = memoryview(bytearray(chance.below(workers) for _ in range(flows)))
    hashed: cython.uchar[::1] = memoryview(bytearray(chance.below(workers) for _ in range(flows)))
    known: cython.uchar[::1] = memoryview(bytearray(flows))
    written: cython.longlong[::1] = memoryview(array("q", bytes(8 * flows)))
    entries: cython.Py_ssize_t = 0
    wrong: cython.Py_ssize_t = 0
    packets: cython.longlong = seconds * rate
    sweep: cython.longlong = SWEEPS * rate
    now: cython.longlong
    k: cython.Py_ssize_t
    for now in range(packets):
        if now % sweep == 0:
            for k in range(flows):
                if known[k] and now - written[k] > sweep:
                    known[k] = 0
                    entries -= 1
        k = _rank(below, chance.fraction() * below[flows - 1])
        if not known[k]:
            wrong += hashed[k] != owner[k]
            if entries < TUN_FLOWS_MAX:
                known[k] = 1
                entries += 1
        written[k] = now
    return wrong, packets


@cython.cfunc
def _rank(below: cython.double[::1], drawn: cython.double) -> cython.Py_ssize_t:
    """The first place whose sum is beyond what was drawn."""
    low: cython.Py_ssize_t = 0
    high: cython.Py_ssize_t = len(below) - 1
    while low < high:
        middle: cython.Py_ssize_t = (low + high) // 2
        if below[middle] > drawn:
            high = middle
        else:
            low = middle + 1
    return low
