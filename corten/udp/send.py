"""Sending: what a breath's handlers gave to `send` leaves at its end (RFC 768; RFC 8200 8.1)."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import buffer_of, sum_octets
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.packet import Outgoing, send_packet
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import EVENT_WRITABLE, Port, Queued
from cython.cimports.corten.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP
from cython.cimports.corten.wire.reason import DATAGRAMS_OUT
from cython.cimports.corten.wire.udp import emit_udp


@cython.cfunc
def send_datagrams(host: UdpHost, now: cython.longlong) -> cython.bint:
    """Write the queued datagrams of all endpoints; False: a batch is full, flush and call again."""
    sending: list = host.sending
    while host.send_at < len(sending):
        port: Port = sending[host.send_at]
        if not _send_of(host, port, now):
            return False
        port.sending = False
        host.send_at += 1
    sending.clear()
    host.send_at = 0
    return True


@cython.cfunc
def _send_of(host: UdpHost, port: Port, now: cython.longlong) -> cython.bint:
    """One endpoint's datagrams, in order."""
    queued: list = port.queued or []
    sent: cython.Py_ssize_t = 0
    datagram: Queued
    for datagram in queued:
        if not _send_one(host.packet, port, datagram, now):
            break
        sent += 1
        port.queued_octets -= len(datagram.octets)
    host.counters.add(DATAGRAMS_OUT, sent)
    if sent < len(queued):
        del queued[:sent]
        return False
    port.queued = None
    return True


@cython.cfunc
def _send_one(packet: Outgoing, port: Port, datagram: Queued, now: cython.longlong) -> cython.bint:
    packet.payload = buffer_of(datagram.octets)
    total: cython.ulonglong = datagram.path.tcp_sum + PROTOCOL_UDP - PROTOCOL_TCP
    total += sum_octets(packet.payload, 0, packet.payload.size)
    packet.header_len = emit_udp(
        packet.header, 0, port.local_port, datagram.port, packet.payload.size, total
    )
    packet.protocol = PROTOCOL_UDP
    packet.ttl = port.ttl
    packet.tos = port.tos
    return send_packet(datagram.path, packet, now)


@cython.cfunc
def may_wake(host: UdpHost) -> cython.bint:
    """Whether somebody that `send` refused is to hear that there is room again."""
    for port, neighbour in host.refused:
        if not _waits(port, neighbour):
            return True
    return False


@cython.cfunc
def _waits(port: Port, neighbour: Neighbour | None) -> cython.bint:
    """Whether something of a refused endpoint's still waits, for the link or for a neighbour."""
    if not port.is_open:
        return False
    if port.queued is not None:
        return True
    return neighbour is not None and neighbour.waiting is not None


@cython.cfunc
def wake_refused(host: UdpHost) -> cython.void:
    """Tell those that `send` refused, once nothing of theirs waits any more."""
    kept: list = []
    port: Port
    for port, neighbour in host.refused:
        if _waits(port, neighbour):
            kept.append((port, neighbour))
        elif port.is_open:
            port.is_refused = False
            host.mark(port, EVENT_WRITABLE)
    host.refused = kept
