"""Reassembly: the fragments of a datagram until all of them are here (RFC 791 3.2; RFC 1122 3.3.2;
RFC 8200 4.5).

Strategy. The pieces of a datagram lie in order of their offsets; one that comes is placed by
bisection. Nothing may overlap (RFC 5722, for IPv4 as well), so there is no hole list (RFC 815): a
datagram is whole exactly when its end is known and as many octets have come. It is put together
once, into memory of its own, and goes through the layers again as if it had just arrived.

Rules. An overlap, a second end that differs or data beyond the end spoils the datagram: it is
dropped without a word, and so is all that still comes of it. A fragment that comes twice is
ignored. Whatever is kept is bounded: octets at their true cost, datagrams, and both for each source
and the pieces of each datagram; the oldest gives way, a source's own oldest first. Sixty seconds
after the first fragment it is over: time exceeded, if fragment 0 is here.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, buffer_of, copy, read
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.frame import ReceiveBatch
from cython.cimports.corten.core.limit import REASSEMBLY_NS
from cython.cimports.corten.core.wheel import Wheel
from cython.cimports.corten.ip.fragment import (
    ANY_PROTOCOL,
    DATAGRAM_COST,
    IPV6_HEADER_LEN,
    MASK_CE,
    MASK_NOT_ECT,
    PACKET_LEN_MAX,
    Datagram,
    Fragment,
    Piece,
    Source,
    is_again,
    mend_v4,
    mend_v6,
    refusal,
)
from cython.cimports.corten.ip.interface import Interface
from cython.cimports.corten.wire.reason import (
    ACCEPTED,
    FRAGMENT_BAD_ECN,
    FRAGMENT_HELD,
    FRAGMENT_OVERLAP,
    FRAGMENT_TOO_LONG,
    FRAGMENTS_GIVEN_UP,
    FRAGMENTS_TIMED_OUT,
    REASSEMBLED,
)

if not cython.compiled:
    OCTETS_MAX = 4194304  # of a stack
    DATAGRAMS_MAX = 1024
    SOURCE_OCTETS_MAX = 1048576  # of one source: a quarter
    SOURCE_DATAGRAMS_MAX = 64
    PIECES_MAX = 128  # 119 are the longest datagram in packets of 576 octets
    PIECE_COST = 128  # of keeping one, its octets aside


@cython.cclass
class Reporter:
    """Whom time exceeded is told to: implemented where ICMP is."""

    @cython.cfunc
    def reassembly_timed_out(
        self,
        interface: Interface,
        frame: Arena,
        ip_at: cython.Py_ssize_t,
        now: cython.longlong,
    ) -> cython.void:
        """The rest of a datagram never came; `frame` is that of its fragment 0."""


@cython.final
@cython.cclass
class Reassembly:
    """The datagrams of one stack that are in pieces. `whole` holds the last one put together."""

    whole: ReceiveBatch
    whole_at: cython.Py_ssize_t  # where its IP packet starts
    whole_len: cython.Py_ssize_t
    octets: cython.Py_ssize_t  # at their true cost
    counters: Counters
    _wheel: Wheel
    _timer: cython.int  # -1: nothing waits
    _deadline: cython.longlong  # that the timer is armed for
    _reporter: Reporter
    _datagrams: dict  # key -> Datagram, oldest first
    _sources: dict  # (interface, address) -> Source

    def __init__(self, wheel: Wheel, counters: Counters, reporter: Reporter) -> None:
        self.whole = ReceiveBatch(0)
        self.whole_at = 0
        self.whole_len = 0
        self.octets = 0
        self.counters = counters
        self._wheel = wheel
        self._timer = -1
        self._deadline = 0
        self._reporter = reporter
        self._datagrams = {}
        self._sources = {}

    def __len__(self) -> int:
        return len(self._datagrams)

    @cython.ccall
    def add(
        self, interface: Interface, fragment: Fragment, memory: Arena, now: cython.longlong
    ) -> cython.int:
        """Take in a fragment. ACCEPTED: its datagram is whole and lies in `whole`, a frame with
        the link header of its fragment 0. FRAGMENT_HELD: it waits. Else why it was dropped."""
        reason: cython.int = refusal(fragment)
        if reason != ACCEPTED:
            return reason
        key = (
            fragment.source_high,
            fragment.source_low,
            fragment.destination_high,
            fragment.destination_low,
            fragment.protocol,
            fragment.identification,
            interface.index,
        )
        found = self._datagrams.get(key)
        datagram: Datagram = self._begin(key, interface, now) if found is None else found
        if datagram.is_spoilt:
            return FRAGMENT_OVERLAP
        end: cython.Py_ssize_t = fragment.offset + fragment.payload_len
        if not datagram.ends_agree(end, fragment.more):
            return self._spoil(datagram, FRAGMENT_OVERLAP)
        place: cython.Py_ssize_t = datagram.place(fragment.offset)
        if place > 0 and cython.cast(Piece, datagram.pieces[place - 1]).end > fragment.offset:
            return self._spoil(datagram, FRAGMENT_OVERLAP)
        if place < len(datagram.pieces):
            following: Piece = datagram.pieces[place]
            if following.start < end:
                if is_again(following, fragment, memory):
                    return FRAGMENT_HELD
                return self._spoil(datagram, FRAGMENT_OVERLAP)
        if len(datagram.pieces) >= PIECES_MAX:
            return self._spoil(datagram, FRAGMENTS_GIVEN_UP)
        self._keep(datagram, place, fragment, memory)
        if datagram.received == datagram.total:
            self._forget(datagram)
            return self._put_together(datagram)
        self._make_room(datagram)
        return FRAGMENT_HELD

    # -- keeping ----------------------------------------------------------------------------

    @cython.cfunc
    def _begin(self, key: tuple, interface: Interface, now: cython.longlong) -> Datagram:
        """The first fragment of a datagram: its time runs from here (RFC 1122 3.3.2)."""
        datagram: Datagram = Datagram(key, interface, now + REASSEMBLY_NS)
        at = (interface.index, key[0], key[1])
        source: Source | None = self._sources.get(at)
        if source is None:
            source = self._sources[at] = Source()
        if len(source.datagrams) >= SOURCE_DATAGRAMS_MAX:
            self._give_up(next(iter(source.datagrams.values())))
            self._sources[at] = source  # it may have been the last there
        elif len(self._datagrams) >= DATAGRAMS_MAX:
            self._give_up(next(iter(self._datagrams.values())))
            self._sources[at] = source
        source.datagrams[key] = datagram
        self._datagrams[key] = datagram
        source.octets += datagram.cost
        self.octets += datagram.cost
        if self._timer < 0:
            self._timer = self._wheel.add(self)
            self._arm(datagram.deadline)
        return datagram

    @cython.cfunc
    def _source_of(self, datagram: Datagram) -> Source:
        return self._sources[(datagram.key[6], datagram.key[0], datagram.key[1])]

    @cython.cfunc
    def _charge(self, datagram: Datagram, cost: cython.Py_ssize_t) -> cython.void:
        datagram.cost += cost
        self.octets += cost
        source: Source = self._source_of(datagram)
        source.octets += cost

    @cython.cfunc
    def _keep(
        self, datagram: Datagram, place: cython.Py_ssize_t, fragment: Fragment, memory: Arena
    ) -> cython.void:
        start_at: cython.Py_ssize_t = fragment.payload_at
        end: cython.Py_ssize_t = fragment.offset + fragment.payload_len
        if fragment.offset == 0:
            start_at = fragment.frame_at
            datagram.link_len = fragment.ip_at - fragment.frame_at
            datagram.head_len = fragment.head_end - fragment.frame_at
            datagram.next_header_at = fragment.next_header_at - fragment.frame_at
            datagram.next_header = fragment.next_header
        skip: cython.Py_ssize_t = fragment.payload_at - start_at
        octets: bytes = read(memory, start_at, skip + fragment.payload_len)
        datagram.pieces.insert(place, Piece(fragment.offset, end, octets, skip))
        datagram.received += fragment.payload_len
        datagram.ecn |= cython.cast(cython.uint, 1) << fragment.ecn
        if not fragment.more:
            datagram.total = end
        self._charge(datagram, PIECE_COST + len(octets))

    @cython.cfunc
    def _make_room(self, datagram: Datagram) -> cython.void:
        """Too much is kept: a source's oldest gives way, then anybody's."""
        source: Source = self._source_of(datagram)
        while source.octets > SOURCE_OCTETS_MAX and source.datagrams:
            self._give_up(next(iter(source.datagrams.values())))
        while self.octets > OCTETS_MAX and self._datagrams:
            self._give_up(next(iter(self._datagrams.values())))

    @cython.cfunc
    def _give_up(self, datagram: Datagram) -> cython.void:
        self._forget(datagram)
        self.counters.add(FRAGMENTS_GIVEN_UP)

    @cython.cfunc
    def _spoil(self, datagram: Datagram, reason: cython.int) -> cython.int:
        """Drop the pieces, and remember until its time is over that the rest is to be dropped."""
        datagram.is_spoilt = True
        datagram.pieces = []
        self._charge(datagram, DATAGRAM_COST - datagram.cost)
        return reason

    @cython.cfunc
    def _forget(self, datagram: Datagram) -> cython.void:
        at = (datagram.key[6], datagram.key[0], datagram.key[1])
        source: Source = self._sources[at]
        del source.datagrams[datagram.key]
        source.octets -= datagram.cost
        self.octets -= datagram.cost
        if not source.datagrams:
            del self._sources[at]
        del self._datagrams[datagram.key]
        if not self._datagrams and self._timer >= 0:
            self._wheel.discard(self._timer)
            self._timer = -1

    def forget_link(self, interface: Interface) -> None:
        """A link is gone, and with it what came in pieces on it."""
        datagram: Datagram
        for datagram in list(self._datagrams.values()):
            if datagram.interface is interface:
                self._give_up(datagram)

    # -- the end ----------------------------------------------------------------------------

    @cython.cfunc
    def _arm(self, deadline: cython.longlong) -> cython.void:
        self._deadline = deadline
        self._wheel.arm(self._timer, deadline)

    def fire(self) -> None:
        """The timer: whoever has waited long enough is given up. All wait equally long, so the
        oldest comes first."""
        now: cython.longlong = self._deadline
        while self._datagrams:
            datagram: Datagram = next(iter(self._datagrams.values()))
            if datagram.deadline > now:
                self._arm(datagram.deadline)
                return
            self._forget(datagram)
            if datagram.is_spoilt:
                continue
            self.counters.add(FRAGMENTS_TIMED_OUT)
            first: Piece | None = datagram.first()
            if first is not None:
                frame: Arena = Arena(0, bytearray(first.octets))
                self._reporter.reassembly_timed_out(
                    datagram.interface, frame, datagram.link_len, now
                )

    @cython.cfunc
    def _put_together(self, datagram: Datagram) -> cython.int:
        """Every octet is here: the headers of fragment 0, then the pieces."""
        head_len: cython.Py_ssize_t = datagram.head_len
        ip_len: cython.Py_ssize_t = head_len - datagram.link_len
        is_v4: cython.bint = datagram.key[4] != ANY_PROTOCOL
        if ip_len + datagram.total > PACKET_LEN_MAX + (0 if is_v4 else IPV6_HEADER_LEN):
            return FRAGMENT_TOO_LONG
        if datagram.ecn & MASK_CE and datagram.ecn & MASK_NOT_ECT:
            return FRAGMENT_BAD_ECN
        frame: Arena = Arena(head_len + datagram.total)
        piece: Piece
        for piece in datagram.pieces:
            source = buffer_of(piece.octets)
            if piece.start == 0:
                copy(frame, 0, source, 0, head_len)
            copy(frame, head_len + piece.start, source, piece.skip, piece.end - piece.start)
        ip_at: cython.Py_ssize_t = datagram.link_len
        if is_v4:
            mend_v4(frame, ip_at, ip_len, datagram)
        else:
            mend_v6(frame, ip_at, ip_len, datagram)
        batch: ReceiveBatch = self.whole
        batch.clear()
        batch.arena = frame
        batch.push(0, frame.size, 0, 0)
        self.whole_at = ip_at
        self.whole_len = frame.size - ip_at
        self.counters.add(REASSEMBLED)
        return ACCEPTED
