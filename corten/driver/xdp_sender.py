"""Frames to an AF_XDP socket: copied into chunks, described, sent with one system call a burst.

Strategy. Header and slices of a frame are gathered in one chunk, or in several of which each but
the last says that more follows. The completion ring brings chunks back, in any order; what is free
is a stack, so the chunk used next is the one used last, still in the cache. A frame may ask for its
transport checksum by the metadata that lies before its first octet.

Rules. Nothing is allocated per frame and nothing waits: what finds no chunk or no entry, even after
the kernel was called, is refused. An address that the kernel gives back is checked before it is a
chunk of ours again. Compiled only: this file follows pointers, each with its length check on the
line above.
"""

from __future__ import annotations

from array import array
from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Memory, out_of_range
from cython.cimports.corten.core.frame import TransmitBatch
from cython.cimports.corten.driver.xdp_ring import Ring

if cython.compiled:
    from cython.cimports.libc.errno import EAGAIN, EBUSY, EINTR, ENOBUFS, errno
    from cython.cimports.libc.string import memcpy, memset
    from cython.cimports.posix.unistd import write
else:
    raise ImportError("corten.driver.xdp_sender runs compiled only: build it with `./dev build`")

if not cython.compiled:
    CHUNK = 4096  # `corten.driver.xdp_socket.CHUNK_LEN`
    HEAD = 64  # octets of a chunk before its frame: room for metadata
    PIECE = 4032  # and what is left for the frame
    METADATA = 24  # `corten.driver.xdp_socket.METADATA_LEN`
    CONTINUED = 1  # of a descriptor's options: more of the frame follows (XDP_PKT_CONTD)
    HAS_METADATA = 2  # (XDP_TX_METADATA)
    REQUEST_CHECKSUM = 2  # of the metadata's flags (XDP_TXMD_FLAGS_CHECKSUM)
    KICKS_MAX = 128  # system calls for one burst


def _numbers(numbers: range) -> Any:
    return array("Q", numbers)


