"""TAP and TUN: a virtual wire to this machine, one queue of it, a virtio header on every frame.

Strategy. One read() a frame straight into the batch's arena, one writev() a frame straight from the
header arena and the application's own buffers: the device offers no batching of calls, so the lever
is the size of a frame. With offloads both directions carry super-segments of up to 64 KiB and no
checksum is computed by anybody for traffic that stays on this machine.

Rules. The queue's descriptor is opened by `corten.driver.tap_device` and outlives this object only
if the supervisor keeps it. Nothing is allocated per frame and nothing raises on the fast path; a
frame that the kernel refuses is counted, as a NIC's full ring would count it. Compiled only: this
file follows pointers, each with its length check on the line above.
"""

from __future__ import annotations

import os

import cython
from cython.cimports.corten.core.arena import Memory, out_of_range
from cython.cimports.corten.core.frame import (
    CHECKSUM_GOOD,
    FRAME_SLICES,
    GSO_NONE,
    ReceiveBatch,
    TransmitBatch,
)
from cython.cimports.corten.driver.driver import Driver

from corten.driver.device import Queue
from corten.driver.segment import cut
from corten.endpoint.error import CortenError

if cython.compiled:
    from cython.cimports.libc.errno import EAGAIN, EBADFD, EINTR, EINVAL, errno
    from cython.cimports.libc.string import memcpy
    from cython.cimports.posix.uio import iovec, writev
    from cython.cimports.posix.unistd import read, write
else:
    raise ImportError("corten.driver.tap runs compiled only: build it with `./dev build`")

if not cython.compiled:
    VNET_LEN = 10  # struct virtio_net_hdr, the size `corten.driver.tap_device` sets
    NEEDS_CSUM = 1  # virtio_net_hdr.flags: the transport checksum is left to whoever needs it
    DATA_VALID = 2  # the transport checksum was verified by the kernel
    GSO_TYPE_MASK = 0x7F  # without the ECN bit
    FRAME_LEN_MIN = 14  # of Ethernet
    PACKET_LEN_MIN = 20  # of IP
    READ_LEN = 69632  # 68 KiB: the largest super-segment with its headers


