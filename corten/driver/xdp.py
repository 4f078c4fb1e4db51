"""AF_XDP: a share of a device's queues, frames received where the kernel put them.

Strategy. One memory, the UMEM, is cut into chunks of 4 KiB. Each queue of ours has its share of
them: an empty chunk goes to the kernel by the fill ring and comes back by the receive ring with a
frame in it, which the stack reads where it lies (`make_batch`). The chunks of a burst are given
back at the next `receive`. A frame in several chunks, a jumbo or a super-frame of generic mode, is
put together in an area behind the UMEM, in the same memory.

    memory = | chunks of queue 0 | chunks of queue 1 | … | chunks to send | frames put together |

To send, header and slices are copied into a chunk (several, where the frame is long), and one
system call sends the burst; the completion ring brings the chunks back. All of it goes through the
first queue. Frames may ask for their transport checksum by the metadata before them (Linux 6.8):
copied, not by zero-copy, where only some devices can. Nothing cuts super-segments.

Rules. A ring's index is read once with acquire and written with release; what a descriptor says is
checked against the memory before it is used, although the kernel wrote it. Nothing is allocated
per frame and nothing raises on the fast path; a full ring drops and counts. Compiled only: this
file follows pointers, each with its length check on the line above, or an index that is masked.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from array import array
from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena, Memory
from cython.cimports.corten.core.frame import (
    BATCH_FRAMES,
    CHECKSUM_GOOD,
    FRAME_LEN_MAX,
    ReceiveBatch,
    TransmitBatch,
)
from cython.cimports.corten.driver.driver import Driver
from cython.cimports.corten.driver.undone import is_undone
from cython.cimports.corten.driver.xdp_ring import Ring
from cython.cimports.corten.driver.xdp_sender import CONTINUED, Sender

from corten.driver.device import Queue
from corten.driver.xdp_socket import CHUNK_LEN, COMPLETION_MIN, MTU_ONE_CHUNK, XdpSocket
from corten.endpoint.error import CortenError

if cython.compiled:
    from cython.cimports.libc.string import memcpy
else:
    raise ImportError("corten.driver.xdp runs compiled only: build it with `./dev build`")

if not cython.compiled:
    FRAME_LEN_MIN = 14  # of Ethernet
    PIECES_MAX = 17  # of a frame to send: what one packet of the kernel's holds
    ASSEMBLY_LEN = 1048576  # octets for frames put together
    IDLE_ROUNDS = 64  # waits without a frame before we ask whether the device is still there


def _numbers(count: int) -> Any:
    return array("Q", bytes(8 * count))


@cython.final
@cython.cclass
class Port:
    """One queue of ours: what it receives, and the chunks to give back."""

    fill: Ring
    incoming: Ring
    _held: cython.ulonglong[::1]  # chunks of the last burst: as many as there are at the most
    _held_count: cython.Py_ssize_t

    def __init__(self, fill: Ring, incoming: Ring) -> None:
        self.fill = fill
        self.incoming = incoming
        self._held = _numbers(fill.size)
        self._held_count = 0

    @cython.cfunc
    def hold(self, address: cython.ulonglong) -> cython.int:
        """The chunk is given back by the next `give_back`."""
        if self._held_count < len(self._held):
            self._held[self._held_count] = address
            self._held_count += 1
        return 0

    @cython.cfunc
    def give_back(self) -> cython.int:
        """Let the kernel have the chunks that are held. It may show a frame before it shows that
        its chunk has left the fill ring: then some wait for the next time."""
        i: cython.uint
        if self._held_count == 0:
            return 0
        count: cython.uint = min(cython.cast(cython.uint, self._held_count), self.fill.room())
        first: cython.Py_ssize_t = self._held_count - count
        for i in range(count):
            self.fill.point(i, self._held[first + i])
        self.fill.produced(count)
        self._held_count = first
        return 0


@cython.cclass
class Xdp(Driver):
    """A worker's share of a device's queues."""

    _name: str
    _sockets: list[XdpSocket]
    _ports: list
    _sender: Sender | None
    _memory: Any  # a mapping: whoever owns the octets of `_arena`
    _arena: Arena
    _chunks_len: cython.Py_ssize_t  # octets of all chunks: what the kernel may point into
    _assembled: cython.Py_ssize_t  # where the next frame is put together
    _next: cython.Py_ssize_t  # the port whose turn it is
    _idle: cython.int  # times asked before sleeping since a frame came
    _trusts: cython.bint  # no transport checksum is verified
    _sees_undone: cython.bint  # those that a kernel left undone are not

    def __init__(self, name: str, values: dict[str, Any], sockets: int) -> None:
        """Open a socket for each queue, and enter them into the map `sockets`."""
        Driver.__init__(self)
        self._name = name
        self._sockets = []
        self._ports = []
        self._sender = None
        self._chunks_len = values["ring"] * (len(values["queues"]) + 1) * CHUNK_LEN
        self._memory = mmap.mmap(
            -1, self._chunks_len + ASSEMBLY_LEN, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        self._arena = Arena(0, self._memory)
        self._assembled = self._chunks_len
        self._next = 0
        self._idle = 0
        self._trusts = values["checksum"] == "trust"
        self._sees_undone = values["checksum"] == "undone"
        try:
            self._open(values, sockets)
        except BaseException:
            self.close()
            raise

    def _open(self, values: dict[str, Any], sockets: int) -> None:
        """The first socket brings the memory and sends; the others share it."""
        ring, index, queues = values["ring"], values["index"], values["queues"]
        first = self._add_socket()
        metadata = first.register(self._memory, self._chunks_len, values["offload"])
        maps = self._add_port(first, ring, ring)
        fragments = first.bind(index, queues[0], values["copy"], values["fragments"])
        if values["mtu"] > MTU_ONE_CHUNK and not fragments:
            raise CortenError(
                f"xdp:{self._name}: an MTU of {values['mtu']} needs frames in several pieces "
                f"(Linux 6.6): set it to {MTU_ONE_CHUNK} or less"
            )
        first.send_many(ring)
        self.offload_checksum = metadata and not first.is_zero_copy()
        self._sender = Sender(
            first.socket.fileno(),
            self._arena,
            self._chunks_len - ring * CHUNK_LEN,
            self._chunks_len,
            Ring(maps["transmit"]),
            Ring(maps["completion"]),
            PIECES_MAX if fragments else 1,
            self.offload_checksum,
        )
        for queue in queues[1:]:
            other = self._add_socket()
            self._add_port(other, ring, 0)
            other.bind_sharing(index, queue, first)
        for each, queue in zip(self._sockets, queues, strict=True):
            each.enter(sockets, queue)

    def _add_socket(self) -> XdpSocket:
        made = XdpSocket(self._name)
        self._sockets.append(made)
        return made

    def _add_port(self, socket: XdpSocket, ring: int, transmit: int) -> dict[str, Any]:
        """A socket's rings, with chunks for the kernel to fill."""
        maps = socket.make_rings(ring, ring, transmit or COMPLETION_MIN, transmit)
        port: Port = Port(Ring(maps["fill"]), Ring(maps["receive"]))
        first = len(self._ports) * ring * CHUNK_LEN
        for at in range(first, first + ring * CHUNK_LEN, CHUNK_LEN):
            port.hold(at)
        port.give_back()
        self._ports.append(port)
        return maps

    # -- receiving --------------------------------------------------------------------------

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Frames of each queue in turn, until all are empty or the burst is complete."""
        port: Port
        count: cython.Py_ssize_t = len(self._ports)
        taken: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        for i in range(count):
            port = self._ports[i]
            port.give_back()
        self._assembled = self._chunks_len
        for i in range(count):
            port = self._ports[(self._next + i) % count]
            taken += self._take(port, batch, BATCH_FRAMES - taken)
        if taken:
            self._next += 1
            self._idle = 0
            self.received += taken
        return taken

    @cython.cfunc
    def _take(self, port: Port, batch: ReceiveBatch, most: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Frames of one queue. One that has arrived in part, or has no room now, stays there."""
        incoming: Ring = port.incoming
        waiting: cython.uint = incoming.waiting()
        used: cython.uint = 0
        count: cython.uint
        before: cython.Py_ssize_t = batch.count
        in_place: cython.bint = batch.arena._base == self._arena._base
        while used < waiting and batch.count - before < most and batch.count < BATCH_FRAMES:
            if in_place and incoming.options(used) & CONTINUED == 0:
                count = 1
                self._push(batch, incoming.address(used), incoming.length(used))
            else:
                count = self._assemble(batch, incoming, used, waiting)
            if count == 0:
                break
            while count > 0:
                port.hold(incoming.address(used))
                used += 1
                count -= 1
        if used:
            incoming.consumed(used)
        return batch.count - before

    @cython.cfunc
    def _push(
        self, batch: ReceiveBatch, address: cython.ulonglong, length: cython.uint
    ) -> cython.int:
        """A frame that lies in one chunk goes into the batch as it lies."""
        if not self._is_within(address, length) or length < FRAME_LEN_MIN:
            self.receive_dropped += 1
            return 0
        at: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, address)
        return batch.push(at, length, self._flags(batch.arena, at, length), 0)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _is_within(self, address: cython.ulonglong, length: cython.uint) -> cython.bint:
        """Whether a descriptor points into the chunks."""
        all_len: cython.ulonglong = self._chunks_len
        return length <= all_len and address <= all_len - length

    @cython.cfunc
    def _flags(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.longlong:
        """What is left to do about the frame's checksum."""
        if self._trusts or (self._sees_undone and is_undone(memory, at, length)):
            return CHECKSUM_GOOD
        return 0

    @cython.cfunc
    def _assemble(
        self, batch: ReceiveBatch, incoming: Ring, first: cython.uint, waiting: cython.uint
    ) -> cython.uint:
        """Copy the frame that begins with descriptor `first` together: behind the chunks, or into
        a batch of other memory. How many descriptors it has; 0: it is not all there yet, or there
        is no room for it before the next `receive`."""
        last: cython.uint = first
        length: cython.Py_ssize_t = incoming.length(first)
        while incoming.options(last) & CONTINUED:
            last += 1
            if last == waiting:
                return waiting - first if waiting - first == incoming.size else 0
            length += incoming.length(last)
        in_place: cython.bint = batch.arena._base == self._arena._base
        at: cython.Py_ssize_t = self._assembled if in_place else batch.used
        i: cython.uint
        if length > FRAME_LEN_MAX or length < FRAME_LEN_MIN:
            self.receive_dropped += 1
            return last + 1 - first
        if length > batch.arena.size - at:
            return 0
        whole_at: cython.Py_ssize_t = at
        for i in range(first, last + 1):
            address: cython.ulonglong = incoming.address(i)
            part_len: cython.uint = incoming.length(i)
            if not self._is_within(address, part_len) or part_len > batch.arena.size - at:
                self.receive_dropped += 1
                return last + 1 - first
            memcpy(batch.arena._base + at, self._arena._base + address, part_len)
            at += part_len
        batch.push(whole_at, at - whole_at, self._flags(batch.arena, whole_at, at - whole_at), 0)
        if in_place:
            self._assembled = (at + 63) & ~63
        return last + 1 - first

    @cython.ccall
    def is_ready(self) -> cython.bint:
        """Whether frames wait. A device that goes leaves its sockets readable for ever, with
        nothing to read: whoever waits in vain so often is told."""
        port: Port
        for each in self._ports:
            port = each
            if port.incoming.waiting():
                return True
        self._idle += 1
        if self._idle >= IDLE_ROUNDS:
            self._idle = 0
            for socket in self._sockets:
                if socket.failure():
                    raise CortenError(
                        f"link xdp:{self._name}: the device was removed while in use; start again"
                    )
        return False

    def make_batch(self) -> ReceiveBatch:
        """Over the packet memory: frames are read where the kernel put them."""
        return ReceiveBatch(0, self._memory)

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def transmit(self, batch: TransmitBatch) -> cython.Py_ssize_t:
        """Copy every frame into the packet memory and send them with one call; what finds no room
        is dropped and counted."""
        sender: Sender | None = self._sender
        taken: cython.Py_ssize_t = 0
        if sender is not None:
            taken = sender.send(batch)
        self.transmitted += taken
        self.transmit_dropped += batch.count - taken
        return taken

    # -- the queues -------------------------------------------------------------------------

    def fileno(self) -> int:
        fds = self.filenos()
        return fds[0] if fds else -1

    def filenos(self) -> list[int]:
        return [each.socket.fileno() for each in self._sockets]

    def close(self) -> None:
        """Nothing is left of the sockets: the kernel frees a queue with its last mapping."""
        for each in self._sockets:
            each.socket.close()
        self._sockets = []
        self._ports = []
        self._sender = None


def open_queue(queue: Queue) -> Xdp:
    """The driver of a worker's queues."""
    with contextlib.ExitStack() as stack:
        for fd in queue.fds:
            stack.callback(os.close, fd)
        return Xdp(queue.name, queue.values, queue.fds[0])