@cython.final
@cython.cclass
class Sender:
    """The sending half of a socket, over the chunks from `first` to `end` of `arena`."""

    _fd: cython.int
    _arena: Arena
    _outgoing: Ring
    _completion: Ring
    _pieces_max: cython.Py_ssize_t  # of a frame
    _asks_checksum: cython.bint
    _first: cython.Py_ssize_t
    _end: cython.Py_ssize_t
    _free: cython.ulonglong[::1]  # chunks that nothing is in
    _free_count: cython.Py_ssize_t
    _pending: cython.uint  # descriptors written and not yet the kernel's
    _calls: cython.int  # system calls for the burst of now
    _chunk_at: cython.Py_ssize_t  # of the frame being placed: its piece of now
    _piece_len: cython.Py_ssize_t
    _pieces: cython.Py_ssize_t

    def __init__(
        self,
        fd: int,
        arena: Arena,
        first: int,
        end: int,
        outgoing: Ring,
        completion: Ring,
        pieces_max: int,
        asks_checksum: bool,
    ) -> None:
        if first < 0 or end > arena.size or first % CHUNK or end % CHUNK:
            raise ValueError(f"no chunks from {first} to {end} in {arena.size} octets")
        self._fd = fd
        self._arena = arena
        self._outgoing = outgoing
        self._completion = completion
        self._pieces_max = pieces_max
        self._asks_checksum = asks_checksum
        self._first = first
        self._end = end
        self._free = _numbers(range(first, end, CHUNK))
        self._free_count = len(self._free)
        self._pending = 0
        self._calls = 0
        self._chunk_at = 0
        self._piece_len = 0
        self._pieces = 0

    @cython.ccall
    def send(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Send every frame of `batch`; how many were taken."""
        taken: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        self._calls = 0
        for i in range(batch.count):
            if self._place(batch, i):
                taken += 1
                continue
            self._kick()
            if self._place(batch, i):
                taken += 1
        self._kick()
        return taken

    @cython.cfunc
    def _place(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Copy frame i into chunks and describe them; False, and nothing has happened, where it
        has no room."""
        total: cython.Py_ssize_t = batch.frame_len[i]
        pieces: cython.Py_ssize_t = (total + PIECE - 1) // PIECE
        if total <= 0 or pieces > self._pieces_max:
            return False
        if pieces > self._free_count:
            self._reap()
        if pieces > self._free_count or self._pending + pieces > self._outgoing.room():
            return False
        first: cython.Py_ssize_t = batch.first_slice[i]
        header_at: cython.Py_ssize_t = batch.frame_at[i]
        header_len: cython.Py_ssize_t = batch.frame_header_len[i]
        memory: Memory
        at: cython.Py_ssize_t
        length: cython.Py_ssize_t
        k: cython.Py_ssize_t
        before: cython.uint = self._pending
        self._pieces = 0
        self._piece_len = PIECE
        if header_at < 0 or header_len < 0 or header_at > batch.headers.size - header_len:
            out_of_range(header_at, header_len, batch.headers.size)
        whole: cython.bint = self._copy(batch.headers._base + header_at, header_len, pieces)
        for k in range(first, first + batch.slice_count[i]):
            memory = batch.slice_memory[k]
            at = batch.slice_at[k]
            length = batch.slice_len[k]
            if at < 0 or length < 0 or at > memory.size - length:
                out_of_range(at, length, memory.size)
            whole = whole and self._copy(memory._base + at, length, pieces)
        if not whole or self._pieces != pieces:
            self._pending = before
            return False
        self._describe(0)
        self._pending += 1
        self._request(batch, i, before)
        self._free_count -= pieces
        return True

    @cython.cfunc
    def _copy(
        self, octets: cython.p_uchar, length: cython.Py_ssize_t, pieces: cython.Py_ssize_t
    ) -> cython.bint:
        """Append octets to the frame being placed; False when it would be longer than it said."""
        count: cython.Py_ssize_t
        while length > 0:
            if self._piece_len == PIECE and not self._begin_piece(pieces):
                return False
            count = min(length, PIECE - self._piece_len)
            # a free chunk is one of ours (`_reap`), and a piece is never longer than PIECE
            memcpy(self._arena._base + self._chunk_at + HEAD + self._piece_len, octets, count)
            self._piece_len += count
            octets += count
            length -= count
        return True

    @cython.cfunc
    def _begin_piece(self, pieces: cython.Py_ssize_t) -> cython.bint:
        """Take the next free chunk; the one before it is full and is continued."""
        if self._pieces == pieces:
            return False
        if self._pieces:
            self._describe(CONTINUED)
            self._pending += 1
        self._pieces += 1
        self._chunk_at = self._free[self._free_count - self._pieces]
        self._piece_len = 0
        return True

    @cython.cfunc
    def _describe(self, options: cython.uint) -> cython.int:
        """The descriptor of the piece of now."""
        self._outgoing.point(self._pending, self._chunk_at + HEAD)
        self._outgoing.describe(self._pending, cython.cast(cython.uint, self._piece_len), options)
        return 0

    @cython.cfunc
    def _request(
        self, batch: TransmitBatch, i: cython.Py_ssize_t, descriptor: cython.uint
    ) -> cython.int:
        """Ask for the frame's checksum, in the metadata before its first piece."""
        if batch.checksum_start[i] == 0 or not self._asks_checksum:
            return 0
        at: cython.Py_ssize_t = self._outgoing.address(descriptor)
        where = cython.declare(cython.ushort[2])
        flags: cython.ulonglong = REQUEST_CHECKSUM
        where[0] = cython.cast(cython.ushort, batch.checksum_start[i])
        where[1] = cython.cast(cython.ushort, batch.checksum_offset[i])
        if at < METADATA or at > self._arena.size:
            out_of_range(at - METADATA, METADATA, self._arena.size)
        metadata: cython.p_uchar = self._arena._base + at - METADATA
        memset(metadata, 0, METADATA)
        memcpy(metadata, cython.address(flags), 8)
        memcpy(metadata + 8, where, 4)
        self._outgoing.describe(
            descriptor,
            self._outgoing.length(descriptor),
            self._outgoing.options(descriptor) | HAS_METADATA,
        )
        return 0

    @cython.cfunc
    def _kick(self) -> cython.int:
        """Produce what was placed, and call the kernel until it has sent it all or will not.

        A write of nothing is the call: copying, it sends some frames and says EAGAIN while more
        wait (also where the device's own queue is full)."""
        if self._pending:
            self._outgoing.produced(self._pending)
            self._pending = 0
        while self._calls < KICKS_MAX and self._outgoing.room() < self._outgoing.size:
            if not self._outgoing.wants_wakeup():
                break
            self._calls += 1
            if write(self._fd, self._arena._base, 0) >= 0:
                break  # all is sent, or the device will see to it
            if errno not in (EAGAIN, EBUSY, EINTR, ENOBUFS):
                break
            self._reap()
        self._reap()
        return 0

    @cython.cfunc
    def _reap(self) -> cython.int:
        """Take sent chunks back."""
        count: cython.uint = self._completion.waiting()
        i: cython.uint
        at: cython.ulonglong
        first: cython.ulonglong = self._first
        end: cython.ulonglong = self._end
        for i in range(count):
            at = self._completion.address(i) & ~cython.cast(cython.ulonglong, CHUNK - 1)
            if first <= at < end and self._free_count < len(self._free):
                self._free[self._free_count] = at
                self._free_count += 1
        if count:
            self._completion.consumed(count)
        return 0
