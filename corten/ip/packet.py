"""Packets of any protocol but TCP: one frame where the path takes it, else fragments.

    IPv4  as it fits: don't fragment, identification 0 (RFC 6864 4.1: atomic); else cut here, and
          routers may cut further (RFC 791 3.2)
    IPv6  cut here or nowhere (RFC 8200 4.5)

The path's template gives the headers; what differs from TCP's is written over it. The payload is
never copied: each fragment is a header and a slice.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Buffer, copy, sum_octets
from cython.cimports.corten.core.field import get16, put8, put16, put32
from cython.cimports.corten.core.frame import (
    BATCH_FRAMES,
    BATCH_SLICES,
    GSO_TCPV4,
    HEADER_LEN_MAX,
    TransmitBatch,
)
from cython.cimports.corten.ip.identification import Identification
from cython.cimports.corten.ip.neighbour import WAITING_MAX, WAITING_OCTETS_MAX, Neighbour
from cython.cimports.corten.ip.path import DEFAULT_TTL, Path
from cython.cimports.corten.wire.ipv4 import IPV4_DONT_FRAGMENT, IPV4_LEN, IPV4_MORE_FRAGMENTS
from cython.cimports.corten.wire.reason import FRAGMENTS_OUT

if not cython.compiled:
    FRAGMENT_HEADER_LEN = 8  # of IPv6
    PROTOCOL_FRAGMENT = 44
    FRAME_PADDING = 16  # at the most, between frames of a batch: all that waited leave in one
    FRAGMENTS_MAX = 192  # of one datagram: fewer than a batch, and than may wait for a neighbour


@cython.final
@cython.cclass
class Outgoing:
    """The packet in hand: everything but its addresses; filled again for each.

    The transport's header is header[0 : header_len], its payload payload[0 : payload.size].
    """

    protocol: cython.uint
    header: Arena
    header_len: cython.Py_ssize_t
    payload: Buffer
    ttl: cython.uint
    tos: cython.uint
    identification: Identification

    def __init__(self, identification: Identification) -> None:
        self.protocol = 0
        self.header = Arena(64)
        self.header_len = 0
        self.payload = Buffer(b"")
        self.ttl = DEFAULT_TTL
        self.tos = 0
        self.identification = identification


@cython.cfunc
def fragments_of(path: Path, transport_len: cython.Py_ssize_t, now: cython.longlong) -> cython.int:
    """In how many frames so many octets behind the IP header leave; 1: uncut."""
    room: cython.Py_ssize_t = path.send_mtu(now) - path.ip_header_len
    if transport_len <= room:
        return 1
    unit: cython.Py_ssize_t = _unit(path, now)
    return cython.cast(cython.int, (transport_len + unit - 1) // unit)


@cython.cfunc
def _unit(path: Path, now: cython.longlong) -> cython.Py_ssize_t:
    """Octets of the fragmented part in each fragment but the last."""
    room: cython.Py_ssize_t = path.send_mtu(now) - path.ip_header_len
    if path.gso_type != GSO_TCPV4:
        room -= FRAGMENT_HEADER_LEN
    return room & ~7


@cython.cfunc
def may_wait(path: Path, frames: cython.int, octets: cython.Py_ssize_t) -> cython.bint:
    """Whether so much more finds room at a neighbour whose address is not yet known."""
    neighbour: Neighbour = path.neighbour
    if neighbour.mac != 0 or neighbour.waiting is None:
        return True
    count: cython.Py_ssize_t = len(neighbour.waiting)
    waiting: cython.Py_ssize_t = neighbour.waiting_octets + count * FRAME_PADDING
    octets += frames * HEADER_LEN_MAX
    return count + frames <= WAITING_MAX and waiting + octets <= WAITING_OCTETS_MAX


@cython.cfunc
def send_packet(path: Path, packet: Outgoing, now: cython.longlong) -> cython.bint:
    """Write the packet's frames into the path's batch; False when they do not all fit: flush it,
    and try again."""
    batch: TransmitBatch = path.batch
    total: cython.Py_ssize_t = packet.header_len + packet.payload.size
    count: cython.int = fragments_of(path, total, now)
    if (
        batch.count + count > BATCH_FRAMES
        or batch.slices + count > BATCH_SLICES
        or batch.header_used + count * HEADER_LEN_MAX > batch.headers.size
    ):
        return False
    if count == 1:
        _send_part(path, packet, 0, total, IPV4_DONT_FRAGMENT, 0, now)
        return True
    number: cython.uint = packet.identification.next(
        path.local_high, path.local_low, path.remote_high, path.remote_low, packet.protocol
    )
    unit: cython.Py_ssize_t = _unit(path, now)
    start: cython.Py_ssize_t = 0
    while start < total:
        flags: cython.uint = cython.cast(cython.uint, start >> 3)
        if start + unit < total:
            flags |= IPV4_MORE_FRAGMENTS
        _send_part(path, packet, start, min(unit, total - start), flags, number, now)
        start += unit
    path.interface.counters.add(FRAGMENTS_OUT, count)
    return True


@cython.cfunc
def _send_part(
    path: Path,
    packet: Outgoing,
    start: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    flags: cython.uint,
    number: cython.uint,
    now: cython.longlong,
) -> cython.void:
    """One frame with octets start.. of transport header and payload. `flags`: as IPv4's field."""
    headers: Arena = path.batch.headers
    behind: cython.Py_ssize_t = 0  # of the IP header
    at: cython.Py_ssize_t
    if path.gso_type == GSO_TCPV4:
        at = path.emit(cython.cast(cython.uint, length))
        _write_v4(headers, at - IPV4_LEN, packet, flags, number)
    else:
        if flags != IPV4_DONT_FRAGMENT:
            behind = FRAGMENT_HEADER_LEN
        at = path.emit(cython.cast(cython.uint, length + behind))
        _write_v6(headers, at - path.ip_header_len, at, packet, flags, number)
    head: cython.Py_ssize_t = 0
    if start == 0:
        head = packet.header_len
        copy(headers, at + behind, packet.header, 0, head)
    if length > head:
        path.batch.add_slice(packet.payload, max(start - packet.header_len, 0), length - head)
    path.commit(behind + head, now)


