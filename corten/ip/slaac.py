"""Stateless address autoconfiguration: what routers advertise, made ours (RFC 4862 5.5, 4861 6.3).

A link-local address always; from each autonomous prefix an address whose last 64 bits are the
keyed hash of prefix, link and a counter (RFC 7217), so that it is the same after a restart with the
same key, another on every network, and tells nobody which card we have. Routers are asked after up
to a second, then after 4, 8, 16 … seconds up to an hour, until one answers (RFC 7559).

Rules. Everything a router can make us keep is bounded, and strangers push nothing out. A short
lifetime does not cut an address off: it is not lowered under two hours by one message (5.5.3 e).
"""

from __future__ import annotations

import hashlib

import cython
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import MILLISECOND, NEVER, SECOND
from cython.cimports.corten.core.field import get8, get32, get64
from cython.cimports.corten.core.limit import (
    LINK_LOCAL_HIGH,
    SOLICIT_FIRST_NS,
    SOLICIT_LAST_NS,
    TWO_HOURS_NS,
    U32,
)
from cython.cimports.corten.ip.address import TRIED, UNTRIED, set_lifetimes, take
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.nd import solicit_routers
from cython.cimports.corten.wire.address_field import is_group_v6
from cython.cimports.corten.wire.nd import FLAG_AUTONOMOUS, FLAG_ON_LINK, NdMessage, is_link_local
from cython.cimports.corten.wire.reason import ND_TABLE_FULL

from corten.wire.address import format_address
from corten.wire.nd_option import search_names, servers

if not cython.compiled:
    ADDRESSES_MAX = 16  # made from prefixes, on one link
    SERVERS_MAX = 8  # RFC 8106 5.3.1: three at least
    TRIES = 3  # RFC 7217 7, IDGEN_RETRIES
    MTU_MIN = 1280
    TIMER_MS_MIN = 100  # what a router may set: nobody can make us ask a thousand times a second
    TIMER_MS_MAX = 3_600_000  # RFC 4861 6.2.1


