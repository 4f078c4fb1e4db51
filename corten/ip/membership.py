"""Which groups a link listens to, and when that is reported: the listener's machine of RFC 3810.

The groups are those that neighbour discovery needs, ff02::1:ffXX:XXXX of each own address, so a
group is the low half of its address, and every record says "from all sources". All nodes, ff02::1,
is listened to and never reported (6).

Rules. A change is reported `ROBUSTNESS` times, at once and within a second after (6.1). A query is
answered after a random part of the delay it allows, and no answer already due sooner is put off
(6.2). While a querier of version 1 was heard not long ago, reports are of version 1 (8.2.1). The
machine says what to report; `mld` sends it.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import MILLISECOND, NEVER, SECOND
from cython.cimports.corten.core.limit import MLD_OLDER_QUERIER_NS
from cython.cimports.corten.wire.mld import CHANGE_TO_EXCLUDE, CHANGE_TO_INCLUDE, MODE_IS_EXCLUDE

if not cython.compiled:
    ROBUSTNESS = 2  # 9.1


@cython.final
@cython.cclass
class Group:
    """One group: how many addresses want it, and what is still to be said about it."""

    low: cython.ulonglong
    wanted: cython.int  # addresses that share it (RFC 4861 7.2.1)
    change_at: cython.longlong
    changes_left: cython.int
    answer_at: cython.longlong

    def __init__(self, low: int) -> None:
        self.low = low
        self.wanted = 0
        self.change_at = NEVER
        self.changes_left = 0
        self.answer_at = NEVER


@cython.final
@cython.cclass
class Membership:
    """The groups of one link."""

    due_at: cython.longlong
    _groups: dict  # low half -> Group
    _general_at: cython.longlong  # answer to a general query
    _v1_until: cython.longlong
    _chance: Chance

    def __init__(self, chance: Chance) -> None:
        self.due_at = NEVER
        self._groups = {}
        self._general_at = NEVER
        self._v1_until = 0
        self._chance = chance

    @cython.ccall
    def listens(self, low: cython.ulonglong) -> cython.bint:
        """Whether a group, by its low half, is listened to."""
        group: Group | None = self._groups.get(low)
        return group is not None and group.wanted > 0

    @cython.ccall
    def is_v1(self, now: cython.longlong) -> cython.bint:
        """Whether reports are to be of version 1 now."""
        return now < self._v1_until

    @cython.ccall
    def join(self, low: cython.ulonglong, now: cython.longlong) -> cython.void:
        """An address of ours needs the group."""
        group: Group | None = self._groups.get(low)
        if group is None:
            group = Group(low)
            self._groups[low] = group
        group.wanted += 1
        if group.wanted == 1:
            self._change(group, now)

    @cython.ccall
    def leave(self, low: cython.ulonglong, now: cython.longlong) -> cython.void:
        """An address of ours is gone; the group too when it was the last one that needed it."""
        group: Group | None = self._groups.get(low)
        if group is None or group.wanted == 0:
            return
        group.wanted -= 1
        if group.wanted == 0:
            group.answer_at = NEVER
            self._change(group, now)

    @cython.ccall
    def report_all(self, now: cython.longlong) -> cython.void:
        """There is a source address for reports now (5.2.13): say it all again."""
        group: Group
        for group in self._groups.values():
            if group.wanted > 0:
                self._change(group, now)

    @cython.ccall
    def query(
        self,
        low: cython.ulonglong,
        response_ms: cython.uint,
        is_v1: cython.bint,
        now: cython.longlong,
    ) -> cython.void:
        """A valid query, of all groups when `low` is 0 (6.2)."""
        if is_v1:
            self._v1_until = now + MLD_OLDER_QUERIER_NS
        group: Group | None = None
        if low != 0:
            group = self._groups.get(low)
            if group is None or group.wanted == 0:
                return
        longest: cython.longlong = cython.cast(cython.longlong, response_ms) * MILLISECOND
        at: cython.longlong = now + cython.cast(cython.longlong, self._chance.below(longest + 1))
        if self._general_at <= at:
            return
        if group is None:
            self._general_at = at
        elif at < group.answer_at:
            group.answer_at = at
        self._look(at)

    @cython.ccall
    def expire(self, now: cython.longlong) -> list:
        """(kind, low half) of every record to report now."""
        records: list = []
        general: cython.bint = self._general_at <= now
        if general:
            self._general_at = NEVER
        self.due_at = self._general_at
        group: Group
        for group in list(self._groups.values()):
            if group.wanted > 0 and (general or group.answer_at <= now):
                group.answer_at = NEVER
                records.append((MODE_IS_EXCLUDE, group.low))
            if group.change_at <= now:
                joined: cython.bint = group.wanted > 0
                records.append((CHANGE_TO_EXCLUDE if joined else CHANGE_TO_INCLUDE, group.low))
                group.changes_left -= 1
                group.change_at = NEVER
                if group.changes_left > 0:
                    wait: cython.longlong = cython.cast(cython.longlong, self._chance.below(SECOND))
                    group.change_at = now + 1 + wait
                elif not joined:
                    del self._groups[group.low]
            self._look(group.change_at)
            self._look(group.answer_at)
        return records

    @cython.cfunc
    def _change(self, group: Group, now: cython.longlong) -> cython.void:
        group.changes_left = ROBUSTNESS
        group.change_at = now
        self._look(now)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _look(self, at: cython.longlong) -> cython.void:
        self.due_at = min(self.due_at, at)
