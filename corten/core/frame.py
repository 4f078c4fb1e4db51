"""Bursts of frames between a driver and the stack: slices of memory, never copies.

`ReceiveBatch`: one arena, filled by the driver from the front; a frame is a slice of it. It stays
valid until the end of the breath, then the driver starts again at the front: whatever must live
longer is copied by whoever keeps it.

`TransmitBatch`: a frame is a header slice of the batch's own arena and up to `FRAME_SLICES` slices
of other memories (the application's own buffers). The memories are held until `clear`. A driver
that can gather (writev) turns them into pointers; anything else asks for `frame(i)`.

Rules. Both are bounded and made once; nothing is allocated per frame. A frame's flags say what is
left to do about its checksum and its segmentation, in the terms of virtio_net_hdr. The hot methods
return 0, because one that returns nothing makes its caller ask CPython whether it raised.
"""

from __future__ import annotations

from array import array
from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Memory, read, write

if not cython.compiled:
    # a received frame's flags
    CHECKSUM_GOOD = 1  # the transport checksum need not be verified (checked, or from this machine)
    # how many segments' worth of work is left in a frame to send, or was merged in one received
    GSO_NONE = 0
    GSO_TCPV4 = 1
    GSO_TCPV6 = 4
    # bounds of one batch
    BATCH_FRAMES = 256  # a breath reads as many of a link at the most, and sends as many
    BATCH_SLICES = 2048
    FRAME_SLICES = 16
    FRAME_LEN_MAX = 65536 + 64  # the largest super-segment with its link header
    HEADER_LEN_MAX = 256  # link, IP and TCP headers with all options, and small whole frames


@cython.cfunc
def _numbers(count: cython.Py_ssize_t) -> Any:
    return array("q", bytes(8 * count))


@cython.final
@cython.cclass
class ReceiveBatch:
    """A burst of received frames. The driver appends, the stack reads, `clear` ends the breath."""

    arena: Arena
    count: cython.Py_ssize_t
    used: cython.Py_ssize_t
    frame_at: cython.longlong[::1]
    frame_len: cython.longlong[::1]
    frame_flags: cython.longlong[::1]
    frame_gso: cython.longlong[::1]
    reasons: list | None  # by frame, why it went no further; None: nobody wants to know

    def __init__(self, arena_len: cython.Py_ssize_t = 1 << 20, over: object = None) -> None:
        self.arena = Arena(arena_len, over)
        self.count = 0
        self.used = 0
        self.frame_at = _numbers(BATCH_FRAMES)
        self.frame_len = _numbers(BATCH_FRAMES)
        self.frame_flags = _numbers(BATCH_FRAMES)
        self.frame_gso = _numbers(BATCH_FRAMES)
        self.reasons = None

    def ask_reasons(self) -> None:
        """Let the stack note in `reasons` why a frame went no further (`corten.wire.reason`)."""
        self.reasons = [0] * BATCH_FRAMES

    @cython.ccall
    @cython.exceptval(check=False)
    def has_room(self, length: cython.Py_ssize_t) -> cython.bint:
        """Whether one more frame of `length` octets fits at `used`."""
        return self.count < BATCH_FRAMES and self.used + length <= self.arena.size

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def push(
        self,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
    ) -> cython.int:
        """Record a frame that lies at `at`; the next one may start at `used`, 64-aligned.

        `gso_size`: payload octets per original segment of a merged super-segment, else 0.
        """
        i: cython.Py_ssize_t = self.count
        self.frame_at[i] = at
        self.frame_len[i] = length
        self.frame_flags[i] = flags
        self.frame_gso[i] = gso_size
        self.count = i + 1
        self.used = (at + length + 63) & ~63
        return 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def append(
        self, data: bytes, flags: cython.longlong = 0, gso_size: cython.longlong = 0
    ) -> cython.bint:
        """Copy a frame in; False when the batch is full. For pipes, rings and tests."""
        if not self.has_room(len(data)):
            return False
        write(self.arena, self.used, data)
        self.push(self.used, len(data), flags, gso_size)
        return True

    @cython.ccall
    def frame(self, i: cython.Py_ssize_t) -> bytes:
        """A copy of frame i."""
        if i < 0 or i >= self.count:
            raise IndexError(f"frame {i} of {self.count}")
        return read(self.arena, self.frame_at[i], self.frame_len[i])

    @cython.ccall
    def clear(self) -> cython.void:
        self.count = 0
        self.used = 0


