"""Requests that came before, octet for octet: what was found out about them then holds now.

A client asks for the same file with the same fields again and again, and a load balancer asks so
for many. The head of a plain GET says nothing that depends on when it comes, and a site does not
change while it is served. So a head whose octets are those of an earlier one needs no parser and
no look-up of its path: one comparison of both, whole.

Strategy. A table of one entry a slot, the slot by a hash of the octets. A head is kept when it has
come twice with nothing else in its slot between: what never comes again (a cookie, a query) costs
a hash, no memory. Whoever aims at one slot makes the server parse, as it would without.

Rules. Only what was parsed whole, in place, and answered from memory is kept; what is longer than
KNOWN_MAX is not looked at. A hit is never believed by its hash.
"""

from __future__ import annotations

from array import array

import cython
from cython.cimports.corten.app.site import Entry
from cython.cimports.corten.core.arena import Memory, read
from cython.cimports.corten.core.scan import digest_octets, same_octets

if not cython.compiled:
    KNOWN_MAX = 1024  # octets of a head
    SLOT_BITS = 12  # 4,096 slots


@cython.final
@cython.cclass
class Known:
    """One request, and what it leads to."""

    head: bytes
    entry: Entry
    keep_alive: cython.bint

    def __init__(self, head: bytes, entry: Entry, keep_alive: bool) -> None:
        self.head = head
        self.entry = entry
        self.keep_alive = keep_alive

    def request_line(self) -> bytes:
        """As it came, for a log; empty lines may come first (RFC 9112, 2.2)."""
        return self.head.lstrip(b"\r\n").partition(b"\r\n")[0]


@cython.final
@cython.cclass
class Memo:
    """The requests known to one worker."""

    _hashes: cython.ulonglong[::1]  # of what was last seen in a slot; 0: nothing
    _known: list  # by slot: a Known, or None
    _hash: cython.ulonglong  # of what `find` has not found; 0: too long

    def __init__(self) -> None:
        self._hashes = memoryview(array("Q", bytes(8 << SLOT_BITS)))
        self._known = [None] * (1 << SLOT_BITS)
        self._hash = 0

    @cython.ccall
    def find(self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> object:
        """The Known whose head is exactly these octets, or None: parse, and tell `note` of it."""
        self._hash = 0
        if length > KNOWN_MAX:
            return None
        found: cython.ulonglong = digest_octets(memory, at, length) | 1
        self._hash = found
        slot: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, found >> (64 - SLOT_BITS))
        if self._hashes[slot] != found or self._known[slot] is None:
            return None
        known: Known = self._known[slot]
        if len(known.head) == length and same_octets(memory, at, known.head):
            return known
        return None

    @cython.ccall
    def note(
        self,
        memory: Memory,
        at: cython.Py_ssize_t,
        length: cython.Py_ssize_t,
        entry: Entry,
        keep_alive: cython.bint,
    ) -> cython.bint:
        """What `find` had not found is the head of a plain GET that leads to `entry`; whether it is
        known from now on."""
        if self._hash == 0:
            return False
        slot: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, self._hash >> (64 - SLOT_BITS))
        again: cython.bint = self._hashes[slot] == self._hash
        self._hashes[slot] = self._hash
        self._known[slot] = None
        if again:
            self._known[slot] = Known(read(memory, at, length), entry, keep_alive)
        return again
