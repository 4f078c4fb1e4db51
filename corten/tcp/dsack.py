"""Duplicate SACK, the receiver's side (RFC 2883): which octets came that were here already.

Each segment that repeats something is told of in an acknowledgement of its own, as the first block:
its first run of octets that are acknowledged or queued. Where they lie in the queue, the second
block is the run that holds them.

Whoever sends twice has lost something or believes so, and may have little in flight: for the next
acknowledgements it does not wait (`Tcb.quick_acks`).
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.interval import Ranges
from cython.cimports.corten.core.serial import seq_add, seq_gt, seq_lt
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.tcp import SYN, Segment

if not cython.compiled:
    DUPLICATES_MAX = 64  # told of in one breath
    QUICK_ACKS = 16  # acknowledgements that are not delayed after a sign of loss


@cython.cfunc
def note_duplicate(tcb: Tcb, start: cython.uint, end: cython.uint) -> cython.void:
    """start..end came again."""
    tcb.quick_acks = QUICK_ACKS
    if not tcb.sack_ok or not seq_lt(start, end):
        return
    if tcb.duplicates is None:
        tcb.duplicates = []
    if len(tcb.duplicates) < DUPLICATES_MAX:
        tcb.duplicates.append((start, end))
    if tcb.duplicate_acks_due == 0:
        tcb.duplicate_acks_due = 1


@cython.cfunc
def note_unacceptable(tcb: Tcb, seg: Segment) -> cython.void:
    """A segment outside the window; what of it lies before RCV.NXT came again."""
    if seg.flags & SYN or not seq_lt(seg.seq, tcb.rcv_nxt):
        return
    end: cython.uint = seq_add(seg.seq, seg.length())
    note_duplicate(tcb, seg.seq, tcb.rcv_nxt if seq_gt(end, tcb.rcv_nxt) else end)


@cython.cfunc
def note_queued(
    tcb: Tcb, ranges: Ranges, seq: cython.uint, length: cython.Py_ssize_t
) -> cython.void:
    """A segment for the queue: its first run that the queue already holds came again."""
    end: cython.uint = seq_add(seq, cython.cast(cython.uint, length))
    start: cython.uint = seq if ranges.covers(seq) else ranges.gap_end(seq, end)
    if not seq_lt(start, end):
        return
    stop: cython.uint = ranges.end(ranges.find(start))
    note_duplicate(tcb, start, end if seq_gt(stop, end) else stop)


@cython.cfunc
def blocks_of(tcb: Tcb, most: cython.Py_ssize_t) -> list:
    """The SACK blocks of an acknowledgement, `most` of them: a duplicate that nobody was told of,
    the run that holds it, and the other runs, the newest first (RFC 2018 4, RFC 2883 4)."""
    if tcb.duplicates is None:
        return tcb.reassembly.blocks(most) if tcb.reassembly is not None else []
    first = tcb.duplicates.pop(0)
    if not tcb.duplicates:
        tcb.duplicates = None
    blocks: list = [first]
    if tcb.reassembly is None or most < 2:
        return blocks
    ranges: Ranges = tcb.reassembly.ranges
    k: cython.Py_ssize_t = ranges.find(first[0])
    if k >= 0:
        blocks.append((ranges.start(k), ranges.end(k)))
    for block in tcb.reassembly.blocks(most):
        if len(blocks) < most and (k < 0 or block != blocks[1]):
            blocks.append(block)
    return blocks
