"""The DHCPv4 client (RFC 2131 4.4): INIT, SELECTING, REQUESTING, BOUND, RENEWING, REBINDING.

    client = DhcpClient(loop, chance, mac, transmit, on_lease, on_lost)
    client.start()                       # `transmit(octets, server)`: server None is broadcast
    client.receive(octets)               # whatever came to port 68

Strategy. One timer; what it means is said by the state. The first usable offer is taken. A lease is
told by `on_lease(lease)`, also when a renewal changed it; its end by `on_lost(lease)`, after which
the client begins anew. `conflict()`: somebody else answers for the address: it is declined.

Rules. A message counts only with our transaction's number and our hardware address; a lease that
makes no sense is ignored. Retransmissions wait 4, 8, 16, 32, 64 s, give or take one (4.1). Workers
of one link share one client identity: each takes the leases that it overhears, and only the leader
asks, unless nothing is heard.
"""

from __future__ import annotations

from collections.abc import Callable

from corten.core.chance import Chance
from corten.dhcp.lease import Lease, lease_of
from corten.endpoint.loop import Loop, TimerHandle
from corten.wire.dhcp import (
    ACK,
    CLASSLESS_ROUTES,
    CLIENT_ID,
    DECLINE,
    DISCOVER,
    DOMAIN_NAME,
    INTERFACE_MTU,
    MAX_SIZE,
    MESSAGE_TYPE,
    NAK,
    NAME_SERVERS,
    OFFER,
    PARAMETERS,
    RELEASE,
    REPLY_OP,
    REQUEST,
    REQUEST_OP,
    REQUESTED_ADDRESS,
    ROUTER,
    SERVER_ID,
    SUBNET_MASK,
    T1,
    T2,
    DhcpMalformed,
    DhcpMessage,
    emit_dhcp,
    parse_dhcp,
)

FIRST_WAIT_S = 4.0
LAST_WAIT_S = 64.0
REQUESTS_MAX = 4  # then from the beginning (3.1.5)
RENEW_WAIT_MIN_S = 60.0  # 4.4.5
DECLINE_WAIT_S = 10.0  # 3.1.5
NAK_WAIT_S = 1.0  # doubled with each NAK in a row, so that a flood of them costs little
START_WAIT_S = 1.0  # desynchronises hosts that start together; the text's ten would be long
MESSAGE_LEN_MAX = 1472

INIT, SELECTING, REQUESTING, BOUND, RENEWING, REBINDING, STOPPED = (
    "INIT",
    "SELECTING",
    "REQUESTING",
    "BOUND",
    "RENEWING",
    "REBINDING",
    "STOPPED",
)
_WANTED = bytes([SUBNET_MASK, CLASSLESS_ROUTES, ROUTER, NAME_SERVERS, DOMAIN_NAME, INTERFACE_MTU])


