"""Multicast listener discovery on a link: queries in, reports out (RFC 3810, the listener).

Rules. A report goes from our link-local address, or from nobody while there is none that is valid
(5.2.13), with hop limit 1 and Router Alert. One worker of a link reports for all.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, read
from cython.cimports.corten.core.limit import LINK_GROUPS_HIGH
from cython.cimports.corten.ip.interface import Address, Interface
from cython.cimports.corten.wire.ethernet import ETHERTYPE_IPV6, LINK_LEN_MAX
from cython.cimports.corten.wire.ipv6 import IPV6_LEN, PROTOCOL_ICMPV6, emit_ipv6
from cython.cimports.corten.wire.mld import (
    ALERT_LEN,
    CHANGE_TO_INCLUDE,
    MLD_RECORD_LEN,
    MLD_V1_DONE,
    MLD_V1_REPORT,
    MldQuery,
    emit_alert,
    emit_record,
    emit_report,
    emit_v1,
)
from cython.cimports.corten.wire.nd import group_mac, is_link_local, seal
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    MLD_MALFORMED,
    MLD_REPORTS_OUT,
    REPLY_QUEUE_FULL,
)

if not cython.compiled:
    RECORDS_MAX = 50  # of one report: it fits in 1280 octets
    ALL_MLDV2_ROUTERS_LOW = 0x16
    ALL_ROUTERS_LOW = 2

_scratch: Arena = Arena(LINK_LEN_MAX + IPV6_LEN + ALERT_LEN + 8 + RECORDS_MAX * MLD_RECORD_LEN)
_query: MldQuery = MldQuery()


@cython.cfunc
def receive_query(
    interface: Interface,
    memory: Memory,
    at: cython.Py_ssize_t,
    length: cython.Py_ssize_t,
    source_high: cython.ulonglong,
    hop_limit: cython.uint,
    alerted: cython.bint,
    now: cython.longlong,
) -> cython.int:
    """A query (RFC 3810 6.2); `alerted`: its packet had a hop-by-hop header with Router Alert."""
    if not is_link_local(source_high) or hop_limit != 1 or not alerted:
        return MLD_MALFORMED
    reason: cython.int = _query.parse(memory, at, length)
    if reason != ACCEPTED:
        return reason
    high: cython.ulonglong = _query.group_high
    if high not in (0, LINK_GROUPS_HIGH) or (high == 0 and _query.group_low != 0):
        return MLD_MALFORMED if high == 0 else ACCEPTED  # no group of ours
    interface.groups.query(_query.group_low, _query.response_ms, _query.is_v1, now)
    interface.wake(interface.groups.due_at)
    return ACCEPTED


@cython.cfunc
def attend_groups(interface: Interface, now: cython.longlong) -> cython.void:
    """Report what is due."""
    if interface.groups.due_at <= now:
        records: list = interface.groups.expire(now)
        if interface.is_leader and interface.link_len != 0:
            if interface.groups.is_v1(now):
                for kind, low in records:
                    _report_v1(interface, kind, low)
            else:
                for first in range(0, len(records), RECORDS_MAX):
                    _report(interface, records[first : first + RECORDS_MAX])
    interface.wake(interface.groups.due_at)


@cython.cfunc
def _at(interface: Interface) -> cython.Py_ssize_t:
    """Where the message goes in the scratch."""
    return interface.link_len + IPV6_LEN + ALERT_LEN


@cython.cfunc
def _report(interface: Interface, records: list) -> cython.void:
    at: cython.Py_ssize_t = _at(interface)
    length: cython.Py_ssize_t = emit_report(_scratch, at, cython.cast(cython.uint, len(records)))
    for kind, low in records:
        length += emit_record(_scratch, at + length, kind, LINK_GROUPS_HIGH, low)
    _send(interface, ALL_MLDV2_ROUTERS_LOW, length)


@cython.cfunc
def _report_v1(interface: Interface, kind: cython.uint, low: cython.ulonglong) -> cython.void:
    gone: cython.bint = kind == CHANGE_TO_INCLUDE
    type: cython.uint = MLD_V1_DONE if gone else MLD_V1_REPORT
    length: cython.Py_ssize_t = emit_v1(_scratch, _at(interface), type, LINK_GROUPS_HIGH, low)
    _send(interface, ALL_ROUTERS_LOW if gone else low, length)


@cython.cfunc
def _send(interface: Interface, low: cython.ulonglong, length: cython.Py_ssize_t) -> cython.void:
    """Queue the message that lies in the scratch, to ff02::`low`."""
    own_high: cython.ulonglong = 0
    own_low: cython.ulonglong = 0
    address: Address
    for address in interface.addresses:
        if is_link_local(address.high) and address.trial is None:
            own_high = address.high
            own_low = address.low
            break
    at: cython.Py_ssize_t = interface.emit_link(_scratch, 0, group_mac(low), ETHERTYPE_IPV6)
    emit_ipv6(
        _scratch, at, own_high, own_low, LINK_GROUPS_HIGH, low, 0, ALERT_LEN + length, 1, 0, 0
    )
    emit_alert(_scratch, at + IPV6_LEN, PROTOCOL_ICMPV6)
    seal(_scratch, _at(interface), length, own_high, own_low, LINK_GROUPS_HIGH, low)
    if not interface.outgoing.append(read(_scratch, 0, _at(interface) + length)):
        interface.counters.add(REPLY_QUEUE_FULL)
    interface.counters.add(MLD_REPORTS_OUT)
