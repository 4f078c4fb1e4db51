"""Receiving: a datagram and an ICMP error to their endpoint (RFC 1122 4.1.3, RFC 8085 5.2).

The demultiplexer takes the datagram's addresses in hand (`UdpHost.remote_low` …) and asks: is it in
order (`parse_datagram`), whose is it (`find_connected`, `find_bound`, and other workers between),
and gives it to that endpoint (`keep_datagram`).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory, read
from cython.cimports.corten.core.frame import CHECKSUM_GOOD
from cython.cimports.corten.ip.cause import cause_of
from cython.cimports.corten.ip.path import Path
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import (
    DATAGRAM_COST,
    ERRORS_MAX,
    EVENT_DATAGRAM,
    RECEIVED_MAX,
    RECEIVED_OCTETS_MAX,
    Port,
    Received,
)
from cython.cimports.corten.wire.address_field import is_v4
from cython.cimports.corten.wire.checksum import pseudo_sum
from cython.cimports.corten.wire.icmpv4 import ICMP_FRAGMENTATION_NEEDED, ICMP_UNREACHABLE
from cython.cimports.corten.wire.ipv4 import PROTOCOL_UDP
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    DATAGRAMS_IN,
    ICMP_ERRORS_IN,
    UDP_BAD_CHECKSUM,
    UDP_NO_CHECKSUM,
    UDP_QUEUE_FULL,
)
from cython.cimports.corten.wire.udp import verify_udp


@cython.cfunc
def parse_datagram(
    host: UdpHost,
    memory: Memory,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    flags: cython.longlong,
) -> cython.int:
    """Whether the datagram at memory[at : at + length] is in order; a reason. Its addresses are in
    hand, its header is afterwards."""
    reason: cython.int = host.udp.parse(memory, at, length)
    if reason != ACCEPTED:
        return reason
    if flags & CHECKSUM_GOOD:
        return ACCEPTED  # the field may hold what a link is to complete
    if host.udp.checksum == 0:
        if not is_v4(host.remote_high, host.remote_low):
            return UDP_NO_CHECKSUM
    elif not verify_udp(
        host.udp,
        memory,
        pseudo_sum(
            host.remote_high, host.remote_low, host.local_high, host.local_low, PROTOCOL_UDP
        ),
    ):
        return UDP_BAD_CHECKSUM
    return ACCEPTED


@cython.cfunc
def keep_datagram(host: UdpHost, port: Port, memory: Memory) -> cython.int:
    """The datagram in hand is this endpoint's: copied out, until its handler runs."""
    length: cython.Py_ssize_t = host.udp.payload_len
    cost: cython.Py_ssize_t = length + DATAGRAM_COST
    if port.received is None:
        port.received = []
    if len(port.received) >= RECEIVED_MAX or port.received_octets + cost > RECEIVED_OCTETS_MAX:
        port.dropped += 1
        return UDP_QUEUE_FULL
    datagram: Received = Received(read(memory, host.udp.payload_at, length))
    datagram.remote_high = host.remote_high
    datagram.remote_low = host.remote_low
    datagram.remote_port = host.udp.source_port
    datagram.local_high = host.local_high
    datagram.local_low = host.local_low
    port.received.append(datagram)
    port.received_octets += cost
    port.datagrams_in += 1
    port.octets_in += length
    host.counters.add(DATAGRAMS_IN)
    host.mark(port, EVENT_DATAGRAM)
    return ACCEPTED


@cython.cfunc
def error_arrives(
    host: UdpHost,
    port: Port,
    remote_port: cython.uint,
    type: cython.uint,
    code: cython.uint,
    mtu: cython.uint,
    packet_len: cython.Py_ssize_t,
    now: cython.longlong,
) -> cython.int:
    """An ICMP error about a packet of `packet_len` octets that this endpoint is said to have sent;
    its addresses are in hand."""
    host.counters.add(ICMP_ERRORS_IN)
    if type == ICMP_UNREACHABLE and code == ICMP_FRAGMENTATION_NEEDED:
        path: Path | None = host.routes.path(
            host.local_high, host.local_low, host.remote_high, host.remote_low, now
        )
        if path is not None and path.mtu_min <= mtu < cython.cast(cython.uint, packet_len):
            path.lower_mtu(mtu, now)
        if not port.dont_fragment:
            return ACCEPTED  # the next one is cut to fit
    peer = (host.name_of(host.remote_high, host.remote_low), remote_port)
    if not host.tell_error(port, cause_of(type, code), peer, ERRORS_MAX):
        port.dropped += 1
    return ACCEPTED
