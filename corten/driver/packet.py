"""AF_PACKET: a share of any network device, through two rings that the kernel and we both see.

Strategy. One socket a worker, opened by `corten.driver.packet_device`. Its rings are mapped here,
behind an area for what does not fit into the receive ring, as one memory: the batch's own. The two
directions are `packet_receive` and `packet_transmit`; how a ring is laid out, and where the
successor of a dead worker goes on, is `packet_ring`. Every frame has a virtio header, which says
what is left to do about its checksum and segmentation; that is in force whether we offload or not,
since what other programs of this machine send comes undone to us either way.

Rules. Nothing is allocated per frame and no frame raises; only a device that is gone does.
"""

from __future__ import annotations

import mmap as mappings
import os

import cython
from cython.cimports.corten.core.arena import Arena, out_of_range
from cython.cimports.corten.core.frame import ReceiveBatch, TransmitBatch
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.driver.packet_receive import AREA_LEN, PacketReceiver
from cython.cimports.corten.driver.packet_ring import STATE_LEN, PacketRing
from cython.cimports.corten.driver.packet_transmit import PacketSender

from corten.driver.device import Queue
from corten.endpoint.error import CortenError

if cython.compiled:
    from cython.cimports.libc.errno import errno
    from cython.cimports.posix.mman import (
        MAP_FAILED,
        MAP_FIXED,
        MAP_SHARED,
        PROT_READ,
        PROT_WRITE,
        mmap,
    )
else:
    raise ImportError("corten.driver.packet runs compiled only: build it with `./dev build`")


@cython.cclass
class Packet(Driver):
    """One worker's socket."""

    _fd: cython.int
    _name: str
    _memory: object  # the mapping: the area, the receive ring, the transmit ring
    _receiver: PacketReceiver
    _sender: PacketSender

    def __init__(
        self,
        fds: list[int],
        name: str,
        receive: list[int],
        transmit: list[int],
        offload: bool = True,
    ) -> None:
        """`fds`: the socket, the memory of positions. A ring: block length, blocks, slot length."""
        Driver.__init__(self)
        self.offload_checksum = offload
        self.offload_segmentation = offload
        self._fd = fds[0]
        self._name = name
        state: Arena = Arena(0, mappings.mmap(fds[1], STATE_LEN))
        os.close(fds[1])
        receive_len: cython.Py_ssize_t = receive[0] * receive[1]
        transmit_len: cython.Py_ssize_t = transmit[0] * transmit[1]
        length: cython.Py_ssize_t = receive_len + transmit_len
        flags = mappings.MAP_PRIVATE | mappings.MAP_ANONYMOUS
        self._memory = mappings.mmap(-1, AREA_LEN + length, flags)
        arena: Arena = Arena(0, self._memory)
        self._map(arena, length)
        ring: PacketRing = PacketRing(arena, AREA_LEN, *receive)
        self._receiver = PacketReceiver(self._fd, name, state, ring)
        ring = PacketRing(arena, AREA_LEN + receive_len, *transmit)
        self._sender = PacketSender(self._fd, state, ring)

    @cython.cfunc
    def _map(self, arena: Arena, length: cython.Py_ssize_t) -> cython.void:
        """Lay the socket's rings over our memory, behind the area; they go when the memory goes."""
        if length < 0 or length > arena.size - AREA_LEN:
            out_of_range(AREA_LEN, length, arena.size)
        place: cython.p_void = arena._base + AREA_LEN
        access: cython.int = PROT_READ | PROT_WRITE
        if mmap(place, length, access, MAP_SHARED | MAP_FIXED, self._fd, 0) == MAP_FAILED:
            raise CortenError(
                f"link packet:{self._name}: its rings cannot be mapped: {os.strerror(errno)}"
            )

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """A burst; what the kernel did not take before is offered to it again first."""
        if self._fd < 0:
            return 0
        if self._sender.waits:
            self._kick()
        taken: cython.Py_ssize_t = self._receiver.receive(batch)
        self.received += taken
        self.receive_dropped = self._receiver.dropped
        return taken

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Frames into the ring, and one call for all of them."""
        if self._fd < 0:
            self.transmit_dropped += batch.count
            return 0
        taken: cython.Py_ssize_t = self._sender.transmit(batch)
        self._count()
        return taken

    @cython.cfunc
    def _kick(self) -> cython.void:
        self._sender.kick()
        self._count()

    @cython.cfunc
    def _count(self) -> cython.void:
        self.transmitted = self._sender.transmitted
        self.transmit_dropped = self._sender.dropped
        if self._sender.refuses:
            self.offload_segmentation = False

    @cython.ccall
    def is_ready(self) -> cython.bint:
        """Whether a frame waits, or has to be offered again."""
        return self._fd >= 0 and (self._sender.waits or self._receiver.is_ready())

    def segmented(self) -> int:
        """Super-segments that had to be cut here."""
        return self._sender.segmented

    def make_batch(self) -> ReceiveBatch:
        """Over the socket's rings."""
        return ReceiveBatch(0, self._memory)

    def fileno(self) -> int:
        return self._fd

    def filenos(self) -> list[int]:
        return [self._fd, self._receiver.timer] if self._fd >= 0 else []

    def close(self) -> None:
        """The memory goes with the last batch over it."""
        if self._fd >= 0:
            self._receiver.close()
            os.close(self._fd)
            self._fd = -1


def open_queue(queue: Queue) -> Packet:
    """The driver of a worker's queue."""
    values = queue.values
    sizes = (values["receive"], values["transmit"])
    try:
        return Packet(queue.fds, queue.name, *sizes, values["offload"])
    except CortenError:
        os.close(queue.fds[0])
        raise