@cython.final
@cython.cclass
class TransmitBatch:
    """A burst of frames to send: `begin`, header stores, `add_slice`…, `commit`; then `clear`."""

    headers: Arena
    header_used: cython.Py_ssize_t
    count: cython.Py_ssize_t
    slices: cython.Py_ssize_t
    frame_at: cython.longlong[::1]
    frame_header_len: cython.longlong[::1]
    frame_len: cython.longlong[::1]  # header and slices together
    first_slice: cython.longlong[::1]
    slice_count: cython.longlong[::1]
    checksum_start: cython.longlong[::1]  # 0: the checksum is complete
    checksum_offset: cython.longlong[::1]
    gso_type: cython.longlong[::1]
    gso_size: cython.longlong[::1]
    slice_memory: list
    slice_at: cython.longlong[::1]
    slice_len: cython.longlong[::1]

    def __init__(self) -> None:
        self.headers = Arena(BATCH_FRAMES * HEADER_LEN_MAX + FRAME_LEN_MAX)
        self.header_used = 0
        self.count = 0
        self.slices = 0
        self.frame_at = _numbers(BATCH_FRAMES)
        self.frame_header_len = _numbers(BATCH_FRAMES)
        self.frame_len = _numbers(BATCH_FRAMES)
        self.first_slice = _numbers(BATCH_FRAMES)
        self.slice_count = _numbers(BATCH_FRAMES)
        self.checksum_start = _numbers(BATCH_FRAMES)
        self.checksum_offset = _numbers(BATCH_FRAMES)
        self.gso_type = _numbers(BATCH_FRAMES)
        self.gso_size = _numbers(BATCH_FRAMES)
        self.slice_memory = [None] * BATCH_SLICES
        self.slice_at = _numbers(BATCH_SLICES)
        self.slice_len = _numbers(BATCH_SLICES)

    @cython.ccall
    @cython.exceptval(check=False)
    def has_room(self) -> cython.bint:
        """Whether a frame with the most headers and slices still fits."""
        return (
            self.count < BATCH_FRAMES
            and self.slices + FRAME_SLICES <= BATCH_SLICES
            and self.header_used + HEADER_LEN_MAX <= self.headers.size
        )

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def begin(self) -> cython.Py_ssize_t:
        """Open a frame: where in `headers` its first octet goes. Ask `has_room` first."""
        i: cython.Py_ssize_t = self.count
        self.frame_at[i] = self.header_used
        self.first_slice[i] = self.slices
        self.slice_count[i] = 0
        self.checksum_start[i] = 0
        self.checksum_offset[i] = 0
        self.gso_type[i] = GSO_NONE
        self.gso_size[i] = 0
        return self.header_used

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def add_slice(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.int:
        """Append memory[at : at + length] to the open frame; the memory is held until `clear`."""
        if at < 0 or length < 0 or at > memory.size - length:
            raise IndexError(f"slice {at}..{at + length} of a memory of {memory.size}")
        assert self.slice_count[self.count] < FRAME_SLICES, "a frame has too many slices"
        i: cython.Py_ssize_t = self.slices
        self.slice_memory[i] = memory
        self.slice_at[i] = at
        self.slice_len[i] = length
        self.slices = i + 1
        self.slice_count[self.count] += 1
        return 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def needs_checksum(self, start: cython.Py_ssize_t, offset: cython.Py_ssize_t) -> cython.int:
        """The open frame's checksum field, at `start + offset` from the frame's first octet, holds
        the pseudo-header's sum only: the link completes it from `start` to the end."""
        self.checksum_start[self.count] = start
        self.checksum_offset[self.count] = offset
        return 0

    @cython.ccall
    def needs_segmentation(self, gso_type: cython.longlong, size: cython.longlong) -> cython.int:
        """The open frame is a super-segment: the link cuts its payload every `size` octets."""
        self.gso_type[self.count] = gso_type
        self.gso_size[self.count] = size
        return 0

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def commit(self, header_len: cython.Py_ssize_t) -> cython.int:
        """Close the frame whose header part has `header_len` octets."""
        i: cython.Py_ssize_t = self.count
        total: cython.Py_ssize_t = header_len
        k: cython.Py_ssize_t
        for k in range(self.first_slice[i], self.slices):
            total += self.slice_len[k]
        self.frame_header_len[i] = header_len
        self.frame_len[i] = total
        self.header_used = (self.header_used + header_len + 15) & ~15
        self.count = i + 1
        return 0

    @cython.ccall
    def append(self, data: bytes) -> cython.bint:
        """Copy a whole frame in, complete as it is; False when full. For ARP, ICMP and queues."""
        if self.count >= BATCH_FRAMES or self.header_used + len(data) > self.headers.size:
            return False
        at: cython.Py_ssize_t = self.begin()
        write(self.headers, at, data)
        self.commit(len(data))
        return True

    @cython.ccall
    def frame(self, i: cython.Py_ssize_t) -> bytes:
        """Frame i as one bytes object (a copy)."""
        if i < 0 or i >= self.count:
            raise IndexError(f"frame {i} of {self.count}")
        parts: list = [read(self.headers, self.frame_at[i], self.frame_header_len[i])]
        first: cython.Py_ssize_t = self.first_slice[i]
        k: cython.Py_ssize_t
        for k in range(first, first + self.slice_count[i]):
            memory: Memory = self.slice_memory[k]
            parts.append(read(memory, self.slice_at[k], self.slice_len[k]))
        return b"".join(parts)

    @cython.ccall
    def take_back(self) -> bytes:
        """Remove the last committed frame and return a copy of it: it must wait elsewhere."""
        data: bytes = self.frame(self.count - 1)
        self.count -= 1
        self.header_used = self.frame_at[self.count]
        self._release(self.first_slice[self.count])
        return data

    @cython.cfunc
    def _release(self, first: cython.Py_ssize_t) -> cython.void:
        k: cython.Py_ssize_t
        for k in range(first, self.slices):
            self.slice_memory[k] = None
        self.slices = first

    @cython.ccall
    def clear(self) -> cython.void:
        """The frames are gone: let go of the memories."""
        self._release(0)
        self.count = 0
        self.header_used = 0
