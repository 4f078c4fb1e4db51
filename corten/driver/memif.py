"""memif: frames to and from another process through memory that both have mapped.

Strategy. Ring r is the worker's at r modulo the workers. A burst is one store of the own index. A
frame goes out on the ring that its flow came in on, else on one by a hash that both directions have
in common. The payload is copied once each way; where both ends are Cortens that say so, what is
left to do about checksum and segmentation goes along in the metadata word, and nobody does it. Few
frames are taken at a time, so that both ends work at once and not in turns.

Waking. `MASK_INT` in a ring's flags is its consumer's: set, nobody writes the eventfd. It is set
while this worker is awake; `is_ready` takes it away, has the worker look once more (a producer may
have read the flag just before), then empties the eventfds, and only then lets it sleep.

Rules. All of this memory is also the peer's. What lies in it is loaded once into a local, checked,
then used; the own index is kept here; a frame is parsed only after it was copied. A descriptor that
cannot be costs its frame. An index that cannot be ends the ring: nothing is received or sent on it
until the peer connects anew. Nothing raises for what a peer writes. The indices in the memory are
all that a killed worker's successor needs.
"""

from __future__ import annotations

import logging
import mmap
import os
from array import array
from contextlib import suppress
from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Memory, copy
from cython.cimports.corten.core.atomic import fence, load_acquire, store_release, store_release16
from cython.cimports.corten.core.frame import (
    BATCH_FRAMES,
    CHECKSUM_GOOD,
    FRAME_LEN_MAX,
    GSO_NONE,
    ReceiveBatch,
    TransmitBatch,
)
from cython.cimports.corten.core.serial import U32
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.driver.flow import Flows
from cython.cimports.corten.driver.memif_ring import (
    DESCRIPTOR_LEN,
    DESCRIPTORS_AT,
    HALF,
    Ring,
    any_full,
    any_waiting,
    mask_all,
)

from corten.driver.device import Queue
from corten.driver.eventfd import Signaller, clear
from corten.driver.segment import complete, cut

if not cython.compiled:
    NEXT = 1  # of a descriptor's flags: the frame goes on in the next slot
    CHECKSUM_UNDONE = 0x10000  # of the metadata word between two Cortens; below it: gso_size
    PIECES_MAX = 80  # slots of one frame: the largest super-segment in buffers of 1 KiB
    FRAME_LEN_MIN = 14  # of Ethernet
    LOOKS_MIN = 64  # at the rings before a sleep, when nothing came of it lately
    LOOKS_MAX = 16384  # when something did: some 50 us
    FEW = 16  # of one ring, where fewer than MANY wait: the peer then works at the same time
    MANY = 128

logger = logging.getLogger("corten")


