"""Echo requests of our own and what comes back (RFC 792, RFC 1122 3.2.2.6, RFC 4443 4), and the
echo replies that are too long for one frame.

Rules. A reply counts only from the address that was asked, to the one that asked, with the
identifier of a `Ping` that is open. What is told runs as a scheduled call of the loop: never inside
the input, each in a `try` of its own. Frames go straight into the outgoing batch, which is the
bounded queue; identifiers are by chance, and known to the other workers.
"""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.arena import Memory, buffer_of, read, sum_octets
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.field import put8, put16, put32
from cython.cimports.corten.core.frame import GSO_TCPV4
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.ip.identification import Identification
from cython.cimports.corten.ip.packet import FRAGMENTS_MAX, Outgoing, fragments_of, send_packet
from cython.cimports.corten.ip.path import DEFAULT_TTL, Path
from cython.cimports.corten.ip.route import RouteTable
from cython.cimports.corten.wire.checksum import finish
from cython.cimports.corten.wire.icmpv4 import ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_LEN
from cython.cimports.corten.wire.icmpv6 import ICMPV6_ECHO, ICMPV6_ECHO_REPLY
from cython.cimports.corten.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP
from cython.cimports.corten.wire.ipv6 import PROTOCOL_ICMPV6
from cython.cimports.corten.wire.reason import (
    ECHO_REPLIES_IN,
    ECHO_REQUESTS_OUT,
    ICMP_ECHO_REPLIES,
    ICMP_ERRORS_IN,
    REPLY_QUEUE_FULL,
)

from corten.endpoint.error import CortenError
from corten.endpoint.ping import Ping, PingHandler

if not cython.compiled:
    PINGS_MAX = 1024  # at one time
    DATA_MAX = 65507
    PROTOCOL_SHIFT = 32  # in the hash's word: no ping has the hash of a TCP flow


class StackPing(Ping):
    """The requests to one host."""

    def __init__(
        self, host: EchoHost, handler: PingHandler, address: str, path: Path, ttl: int, tos: int
    ) -> None:
        self.host = host
        self.handler = handler
        self.address = address
        self.path = path
        self.ttl = ttl
        self.tos = tos
        self.identifier = 0
        self.sent: dict[int, int] = {}  # sequence -> instant
        self.is_open = True

    def send(self, sequence: int, data: bytes) -> bool:
        if not self.is_open:
            raise CortenError("this ping is closed")
        if not 0 <= sequence <= 0xFFFF:
            raise CortenError(f"sequence {sequence}: must be between 0 and 65535")
        if len(data) > DATA_MAX:
            raise CortenError(f"{len(data)} octets: {DATA_MAX} are the most")
        return self.host.request(self, sequence, data)

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.host.forget(self)


