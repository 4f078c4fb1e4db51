"""The receiving half of a packet socket: frames out of its ring, or whole out of its queue.

Strategy. A frame lies in a slot of the ring, which is the batch's own memory: nothing is copied and
no call is made while frames come. Slots are as long as the device's own frames. A super-segment,
which a sender on this machine or the device's GRO makes, does not fit: the kernel marks its slot
and keeps all of it in the socket's queue, from where it is read into an area before the rings.

Rules. Slots of a burst are given back at the next one. What the kernel has taken out of a frame, a
VLAN's tag, is put back; datagrams that it has put together are cut again. Whatever cannot be is
dropped and counted. A device that goes down says so once, and nothing more when it is removed then:
while it is down, a timer lets us look. Compiled only: this file follows pointers, each with its
length check on the line above.
"""

from __future__ import annotations

import os

import cython
from cython.cimports.corten.core.arena import Arena, out_of_range
from cython.cimports.corten.core.atomic import load_acquire
from cython.cimports.corten.core.frame import (
    BATCH_FRAMES,
    CHECKSUM_GOOD,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    ReceiveBatch,
)
from cython.cimports.corten.driver.packet_ring import (
    CHECKSUM_NOT_READY,
    CHECKSUM_VALID,
    COPY,
    LOSING,
    USER,
    VLAN_TPID_VALID,
    VLAN_VALID,
    PacketRing,
)

from corten.driver.segment import cut_datagrams
from corten.endpoint.error import CortenError

if cython.compiled:
    from cython.cimports.corten.driver import packet_linux as linux
    from cython.cimports.libc.errno import EAGAIN, EINTR, errno
    from cython.cimports.libc.string import memcpy, memmove, memset
    from cython.cimports.posix.unistd import read
else:
    raise ImportError("corten.driver.packet runs compiled only: build it with `./dev build`")

if not cython.compiled:
    AREA_LEN = 1 << 20  # before the rings: for the super-segments of one burst
    WHOLE_LEN = 69632  # 68 KiB: the largest of them with its headers
    VNET_LEN = 10  # struct virtio_net_hdr
    TAG_LEN = 4  # IEEE 802.1Q
    TAG_TYPE = 0x8100
    FRAME_LEN_MIN = 14  # of Ethernet
    # struct tpacket2_hdr, and the struct sockaddr_ll behind it
    SLOT_KEPT_AT = 8  # tp_snaplen
    SLOT_MAC_AT = 12
    SLOT_TAG_AT = 24  # tp_vlan_tci, tp_vlan_tpid
    SLOT_TYPE_AT = 42  # sll_pkttype
    SLOT_HEADER_LEN = 52
    AUXILIARY_TAG_AT = 16  # tp_vlan_tci of struct tpacket_auxdata
    AUXILIARY_LEN = 20
    OUTGOING = 4  # sll_pkttype of what this machine sends
    GSO_TYPE_MASK = 0x7F  # without the ECN bit
    GSO_UDP_L4 = 5
    SOL_PACKET = 263
    PACKET_STATISTICS = 6
    PACKET_AUXDATA = 8
    DOWN_LOOK_NS = 100_000_000  # how often a device that is down is looked at
    LOOK_EVERY = 64  # empty bursts in a row after which the socket is asked what is wrong


