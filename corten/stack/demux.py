"""From a frame to the layer it is for: Ethernet, ARP, IPv4, IPv6 (one pass, nothing allocated).

Each layer is parsed into an object that is used again for the next frame. A layer answers a
reason; the frame that goes no further is counted under it.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.ip.arp import receive_arp
from cython.cimports.corten.ip.conflict import arp_conflict
from cython.cimports.corten.ip.echo import EchoHost
from cython.cimports.corten.ip.icmp import IcmpLimiter
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.ip.reassembly import Reassembly
from cython.cimports.corten.stack.arrival import Arrival
from cython.cimports.corten.stack.inet4 import Inet4
from cython.cimports.corten.stack.inet6 import Inet6
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.wire.arp import Arp
from cython.cimports.corten.wire.ethernet import (
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_VLAN,
    Ethernet,
)
from cython.cimports.corten.wire.mac_field import BROADCAST_MAC
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    ETHERNET_NOT_OURS,
    ETHERNET_UNKNOWN_TYPE,
    FRAMES_IN,
    HANDED_ON,
    HANDED_OVER,
    LINK_UNKNOWN_VERSION,
    SEGMENT_DONE,
    VLAN_NOT_OURS,
)
from cython.cimports.corten.wire.vlan import parse_vlan

if not cython.compiled:
    IPV6_GROUP_MAC = 0x3333  # the first two octets of where a frame to an IPv6 group goes


@cython.final
@cython.cclass
class Demux:
    """The link layer's frame in hand, and the layers it is handed to."""

    host: TcpHost
    arrival: Arrival
    arp: Arp
    inet4: Inet4
    inet6: Inet6

    def __init__(
        self,
        host: TcpHost,
        udp: UdpHost,
        echo: EchoHost,
        reassembly: Reassembly,
        limiter: IcmpLimiter,
    ) -> None:
        self.host = host
        self.arrival = Arrival()
        self.arp = Arp()
        self.inet4 = Inet4(host, udp, echo, reassembly, self.arrival, limiter)
        self.inet6 = Inet6(host, udp, echo, reassembly, self.arrival, limiter)

    @cython.cfunc
    def receive(
        self,
        interface: Interface,
        batch: ReceiveBatch,
        tried: cython.ulonglong,
        now: cython.longlong,
    ) -> cython.void:
        """Every frame of a batch, in order."""
        self.arrival.begin(interface, tried)
        i: cython.Py_ssize_t
        for i in range(batch.count):
            reason: cython.int = self._frame(batch, i, now)
            if reason == HANDED_OVER and tried != 0:
                reason = HANDED_ON  # so that HANDED_OVER counts frames of the wire alone
            if reason != ACCEPTED and reason != SEGMENT_DONE:
                interface.counters.add(reason)
                if batch.reasons is not None:
                    batch.reasons[i] = reason
        if tried == 0 or interface.is_loopback:  # else they were counted where they arrived
            interface.counters.add(FRAMES_IN, batch.count)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _frame(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        link: Ethernet = self.arrival.link
        interface: Interface = self.arrival.interface
        if interface.link_len == 0:
            return self._bare(batch, i, now)
        reason: cython.int = link.parse(batch.arena, batch.frame_at[i], batch.frame_len[i])
        if reason != ACCEPTED:
            return reason
        if link.ethertype == ETHERTYPE_VLAN or interface.vlan != 0:
            reason = self._untag(batch.arena)
            if reason != ACCEPTED:
                return reason
        if link.destination != interface.mac and not _is_for_many(link):
            return ETHERNET_NOT_OURS
        return self._packet(batch, i, now)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _packet(
        self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong
    ) -> cython.int:
        """The packet that `arrival.link` found, in the layer of its type."""
        link: Ethernet = self.arrival.link
        if link.ethertype == ETHERTYPE_IPV4:
            return self.inet4.receive(batch, i, now)
        if link.ethertype == ETHERTYPE_IPV6:
            return self.inet6.receive(batch, i, now)
        if link.ethertype == ETHERTYPE_ARP:
            return self._arp(batch.arena, now)
        return ETHERNET_UNKNOWN_TYPE

    @cython.cfunc
    def _untag(self, arena: Arena) -> cython.int:
        """802.1Q: only our VLAN's frames; a tag that is only a priority is none."""
        link: Ethernet = self.arrival.link
        vid: cython.int = 0
        if link.ethertype == ETHERTYPE_VLAN:
            vid = parse_vlan(link, arena)
            if vid < 0:
                return -vid
        ours: cython.int = cython.cast(cython.int, self.arrival.interface.vlan)
        return ACCEPTED if vid == ours else VLAN_NOT_OURS

    @cython.cfunc
    def _bare(self, batch: ReceiveBatch, i: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
        """A link without Ethernet: the packet says itself which IP it is."""
        link: Ethernet = self.arrival.link
        if batch.frame_len[i] < 1:
            return LINK_UNKNOWN_VERSION
        link.payload_at = batch.frame_at[i]
        link.payload_len = batch.frame_len[i]
        link.destination = link.source = 0
        version: cython.uint = get8(batch.arena, link.payload_at) >> 4
        if version == 4:
            return self.inet4.receive(batch, i, now)
        if version == 6:
            return self.inet6.receive(batch, i, now)
        return LINK_UNKNOWN_VERSION

    @cython.cfunc
    def _arp(self, arena: Arena, now: cython.longlong) -> cython.int:
        arrival: Arrival = self.arrival
        at: cython.Py_ssize_t = arrival.link.payload_at
        length: cython.Py_ssize_t = arrival.link.payload_len
        reason: cython.int = self.arp.parse(arena, at, length)
        if reason != ACCEPTED:
            return reason
        reason = receive_arp(arrival.interface, self.arp, arrival.tried != 0, now)
        if reason != ACCEPTED:
            arp_conflict(arrival.interface, self.arp, arrival.tried != 0, now)
        arrival.relay(self.host.exchange, arena)
        return reason


@cython.cfunc
@cython.exceptval(check=False)
def _is_for_many(link: Ethernet) -> cython.bint:
    """Whether a frame went to all stations, or to an IPv6 group (RFC 2464 7), which may be one
    that we listen to: the packet says which."""
    if link.destination == BROADCAST_MAC:
        return True
    return link.destination >> 32 == IPV6_GROUP_MAC and link.ethertype == ETHERTYPE_IPV6