@cython.final
@cython.cclass
class EchoHost:
    """The echoes of one stack."""

    loop: Any  # what runs the handlers: call_soon
    now: cython.longlong
    counters: Counters
    exchange: Exchange
    routes: RouteTable
    _packet: Outgoing
    _pings: dict  # identifier -> StackPing
    _key: Siphash
    _chance: Chance

    def __init__(
        self,
        counters: Counters,
        routes: RouteTable,
        exchange: Exchange,
        chance: Chance,
        key: Siphash,
        identification: Identification,
    ) -> None:
        self.loop = None
        self.now = 0
        self.counters = counters
        self.exchange = exchange
        self.routes = routes
        self._packet = Outgoing(identification)
        self._pings = {}
        self._key = key
        self._chance = chance

    def start(self, now: int, loop: object) -> None:
        """The loop that runs the handlers, and the clock's first instant."""
        self.now = now
        self.loop = loop

    def __len__(self) -> int:
        return len(self._pings)

    # -- asking -----------------------------------------------------------------------------

    def open(
        self, handler: PingHandler, address: str, path: Path, ttl: int | None, dscp: int
    ) -> StackPing:
        """A ping towards the end of `path`. CortenError for options that cannot be."""
        if ttl is not None and not 1 <= ttl <= 255:
            raise CortenError(f"ttl={ttl}: must be between 1 and 255")
        if not 0 <= dscp <= 63:
            raise CortenError(f"dscp={dscp}: must be between 0 and 63")
        if len(self._pings) >= PINGS_MAX:
            raise CortenError(f"{PINGS_MAX} pings are open: close some")
        ping = StackPing(self, handler, address, path, ttl or DEFAULT_TTL, dscp << 2)
        identifier: int = self._chance.below(65536)
        while identifier in self._pings or self.exchange.is_elsewhere(self.hash_of(identifier)):
            identifier = (identifier + 1) & 0xFFFF
        ping.identifier = identifier
        self._pings[identifier] = ping
        self.exchange.opened(self.hash_of(identifier))
        return ping

    def forget(self, ping: StackPing) -> None:
        """It has been closed."""
        del self._pings[ping.identifier]
        self.exchange.closed(self.hash_of(ping.identifier))

    def end_link(self, interface: object, error: OSError) -> None:
        """A link is gone, and the pings on it are over; what was asked last is not answered."""
        for ping in list(self._pings.values()):
            if ping.path.interface is interface:
                if ping.sent:
                    self.loop.call_soon(ping.handler.on_error, ping, max(ping.sent), error)
                ping.close()

    def request(self, ping: StackPing, sequence: int, data: bytes) -> bool:
        """Write a request into the link's batch; False when it has no room."""
        rest: cython.uint = (ping.identifier << 16) | sequence
        self._packet.ttl = ping.ttl
        self._packet.tos = ping.tos
        path: Path = ping.path
        is_v4: cython.bint = path.gso_type == GSO_TCPV4
        if not self._send(path, ICMP_ECHO if is_v4 else ICMPV6_ECHO, rest, data):
            return False
        ping.sent[sequence] = self.now
        self.counters.add(ECHO_REQUESTS_OUT)
        return True

    @cython.cfunc
    def _send(self, path: Path, type: cython.uint, rest: cython.uint, data: bytes) -> cython.bint:
        """One message, in fragments where it is too long for the path."""
        packet: Outgoing = self._packet
        packet.payload = buffer_of(data)
        packet.header_len = ICMP_LEN
        total: cython.ulonglong = sum_octets(packet.payload, 0, packet.payload.size)
        packet.protocol = PROTOCOL_ICMP
        if path.gso_type != GSO_TCPV4:
            packet.protocol = PROTOCOL_ICMPV6
            total += path.tcp_sum + PROTOCOL_ICMPV6 - PROTOCOL_TCP
            total += ICMP_LEN + packet.payload.size
        put8(packet.header, 0, type)
        put8(packet.header, 1, 0)
        put16(packet.header, 2, 0)
        put32(packet.header, 4, rest)
        total += sum_octets(packet.header, 0, ICMP_LEN)
        put16(packet.header, 2, finish(total))
        if fragments_of(path, ICMP_LEN + packet.payload.size, self.now) > FRAGMENTS_MAX:
            return False
        return send_packet(path, packet, self.now)

    # -- hearing ----------------------------------------------------------------------------

    @cython.ccall
    def hash_of(self, identifier: cython.uint) -> cython.ulonglong:
        """What other workers know a ping by."""
        word: cython.ulonglong = PROTOCOL_ICMP
        return self._key.flow(0, 0, 0, 0, (word << PROTOCOL_SHIFT) | identifier)

    @cython.cfunc
    def find(
        self,
        identifier: cython.uint,
        remote_high: cython.ulonglong,
        remote_low: cython.ulonglong,
        local_high: cython.ulonglong,
        local_low: cython.ulonglong,
    ) -> object:
        """The open ping of these addresses, or None."""
        ping = self._pings.get(identifier)
        if ping is None:
            return None
        path: Path = ping.path
        if (
            path.remote_low == remote_low
            and path.remote_high == remote_high
            and path.local_low == local_low
            and path.local_high == local_high
        ):
            return ping
        return None

    @cython.cfunc
    def replied(
        self,
        ping: object,
        sequence: cython.uint,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        ttl: cython.uint,
        now: cython.longlong,
    ) -> cython.void:
        """A reply with this data has come."""
        self.counters.add(ECHO_REPLIES_IN)
        sent = ping.sent.pop(sequence, None)  # type: ignore[attr-defined]
        seconds = -1.0 if sent is None else (now - sent) / 1e9
        handler = ping.handler  # type: ignore[attr-defined]
        data: bytes = read(memory, at, length)
        self.loop.call_soon(handler.on_reply, ping, sequence, data, seconds, ttl)

    @cython.cfunc
    def failed(self, ping: object, sequence: cython.uint, error: OSError) -> cython.void:
        """An ICMP error about a request has come."""
        self.counters.add(ICMP_ERRORS_IN)
        handler = ping.handler  # type: ignore[attr-defined]
        self.loop.call_soon(handler.on_error, ping, sequence, error)

    # -- answering --------------------------------------------------------------------------

    @cython.cfunc
    def answer(
        self,
        local: tuple,
        remote: tuple,
        rest: cython.uint,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.void:
        """Answer a request that is too long for one frame: the reply is cut as well."""
        path: Path | None = self.routes.path(local[0], local[1], remote[0], remote[1], now)
        self.now = now
        self._packet.ttl = DEFAULT_TTL
        self._packet.tos = 0
        type: cython.uint = ICMP_ECHO_REPLY
        if path is not None and path.gso_type != GSO_TCPV4:
            type = ICMPV6_ECHO_REPLY
        if path is None or not self._send(path, type, rest, read(memory, at, length)):
            self.counters.add(REPLY_QUEUE_FULL)
        else:
            self.counters.add(ICMP_ECHO_REPLIES)