@cython.final
@cython.cclass
class PacketReceiver:
    """One socket's receive ring, and what does not fit into it."""

    _fd: cython.int
    _name: str
    _state: Arena
    _arena: Arena
    _ring: PacketRing
    _at: cython.Py_ssize_t  # the next slot
    _held: cython.Py_ssize_t  # slots of the last burst, not yet given back
    _area_used: cython.Py_ssize_t
    _empty: cython.uint  # bursts in a row that found nothing
    _is_down: cython.bint
    timer: cython.int  # readable now and then while the device is down
    dropped: cython.ulonglong

    def __init__(self, fd: int, name: str, state: Arena, ring: PacketRing) -> None:
        self._fd = fd
        self._name = name
        self._state = state
        self._arena = ring.arena
        self._ring = ring
        self._at = ring.resume_receive(state)
        self._held = 0
        self._area_used = 0
        self._empty = 0
        self._is_down = False
        self.dropped = 0
        self._refuse_removed()
        flags: cython.int = linux.TFD_CLOEXEC | linux.TFD_NONBLOCK
        self.timer = linux.timerfd_create(linux.CLOCK_MONOTONIC, flags)
        if self.timer < 0:
            raise CortenError(f"link packet:{name}: no timer: {os.strerror(errno)}")

    def close(self) -> None:
        """Let go of the timer; the socket is the driver's."""
        if self.timer >= 0:
            os.close(self.timer)
            self.timer = -1

    @cython.ccall
    def receive(self, batch: ReceiveBatch) -> cython.Py_ssize_t:
        """Take frames until the ring is empty, the burst is complete or there is no room."""
        taken: cython.Py_ssize_t = batch.count
        seen: cython.Py_ssize_t = 0
        losing: cython.bint = False
        status: cython.uint
        ring: PacketRing = self._ring
        own: cython.bint = batch.arena._base == self._arena._base
        if self._held:
            ring.give_back(self._state, self._at, self._held)
            self._held = 0
        self._area_used = 0
        while seen < BATCH_FRAMES and batch.count < BATCH_FRAMES:
            status = cython.cast(cython.uint, ring.word(self._at))
            if status & USER == 0 or not (own or batch.has_room(WHOLE_LEN)):
                break
            if status & COPY:
                if self._area_used > AREA_LEN - WHOLE_LEN:
                    break
                self._take_whole(batch)
            else:
                self._take_slot(batch, status)
            losing = losing or status & LOSING != 0
            self._at = ring.after(self._at, 1)
            seen += 1
        self._held = seen
        if seen == 0:
            self._look(batch)
        elif self._is_down:
            self._set_down(False)
        self._empty = 0 if seen else self._empty + 1
        if losing:
            self._count_lost()
        return batch.count - taken

    @cython.cfunc
    def _take_slot(self, batch: ReceiveBatch, status: cython.uint) -> cython.void:
        """The frame that lies in the slot at hand."""
        at: cython.Py_ssize_t = self._ring.place(self._at)
        word: cython.ulonglong = load_acquire(self._arena, at)
        slot_len: cython.Py_ssize_t = self._ring.slot_len
        kept: cython.uint = 0
        mac: cython.ushort = 0
        tags = cython.declare(cython.ushort[2])
        if slot_len < SLOT_HEADER_LEN or at > self._arena.size - slot_len:
            out_of_range(at, slot_len, self._arena.size)
        slot: cython.p_uchar = self._arena._base + at
        memcpy(cython.address(kept), slot + SLOT_KEPT_AT, 4)
        memcpy(cython.address(mac), slot + SLOT_MAC_AT, 2)
        memcpy(tags, slot + SLOT_TAG_AT, 4)
        if slot[SLOT_TYPE_AT] == OUTGOING:
            return  # an older kernel shows us our own
        if (
            kept != word >> 32
            or mac < SLOT_HEADER_LEN + VNET_LEN
            or cython.cast(cython.Py_ssize_t, kept) > slot_len - mac
        ):
            self.dropped += 1
            return
        if status & VLAN_VALID == 0:
            tags[0] = tags[1] = 0
        elif status & VLAN_TPID_VALID == 0:
            tags[1] = TAG_TYPE
        self._push(batch, at + mac, kept, status, tags[0], tags[1])

    @cython.cfunc
    def _take_whole(self, batch: ReceiveBatch) -> cython.void:
        """A frame that waits whole in the socket's queue, if there is one; or what is wrong."""
        vector = cython.declare(linux.iovec)
        message = cython.declare(linux.msghdr)
        control = cython.declare(cython.ulonglong[8])
        status: cython.uint = 0
        tags = cython.declare(cython.ushort[2])
        if self._area_used < 0 or self._area_used > self._arena.size - WHOLE_LEN:
            out_of_range(self._area_used, WHOLE_LEN, self._arena.size)
        vector.iov_base = self._arena._base + self._area_used
        vector.iov_len = WHOLE_LEN
        memset(cython.address(message), 0, cython.sizeof(message))
        message.msg_iov = cython.address(vector)
        message.msg_iovlen = 1
        message.msg_control = control
        message.msg_controllen = cython.sizeof(control)
        length: cython.Py_ssize_t = linux.recvmsg(
            self._fd, cython.address(message), linux.MSG_DONTWAIT
        )
        if length < 0:
            if errno not in (EAGAIN, EINTR):
                self._refuse_removed()
                self._set_down(True)
            return
        tags[0] = tags[1] = 0
        head = linux.CMSG_FIRSTHDR(cython.address(message))
        if (
            head != cython.NULL
            and head.cmsg_level == SOL_PACKET
            and head.cmsg_type == PACKET_AUXDATA
            and head.cmsg_len >= linux.CMSG_LEN(AUXILIARY_LEN)
        ):
            memcpy(cython.address(status), linux.CMSG_DATA(head), 4)
            if status & VLAN_VALID:
                memcpy(tags, linux.CMSG_DATA(head) + AUXILIARY_TAG_AT, 4)
        if status == 0 or length < VNET_LEN or length >= WHOLE_LEN:
            self.dropped += 1
            return
        at: cython.Py_ssize_t = self._area_used + VNET_LEN
        self._area_used = (at + length + 63) & ~63
        self._push(batch, at, length - VNET_LEN, status, tags[0], tags[1])

    @cython.cfunc
    def _push(
        self,
        batch: ReceiveBatch,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        status: cython.uint,
        tci: cython.uint,
        tpid: cython.uint,
    ) -> cython.void:
        """Record the frame at `at`, its virtio header before it; its tag is put back into it."""
        gso_size: cython.ushort = 0
        if length < FRAME_LEN_MIN:
            self.dropped += 1
            return
        if at < VNET_LEN or at > self._arena.size - length:
            out_of_range(at - VNET_LEN, length + VNET_LEN, self._arena.size)
        header: cython.p_uchar = self._arena._base + at - VNET_LEN
        gso_type: cython.uint = header[1] & GSO_TYPE_MASK
        if gso_type != GSO_NONE:
            memcpy(cython.address(gso_size), header + 4, 2)
        if tpid:  # the virtio header has been read: there is room before the frame
            memmove(header + VNET_LEN - TAG_LEN, header + VNET_LEN, 12)
            header[VNET_LEN + 8] = cython.cast(cython.uchar, tpid >> 8)
            header[VNET_LEN + 9] = cython.cast(cython.uchar, tpid & 0xFF)
            header[VNET_LEN + 10] = cython.cast(cython.uchar, tci >> 8)
            header[VNET_LEN + 11] = cython.cast(cython.uchar, tci & 0xFF)
            at -= TAG_LEN
            length += TAG_LEN
        if gso_type not in (GSO_NONE, GSO_TCPV4, GSO_TCPV6):
            self._push_pieces(batch, at, length, gso_type, gso_size)
            return
        self._record(
            batch,
            at,
            length,
            CHECKSUM_GOOD if status & (CHECKSUM_NOT_READY | CHECKSUM_VALID) else 0,
            gso_size,
        )

    @cython.cfunc
    def _record(
        self,
        batch: ReceiveBatch,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        flags: cython.longlong,
        gso_size: cython.longlong,
    ) -> cython.void:
        """Into a batch over our memory as it lies, into any other by a copy."""
        if batch.arena._base == self._arena._base:
            batch.push(at, length, flags, gso_size)
            return
        if not batch.has_room(length):
            self.dropped += 1
            return
        if at < 0 or at > self._arena.size - length:
            out_of_range(at, length, self._arena.size)
        memcpy(batch.arena._base + batch.used, self._arena._base + at, length)
        batch.push(batch.used, length, flags, gso_size)

    @cython.cfunc
    def _push_pieces(
        self,
        batch: ReceiveBatch,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        gso_type: cython.uint,
        gso_size: cython.Py_ssize_t,
    ) -> cython.void:
        """Datagrams in one frame (UDP_SEGMENT) are many to the stack. The slow path."""
        pieces: list = []
        if gso_type == GSO_UDP_L4:
            pieces = cut_datagrams(self._arena.octets(at, length), gso_size)
        if not pieces:
            self.dropped += 1
        for piece in pieces:
            if batch.count >= BATCH_FRAMES or self._area_used > AREA_LEN - len(piece):
                self.dropped += 1
                continue
            self._arena.store(self._area_used, piece)
            self._record(batch, self._area_used, len(piece), CHECKSUM_GOOD, 0)
            self._area_used = (self._area_used + len(piece) + 63) & ~63

    @cython.cfunc
    def _count_lost(self) -> cython.void:
        """Frames for which there was no slot: the kernel counts them, and forgets when asked."""
        counts = cython.declare(cython.uint[2])
        counts_len: linux.socklen_t = cython.sizeof(counts)
        counts[1] = 0
        linux.getsockopt(
            self._fd, SOL_PACKET, PACKET_STATISTICS, counts, cython.address(counts_len)
        )
        self.dropped += counts[1]

    @cython.cfunc
    def _look(self, batch: ReceiveBatch) -> cython.void:
        """Nothing came: now and then, see whether something is wrong."""
        count: cython.ulonglong = 0
        if self._is_down:
            read(self.timer, cython.address(count), 8)
            self._refuse_removed()
        if self._is_down or self._empty % LOOK_EVERY == LOOK_EVERY - 1:
            self._take_whole(batch)

    @cython.cfunc
    def _set_down(self, down: cython.bint) -> cython.void:
        """The device is down, or up again: the timer runs, or does not."""
        value = cython.declare(linux.itimerspec)
        memset(cython.address(value), 0, cython.sizeof(value))
        if down:
            value.it_value.tv_nsec = value.it_interval.tv_nsec = DOWN_LOOK_NS
        linux.timerfd_settime(self.timer, 0, cython.address(value), cython.NULL)
        self._is_down = down

    @cython.cfunc
    def _refuse_removed(self) -> cython.void:
        """A device that is down may come up again; one that is gone does not."""
        address = cython.declare(cython.uint[8])  # struct sockaddr_ll: its second word is ifindex
        address_len: linux.socklen_t = cython.sizeof(address)
        target = cython.cast(cython.pointer(linux.sockaddr), address)
        if linux.getsockname(self._fd, target, cython.address(address_len)) != 0:
            return
        index: cython.int = cython.cast(cython.int, address[1])
        if address_len >= 8 and index <= 0:
            raise CortenError(
                f"link packet:{self._name}: the device was removed while in use; start again"
            )

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def is_ready(self) -> cython.bint:
        """Whether a frame waits."""
        return self._ring.word(self._at) & USER != 0
