"""Whether a frame's transport checksum was left undone by a kernel on this machine.

A kernel that sends over a veth pair leaves TCP's and UDP's checksum to whoever needs it: in the
field stands the sum of the pseudo-header alone, not inverted (as `TransmitBatch.needs_checksum`
says), and nothing marks the frame. So the field says it itself. Damage passes for it as seldom as
it passes a checksum: once in 65,536.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Memory, sum_octets
from cython.cimports.corten.core.field import get8, get16
from cython.cimports.corten.core.fold import fold

if not cython.compiled:
    ETHERNET_LEN = 14
    TAG_LEN = 4
    TYPE_TAG = 0x8100
    TYPE_IPV4 = 0x0800
    TYPE_IPV6 = 0x86DD
    IPV4_LEN = 20
    IPV6_LEN = 40
    PROTOCOL_TCP = 6
    PROTOCOL_UDP = 17


@cython.ccall
def is_undone(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.bint:
    """Whether the checksum of the frame at `at` is undone. No for fragments and for what has
    extension headers: a kernel completes theirs."""
    end: cython.Py_ssize_t = at + length
    ip_at: cython.Py_ssize_t = at + ETHERNET_LEN
    if ip_at + TAG_LEN + IPV4_LEN > end:
        return False
    kind: cython.uint = get16(memory, ip_at - 2)
    if kind == TYPE_TAG:
        ip_at += TAG_LEN
        kind = get16(memory, ip_at - 2)
    if kind == TYPE_IPV4:
        header_len: cython.Py_ssize_t = (get8(memory, ip_at) & 15) * 4
        whole_len: cython.Py_ssize_t = get16(memory, ip_at + 2)
        if header_len < IPV4_LEN or get16(memory, ip_at + 6) & 0x3FFF:
            return False
        return _is_pseudo_sum(
            memory,
            get8(memory, ip_at + 9),
            sum_octets(memory, ip_at + 12, 8),
            ip_at + header_len,
            ip_at + whole_len,
            end,
        )
    if kind == TYPE_IPV6 and ip_at + IPV6_LEN <= end:
        return _is_pseudo_sum(
            memory,
            get8(memory, ip_at + 6),
            sum_octets(memory, ip_at + 8, 32),
            ip_at + IPV6_LEN,
            ip_at + IPV6_LEN + get16(memory, ip_at + 4),
            end,
        )
    return False


@cython.cfunc
def _is_pseudo_sum(
    memory: Memory,
    protocol: cython.uint,
    addresses: cython.uint,
    transport_at: cython.Py_ssize_t,
    packet_end: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """Whether the field holds `addresses`, the protocol and the length, summed."""
    checksum_at: cython.Py_ssize_t = transport_at
    if protocol == PROTOCOL_TCP:
        checksum_at += 16
    elif protocol == PROTOCOL_UDP:
        checksum_at += 6
    else:
        return False
    if checksum_at + 2 > packet_end or packet_end > end:
        return False
    total: cython.ulonglong = packet_end - transport_at
    return get16(memory, checksum_at) == fold(total + addresses + protocol)
