"""A memif ring as this worker uses it: its one consumer, or its one producer.

A ring is a header (cookie, flags, head, tail) and descriptors (flags, region, length, offset,
metadata). `head` is written by the client, `tail` by the server, each a free-running number of 16
bits:

    from client to server: the client fills a slot, head passes it; the server empties it, tail
        follows
    from server to client: the client lends an empty slot, head passes it; the server fills it, tail
        follows; the client empties it and lends it again, `size` slots further on

Rules. The peer writes where it likes. Its index is loaded once and may be ahead of ours by no more
than there are slots: otherwise the ring is broken, and has no usable slot any more. Our own index
is kept here; its copy in the memory is for the peer, and for a successor of this process.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.atomic import fence, load_acquire16, store_release16

if not cython.compiled:
    FLAGS_AT = 4
    HEAD_AT = 6
    TAIL_AT = 64
    DESCRIPTORS_AT = 128
    DESCRIPTOR_LEN = 16
    MASK_INT = 1  # of the flags: the consumer is awake
    HALF = 0xFFFF


@cython.final
@cython.cclass
class Ring:
    """One end of a ring.

    `lead`: the index in the memory is that much beyond our own (a client's, of slots that it has
    lent again). `credit`: slots that we may use although the peer's index has not passed them (a
    client's, of the ring that it fills).
    """

    memory: Arena  # header and descriptors
    size: cython.uint
    index: cython.uint  # the next slot
    usable: cython.uint  # slots from it on, when last looked
    fd: cython.int
    is_broken: cython.bint
    is_ours: cython.bint  # we are the client: slot i's buffer lies where we have laid it
    buffers_at: cython.Py_ssize_t  # writable; then slot 0's
    buffer_len: cython.Py_ssize_t  # writable
    _own_at: cython.Py_ssize_t
    _peer_at: cython.Py_ssize_t
    _credit: cython.uint
    _lead: cython.uint
    _published: cython.uint
    _is_known: cython.bint  # that it is broken

    def __init__(
        self, memory: Arena, log2_size: int, fd: int, is_client: bool, is_consumer: bool
    ) -> None:
        self.memory = memory
        self.size = 1 << log2_size
        self.fd = fd
        self.usable = 0
        self.is_broken = False
        self.is_ours = is_client
        self.buffers_at = 0
        self.buffer_len = 0
        self._own_at = HEAD_AT if is_client else TAIL_AT
        self._peer_at = TAIL_AT if is_client else HEAD_AT
        self._credit = self.size if is_client and not is_consumer else 0
        self._lead = self.size if is_client and is_consumer else 0
        self.index = (load_acquire16(memory, self._own_at) - self._lead) & HALF
        self._published = self.index
        self._is_known = False

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def look(self) -> cython.uint:
        """How many slots are ours to use, from `index` on. More than there are: it is broken."""
        usable: cython.uint = 0
        if not self.is_broken:
            peer: cython.uint = load_acquire16(self.memory, self._peer_at)
            usable = (peer + self._credit - self.index) & HALF
            if usable > self.size:
                self.give_up()
                return 0
        self.usable = usable
        return usable

    @cython.cfunc
    @cython.exceptval(check=False)
    def give_up(self) -> cython.int:
        """What the peer has written cannot be: nothing goes through here any more. 0."""
        self.is_broken = True
        self.usable = 0
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_broken_anew(self) -> cython.bint:
        """Whether it is, and nobody has asked since."""
        anew: cython.bint = self.is_broken and not self._is_known
        self._is_known = self.is_broken
        return anew

    @cython.cfunc
    @cython.exceptval(check=False)
    def advance(self, slots: cython.uint) -> cython.int:
        """Those are used; the peer learns of it by `publish`. 0."""
        self.index = (self.index + slots) & HALF
        self.usable -= slots
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def publish(self) -> cython.bint:
        """Give what was used to the peer; whether there was anything."""
        if self.index == self._published:
            return False
        self._published = self.index
        store_release16(self.memory, self._own_at, (self.index + self._lead) & HALF)
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def mask(self, masked: cython.bint) -> cython.int:
        """As its consumer: whether we need no waking. 0."""
        return store_release16(self.memory, FLAGS_AT, MASK_INT if masked else 0)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def is_asleep(self) -> cython.bint:
        """As its producer, after `publish`: whether the consumer wants to be woken."""
        fence()
        return load_acquire16(self.memory, FLAGS_AT) & MASK_INT == 0


@cython.cfunc
def any_waiting(rings: list) -> cython.bint:
    """Whether one of them has a slot that we may use: looks until one has."""
    ring: Ring
    for ring in rings:
        if ring.look():
            return True
    return False


@cython.cfunc
def any_full(rings: list) -> cython.bint:
    """Whether one of them has less than a quarter of its slots left, after a look."""
    ring: Ring
    for ring in rings:
        if ring.look() < ring.size // 4:
            return True
    return False


@cython.cfunc
def mask_all(rings: list, masked: cython.bint) -> cython.void:
    """Say of all of them whether who fills them need not wake us."""
    ring: Ring
    for ring in rings:
        ring.mask(masked)
