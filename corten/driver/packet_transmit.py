"""The sending half of a packet socket: frames into its ring, and one call for a burst of them.

Strategy. Headers and the application's slices are gathered into a slot behind a virtio header. The
kernel copies a small frame and refers to the slot for a large one, which is free again when the
device has sent it (or whoever shares this machine's memory has taken it over).

Rules. A frame for which there is no free slot is dropped and counted. What the kernel does not take
yet, because its buffers are full, stays in the ring and is offered again; when it took nothing of
`FRUITLESS_MAX` offers, all of it is taken back and counted. A super-segment that it refuses is cut
here. Compiled only: this file follows pointers, each with its length check on the line above.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, out_of_range
from cython.cimports.corten.core.frame import FRAME_SLICES, GSO_NONE, TransmitBatch
from cython.cimports.corten.driver.packet_ring import (
    SEND_REQUEST,
    UNSENT,
    WRONG_FORMAT,
    PacketRing,
)

from corten.driver.segment import cut, network_at

if cython.compiled:
    from cython.cimports.corten.driver import packet_linux as linux
    from cython.cimports.libc.errno import EAGAIN, EINTR, ENOBUFS, errno
    from cython.cimports.libc.string import memcpy
else:
    raise ImportError("corten.driver.packet runs compiled only: build it with `./dev build`")

if not cython.compiled:
    VNET_LEN = 10  # struct virtio_net_hdr
    LINEAR_MAX = 3072  # octets of a frame that the kernel copies into one piece
    DATA_AT = 32  # in a slot, behind struct tpacket2_hdr
    NEEDS_CSUM = 1  # virtio_net_hdr.flags
    FRUITLESS_MAX = 64  # offers in a row of which the kernel takes nothing


@cython.final
@cython.cclass
class PacketSender:
    """One socket's transmit ring."""

    _fd: cython.int
    _state: Arena
    _arena: Arena
    _ring: PacketRing
    _at: cython.Py_ssize_t  # the next slot
    waits: cython.bint  # the kernel has not taken all that is in the ring
    refuses: cython.bint  # it does not cut super-segments after all
    _stuck_at: cython.Py_ssize_t
    _fruitless: cython.int
    transmitted: cython.ulonglong
    dropped: cython.ulonglong
    segmented: cython.ulonglong  # super-segments that had to be cut here

    def __init__(self, fd: int, state: Arena, ring: PacketRing) -> None:
        self._fd = fd
        self._state = state
        self._arena = ring.arena
        self._ring = ring
        self._at = ring.resume_transmit(state)
        self.waits = True  # a dead worker may have left frames
        self.refuses = False
        self._stuck_at = -1
        self._fruitless = 0
        self.transmitted = 0
        self.dropped = 0
        self.segmented = 0

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Frames into the ring, and one call for all of them."""
        lost: cython.ulonglong = self.dropped
        ring: PacketRing = self._ring
        full: cython.bint = False
        i: cython.Py_ssize_t
        for i in range(batch.count):
            if not full and not ring.is_free(self._at):
                self.kick()
                full = True  # a second call would not help this burst
            if not ring.is_free(self._at) or not self._write(batch, i):
                self.dropped += 1
                continue
            full = False
            self.transmitted += 1
        self.kick()
        lost = self.dropped - lost
        count: cython.Py_ssize_t = batch.count
        return max(0, count - cython.cast(cython.Py_ssize_t, lost))

    @cython.cfunc
    def _write(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Frame i into the next slot: virtio header, header slice, the application's slices.
        False when it is too long. The only place where slices become pointers."""
        at: cython.Py_ssize_t = self._ring.place(self._at) + DATA_AT
        room: cython.Py_ssize_t = self._ring.slot_len - DATA_AT
        used: cython.Py_ssize_t = VNET_LEN + batch.frame_header_len[i]
        header_at: cython.Py_ssize_t = batch.frame_at[i]
        header_len: cython.Py_ssize_t = batch.frame_header_len[i]
        first: cython.Py_ssize_t = batch.first_slice[i]
        count: cython.Py_ssize_t = batch.slice_count[i]
        vnet = cython.declare(cython.ushort[5])  # struct virtio_net_hdr
        octets: cython.p_uchar = cython.cast(cython.p_uchar, vnet)
        memory: Memory
        source_at: cython.Py_ssize_t
        length: cython.Py_ssize_t
        k: cython.Py_ssize_t
        if count > FRAME_SLICES:
            raise IndexError(f"a frame of {count} slices; the bound is {FRAME_SLICES}")
        if header_at < 0 or header_len < 0 or header_at > batch.headers.size - header_len:
            out_of_range(header_at, header_len, batch.headers.size)
        if used > room or at < 0 or at > self._arena.size - room:
            return False
        target: cython.p_uchar = self._arena._base + at
        memcpy(target + VNET_LEN, batch.headers._base + header_at, header_len)
        for k in range(count):
            memory = batch.slice_memory[first + k]
            source_at = batch.slice_at[first + k]
            length = batch.slice_len[first + k]
            if length > room - used:
                return False
            if source_at < 0 or length < 0 or source_at > memory.size - length:
                out_of_range(source_at, length, memory.size)
            memcpy(target + used, memory._base + source_at, length)
            used += length
        octets[0] = NEEDS_CSUM if batch.checksum_start[i] else 0
        octets[1] = cython.cast(cython.uchar, batch.gso_type[i])
        # how much the kernel keeps in one piece; the rest refers to the ring until it is sent
        if used <= LINEAR_MAX and batch.gso_type[i] == GSO_NONE:
            header_len = used - VNET_LEN
        vnet[1] = cython.cast(cython.ushort, header_len)
        vnet[2] = cython.cast(cython.ushort, batch.gso_size[i])
        vnet[3] = cython.cast(cython.ushort, batch.checksum_start[i])
        vnet[4] = cython.cast(cython.ushort, batch.checksum_offset[i])
        memcpy(target, vnet, VNET_LEN)
        self._mark(used)
        return True

    @cython.cfunc
    def _mark(self, length: cython.Py_ssize_t) -> cython.void:
        """The next slot is complete."""
        ring: PacketRing = self._ring
        ring.mark(self._at, SEND_REQUEST, cython.cast(cython.ulonglong, length))
        self._at = ring.after(self._at, 1)

    @cython.ccall
    def kick(self) -> cython.void:
        """Let the kernel send what is in the ring, as far as it can."""
        ring: PacketRing = self._ring
        result: cython.Py_ssize_t
        first: cython.Py_ssize_t
        code: cython.int = 0
        while True:
            ring.save_transmit(self._state, self._at)
            result = linux.send(self._fd, cython.NULL, 0, linux.MSG_DONTWAIT)
            code = errno if result < 0 else 0
            self.waits = ring.word(ring.after(self._at, -1)) & UNSENT != 0
            if not self.waits:
                return
            first = ring.first_unsent(self._at)
            if ring.word(first) & WRONG_FORMAT == 0:
                break
            self._mend(first)  # one frame fewer at the least
        if code not in (0, EAGAIN, ENOBUFS, EINTR):
            self._take_back(first)  # it is down, or gone
        elif first != self._stuck_at:
            self._stuck_at = first
            self._fruitless = 0
        elif self._fruitless < FRUITLESS_MAX:
            self._fruitless += 1
        else:
            self._take_back(first)

    @cython.cfunc
    def _take_back(self, first: cython.Py_ssize_t) -> cython.void:
        """What the kernel has not got to is dropped."""
        ring: PacketRing = self._ring
        count: cython.ulonglong = ring.take_back(self._state, first, self._at)
        self._at = first
        self._stuck_at = -1
        self._fruitless = 0
        self.waits = False
        self.transmitted -= min(count, self.transmitted)
        self.dropped += count

    @cython.cfunc
    def _mend(self, first: cython.Py_ssize_t) -> cython.void:
        """The kernel does not like the frame in slot `first`. A super-segment is cut here, and so
        are those behind it: promise no segmentation from now on. Anything else is dropped."""
        ring: PacketRing = self._ring
        frames: list = []
        index: cython.Py_ssize_t = first
        dropped: cython.ulonglong = self.dropped
        while index != self._at:
            length = ring.word(index) >> 32
            frames.append(self._arena.octets(ring.place(index) + DATA_AT, length))
            index = ring.after(index, 1)
        self._take_back(first)
        self.dropped = dropped
        if frames[0][1] == GSO_NONE:
            frames.pop(0)
            self.dropped += 1
        for frame in frames:
            pieces: list = self._pieces(frame)
            whole: cython.bint = len(pieces) != 0
            for piece in pieces:
                whole = self._write_complete(piece) and whole
            if whole:
                self.transmitted += 1
            else:
                self.dropped += 1

    @cython.cfunc
    def _pieces(self, frame: bytes) -> list:
        """A frame with its virtio header as the kernel takes it for certain."""
        if frame[1] == GSO_NONE:
            return [frame]
        self.refuses = True
        self.segmented += 1
        size = int.from_bytes(frame[4:6], "little")
        transport_at = int.from_bytes(frame[6:8], "little")
        whole = frame[VNET_LEN:]
        empty = bytes(VNET_LEN)
        if not size or not transport_at or transport_at + 20 > len(whole):
            return []
        return [empty + segment for segment in cut(whole, transport_at, size, network_at(whole))]

    @cython.cfunc
    def _write_complete(self, data: bytes) -> cython.bint:
        """A frame with its virtio header into the next slot; False when there is none."""
        ring: PacketRing = self._ring
        length: cython.Py_ssize_t = len(data)
        if length > ring.slot_len - DATA_AT or not ring.is_free(self._at):
            return False
        self._arena.store(ring.place(self._at) + DATA_AT, data)
        self._mark(length)
        return True