@cython.final
@cython.cclass
class Memif(Driver):
    """A worker's rings of one memif link. Without any, the link is down."""

    name: str
    broken: cython.ulonglong  # rings that were given up
    unreadable: cython.ulonglong  # frames dropped for descriptors that cannot be
    _receiving: list
    _sending: list
    _regions: list
    _fds: list  # eventfds to wait for
    _waking: list  # eventfds to write
    _signaller: Any
    _looks: cython.int  # before a sleep: more when that was worth while, fewer when it was not
    _armed: cython.bint  # whoever sends writes the eventfd
    _turn: cython.Py_ssize_t  # the ring that is read first
    _flows: Flows
    _piece_word: cython.longlong[::1]
    _piece_at: cython.longlong[::1]
    _piece_len: cython.longlong[::1]
    _completed: TransmitBatch

    def __init__(self, name: str, values: dict[str, Any], fds: list[int]) -> None:
        Driver.__init__(self)
        self.name = name
        self.broken = 0
        self.unreadable = 0
        self._receiving = []
        self._sending = []
        self._regions = []
        self._fds = []
        self._waking = []
        self._signaller = Signaller()
        self._looks = LOOKS_MIN
        self._armed = False
        self._turn = 0
        self._flows = Flows()
        numbers: list[Any] = [array("q", bytes(8 * PIECES_MAX)) for _ in range(3)]
        self._piece_word, self._piece_at, self._piece_len = numbers
        self._completed = TransmitBatch()
        self.renew(values, fds)

    # -- receiving --------------------------------------------------------------------------

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Copy in what waits, a burst at most, from one ring after the other."""
        taken: cython.Py_ssize_t = 0
        rings: cython.Py_ssize_t = len(self._receiving)
        k: cython.Py_ssize_t
        for k in range(rings):
            taken += self._drain((self._turn + k) % rings, batch, BATCH_FRAMES - taken)
        if rings > 1:
            self._turn = (self._turn + 1) % rings
        self.received += taken
        return taken

    @cython.cfunc
    def _drain(
        self, which: cython.Py_ssize_t, batch: ReceiveBatch, most: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Frames of one ring."""
        ring: Ring = self._receiving[which]
        if most <= 0 or ring.look() == 0:
            self.broken += ring.is_broken_anew()
            return 0
        if self._armed:
            self._stay_awake()
        if ring.usable < MANY:
            most = min(most, FEW)
        before: cython.Py_ssize_t = batch.count
        while ring.usable and batch.count - before < most and self._take(ring, batch):
            pass
        ring.publish()
        if len(self._sending) > 1:
            self._remember(which, batch, before)
        return batch.count - before

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _take(self, ring: Ring, batch: ReceiveBatch) -> cython.bint:
        """Copy the first frame of `ring` into the batch, or drop it for what it says; its slots are
        the peer's again. False when the batch has no room: it stays."""
        pieces: cython.uint = 0
        total: cython.Py_ssize_t = 0
        metadata: cython.ulonglong = 0
        good: cython.bint = True
        more: cython.bint = True
        u32: cython.ulonglong = U32
        while more:
            slot: cython.Py_ssize_t = (ring.index + pieces) & (ring.size - 1)
            at: cython.Py_ssize_t = DESCRIPTORS_AT + DESCRIPTOR_LEN * slot
            word: cython.ulonglong = load_acquire(ring.memory, at)
            place: cython.ulonglong = load_acquire(ring.memory, at + 8)
            if pieces == 0:
                metadata = place >> 32
            offset: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, place & u32)
            length: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, word >> 32)
            region: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, (word >> 16) & HALF)
            if ring.is_ours:
                region = 0
                offset = ring.buffers_at + ring.buffer_len * slot
                good = good and length <= ring.buffer_len
            total += length
            good = good and total <= FRAME_LEN_MAX and self._lies_in(region, offset, length)
            if good:
                self._piece_word[pieces] = region
                self._piece_at[pieces] = offset
                self._piece_len[pieces] = length
            pieces += 1
            more = word & NEXT != 0
            if more and (pieces >= ring.usable or pieces >= PIECES_MAX):
                good = False
                more = False
        if not good or total < FRAME_LEN_MIN:
            self.unreadable += 1
            self.receive_dropped += 1
        elif not batch.has_room(total):
            return False
        else:
            self._copy_in(batch, pieces, total, metadata)
        self._lend(ring, pieces)
        ring.advance(pieces)
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _lies_in(
        self, region: cython.Py_ssize_t, offset: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        """Whether a region has those octets."""
        if region >= len(self._regions):
            return False
        memory: Arena = self._regions[region]
        return offset <= memory.size - length

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _copy_in(
        self,
        batch: ReceiveBatch,
        pieces: cython.uint,
        total: cython.Py_ssize_t,
        metadata: cython.ulonglong,
    ) -> cython.int:
        """Make one frame of the pieces. 0."""
        at: cython.Py_ssize_t = batch.used
        start: cython.Py_ssize_t = at
        k: cython.uint
        for k in range(pieces):
            memory: Arena = self._regions[self._piece_word[k]]
            copy(batch.arena, at, memory, self._piece_at[k], self._piece_len[k])
            at += self._piece_len[k]
        if not self.offload_checksum:
            metadata = 0
        flags: cython.longlong = CHECKSUM_GOOD if metadata & CHECKSUM_UNDONE else 0
        gso_size: cython.longlong = cython.cast(cython.longlong, metadata & HALF)
        batch.push(start, total, flags, gso_size if gso_size < total else 0)
        return 0

    @cython.cfunc
    def _lend(self, ring: Ring, slots: cython.uint) -> cython.int:
        """Make the first slots ready for the peer's next use. 0."""
        k: cython.uint
        for k in range(slots):
            slot: cython.Py_ssize_t = (ring.index + k) & (ring.size - 1)
            at: cython.Py_ssize_t = DESCRIPTORS_AT + DESCRIPTOR_LEN * slot
            if ring.is_ours:
                length: cython.ulonglong = ring.buffer_len
                offset: cython.ulonglong = ring.buffers_at + ring.buffer_len * slot
                store_release(ring.memory, at, length << 32)
                store_release(ring.memory, at + 8, offset)
            elif slots > 1:
                # some peers do not take NEXT away from a slot that they use again
                store_release16(ring.memory, at, 0)
        return 0

    @cython.cfunc
    def _remember(
        self, which: cython.Py_ssize_t, batch: ReceiveBatch, first: cython.Py_ssize_t
    ) -> cython.int:
        """What comes in on a ring is answered on its twin, which is the same peer worker's. 0."""
        if which >= len(self._sending):
            return 0
        i: cython.Py_ssize_t
        for i in range(first, batch.count):
            self._flows.remember(batch.arena, batch.frame_at[i], batch.frame_len[i], which)
        return 0

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Copy every frame into a ring, then show each ring's burst to the peer at once."""
        taken: cython.Py_ssize_t = 0
        rings: cython.Py_ssize_t = len(self._sending)
        ring: Ring
        for ring in self._sending:
            ring.look()
            self.broken += ring.is_broken_anew()
        i: cython.Py_ssize_t
        if rings:
            for i in range(batch.count):
                ring = self._sending[self._choose(batch, i) if rings > 1 else 0]
                undone: cython.bint = batch.checksum_start[i] != 0 and not self.offload_checksum
                taken += self._finish(ring, batch, i) if undone else self._put(ring, batch, i)
            self.congested = False
            for ring in self._sending:
                self.congested = self.congested or ring.usable < ring.size // 2
                if ring.publish() and ring.is_asleep():
                    self._signaller.signal(ring.fd)
        self.transmitted += taken
        self.transmit_dropped += batch.count - taken
        return taken

    @cython.ccall
    def is_full(self) -> cython.bint:
        """Whether a ring has less than a quarter left."""
        return any_full(self._sending)

    @cython.cfunc
    def _choose(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The ring of frame i: where its flow came from, else any, the same for the whole flow."""
        at: cython.Py_ssize_t = batch.frame_at[i]
        rings: cython.Py_ssize_t = len(self._sending)
        return self._flows.ring_of(batch.headers, at, batch.frame_header_len[i], rings)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _put(self, ring: Ring, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Copy frame i into as many slots as it needs; False, and none is used, if there are too
        few. The descriptors are written last: what was begun and given up leaves no trace."""
        left: cython.Py_ssize_t = batch.frame_len[i]
        slices: cython.Py_ssize_t = batch.first_slice[i]
        end: cython.Py_ssize_t = slices + batch.slice_count[i]
        source: Memory = batch.headers
        source_at: cython.Py_ssize_t = batch.frame_at[i]
        source_left: cython.Py_ssize_t = batch.frame_header_len[i]
        pieces: cython.uint = 0
        u32: cython.ulonglong = U32
        while left > 0:
            if pieces >= PIECES_MAX or (pieces >= ring.usable and pieces >= ring.look()):
                return False
            slot: cython.Py_ssize_t = (ring.index + pieces) & (ring.size - 1)
            region: cython.Py_ssize_t = 0
            offset: cython.Py_ssize_t = ring.buffers_at + ring.buffer_len * slot
            room: cython.Py_ssize_t = ring.buffer_len
            if not ring.is_ours:
                at: cython.Py_ssize_t = DESCRIPTORS_AT + DESCRIPTOR_LEN * slot
                word: cython.ulonglong = load_acquire(ring.memory, at)
                place: cython.ulonglong = load_acquire(ring.memory, at + 8)
                region = cython.cast(cython.Py_ssize_t, (word >> 16) & HALF)
                offset = cython.cast(cython.Py_ssize_t, place & u32)
                room = cython.cast(cython.Py_ssize_t, word >> 32)
                if room == 0 or not self._lies_in(region, offset, room):
                    ring.give_up()
                    self.broken += ring.is_broken_anew()
                    return False
            room = min(room, left)
            target: Arena = self._regions[region]
            self._piece_word[pieces] = region
            self._piece_at[pieces] = offset
            self._piece_len[pieces] = room
            left -= room
            pieces += 1
            while room > 0:
                while source_left == 0 and slices < end:
                    source = batch.slice_memory[slices]
                    source_at = batch.slice_at[slices]
                    source_left = batch.slice_len[slices]
                    slices += 1
                part: cython.Py_ssize_t = min(room, source_left)
                assert part > 0, "a frame is shorter than it says"
                copy(target, offset, source, source_at, part)
                offset += part
                source_at += part
                source_left -= part
                room -= part
        return self._describe(ring, pieces, self._metadata(batch, i))

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _metadata(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.ulonglong:
        """What is left to do about frame i, for a peer that knows the word's meaning."""
        if not self.offload_checksum or batch.checksum_start[i] == 0:
            return 0
        gso_size: cython.longlong = batch.gso_size[i] if batch.gso_type[i] != GSO_NONE else 0
        return CHECKSUM_UNDONE | cython.cast(cython.ulonglong, gso_size & HALF)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _describe(self, ring: Ring, pieces: cython.uint, metadata: cython.ulonglong) -> cython.bint:
        """Write the descriptors of a frame that lies in its buffers. True."""
        k: cython.uint
        for k in range(pieces):
            slot: cython.Py_ssize_t = (ring.index + k) & (ring.size - 1)
            at: cython.Py_ssize_t = DESCRIPTORS_AT + DESCRIPTOR_LEN * slot
            word: cython.ulonglong = self._piece_len[k]
            word = word << 16 | cython.cast(cython.ulonglong, self._piece_word[k])
            word = word << 16 | (NEXT if k + 1 < pieces else 0)
            place: cython.ulonglong = self._piece_at[k]
            store_release(ring.memory, at, word)
            store_release(ring.memory, at + 8, metadata << 32 | place)
        ring.advance(pieces)
        return True

    @cython.cfunc
    def _finish(self, ring: Ring, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """The slow path: frame i was made for a peer that offloads, and this one does not."""
        frame: bytes = batch.frame(i)
        start: cython.Py_ssize_t = batch.checksum_start[i]
        frames: list
        if batch.gso_type[i] == GSO_NONE:
            frames = [complete(frame, start, batch.checksum_offset[i])]
        else:
            frames = cut(frame, start, batch.gso_size[i])
        whole: cython.bint = True
        for segment in frames:
            self._completed.clear()
            whole = (
                self._completed.append(segment) and self._put(ring, self._completed, 0) and whole
            )
        self._completed.clear()
        return whole

    # -- waiting ----------------------------------------------------------------------------

    @cython.ccall
    def is_ready(self) -> cython.bint:
        """Whether frames wait; asked before sleeping, and asked again after one more look."""
        if not self._armed:
            if self._come_soon():
                return True
            mask_all(self._receiving, False)
            fence()
            self._armed = True
            return len(self._receiving) != 0
        for fd in self._fds:
            clear(fd)
        return any_waiting(self._receiving)

    @cython.cfunc
    def _come_soon(self) -> cython.bint:
        """Look for a while: a peer that is awake answers sooner than a sleep and a wake-up take."""
        left: cython.int = self._looks
        while left > 0:
            left -= 1
            if any_waiting(self._receiving):
                self._looks = min(4 * self._looks, LOOKS_MAX)
                return True
        self._looks = max(self._looks // 2, LOOKS_MIN)
        return False

    @cython.cfunc
    def _stay_awake(self) -> cython.int:
        """Frames are here: who sends more of them need not wake us. 0."""
        mask_all(self._receiving, True)
        self._armed = False
        return 0

    def fileno(self) -> int:
        return int(self._fds[0]) if self._fds else -1

    def filenos(self) -> list[int]:
        return list(self._fds)

    # -- the peer comes and goes ------------------------------------------------------------

    def renew(self, values: dict[str, Any], fds: list[int]) -> None:
        """Go on with these rings; without any, the link is down. The descriptors are ours: of the
        regions, the eventfds to wait for, those to write (`corten.driver.memif_device.Peer`)."""
        self._let_go()
        sizes, places = values["regions"], values["receiving"]
        self.offload_checksum = self.offload_segmentation = bool(values["offload"])
        self._flows = Flows()
        self._fds = fds[len(sizes) : len(sizes) + len(places)]
        self._waking = fds[len(sizes) + len(places) :]
        try:
            maps = [mmap.mmap(fd, size) for fd, size in zip(fds, sizes, strict=False)]
        except (OSError, ValueError) as error:
            logger.warning("link %s: cannot map the peer's memory: %s", self.name, error)
            self._let_go()
            maps = []
        finally:
            for fd in fds[: len(sizes)]:
                os.close(fd)
        if maps:
            self._regions = [Arena(0, each) for each in maps]
            self._receiving = self._rings(places, self._fds, values, True)
            self._sending = self._rings(values["sending"], self._waking, values, False)
        mask_all(self._receiving, True)
        ring: Ring
        for ring in self._sending:  # a predecessor may have died before it could do that
            self._signaller.signal(ring.fd)

    def _rings(
        self, places: list[list[int]], fds: list[int], values: dict[str, Any], consumer: bool
    ) -> list[Ring]:
        """The rings at `places`: region, offset, log2 of the size, where their buffers begin."""
        rings = []
        ring: Ring
        for (region, offset, log2_size, buffers_at), fd in zip(places, fds, strict=True):
            memory: Arena = self._regions[region]
            view = memoryview(memory.owner)  # type: ignore[arg-type]  # a view of the mapping
            length = DESCRIPTORS_AT + (DESCRIPTOR_LEN << log2_size)
            over = Arena(0, view[offset : offset + length])
            ring = Ring(over, log2_size, fd, values["client"], consumer)
            ring.buffers_at = buffers_at
            ring.buffer_len = values["buffer"]
            rings.append(ring)
        return rings

    def _let_go(self) -> None:
        """Of the memory and the eventfds."""
        for fd in (*self._fds, *self._waking):
            with suppress(OSError):  # silent: closed is closed
                os.close(fd)
        self._receiving, self._sending, self._regions = [], [], []
        self._fds, self._waking = [], []
        self._armed = False

    def close(self) -> None:
        self._let_go()
        self._signaller.close()


def open_queue(queue: Queue) -> Memif:
    """The driver of a worker's queue."""
    return Memif(queue.name, queue.values, queue.fds)