@cython.final
@cython.cclass
class Slaac:
    """The autoconfiguration of one link."""

    interface: Interface
    asks_at: cython.longlong  # a router solicitation is due
    _wait_ns: cython.longlong
    _key: bytes
    _how: cython.int
    _counters: dict  # upper half of a prefix -> conflicts so far (RFC 7217, DAD_Counter)
    _servers: dict  # (high, low) -> until
    _names: dict  # name -> until
    _chance: Chance

    def __init__(self, interface: Interface, key: bytes, tried: bool) -> None:
        """`key`: 16 octets or more that nobody else knows; `tried`: look for duplicates."""
        self.interface = interface
        self.asks_at = NEVER
        self._wait_ns = 0
        self._key = key
        self._how = TRIED if tried else UNTRIED
        self._counters = {}
        self._servers = {}
        self._names = {}
        self._chance = interface.chance

    @cython.cfunc
    def begin(self, now: cython.longlong) -> cython.void:
        """The link is up: a link-local address, and a question to the routers."""
        self._add(LINK_LOCAL_HIGH, NEVER, NEVER, now)
        self.asks_at = now
        if self._how == TRIED:  # not a dead worker's successor, whom everybody waits for
            self.asks_at += cython.cast(cython.longlong, self._chance.below(SECOND))
            if not self.interface.is_leader:
                self.asks_at += SOLICIT_FIRST_NS // 2
        self.interface.wake(self.asks_at)

    # -- addresses ---------------------------------------------------------------------------

    def identifier(self, high: int, counter: int) -> int:
        """The 64 bits that follow a prefix (RFC 7217 5), none that is reserved (RFC 5453)."""
        link = self.interface.name.encode()
        while True:
            text = high.to_bytes(8, "big") + counter.to_bytes(4, "big") + link
            digest = hashlib.blake2s(text, key=self._key, digest_size=8, person=b"rfc7217")
            found = int.from_bytes(digest.digest(), "big")
            if not _is_reserved(found):
                return found
            counter += 1 << 16

    @cython.cfunc
    def _add(
        self,
        high: cython.ulonglong,
        preferred_until: cython.longlong,
        valid_until: cython.longlong,
        now: cython.longlong,
    ) -> cython.void:
        """Make the address of a /64, and try it."""
        low = self.identifier(high, self._counters.get(high, 0))
        address: Address = Address(f"{format_address(high, low)}/64")
        address.is_auto = True
        set_lifetimes(self.interface, address, preferred_until, valid_until, now)
        take(self.interface, address, self._how, now)

    def take_up(self, text: str, preferred_until: int, valid_until: int, now: int) -> None:
        """An address that a worker before us made, and used: nobody need be asked again."""
        address: Address = Address(f"{text}/64")
        if self._address_of(address.high) is not None:
            return
        address.is_auto = True
        set_lifetimes(self.interface, address, preferred_until, valid_until, now)
        take(self.interface, address, UNTRIED, now)

    @cython.cfunc
    def duplicated(self, address: Address, now: cython.longlong) -> cython.bint:
        """Somebody else has an address that we made: the next one, while there are tries left."""
        tries: cython.int = self._counters.get(address.high, 0) + 1
        self._counters[address.high] = tries
        if tries > TRIES:
            return False
        self._add(address.high, address.preferred_until, address.valid_until, now)
        return True

    @cython.cfunc
    def _address_of(self, high: cython.ulonglong) -> Address | None:
        address: Address
        for address in self.interface.tentative + self.interface.addresses:
            if address.is_auto and address.high == high:
                return address
        return None

    # -- router advertisements ---------------------------------------------------------------

    @cython.cfunc
    def receive(
        self,
        message: NdMessage,
        memory: Memory,
        high: cython.ulonglong,
        low: cython.ulonglong,
        now: cython.longlong,
    ) -> cython.void:
        """A valid router advertisement from (high, low), but for its link-layer address."""
        interface: Interface = self.interface
        if message.hop_limit != 0:
            interface.hop_limit = message.hop_limit
        if TIMER_MS_MIN <= message.reachable_ms <= TIMER_MS_MAX:
            interface.neighbours.nd_timing.set_reachable(message.reachable_ms * MILLISECOND)
        if TIMER_MS_MIN <= message.retrans_ms <= TIMER_MS_MAX:
            interface.neighbours.nd_timing.retrans_ns = message.retrans_ms * MILLISECOND
        if MTU_MIN <= message.mtu <= interface.mtu:
            interface.mtu_v6 = message.mtu
        until: cython.longlong = now + message.router_lifetime * SECOND
        if interface.hops.hear_router(high, low, until, message.preference, now):
            self.asks_at = NEVER
        for at in message.prefixes:
            self._prefix(memory, at, now)
        for at in message.rdnss:
            self._keep(self._servers, servers(memory, at), get32(memory, at + 4), now)
        for at in message.dnssl:
            self._keep(self._names, search_names(memory, at), get32(memory, at + 4), now)
        self._publish()
        interface.wake(interface.hops.expire(now))

    @cython.cfunc
    def _prefix(self, memory: Memory, at: cython.Py_ssize_t, now: cython.longlong) -> cython.void:
        """One prefix information option (RFC 4861 4.6.2)."""
        prefix_len: cython.int = cython.cast(cython.int, get8(memory, at + 2))
        flags: cython.uint = get8(memory, at + 3)
        valid: cython.longlong = get32(memory, at + 4)
        preferred: cython.longlong = get32(memory, at + 8)
        high: cython.ulonglong = get64(memory, at + 16)
        low: cython.ulonglong = get64(memory, at + 24)
        if prefix_len > 128 or is_link_local(high) or is_group_v6(high):
            return
        if flags & FLAG_ON_LINK and prefix_len > 0:
            self.interface.hops.hear_prefix(high, low, prefix_len, _until(now, valid), now)
            self.interface.readdressed()
        if flags & FLAG_AUTONOMOUS and prefix_len == 64 and preferred <= valid:
            self._autonomous(high, _until(now, preferred), _until(now, valid), now)

    @cython.cfunc
    def _autonomous(
        self,
        high: cython.ulonglong,
        preferred_until: cython.longlong,
        valid_until: cython.longlong,
        now: cython.longlong,
    ) -> cython.void:
        """RFC 4862 5.5.3 d and e."""
        address: Address | None = self._address_of(high)
        if address is not None:
            left: cython.longlong = address.valid_until - now
            offered: cython.longlong = valid_until - now
            if offered <= TWO_HOURS_NS and offered <= left:
                valid_until = min(address.valid_until, now + TWO_HOURS_NS)
            set_lifetimes(self.interface, address, preferred_until, valid_until, now)
        elif valid_until > now and self._counters.get(high, 0) <= TRIES:
            made: list = [a for a in self.interface.addresses if a.is_auto]
            if len(made) + len(self.interface.tentative) > ADDRESSES_MAX:
                self.interface.counters.add(ND_TABLE_FULL)
                return
            self._add(high, preferred_until, valid_until, now)

    # -- name servers ------------------------------------------------------------------------

    @cython.cfunc
    def _keep(
        self, kept: dict, found: list, seconds: cython.uint, now: cython.longlong
    ) -> cython.void:
        """Remember servers or search names as long as said (RFC 8106 5.1, 6.2)."""
        for each in found:
            if seconds == 0:
                kept.pop(each, None)
            elif each in kept or len(kept) < SERVERS_MAX:
                until: cython.longlong = _until(now, seconds)
                kept[each] = until
                self.interface.wake(until)
            else:
                self.interface.counters.add(ND_TABLE_FULL)

    @cython.cfunc
    def _publish(self) -> cython.void:
        self.interface.name_servers = list(self._servers)
        self.interface.search_names = list(self._names)

    # -- time --------------------------------------------------------------------------------

    @cython.cfunc
    def attend(self, now: cython.longlong) -> cython.void:
        """Ask the routers, drop what is over."""
        interface: Interface = self.interface
        if self.asks_at <= now:
            if interface.is_leader or not interface.hops.routers:
                solicit_routers(interface, self._link_local())
            self.asks_at = now + self._next_wait()
        interface.wake(self.asks_at)
        for kept in (self._servers, self._names):
            for each, until in list(kept.items()):
                if until <= now:
                    del kept[each]
                    self._publish()
                else:
                    interface.wake(until)
        if not interface.hops.routers and self.asks_at == NEVER:
            self._wait_ns = 0
            self.asks_at = now + self._next_wait()  # the last one is gone
            interface.wake(self.asks_at)

    @cython.cfunc
    def _next_wait(self) -> cython.longlong:
        """RFC 7559 2 with the timing of RFC 8415 15: twice as long, and a tenth by chance."""
        share: cython.longlong = cython.cast(cython.longlong, self._chance.below(201)) - 100
        wait: cython.longlong = self._wait_ns
        wait = (
            SOLICIT_FIRST_NS + SOLICIT_FIRST_NS // 1000 * share
            if wait == 0
            else (2 * wait + wait // 1000 * share)
        )
        if wait > SOLICIT_LAST_NS:
            wait = SOLICIT_LAST_NS + SOLICIT_LAST_NS // 1000 * share
        self._wait_ns = wait
        return wait

    @cython.cfunc
    def _link_local(self) -> Address | None:
        """Our address to ask from, once it is valid."""
        address: Address
        for address in self.interface.addresses:
            if is_link_local(address.high) and address.trial is None:
                return address
        return None


@cython.cfunc
@cython.exceptval(check=False)
def _until(now: cython.longlong, seconds: cython.longlong) -> cython.longlong:
    """The end of a lifetime; all ones never end (RFC 4861 4.6.2)."""
    return NEVER if seconds == cython.cast(cython.longlong, U32) else now + seconds * SECOND


def _is_reserved(low: int) -> bool:
    """Interface identifiers that mean something (RFC 5453, and the IANA's list)."""
    return (
        low == 0
        or 0x0200_5EFF_FE00_0000 <= low <= 0x0200_5EFF_FE00_5212
        or 0xFDFF_FFFF_FFFF_FF80 <= low <= 0xFDFF_FFFF_FFFF_FFFF
    )
