"""The stack: links below, handlers above, and the five steps of a breath between them.

Sans-IO: the caller brings frames and the time, and takes frames away. A breath is

    receive(now, interface, batch) …   segments change state
    expire(now)                        due timers
    deliver(now)                       handlers run
    release(now)                       received frames may be reused
    transmit(now) -> again             frames lie in each interface's `outgoing`; flush, and once
                                       more while it answers True

and `next_deadline()` says when the next one is due at the latest. `Stack` is a Loop: alone it is
what its connections call their worker.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.core.limit import EVERYBODY
from cython.cimports.corten.core.wheel import Wheel
from cython.cimports.corten.endpoint.connection import Connection
from cython.cimports.corten.ip.address import announce, lose, take
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.exchange import Exchange
from cython.cimports.corten.ip.icmp import IcmpLimiter
from cython.cimports.corten.ip.identification import Identification
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.ip.reassembly_error import TimeExceeded
from cython.cimports.corten.ip.route import RouteTable
from cython.cimports.corten.ip.upkeep import attend, begin
from cython.cimports.corten.stack.demux import Demux
from cython.cimports.corten.stack.loopback import Loopback
from cython.cimports.corten.stack.news import tell
from cython.cimports.corten.stack.opening import Opener
from cython.cimports.corten.stack.removal import forget, give_up, leave
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.connection import TcpConnection
from cython.cimports.corten.tcp.deliver import deliver as deliver_events
from cython.cimports.corten.tcp.deliver import reset_failed, waits_for_resume
from cython.cimports.corten.tcp.emit import send_owed_resets
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.output import output
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.tcp.time_wait_table import (
    expire_time_waits,
    next_time_wait,
    send_owed_acks,
)
from cython.cimports.corten.tcp.timer import expire as expire_tcb
from cython.cimports.corten.udp.deliver import deliver_datagrams
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.send import may_wake, send_datagrams

from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.endpoint.loop import TimerHandle
from corten.endpoint.ping import Ping, PingHandler
from corten.stack.leak import leaks_of
from corten.stack.timer import Call
from corten.udp.endpoint import bind_endpoint
from corten.wire.address import parse_address
from corten.wire.reason import counter_names

log = logging.getLogger("corten")
TAKING = {"off": 0, "optimistic": 1, "on": 2}  # address.UNTRIED, CLAIMED, TRIED


@cython.final
@cython.cclass
class Stack:
    """One TCP/IP stack: its links, its connections, and when it wants to be called next."""

    config: Config
    counters: Counters
    host: TcpHost
    udp: UdpHost
    echo: EchoHost
    fragments: Reassembly
    interfaces: list
    routes: RouteTable
    wheel: Wheel
    index: cython.int
    _demux: Demux
    _due: list
    _soon: Any  # deque of (function, arguments)
    _opener: Opener
    _loopback: Loopback | None  # once there was need
    _secret: bytes

    def __init__(
        self,
        chance: Chance,
        secret: bytes,
        config: Config | None = None,
        exchange: Exchange | None = None,
        counters: Counters | None = None,
        loop: object = None,
        now: int = 0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        """`secret`: 32 octets that are all workers' of a group and nobody else's. `clock` reads the
        clock that `now` is of, in nanoseconds, for calls between breaths."""
        self.config = config or Config()
        self.counters = counters or Counters(counter_names())
        self.routes = RouteTable()
        self.wheel = Wheel(now)
        self.index = 0
        self.host = TcpHost(
            self.config,
            self.counters,
            chance,
            self.routes,
            exchange or Exchange(),
            secret,
            self.wheel,
        )
        self.host.start(now, self if loop is None else loop, clock)
        self._make_udp_and_echo(chance)
        self.interfaces = self.routes.interfaces
        limiter: IcmpLimiter = IcmpLimiter(chance)
        self.fragments = Reassembly(self.wheel, self.counters, TimeExceeded(limiter))
        self._demux = Demux(self.host, self.udp, self.echo, self.fragments, limiter)
        self._due = []
        self._soon = deque()
        self._secret = secret
        self._opener = Opener(self.host, chance)
        self._loopback = None
        self.routes.loopback = self.loopback

    def _make_udp_and_echo(self, chance: Chance) -> None:
        """UDP and echo beside TCP: the same routes, keys and fellow workers."""
        host: TcpHost = self.host
        exchange: Exchange = host.exchange
        numbers = Identification(host.secret, chance, exchange.index, exchange.workers)
        shared = (self.counters, self.routes, exchange, chance, host.flow_key)
        self.udp = UdpHost(*shared, host.secret, numbers)
        self.udp.start(host.now, host.loop)
        self.echo = EchoHost(*shared, numbers)
        self.echo.start(host.now, host.loop)

    # -- setting up -------------------------------------------------------------------------

    def add_interface(
        self,
        name: str,
        mac: str,
        addresses: list[str],
        mtu: int = 1500,
        gateway: str | list[str] | None = None,
        offload_checksum: bool = False,
        offload_segmentation: bool = False,
        neighbours: dict[str, str] | None = None,
        leader: bool = True,
        vlan: int = 0,
        ethernet: bool = True,
        slaac: bool = False,
        dad: str = "optimistic",
        acd: bool = False,
        stable: bytes | None = None,
        leased: bool = False,
        index: int = -1,
    ) -> Interface:
        """A link: `addresses` as "10.0.2.2/24" or "fd00::2/64"; `gateway`: a default router, one
        of each family at the most; `neighbours` are static entries (address: MAC).

        `vlan`: the tag of its frames (IEEE 802.1Q). `ethernet=False`: the link carries bare IP
        packets, as a TUN device does; `mac` is not used.

        `leader`: this worker speaks for the link. `slaac`: IPv6 configures itself (RFC 4862); with
        the key `stable` its addresses are the same after a restart (RFC 7217). `leased`: it has no
        address yet, and will be given one (`add_address`). `dad`: an address of
        ours is used when nobody else turns out to have it ("on"), at once until somebody does
        ("optimistic": those given here), or unasked ("off"). `acd`: probe for IPv4 addresses too,
        and give up one that cannot be defended (RFC 5227). `index`: its number, which the workers
        of a group must agree on; -1: the next one. CortenError for what cannot be.
        """
        if not addresses and not slaac and not leased:
            raise CortenError(f"link {name}: give it an address, such as address=10.0.2.2/24")
        if dad not in TAKING:
            raise CortenError(f"dad={dad}: must be one of {', '.join(TAKING)}")
        index = self.routes.next_index() if index < 0 else index
        chance = self.host.chance.fork(index)
        station = mac if ethernet else "00:00:00:00:00:00"
        interface = Interface(name, index, station, addresses, self.counters, mtu, gateway, chance)
        interface.set_offload(offload_checksum, offload_segmentation)
        if not ethernet:
            interface.set_bare()
        elif vlan:
            interface.set_vlan(vlan)
        for neighbour, known in (neighbours or {}).items():
            interface.add_static(neighbour, known)
        interface.routes = self.routes
        self.routes.add_interface(interface)
        interface.timer = self.wheel.add(interface)
        interface.is_leader = leader
        key = hashlib.blake2s(self._secret, person=b"slaac").digest() if stable is None else stable
        begin(interface, TAKING[dad], acd, key if slaac else None, self.host.moment())
        return interface

    def leave(self, interface: Interface, why: str = "taken away") -> None:
        """Begin to remove a link: its addresses are ours no more, connections on it end with an
        error that says `why`, and their peers are told with the next `transmit`."""
        leave(self.host, self.udp, self.echo, interface, why)

    def remove_interface(self, interface: Interface, why: str = "taken away") -> None:
        """Remove a link, best a breath after `leave`; listeners stay. Flush its `outgoing` once
        more, and use it no more."""
        leave(self.host, self.udp, self.echo, interface, why)
        forget(self.host, self.udp, self.fragments, interface)

    def loopback(self) -> Interface:
        """The link to ourselves, made when it is first needed."""
        if self._loopback is None:
            self._loopback = Loopback(self.counters)
        return self._loopback.interface

    def has_loopback(self) -> bool:
        """Whether there was need of it."""
        return self._loopback is not None

    def lead(self, leads: bool) -> None:
        """Whether this worker speaks for all workers of its links from now on."""
        interface: Interface
        for interface in self.interfaces:
            if leads and not interface.is_leader:
                interface.is_leader = True
                announce(interface)
            interface.is_leader = leads

    def add_neighbour(self, interface: Interface, address: str, mac: str) -> None:
        """A static entry of ARP or neighbour discovery: it never ages, nothing overwrites it."""
        interface.add_static(address, mac)

    def add_route(
        self, network: str, interface: Interface, gateway: str | None = None, metric: int = 0
    ) -> None:
        """Send what is for `network` ("10.1.0.0/16") to a gateway on a link's subnet, or straight
        onto the link. The longest prefix counts, then the lowest metric."""
        self.routes.add(network, interface, gateway, metric)

    def add_address(self, interface: Interface, address: str, dad: str = "optimistic") -> None:
        """One more address ("10.0.3.2/24") on a link. `dad`: as of `add_interface`, for either
        family."""
        now = self.host.moment()
        take(interface, self.routes.add_address(interface, address), TAKING[dad], now)

    def remove_address(
        self, interface: Interface, address: str, why: str = "taken back", tells: bool = False
    ) -> None:
        """An address ("10.0.3.2") is ours no more; what has it ends. `tells`: peers hear."""
        high, low = parse_address(address)
        own: Address | None = interface.own(high, low)
        if own is not None and tells:
            give_up(self.host, self.udp, interface, own, why)
        elif own is not None:
            lose(interface, own, why, self.host.moment())

    def listen(
        self,
        port: int,
        factory: Callable[[], Handler],
        address: str | None = None,
        **options: object,
    ) -> Listener:
        """Accept connections to `port`; `factory()` makes a handler for each when it is
        established. `options`: settings of Config for these connections. CortenError when the
        port is taken or impossible."""
        return self._opener.listen(port, factory, address, options)

    def connect(
        self, address: str, port: int, factory: Callable[[], Handler], **options: object
    ) -> Connection:
        """Open a connection: `on_open`, or `on_close(error)` when it cannot be.

        `factory()` is called at once. `source=(address, port)` fixes the local end, either may be
        None; `timeout` is in seconds, until TimeoutError. Other options as `listen`.
        """
        return self._opener.connect(address, port, factory, options)

    def bind(
        self,
        port: int,
        handler: DatagramHandler,
        address: str | None = None,
        *,
        peer: tuple[str, int] | None = None,
        **options: object,
    ) -> Endpoint:
        """A UDP endpoint at `port` (0: a free one by chance) of one address or of all; `peer`: it
        hears and speaks to this (address, port) alone. Options: `ttl`, `dscp`, `dont_fragment`,
        `broadcast`. CortenError for what cannot be."""
        return bind_endpoint(self.udp, port, handler, address, peer, options)

    def ping(
        self,
        address: str,
        handler: PingHandler,
        *,
        source: str | None = None,
        ttl: int | None = None,
        dscp: int = 0,
    ) -> Ping:
        """Echo requests to a host, under an identifier of their own: see `Ping.send`. CortenError
        for what cannot be."""
        path = self._opener.path(address, source)
        return self.echo.open(handler, address, path, ttl, dscp)

    # -- a breath ---------------------------------------------------------------------------

    @cython.ccall
    def receive(
        self,
        now: cython.longlong,
        interface: Interface,
        batch: ReceiveBatch,
        tried: cython.ulonglong = 0,
    ) -> cython.void:
        """Take in a batch of frames. `tried`: a bit for each worker that has seen them already."""
        self.host.now = now
        self.host.is_breathing = True
        self._demux.receive(interface, batch, tried, now)

    @cython.ccall
    def expire(self, now: cython.longlong) -> cython.void:
        """Due timers change state; scheduled calls join what runs in `deliver`."""
        self.host.now = self.udp.now = self.echo.now = now
        self.host.is_breathing = True
        expire_time_waits(self.host, now)
        due: list = self._due
        if self.wheel.advance(now, due) == 0:
            return
        for owner in due:
            if isinstance(owner, Tcb):
                expire_tcb(self.host, cython.cast(Tcb, owner), now)
            elif isinstance(owner, Interface):
                attend(cython.cast(Interface, owner), now)
                tell(self.host, self.udp, cython.cast(Interface, owner))
            else:
                self._soon.append((owner.fire, ()))  # it may still be cancelled
        due.clear()

    @cython.ccall
    def deliver(self, now: cython.longlong) -> cython.void:
        """Run the handlers of what changed, then the calls that are due."""
        host: TcpHost = self.host
        host.now = now
        if self._loopback is not None and self._loopback.incoming.count:
            self._demux.receive(self._loopback.interface, self._loopback.incoming, EVERYBODY, now)
        i: cython.Py_ssize_t = 0
        while i < len(host.active):
            tcb: TcpConnection = cython.cast(TcpConnection, host.active[i])
            if tcb.events != 0:
                deliver_events(host, tcb)
            i += 1
        if self.udp.active or self.udp.refused:
            deliver_datagrams(self.udp)
        if self._soon:
            self._run_soon()

    @cython.cfunc
    def _run_soon(self) -> cython.void:
        """Calls scheduled before this moment; what they schedule runs in the next breath."""
        for _ in range(len(self._soon)):
            function, arguments = self._soon.popleft()
            try:
                function(*arguments)
            except Exception as error:
                log.error("scheduled call %r failed", function, exc_info=error)

    @cython.ccall
    def release(self, now: cython.longlong) -> cython.void:
        """The received frames of this breath may be reused from here on."""
        self.host.release_slices()
        if self._loopback is not None:
            self._loopback.incoming.clear()

    @cython.ccall
    def transmit(self, now: cython.longlong) -> cython.bint:
        """Let the marked connections send. True: a batch is full; flush all of them, call again."""
        host: TcpHost = self.host
        host.now = now
        more: cython.bint = self._fill(host, now)
        host.is_breathing = more
        if self._loopback is not None:
            self._loopback.turn()
        return more

    @cython.cfunc
    def _fill(self, host: TcpHost, now: cython.longlong) -> cython.bint:
        """One pass over what is to be sent; whether a batch is full."""
        if host.failed_controls:
            reset_failed(host)
        if not send_owed_resets(host, now) or not send_owed_acks(host, now):
            return True
        if self.udp.sending and not send_datagrams(self.udp, now):
            return True
        active: list = host.active
        i: cython.Py_ssize_t = 0
        while i < len(active) and output(host, cython.cast(Tcb, active[i]), now):
            i += 1
        full: cython.bint = i < len(active)
        self._forget_active(i)
        if not full:
            self._wake_links()
        return full

    @cython.cfunc
    def _forget_active(self, count: cython.Py_ssize_t) -> cython.void:
        """The first `count` have sent what they may. Only what still has events to tell stays
        marked, behind those that have yet to send; what happens to the others marks them anew."""
        active: list = self.host.active
        kept: list | None = None
        tcb: Tcb
        i: cython.Py_ssize_t
        for i in range(count):
            tcb = cython.cast(Tcb, active[i])
            if tcb.events != 0 and not (tcb.paused and waits_for_resume(tcb)):
                if kept is None:
                    kept = []
                kept.append(tcb)
            else:
                tcb.active = False
        del active[:count]
        if kept is not None:
            active.extend(kept)

    @cython.cfunc
    def _wake_links(self) -> cython.void:
        """Set the timer of each link that has something due sooner than it is set for."""
        interface: Interface
        for interface in self.interfaces:
            if interface.due_at < interface.armed_at:
                interface.armed_at = interface.due_at
                self.wheel.arm(interface.timer, interface.due_at)

    @cython.ccall
    def next_deadline(self) -> cython.longlong:
        """When the next breath is due at the latest; NEVER when nothing waits for time."""
        host: TcpHost = self.host
        if host.active or self._soon or host.acks_owed or host.resets_owed:
            return host.now
        if host.failed_controls or self.udp.sending or self.udp.active:
            return host.now
        if self._loopback is not None and self._loopback.incoming.count:
            return host.now
        if self.udp.refused and may_wake(self.udp):
            return host.now
        deadline: cython.longlong = self.wheel.next_deadline()
        ended: cython.longlong = next_time_wait(self.host)
        return deadline if deadline < ended else ended

    # -- the loop, for handlers -------------------------------------------------------------

    def time(self) -> float:
        """Seconds on the caller's clock, as of this breath."""
        return self.host.moment() / 1e9

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Run after the handlers of this breath, or in the next one."""
        self._soon.append((function, arguments))

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        """Run once after `seconds`."""
        deadline = self.host.moment() + max(0, int(seconds * 1e9))
        return Call(self.wheel, deadline, function, arguments)

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        """A stack has no descriptors: its worker has."""
        raise CortenError("a Stack alone watches no descriptors: run it in a worker")

    # -- looking inside ---------------------------------------------------------------------

    def connections(self) -> list[Connection]:
        """Every connection that is not over."""
        return [tcb for tcb in self.host.connections if tcb is not None]

    def drain(self) -> int:
        """Stop accepting, and close every connection when what is queued has gone; how many."""
        open_ones = self.connections()
        self._opener.drain(open_ones)
        return len(open_ones)

    def leaks(self) -> list[str]:
        """What a stack at rest should not hold; empty when clean. For tests."""
        return leaks_of(self)
