"""A ring of an AF_PACKET socket: where its slots lie, whose each is, and where a successor goes on.

Layout (linux/if_packet.h, TPACKET_V2). Blocks of equal size, in each as many slots as fit whole. A
slot begins with its status and the length of its frame, 32 bits each, which are read and written
here as one word. Of the receive ring a slot is ours while USER is set; of the transmit ring it is
the kernel's while it is to be sent, is being sent, or could not be.

Strategy. Both ends go round in order, so a position is one number. The reader's and the writer's
stand in a small memory beside the rings, which outlives a worker:

* Received slots are given back in order. Before the first is, the position after the last is
  written down, and how many they are; after the last, that none are left. A successor begins at
  the first of those that are still ours without a gap: it may see frames again, and misses none.
* Frames to send are marked in order, then the position is written down, and only then is the kernel
  told. A successor goes on behind whatever is marked from the position that it finds; one slot
  stays free always, so that this has an end.

Rules. A position out of shared memory is taken modulo the ring. Only for machines whose numbers
begin with their low octet; `corten.driver.packet_device` refuses others.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, out_of_range
from cython.cimports.corten.core.atomic import load_acquire, store_release

if not cython.compiled:
    # a slot's status, of the receive ring
    USER = 1  # there is a frame
    COPY = 2  # it did not fit: all of it waits in the socket's queue
    LOSING = 4  # frames were lost since the statistics were last asked for
    CHECKSUM_NOT_READY = 8
    VLAN_VALID = 0x10
    VLAN_TPID_VALID = 0x40
    CHECKSUM_VALID = 0x80
    # of the transmit ring
    SEND_REQUEST = 1
    SENDING = 2
    WRONG_FORMAT = 4
    TAKEN = 7  # any of them: not ours
    UNSENT = 5  # SEND_REQUEST or WRONG_FORMAT: the kernel has not got past it
    # the memory of positions
    RECEIVE_STATE_AT = 0
    TRANSMIT_STATE_AT = 64
    STATE_LEN = 128


@cython.final
@cython.cclass
class PacketRing:
    """Slots in an arena, from `at` on. IndexError when they are not all inside."""

    arena: Arena
    slots: cython.Py_ssize_t
    slot_len: cython.Py_ssize_t
    _at: cython.Py_ssize_t
    _block_len: cython.Py_ssize_t
    _per_block: cython.Py_ssize_t

    def __init__(
        self,
        arena: Arena,
        at: cython.Py_ssize_t,
        block_len: cython.Py_ssize_t,
        blocks: cython.Py_ssize_t,
        slot_len: cython.Py_ssize_t,
    ) -> None:
        if not 64 <= slot_len <= block_len or blocks <= 0 or (slot_len | block_len | at) & 7:
            raise ValueError(f"no ring: {blocks} blocks of {block_len}, slots of {slot_len}")
        if at < 0 or at > arena.size - block_len * blocks:
            out_of_range(at, block_len * blocks, arena.size)
        self.arena = arena
        self.slot_len = slot_len
        self._at = at
        self._block_len = block_len
        self._per_block = block_len // slot_len
        self.slots = self._per_block * blocks

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def place(self, index: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Where slot `index` begins in the arena."""
        if index < 0 or index >= self.slots:
            out_of_range(index, 1, self.slots)
        block: cython.uint = cython.cast(cython.uint, index)
        per_block: cython.uint = cython.cast(cython.uint, self._per_block)
        return (
            self._at + (block // per_block) * self._block_len + (block % per_block) * self.slot_len
        )

    @cython.ccall
    def word(self, index: cython.Py_ssize_t) -> cython.ulonglong:
        """A slot's status in the low 32 bits, its frame's length in the high ones."""
        return load_acquire(self.arena, self.place(index))

    @cython.ccall
    def mark(
        self, index: cython.Py_ssize_t, status: cython.ulonglong, length: cython.ulonglong = 0
    ) -> cython.int:
        """Hand a slot over; what was written into it before is there for the other side."""
        return store_release(self.arena, self.place(index), length << 32 | status)

    @cython.ccall
    @cython.exceptval(check=False)
    def after(self, index: cython.Py_ssize_t, count: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The position `count` slots on (back, when negative); a round at the most."""
        index += count
        if index >= self.slots:
            return index - self.slots
        return index + self.slots if index < 0 else index

    # -- receiving --------------------------------------------------------------------------

    @cython.ccall
    def give_back(
        self, state: Arena, index: cython.Py_ssize_t, count: cython.Py_ssize_t
    ) -> cython.int:
        """The `count` slots before position `index` are the kernel's again."""
        k: cython.Py_ssize_t
        position: cython.ulonglong = cython.cast(cython.ulonglong, index) << 8
        store_release(state, RECEIVE_STATE_AT, position | cython.cast(cython.ulonglong, count))
        for k in range(count, 0, -1):
            self.mark(self.after(index, -k), 0)
        store_release(state, RECEIVE_STATE_AT, position)
        return 0

    @cython.ccall
    def resume_receive(self, state: Arena) -> cython.Py_ssize_t:
        """Where a reader begins that finds `state`, which it mends."""
        saved: cython.ulonglong = load_acquire(state, RECEIVE_STATE_AT)
        slots: cython.ulonglong = self.slots
        index: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, (saved >> 8) % slots)
        count: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, (saved & 0xFF) % slots)
        while count > 0 and self.word(self.after(index, -1)) & USER:
            index = self.after(index, -1)
            count -= 1
        store_release(state, RECEIVE_STATE_AT, cython.cast(cython.ulonglong, index) << 8)
        return index

    # -- sending ----------------------------------------------------------------------------

    @cython.ccall
    def save_transmit(self, state: Arena, index: cython.Py_ssize_t) -> cython.int:
        """Write down where the next frame to send goes."""
        return store_release(state, TRANSMIT_STATE_AT, cython.cast(cython.ulonglong, index))

    @cython.ccall
    def resume_transmit(self, state: Arena) -> cython.Py_ssize_t:
        """Where a writer goes on that finds `state`: behind what is marked and was not counted."""
        slots: cython.ulonglong = self.slots
        saved: cython.ulonglong = load_acquire(state, TRANSMIT_STATE_AT)
        index: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, saved % slots)
        left: cython.Py_ssize_t = self.slots
        while left > 0 and self.word(index) & UNSENT:
            index = self.after(index, 1)
            left -= 1
        return index

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def is_free(self, index: cython.Py_ssize_t) -> cython.bint:
        """Whether a frame to send may be written into slot `index`."""
        return (self.word(index) | self.word(self.after(index, 1))) & TAKEN == 0

    @cython.ccall
    def first_unsent(self, index: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The kernel's own position: of the slots before the writer's, the first unsent one."""
        left: cython.Py_ssize_t = self.slots
        while left > 0 and self.word(self.after(index, -1)) & UNSENT:
            index = self.after(index, -1)
            left -= 1
        return index

    @cython.ccall
    def take_back(
        self, state: Arena, first: cython.Py_ssize_t, index: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Slots from `first`, the kernel's own position, to before `index` are not to be sent; how
        many. The last one first: whoever dies here leaves what a successor can go on from."""
        count: cython.Py_ssize_t = self.after(index, -first)
        self.save_transmit(state, first)
        k: cython.Py_ssize_t
        for k in range(count - 1, -1, -1):
            self.mark(self.after(first, k), 0)
        return count
