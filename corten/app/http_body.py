"""The body of a request, read past (RFC 9112, 6 and 7). Sans-IO.

Strategy. A server of files wants no body, but must find where it ends to see the next request. A
body within BODY_MAX is passed over; a longer one is refused (413), for to read it would serve
nobody. A body of known length is refused before an octet of it is read, a chunked one as soon as
the chunks say so. Chunked framing goes octet by octet through a small state machine: it is rare,
and what lies in the chunks is skipped in one step.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.app.http_head import Head
from cython.cimports.corten.app.http_name import DONE, MORE, TOKEN_CLASS
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.field import get8

from corten.app.http_field import CLASSES

if not cython.compiled:
    BODY_MAX = 65536  # octets of content, or 413; nginx reads up to 1 MiB
    FRAMING_MAX = 16384  # octets of chunk sizes, extensions and trailers together, or 413

    # Where the next octet stands.
    PLAIN = 0  # content of known length, or of a chunk
    SIZE_FIRST = 1  # the first digit of a chunk's size
    SIZE = 2  # its further digits
    EXTENSION = 3  # what follows the size on its line
    SIZE_LF = 4  # the LF of that line
    CONTENT_CR = 5  # the CR after a chunk's content
    CONTENT_LF = 6
    TRAILER_FIRST = 7  # the first octet of a trailer line, or the CR of the last
    TRAILER_NAME = 8
    TRAILER = 9
    TRAILER_LF = 10
    LAST_LF = 11


@cython.final
@cython.cclass
class Body:
    """What is still to come of a request's body."""

    verdict: cython.int  # MORE, DONE or the status to answer
    _state: cython.int
    _chunked: cython.bint
    _left: cython.ulonglong  # octets of content to pass over before the framing goes on
    _total: cython.ulonglong  # content announced so far
    _framing: cython.int  # octets of framing so far
    _table: Memory  # the classes of octets

    def __init__(self, head: Head) -> None:
        self._chunked = head.chunked
        self._total = head.content_length
        self._left = head.content_length
        self._framing = 0
        self._table = CLASSES.table
        self._state = SIZE_FIRST if head.chunked else PLAIN
        self.verdict = MORE
        if self._total > BODY_MAX:
            self.verdict = 413
        elif not head.chunked and self._left == 0:
            self.verdict = DONE

    @cython.ccall
    def feed(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Pass over the next octets of the stream; how many of them were the body's."""
        start: cython.Py_ssize_t = at
        end: cython.Py_ssize_t = at + length
        while at < end and self.verdict == MORE:
            if self._state == PLAIN:
                at += self._pass(end - at)
            else:
                self._framing += 1
                if self._framing > FRAMING_MAX:
                    self.verdict = 413
                    break
                self._frame(get8(memory, at))
                at += 1
        return at - start

    @cython.cfunc
    @cython.exceptval(check=False)
    def _pass(self, have: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Pass over content; how many octets."""
        length: cython.Py_ssize_t = have
        if cython.cast(cython.ulonglong, have) > self._left:
            length = cython.cast(cython.Py_ssize_t, self._left)
        self._left -= cython.cast(cython.ulonglong, length)
        if self._left == 0:
            if self._chunked:
                self._state = CONTENT_CR
            else:
                self.verdict = DONE
        return length

    @cython.cfunc
    def _frame(self, octet: cython.uint) -> cython.void:
        """One octet of chunked framing (RFC 9112, 7.1). As strict as the head: CR LF only."""
        state: cython.int = self._state
        if state <= EXTENSION:
            self._size_line(octet)
        elif state >= TRAILER_FIRST:
            self._trailer(octet)
        elif state == CONTENT_CR:
            self._expect(octet, 0x0D, CONTENT_LF)
        elif state == CONTENT_LF:
            self._expect(octet, 0x0A, SIZE_FIRST)
        elif self._left > 0:
            self._expect(octet, 0x0A, PLAIN)
        else:
            self._expect(octet, 0x0A, TRAILER_FIRST)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _expect(self, octet: cython.uint, wanted: cython.uint, state: cython.int) -> cython.void:
        if octet == wanted:
            self._state = state
        else:
            self.verdict = 400

    @cython.cfunc
    @cython.exceptval(check=False)
    def _size_line(self, octet: cython.uint) -> cython.void:
        """chunk-size [ chunk-ext ] CR: the size is summed up and held against BODY_MAX."""
        digit: cython.int = -1
        if octet >= 0x30 and octet <= 0x39:
            digit = octet - 0x30
        elif octet >= 0x41 and octet <= 0x46:
            digit = octet - 0x37
        elif octet >= 0x61 and octet <= 0x66:
            digit = octet - 0x57
        if self._state == EXTENSION or digit < 0:
            if self._state == SIZE_FIRST:
                self.verdict = 400
            elif octet == 0x0D:
                self._total += self._left
                self._state = SIZE_LF
            elif self._state == SIZE and octet != 0x3B:
                self.verdict = 400  # whitespace before an extension is refused, too
            elif octet == 0x7F or (octet < 0x20 and octet != 0x09):
                self.verdict = 400
            else:
                self._state = EXTENSION
            return
        if self._state == SIZE_FIRST:
            self._left = 0
        self._left = self._left * 16 + cython.cast(cython.ulonglong, digit)
        self._state = SIZE
        if self._total + self._left > BODY_MAX:
            self.verdict = 413

    @cython.cfunc
    def _trailer(self, octet: cython.uint) -> cython.void:
        """Trailer fields are checked for their shape and dropped; an empty line ends the body."""
        state: cython.int = self._state
        if state == TRAILER_LF:
            self._expect(octet, 0x0A, TRAILER_FIRST)
        elif state == LAST_LF:
            self._expect(octet, 0x0A, LAST_LF)
            if self.verdict == MORE:
                self.verdict = DONE
        elif state == TRAILER:
            if octet == 0x0D:
                self._state = TRAILER_LF
            elif octet == 0x7F or (octet < 0x20 and octet != 0x09):
                self.verdict = 400
        elif state == TRAILER_FIRST and octet == 0x0D:
            self._state = LAST_LF
        elif state == TRAILER_NAME and octet == 0x3A:
            self._state = TRAILER
        elif get8(self._table, octet) & TOKEN_CLASS == 0:
            self.verdict = 400
        else:
            self._state = TRAILER_NAME