@cython.cclass
class Tap(Driver):
    """One queue of a TAP device; of a TUN when it is not `ethernet`."""

    _fd: cython.int
    _shortest: cython.Py_ssize_t  # what a frame has at the least, virtio header included
    _name: str
    segmented: cython.ulonglong  # super-segments that had to be cut here

    def __init__(
        self, fd: int, name: str = "tap", offload: bool = True, ethernet: bool = True
    ) -> None:
        Driver.__init__(self)
        self._shortest = VNET_LEN + (FRAME_LEN_MIN if ethernet else PACKET_LEN_MIN)
        self._fd = fd
        self._name = name
        self.offload_checksum = offload
        self.offload_segmentation = offload
        self.segmented = 0

    # -- receiving --------------------------------------------------------------------------

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Read frames until the queue is empty, the burst is complete or the arena is full."""
        taken: cython.Py_ssize_t = 0
        length: cython.Py_ssize_t
        gso_size: cython.ushort = 0
        header: cython.p_uchar
        while batch.has_room(READ_LEN):
            header = batch.arena._base + batch.used
            length = read(self._fd, header, READ_LEN)
            if length < 0:
                if errno not in (EAGAIN, EINTR):
                    self._read_failed(errno)
                break
            if length < self._shortest:
                self.receive_dropped += 1
                if length == 0:
                    break
                continue
            gso_size = 0
            if header[1] & GSO_TYPE_MASK != GSO_NONE:
                memcpy(cython.address(gso_size), header + 4, 2)
            batch.push(
                batch.used + VNET_LEN,
                length - VNET_LEN,
                CHECKSUM_GOOD if header[0] & (NEEDS_CSUM | DATA_VALID) else 0,
                gso_size,
            )
            taken += 1
        self.received += taken
        return taken

    @cython.cfunc
    def _read_failed(self, code: cython.int) -> cython.void:
        """EIO while the device is down is silence; a removed device ends the link."""
        if code == EBADFD:
            raise CortenError(
                f"link tap:{self._name}: the device was removed while in use; start again"
            )
        self.receive_dropped += 1

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """One writev a frame; a frame that the kernel refuses is dropped and counted."""
        taken: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        for i in range(batch.count):
            if self._write(batch, i) or self._refused(batch, i, errno):
                taken += 1
            else:
                self.transmit_dropped += 1
        self.transmitted += taken
        return taken

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _write(self, batch: TransmitBatch, i: cython.Py_ssize_t) -> cython.bint:
        """Frame i in one call: virtio header, header slice, the application's slices.

        The only place where slices become pointers.
        """
        vectors = cython.declare(iovec[18])  # two, and FRAME_SLICES
        vnet = cython.declare(cython.ushort[5])  # struct virtio_net_hdr, VNET_LEN octets
        octets: cython.p_uchar = cython.cast(cython.p_uchar, vnet)
        header_at: cython.Py_ssize_t = batch.frame_at[i]
        header_len: cython.Py_ssize_t = batch.frame_header_len[i]
        first: cython.Py_ssize_t = batch.first_slice[i]
        count: cython.Py_ssize_t = batch.slice_count[i]
        memory: Memory
        at: cython.Py_ssize_t
        length: cython.Py_ssize_t
        k: cython.Py_ssize_t
        if count > FRAME_SLICES:
            raise IndexError(f"a frame of {count} slices; the bound is {FRAME_SLICES}")
        if header_at < 0 or header_len < 0 or header_at > batch.headers.size - header_len:
            out_of_range(header_at, header_len, batch.headers.size)
        octets[0] = NEEDS_CSUM if batch.checksum_start[i] else 0
        octets[1] = cython.cast(cython.uchar, batch.gso_type[i])
        # how much the kernel keeps in one piece: with 0 it would want all 64 KiB contiguous
        vnet[1] = cython.cast(cython.ushort, header_len)
        vnet[2] = cython.cast(cython.ushort, batch.gso_size[i])
        vnet[3] = cython.cast(cython.ushort, batch.checksum_start[i])
        vnet[4] = cython.cast(cython.ushort, batch.checksum_offset[i])
        vectors[0].iov_base = cython.cast(cython.p_void, vnet)
        vectors[0].iov_len = VNET_LEN
        vectors[1].iov_base = batch.headers._base + header_at
        vectors[1].iov_len = header_len
        for k in range(count):
            memory = batch.slice_memory[first + k]
            at = batch.slice_at[first + k]
            length = batch.slice_len[first + k]
            if at < 0 or length < 0 or at > memory.size - length:
                out_of_range(at, length, memory.size)
            vectors[2 + k].iov_base = memory._base + at
            vectors[2 + k].iov_len = length
        return writev(self._fd, vectors, cython.cast(cython.int, 2 + count)) >= 0

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _refused(self, batch: TransmitBatch, i: cython.Py_ssize_t, code: cython.int) -> cython.bint:
        """The kernel did not take frame i. EINVAL for a super-segment: some kernels reject more of
        them than others, so cut it here and promise no segmentation from now on."""
        if code != EINVAL or batch.gso_type[i] == GSO_NONE:
            return False
        self.offload_segmentation = False
        self.segmented += 1
        whole: cython.bint = True
        for segment in cut(batch.frame(i), batch.checksum_start[i], batch.gso_size[i]):
            whole = self._write_complete(bytes(VNET_LEN) + segment) and whole
        return whole

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _write_complete(self, data: bytes) -> cython.bint:
        """A frame that needs nothing more done, its empty virtio header in front."""
        length: cython.Py_ssize_t = len(data)
        return write(self._fd, cython.cast(cython.p_uchar, data), length) == length

    # -- the queue --------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_queue(queue: Queue) -> Tap:
    """The driver of a worker's queue."""
    return Tap(queue.fds[0], queue.name, queue.values["offload"], queue.driver == "tap")
