"""Where TIME-WAITs are kept: found through the flow table, ended in the order they came.

All wait equally long, so a queue does what a timer each would: the front is always the next to go,
unless a retransmitted FIN has renewed it; then it goes to the back.
"""

from __future__ import annotations

from collections import deque

import cython
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.serial import seq_add, seq_gt
from cython.cimports.corten.tcp.emit import emit_ack_of, timestamp_of
from cython.cimports.corten.tcp.host import TIME_WAIT_IDS, TcpHost
from cython.cimports.corten.tcp.time_wait import TimeWait
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    SEGMENT_DONE,
    TCP_BAD_ACK,
    TCP_BAD_SEQUENCE,
    TCP_BAD_STATE,
    TCP_DATA_AFTER_FIN,
    TCP_NO_ACK_BIT,
    TCP_UNEXPECTED_SYN,
)
from cython.cimports.corten.wire.tcp import ACK, FIN, RST, SYN, Segment

if not cython.compiled:
    QUEUE_SLACK = 64


@cython.cfunc
def add_time_wait(host: TcpHost, ended: TimeWait) -> cython.void:
    """Keep one; the oldest gives way beyond the bound."""
    if host.time_wait_free:
        ended.id = host.time_wait_free.pop()
        host.time_waits[ended.id] = ended
    else:
        ended.id = len(host.time_waits)
        host.time_waits.append(ended)
    host.table.insert(ended.hash, TIME_WAIT_IDS + ended.id)
    host.exchange.opened(ended.hash)
    host.time_wait_queue.append(ended)
    host.time_wait_live += 1
    while host.time_wait_live > host.config.time_wait_max:
        _drop_front(host)
    if len(host.time_wait_queue) > 2 * host.time_wait_live + QUEUE_SLACK:
        # what was reopened must not pile up in the queue until its time is over
        host.time_wait_queue = deque(known for known in host.time_wait_queue if known.id >= 0)


@cython.cfunc
def _drop_front(host: TcpHost) -> cython.void:
    front: TimeWait = host.time_wait_queue.popleft()
    remove_time_wait(host, front)


@cython.cfunc
def remove_time_wait(host: TcpHost, ended: TimeWait) -> cython.void:
    """Forget one; what is left of it in the queue is passed over."""
    if ended.id < 0:
        return
    host.table.remove(ended.hash, TIME_WAIT_IDS + ended.id)
    host.exchange.closed(ended.hash)
    host.time_waits[ended.id] = None
    host.time_wait_free.append(ended.id)
    host.time_wait_live -= 1
    ended.id = -1


@cython.cfunc
def expire_time_waits(host: TcpHost, now: cython.longlong) -> cython.void:
    """End those whose time is over."""
    queue = host.time_wait_queue
    while queue:
        front: TimeWait = queue[0]
        if front.id >= 0:
            if front.until > now and front.queued_until == front.until:
                return
            if front.until > now:  # renewed since it was queued
                queue.popleft()
                front.queued_until = front.until
                queue.append(front)
                continue
        queue.popleft()
        remove_time_wait(host, front)


@cython.cfunc
def next_time_wait(host: TcpHost) -> cython.longlong:
    """When the next one may end."""
    queue = host.time_wait_queue
    if not queue:
        return NEVER
    front: TimeWait = queue[0]
    return front.queued_until


@cython.cfunc
def time_wait_arrives(
    host: TcpHost, ended: TimeWait, seg: Segment, now: cython.longlong
) -> cython.int:
    """A segment in TIME-WAIT (RFC 9293 3.10.7.4; RFC 1337: a RST does not end it,
    unless `rfc1337` is off). A SYN that may reopen it has been seen to by the caller."""
    if seg.flags & RST:
        if host.config.rfc1337 or seg.seq != ended.rcv_nxt:
            return TCP_BAD_STATE
        remove_time_wait(host, ended)
        return SEGMENT_DONE
    if seg.flags & (SYN | ACK) == 0 and ended.accepts(seg):
        return TCP_NO_ACK_BIT
    if seg.flags & FIN and seq_add(seg.seq, seg.length()) == ended.rcv_nxt:
        ended.until = now + host.config.time_wait_ns  # the FIN again: restart 2 MSL
        owe_ack(host, ended)
        return ACCEPTED
    if not ended.accepts(seg):
        owe_ack(host, ended)
        return TCP_BAD_SEQUENCE
    if seg.flags & SYN:
        owe_ack(host, ended)
        return TCP_UNEXPECTED_SYN
    if seg.length() > 0:
        owe_ack(host, ended)
        return TCP_DATA_AFTER_FIN
    if seq_gt(seg.ack, ended.snd_nxt):
        owe_ack(host, ended)
        return TCP_BAD_ACK
    return ACCEPTED


@cython.cfunc
def owe_ack(host: TcpHost, ended: TimeWait) -> cython.void:
    """An acknowledgement is due at the end of the breath: one, however many segments came."""
    if not ended.ack_due:
        ended.ack_due = True
        host.acks_owed.append(ended)


@cython.cfunc
def send_owed_acks(host: TcpHost, now: cython.longlong) -> cython.bint:
    """Send them. False: a batch is full, flush it and call again."""
    ended: TimeWait
    while host.acks_owed:
        ended = host.acks_owed[len(host.acks_owed) - 1]
        if not ended.path.batch.has_room():
            return False
        host.acks_owed.pop()
        ended.ack_due = False
        ports: cython.ulonglong = ended.local_port
        emit_ack_of(
            host,
            ended.path,
            (ports << 16) | ended.remote_port,
            ended.snd_nxt,
            ended.rcv_nxt,
            ended.window,
            ended.timestamps_ok,
            timestamp_of(ended.ts_offset, now),
            ended.ts_recent,
            now,
        )
    return True
