"""What ends when an address or a link is taken away at run time, and what goes with it.

A link goes in two steps, so that its last words are sent. `leave`: its addresses are ours no more,
and whatever stands on them ends, with an error that names the cause; peers hear a reset. `forget`,
a breath later: what still refers to the link is dropped, and its frames are its owner's to flush.

Rules. Listeners and endpoints without a peer stay, those at an address that is gone too: it may
come back, by hand or with a lease, and nothing reaches them until then. Loopback connections to an
address of the link end as well.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, ENODEV

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.ip.address import lose
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.tcp.connection import TcpConnection
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.time_wait import TimeWait
from cython.cimports.corten.tcp.time_wait_table import remove_time_wait
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import EVENT_CLOSE, Port, Queued
from cython.cimports.corten.wire.address_field import in_prefix
from cython.cimports.corten.wire.reason import NEIGHBOUR_UNREACHABLE, UDP_UNSENT


@cython.cfunc
def end_address(host: TcpHost, udp: UdpHost, address: Address, text: str) -> cython.void:
    """Connections, and endpoints with a peer, from an address that is ours no more are over."""
    end_flows(host, udp, address.high, address.low, 128, OSError(EADDRNOTAVAIL, text), False)


@cython.cfunc
def give_up(
    host: TcpHost, udp: UdpHost, interface: Interface, address: Address, why: str
) -> cython.void:
    """An address is taken away on purpose, and is nobody else's yet: peers hear a reset."""
    text: str = f"link {interface.name}: address {address.text()} given up: {why}"
    end_flows(host, udp, address.high, address.low, 128, OSError(EADDRNOTAVAIL, text), True)
    lose(interface, address, why, host.moment())


@cython.cfunc
def end_flows(
    host: TcpHost,
    udp: UdpHost,
    high: cython.ulonglong,
    low: cython.ulonglong,
    prefix_len: cython.int,
    error: object,
    tells: cython.bint,
) -> cython.void:
    """End what has a local address of a prefix, 128 for one. `tells`: the peers hear a reset."""
    tcb: TcpConnection | None
    for tcb in list(host.connections):
        if tcb is not None and in_prefix(
            tcb.path.local_high, tcb.path.local_low, high, low, prefix_len
        ):
            if tells:
                tcb.reset(error)
            else:
                host.finish(tcb, error)
    ended: TimeWait | None
    for ended in list(host.time_waits):
        if ended is not None and in_prefix(
            ended.path.local_high, ended.path.local_low, high, low, prefix_len
        ):
            remove_time_wait(host, ended)
    port: Port
    for port in udp.endpoints():
        if port.is_connected and in_prefix(port.local_high, port.local_low, high, low, prefix_len):
            udp.remove(port)
            port.error = error
            udp.mark(port, EVENT_CLOSE)


@cython.cfunc
def leave(
    host: TcpHost, udp: UdpHost, echo: EchoHost, interface: Interface, why: str
) -> cython.void:
    """First step: nothing begins on the link any more, and what is there ends."""
    now: cython.longlong = host.moment()
    error = OSError(ENODEV, f"link {interface.name} was removed: {why}")
    interface.slaac = None
    address: Address
    for address in list(interface.tentative) + list(interface.addresses):
        end_flows(host, udp, address.high, address.low, 128, error, True)
        lose(interface, address, why, now)
    for address in interface.prefixes:
        end_flows(host, udp, address.high, address.low, address.prefix_len, error, True)
    interface.prefixes.clear()
    interface.lost.clear()  # it has been told
    interface.gained.clear()
    echo.end_link(interface, error)


@cython.cfunc
def forget(host: TcpHost, udp: UdpHost, fragments: Reassembly, interface: Interface) -> cython.void:
    """Second step: nothing refers to the link any more."""
    for address, _ in interface.lost:  # it was lost in between
        end_flows(host, udp, address.high, address.low, 128, OSError(ENODEV, interface.name), False)
    interface.lost.clear()
    host.resets_owed = [owed for owed in host.resets_owed if owed[0].interface is not interface]
    host.acks_owed = [ended for ended in host.acks_owed if ended.path.interface is not interface]
    _forget_queued(udp, interface)
    fragments.forget_link(interface)
    _forget_waiting(interface)
    host.routes.remove_interface(interface)
    host.wheel.discard(interface.timer)
    interface.timer = -1
    interface.due_at = interface.armed_at = NEVER


@cython.cfunc
def _forget_queued(udp: UdpHost, interface: Interface) -> cython.void:
    """Datagrams that were to leave on the link."""
    port: Port
    for port in udp.sending:
        kept: list = []
        queued: Queued
        for queued in port.queued or []:
            if queued.path.interface is interface:
                port.queued_octets -= len(queued.octets)
                udp.counters.add(UDP_UNSENT)
            else:
                kept.append(queued)
        port.queued = kept or None


@cython.cfunc
def _forget_waiting(interface: Interface) -> cython.void:
    """Frames that wait for a station of the link."""
    neighbour: Neighbour
    for neighbour in interface.asking:
        if neighbour.waiting is not None:
            interface.counters.add(NEIGHBOUR_UNREACHABLE, len(neighbour.waiting))
        neighbour.openers = None
        neighbour.is_asked = False
        neighbour.forget()
    interface.asking.clear()
    interface.failed.clear()
