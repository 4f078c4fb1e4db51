"""What a connection has to send: a chain of pieces of memories, kept until acknowledged.

A piece is a range of an immutable Buffer (the application's own octets), or of a small Arena of
this connection into which small sends are gathered: it only ever grows at its end, so what is in
flight never changes.

Rules. The chain starts at SND.UNA; octets leave it from the front as they are acknowledged.
The Tcb's `next_piece` and `next_offset` point at SND.NXT: new data is found without a walk.
The chain is taken apart link by link: freeing a long one by recursion would end the C stack.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import Arena, Memory, write

if not cython.compiled:
    GATHER_BELOW = 512  # sends under this are gathered when more than two wait
    GATHER_LEN = 2048  # octets of one gathering arena


@cython.final
@cython.freelist(1024)
@cython.cclass
class Piece:
    """memory[at : at + length], and the piece after it."""

    memory: Memory
    at: cython.Py_ssize_t
    length: cython.Py_ssize_t
    next: Piece | None
    gathers: cython.bint  # the memory is an Arena of ours and may take more at its end


@cython.cfunc
def piece_of(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> Piece:
    """A piece of a memory, not yet in a chain."""
    piece: Piece = Piece.__new__(Piece)
    piece.memory = memory
    piece.at = at
    piece.length = length
    piece.next = None
    piece.gathers = False
    return piece


@cython.cfunc
def gathering_piece(data: bytes) -> Piece:
    """A piece over a fresh arena that holds `data` and has room for more."""
    arena: Arena = Arena(GATHER_LEN)
    write(arena, 0, data)
    piece: Piece = piece_of(arena, 0, len(data))
    piece.gathers = True
    return piece


@cython.cfunc
def gather(piece: Piece, data: bytes) -> cython.bint:
    """Append `data` to a gathering piece; False when it has no room."""
    end: cython.Py_ssize_t = piece.at + piece.length
    if not piece.gathers or end + len(data) > piece.memory.size:
        return False
    write(cython.cast(Arena, piece.memory), end, data)
    piece.length += len(data)
    return True