class DhcpClient:
    """One interface's client."""

    def __init__(
        self,
        loop: Loop,
        chance: Chance,
        mac: int,
        transmit: Callable[[bytes, str | None], None],
        on_lease: Callable[[Lease], None],
        on_lost: Callable[[Lease], None],
        leads: bool = True,
    ) -> None:
        self.loop, self.chance, self.mac = loop, chance, mac
        self.transmit, self.on_lease, self.on_lost = transmit, on_lease, on_lost
        self.leads = leads
        self.state = INIT
        self.lease: Lease | None = None
        self.xid = 0
        self.began = 0.0  # of this exchange
        self.leased = 0.0  # when the lease began: when it was asked for
        self.sent = 0  # messages of this state
        self.naks = 0
        self._offer: Lease | None = None
        self._previous: str | None = None  # an address that we had
        self._asked_at = 0.0  # when a renewal was last asked for
        self._timer: TimerHandle | None = None

    # -- control ------------------------------------------------------------------------------

    def start(self, previous: str | None = None) -> None:
        """Begin after a moment; `previous`: an address we had, which is asked for."""
        self.state = INIT
        self._previous = previous
        wait = self.chance.below(1000) / 1000 * START_WAIT_S
        self._wait(wait if self.leads else wait + FIRST_WAIT_S, self._discover)

    def resume(self, lease: Lease, since: float) -> None:
        """Go on with a lease that a worker before us had, from when it was asked for; begin anew
        where it is over."""
        if self.loop.time() - since >= lease.expires_s:
            self.start(lease.address)
        else:
            self._bind(lease, since)

    def stop(self, release: bool = True) -> None:
        """Ask no more; tell the server that the address is free."""
        self._cancel()
        lease, self.lease = self.lease, None
        self.state = STOPPED
        if lease is not None and release and self.leads:
            self.xid = self.chance.below(1 << 32)
            message = self._message(RELEASE, {SERVER_ID: _octets(lease.server)})
            message.ciaddr = _number(lease.address)
            self.transmit(emit_dhcp(message), lease.server)

    def conflict(self) -> None:
        """Somebody else has the address (RFC 2131 3.1.5): decline it, and begin again later."""
        lease = self.lease
        if lease is None:
            return
        message = self._message(
            DECLINE,
            {REQUESTED_ADDRESS: _octets(lease.address), SERVER_ID: _octets(lease.server)},
        )
        self.transmit(emit_dhcp(message), None)
        self._lose()
        self._wait(DECLINE_WAIT_S, self._discover)

    # -- time ---------------------------------------------------------------------------------

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._cancel()
        self._timer = self.loop.call_later(seconds, then)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _patience(self) -> float:
        """4, 8, 16, 32, 64 s, give or take one (4.1)."""
        wait = min(FIRST_WAIT_S * (1 << min(self.sent - 1, 8)), LAST_WAIT_S)
        return float(wait - 1 + self.chance.below(2001) / 1000)

    def _age(self) -> float:
        return self.loop.time() - self.leased

    # -- asking -------------------------------------------------------------------------------

    def _message(self, kind: int, options: dict[int, bytes]) -> DhcpMessage:
        message = DhcpMessage(REQUEST_OP, self.xid, self.mac)
        message.secs = int(self.loop.time() - self.began)
        message.options = {
            MESSAGE_TYPE: bytes([kind]),
            CLIENT_ID: b"\x01" + self.mac.to_bytes(6, "big"),
            **options,
        }
        if kind in (DISCOVER, REQUEST):
            message.options[PARAMETERS] = _WANTED + bytes([T1, T2])
            message.options[MAX_SIZE] = MESSAGE_LEN_MAX.to_bytes(2, "big")
        return message

    def _discover(self) -> None:
        """A new exchange."""
        self.state = SELECTING
        self.sent = 0
        self.xid = self.chance.below(1 << 32)
        self.began = self.loop.time()
        self._offer = None
        self._send_discover()

    def _send_discover(self) -> None:
        self.sent += 1
        options = {REQUESTED_ADDRESS: _octets(self._previous)} if self._previous else {}
        message = self._message(DISCOVER, options)
        message.broadcast = True  # we take nothing that is addressed to an address not yet ours
        self.transmit(emit_dhcp(message), None)
        self._wait(self._patience(), self._send_discover)

    def _request(self, offer: Lease) -> None:
        self.state = REQUESTING
        self.sent = 0
        self._offer = offer
        self._send_request()

    def _send_request(self) -> None:
        offer = self._offer
        if offer is None or self.sent >= REQUESTS_MAX:
            self._discover()
            return
        self.sent += 1
        self.leased = self.loop.time()
        options = {REQUESTED_ADDRESS: _octets(offer.address), SERVER_ID: _octets(offer.server)}
        message = self._message(REQUEST, options)
        message.broadcast = True
        self.transmit(emit_dhcp(message), None)
        self._wait(self._patience(), self._send_request)

    def _renew(self) -> None:
        """T1: ask the server that gave it; from T2 on, anybody; at its end it is over (4.4.5)."""
        lease = self.lease
        if lease is None:
            return
        age = self._age()
        if age >= lease.expires_s:
            self._lose()
            self._discover()
            return
        rebinding = age >= lease.rebind_s
        if self.state == BOUND:
            self.xid = self.chance.below(1 << 32)
            self.began = self.loop.time()
        self.state = REBINDING if rebinding else RENEWING
        self._asked_at = self.loop.time()
        message = self._message(REQUEST, {})
        message.ciaddr = _number(lease.address)
        self.transmit(emit_dhcp(message), None if rebinding else lease.server)
        end = lease.expires_s if rebinding else lease.rebind_s
        wait = max((end - age) / 2, RENEW_WAIT_MIN_S)
        self._wait(max(min(wait, end - age), 1.0), self._renew)

    # -- answers ------------------------------------------------------------------------------

    def receive(self, octets: bytes) -> bool:
        """What came to port 68; whether it was ours."""
        try:
            reply = parse_dhcp(octets)
        except DhcpMalformed:
            return False  # silent: the caller counts it
        if reply.op != REPLY_OP or reply.mac != self.mac or self.state == STOPPED:
            return False
        if reply.xid != self.xid:
            return self._overhear(reply)
        if reply.kind == NAK:
            return self._refused()
        lease = lease_of(reply)
        if lease is None:
            return False
        if reply.kind == OFFER and self.state == SELECTING:
            self._request(lease)
            return True
        if reply.kind == ACK and self.state == REQUESTING and lease.server == self._server():
            self._bind(lease, self.leased)
            return True
        if reply.kind == ACK and self.state in (RENEWING, REBINDING):
            self._bind(lease, self._asked_at)
            return True
        return False

    def is_for(self, octets: bytes) -> bool:
        """Whether it is an answer to our station, whichever of its workers has asked."""
        try:
            reply = parse_dhcp(octets)
        except DhcpMalformed:
            return False  # silent: `receive` is told the same
        return reply.op == REPLY_OP and reply.mac == self.mac and self.state != STOPPED

    def _server(self) -> str:
        return self._offer.server if self._offer is not None else ""

    def _overhear(self, reply: DhcpMessage) -> bool:
        """Another worker of this link, with the same identity, got an answer: it is ours too."""
        if self.leads or reply.kind != ACK:
            return False
        lease = lease_of(reply)
        if lease is None:
            return False
        self._bind(lease, self.loop.time())
        return True

    def _refused(self) -> bool:
        """NAK: the address is not ours (any more)."""
        if self.state not in (REQUESTING, RENEWING, REBINDING):
            return False
        if self.lease is not None:
            self._lose()
        self._previous = None
        self.state = INIT
        self._wait(min(NAK_WAIT_S * (1 << min(self.naks, 8)), LAST_WAIT_S), self._discover)
        self.naks += 1
        return True

    def _bind(self, lease: Lease, since: float) -> None:
        """BOUND. The lease counts from when it was asked for (4.4.1)."""
        before, self.lease = self.lease, lease
        self.state = BOUND
        self.naks = 0
        self.leased = since
        self._previous = lease.address
        if before is not None and before.address != lease.address:
            self.on_lost(before)
        self.on_lease(lease)
        if lease.renew_s != float("inf"):
            # who does not lead asks only when the leader's renewals are not heard
            due = lease.renew_s if self.leads else (lease.rebind_s + lease.expires_s) / 2
            self._wait(max(due - self._age(), 0.0), self._renew)
        else:
            self._cancel()

    def _lose(self) -> None:
        lease, self.lease = self.lease, None
        self.state = INIT
        if lease is not None:
            self.on_lost(lease)


def _octets(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))


def _number(address: str) -> int:
    return int.from_bytes(_octets(address), "big")