@cython.cfunc
def _write_v4(
    headers: Arena,
    ip_at: cython.Py_ssize_t,
    packet: Outgoing,
    flags: cython.uint,
    number: cython.uint,
) -> cython.void:
    put8(headers, ip_at + 1, packet.tos)
    put16(headers, ip_at + 4, number & 0xFFFF)
    put16(headers, ip_at + 6, flags)
    put8(headers, ip_at + 8, packet.ttl)
    put8(headers, ip_at + 9, packet.protocol)
    put16(headers, ip_at + 10, 0)
    put16(headers, ip_at + 10, 0xFFFF - sum_octets(headers, ip_at, IPV4_LEN))


@cython.cfunc
def _write_v6(
    headers: Arena,
    ip_at: cython.Py_ssize_t,
    at: cython.Py_ssize_t,
    packet: Outgoing,
    flags: cython.uint,
    number: cython.uint,
) -> cython.void:
    """The fixed header's fields, and a fragment header at `at` where one is needed."""
    put16(headers, ip_at, (get16(headers, ip_at) & 0xF00F) | (packet.tos << 4))
    put8(headers, ip_at + 7, packet.ttl)
    if flags == IPV4_DONT_FRAGMENT:
        put8(headers, ip_at + 6, packet.protocol)
        return
    put8(headers, ip_at + 6, PROTOCOL_FRAGMENT)
    put8(headers, at, packet.protocol)
    put8(headers, at + 1, 0)
    more: cython.uint = 1 if flags & IPV4_MORE_FRAGMENTS != 0 else 0
    put16(headers, at + 2, ((flags & 0x1FFF) << 3) | more)
    put32(headers, at + 4, number)
