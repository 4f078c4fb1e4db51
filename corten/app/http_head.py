"""The head of an HTTP/1.1 request, parsed where it lies (RFC 9112). Sans-IO.

Strategy. `Head.feed` takes octets as they arrive. A head that lies whole in what it is given is
parsed in place: positions only, nothing is copied and nothing is allocated. One that is cut is
copied into `carry`, made on that need and bounded by HEAD_MAX; parsing resumes at the line that
was cut, once that has more than octets of the run (target, name, value) in which it was cut: a
head that comes octet by octet is read twice, not once for each of them.

Rules. Strict, because what two parsers read differently is how requests are smuggled: a line ends
with CR LF and nothing else; no whitespace before a colon, no folded lines, no control octets; one
Host; one of Content-Length and Transfer-Encoding, once. Whatever is wrong ends the head with the
status to answer; the connection cannot be used after that. The verdict does not depend on how the
octets were cut, for the parser never looks beyond HEAD_MAX of them.

The parser keeps what a server of files needs: the target, who keeps the connection, how the body is
framed, and copies of the few conditional fields. All others are checked for syntax and passed by.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.app.http_field import content_length, field_number
from cython.cimports.corten.app.http_line import method_number, odd_version
from cython.cimports.corten.app.http_name import (
    BLANK_CLASS,
    CARRY_FIRST,
    CONNECT,
    CONNECTION,
    CONTENT_LENGTH,
    CUT,
    DONE,
    EXPECT,
    FIELDS_MAX,
    GET,
    HEAD_MAX,
    HOST,
    HOST_CLASS,
    HTTP_1_0,
    HTTP_1_1,
    METHOD_MAX,
    MORE,
    OPTIONS,
    OTHER_METHOD,
    TARGET_CLASS,
    TARGET_MAX,
    TEXT_CLASS,
    TEXT_FIELDS,
    TOKEN_CLASS,
    TRANSFER_ENCODING,
)
from cython.cimports.corten.core.arena import Arena, Memory, copy, read
from cython.cimports.corten.core.field import get8, get16, get32, get64
from cython.cimports.corten.core.scan import (
    Classes,
    same_folded,
    skip_class,
    skip_text,
)

from corten.app.http_field import CLASSES

_NOTHING: Memory = Memory(b"")


@cython.final
@cython.cclass
class Head:
    """One request head: what was read of it so far, and when `verdict` is DONE what it says."""

    memory: Memory  # where it lies: what was given to `feed`, or the carry buffer
    at: cython.Py_ssize_t  # its first octet there
    length: cython.Py_ssize_t  # its octets, the empty line included, when DONE
    verdict: cython.int
    method: cython.int
    minor: cython.uint  # of HTTP/1.minor
    method_at: cython.Py_ssize_t  # from `at`: empty lines may come first
    target_at: cython.Py_ssize_t  # from `at`; the request-target as it came
    target_len: cython.Py_ssize_t
    path_at: cython.Py_ssize_t  # from `at`; path and query: the target, less scheme and authority
    path_len: cython.Py_ssize_t
    keep_alive: cython.bint
    wants_close: cython.bint  # the option "close" in a Connection field
    wants_keep: cython.bint  # the option "keep-alive"
    continues: cython.bint  # Expect: 100-continue
    chunked: cython.bint
    content_length: cython.ulonglong
    seen: cython.uint  # fields that came, as bits 1 << RANGE …
    repeated: cython.uint  # and came again
    # Of a head in progress:
    _line_at: cython.Py_ssize_t  # from `at`: the line to parse next
    _run: cython.uint  # the class of the octets in which that line was cut; 0: none is known
    _run_end: cython.Py_ssize_t  # from `at`: so far they were looked at
    _fields: cython.int
    _started: cython.bint  # the request line is done
    _carry: Arena | None
    _carry_len: cython.Py_ssize_t
    _classes: Classes
    texts: list[bytes]  # values of the fields below TEXT_FIELDS, valid where `seen` has the bit

    def __init__(self) -> None:
        self.memory = _NOTHING
        self.texts = [b""] * TEXT_FIELDS
        self._classes = CLASSES
        self.reset()

    @cython.ccall
    def reset(self) -> cython.void:
        """Ready for the next head."""
        self._carry = None
        self._carry_len = 0
        self._restart(0)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _restart(self, at: cython.Py_ssize_t) -> cython.void:
        self.at = at
        self.length = 0
        self.verdict = MORE
        self.method = OTHER_METHOD
        self.minor = 0
        self.method_at = 0
        self.target_at = 0
        self.target_len = 0
        self.path_at = 0
        self.path_len = 0
        self.keep_alive = False
        self.wants_close = False
        self.wants_keep = False
        self.continues = False
        self.chunked = False
        self.content_length = 0
        self.seen = 0
        self.repeated = 0
        self._line_at = 0
        self._run = 0
        self._fields = 0
        self._started = False

    # -- octets in --------------------------------------------------------------------------

    @cython.ccall
    @cython.exceptval(-1, check=True)
    def feed(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Take the next octets of the stream; how many of them were taken.

        DONE: the rest belongs to a body or the next request. MORE: all were taken and kept. With
        DONE, `memory` is valid as long as the octets given were, unless they had to be kept.
        """
        if self._carry is not None:
            return self._feed_carry(memory, at, length)
        if at < 0 or length < 0 or at > memory.size - length:
            raise IndexError(f"octets {at}..{at + length} of a memory of {memory.size}")
        self._restart(at)
        self.memory = memory
        self._parse(length)
        if self.verdict == DONE:
            return self.length
        if self.verdict == MORE:
            self._keep(memory, at, length)
        return length

    def path(self) -> bytes:
        """The target without scheme and authority: path and query."""
        return read(self.memory, self.at + self.path_at, self.path_len)

    def request_line(self) -> bytes:
        """As it came, for a log; "-" when it was not understood."""
        if not self._started:
            return b"-"
        length = self.target_at + self.target_len - self.method_at
        return b"%s HTTP/1.%d" % (read(self.memory, self.at + self.method_at, length), self.minor)

    @cython.ccall
    def keep(self) -> cython.void:
        """Copy a head that is DONE, so that it outlives the octets given to `feed`."""
        if self._carry is None:
            self._keep(self.memory, self.at, self.length)

    @cython.cfunc
    def _keep(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.void:
        """Append octets to the carry buffer and read from there."""
        need: cython.Py_ssize_t = self._carry_len + length
        carry: Arena | None = self._carry
        if carry is None or carry.size < need:
            size: cython.Py_ssize_t = CARRY_FIRST
            while size < need:
                size *= 2
            larger: Arena = Arena(size)
            if carry is not None:
                copy(larger, 0, carry, 0, self._carry_len)
            self._carry = carry = larger
        copy(carry, self._carry_len, memory, at, length)
        self._carry_len = need
        self.memory = carry
        self.at = 0

    @cython.cfunc
    def _feed_carry(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Go on with a head that was cut. Copies no more than a head may have."""
        before: cython.Py_ssize_t = self._carry_len
        taken: cython.Py_ssize_t = min(length, HEAD_MAX - before)
        self._keep(memory, at, taken)
        self._parse(self._carry_len)
        if self.verdict == DONE:
            return self.length - before
        return taken

    # -- lines ------------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _parse(self, have: cython.Py_ssize_t) -> cython.int:
        """Parse on from the line that was cut; the head's first `have` octets are there."""
        end: cython.Py_ssize_t = self.at + min(have, HEAD_MAX)
        at: cython.Py_ssize_t = self.at + self._line_at
        memory: Memory = self.memory
        if self._run != 0 and self._runs_on(memory, end) and have < HEAD_MAX:
            return 0
        while True:
            if not self._started:
                at = self._start_line(memory, at, end)
            elif end - at >= 2 and get16(memory, at) == 0x0D0A:
                self.length = at + 2 - self.at
                self.verdict = self._conclude()
                return 0
            else:
                at = self._field_line(memory, at, end)
            if at < 0:
                break
            self._line_at = at - self.at
        if at != CUT:
            self.verdict = -at
        elif have >= HEAD_MAX:
            self.verdict = 431
        return 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _cut(self, run: cython.uint, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The line ends in octets of a class: whatever follows of that class changes nothing."""
        self._run = run
        self._run_end = end - self.at
        return CUT

    @cython.cfunc
    def _runs_on(self, memory: Memory, end: cython.Py_ssize_t) -> cython.bint:
        """Whether the line that was cut still ends in the same run; else it is to be parsed."""
        run: cython.uint = self._run
        at: cython.Py_ssize_t = self.at + self._run_end
        at = skip_class(memory, at, end, self._classes, run)
        self._run_end = end - self.at
        if at == end and (run != TARGET_CLASS or self._run_end - self._line_at <= TARGET_MAX):
            return True
        self._run = 0
        return False

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _start_line(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """request-line = method SP request-target SP HTTP-version CRLF (RFC 9112, 3)."""
        self.method_at = at - self.at
        if end - at >= 4 and get32(memory, at) == 0x47455420:
            self.method = GET
            at += 4
        else:
            if at < end and get8(memory, at) == 0x0D:
                return self._empty_line(memory, at, end)
            at = self._method(memory, at, end)
            if at < 0:
                return at
        target_at: cython.Py_ssize_t = at
        at = skip_class(memory, at, min(end, at + TARGET_MAX + 1), self._classes, TARGET_CLASS)
        length: cython.Py_ssize_t = at - target_at
        if length > TARGET_MAX:
            return -414
        if at == end:
            return self._cut(TARGET_CLASS, end)
        if length == 0 or get8(memory, at) != 0x20:
            return -400
        self.target_at = target_at - self.at
        self.target_len = length
        at = self._version(memory, at + 1, end)
        if at < 0:
            return at
        self._started = True
        if get8(memory, target_at) == 0x2F:
            self.path_at = self.target_at
            self.path_len = length
            return at
        return at if self._other_form(memory, target_at, length) else -400

    @cython.cfunc
    def _empty_line(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """An empty line before the request line is passed over (RFC 9112, 2.2), and counted in."""
        if end - at < 2:
            return CUT
        return at + 2 if get8(memory, at + 1) == 0x0A else -400

    @cython.cfunc
    def _method(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Any method but GET, and the space after it."""
        method_at: cython.Py_ssize_t = at
        at = skip_class(memory, at, end, self._classes, TOKEN_CLASS)
        length: cython.Py_ssize_t = at - method_at
        if length > METHOD_MAX:
            return -400
        if at == end:
            return CUT
        if length == 0 or get8(memory, at) != 0x20:
            return -400
        self.method = method_number(memory, method_at, length)
        return at + 1

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _version(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """HTTP-version CRLF (RFC 9112, 2.3). A later minor version is answered as 1.1."""
        if end - at >= 10 and get16(memory, at + 8) == 0x0D0A:
            octets: cython.ulonglong = get64(memory, at)
            if octets == HTTP_1_1:
                self.minor = 1
                return at + 10
            if octets == HTTP_1_0:
                self.minor = 0
                return at + 10
        version_at: cython.Py_ssize_t = at
        at = odd_version(memory, at, end)
        if at > 0:
            self.minor = get8(memory, version_at + 7) - 0x30
        return at

    @cython.cfunc
    def _other_form(
        self, memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t
    ) -> cython.bint:
        """absolute-form, authority-form or asterisk-form (RFC 9112, 3.2); False when it is none.

        CONNECT and OPTIONS are passed on to be refused by their method, whatever they ask for.
        """
        if self.method == CONNECT:
            return True
        if length == 1 and get8(memory, at) == 0x2A:
            return self.method == OPTIONS
        if length < 8 or not same_folded(memory, at, b"http://"):
            return False
        end: cython.Py_ssize_t = at + length
        path_at: cython.Py_ssize_t = skip_class(memory, at + 7, end, self._classes, HOST_CLASS)
        if path_at == at + 7:
            return False
        if path_at < end and get8(memory, path_at) != 0x2F and get8(memory, path_at) != 0x3F:
            return False  # user information, or worse
        self.path_at = path_at - self.at
        self.path_len = end - path_at
        return True

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _field_line(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """field-line = field-name ":" OWS field-value OWS, and CRLF (RFC 9112, 5)."""
        name_at: cython.Py_ssize_t = at
        at = skip_class(memory, at, end, self._classes, TOKEN_CLASS)
        if at == end:
            return self._cut(TOKEN_CLASS, end)
        name_len: cython.Py_ssize_t = at - name_at
        if name_len == 0 and get8(memory, at) == 0x0D:  # the empty line, cut; or a bare CR
            return CUT if at + 1 == end else -400
        if name_len == 0 or get8(memory, at) != 0x3A:
            return -400  # whitespace before the colon, a folded line, no name, a bare LF
        value_at: cython.Py_ssize_t = skip_class(memory, at + 1, end, self._classes, BLANK_CLASS)
        at = skip_text(memory, value_at, end)
        if at == end:
            return self._cut(TEXT_CLASS, end)
        if get8(memory, at) != 0x0D:
            return -400
        if at + 1 == end:
            return CUT
        if get8(memory, at + 1) != 0x0A:
            return -400
        self._fields += 1
        if self._fields > FIELDS_MAX:
            return -431
        value_end: cython.Py_ssize_t = at
        while value_end > value_at and (
            get8(memory, value_end - 1) == 0x20 or get8(memory, value_end - 1) == 0x09
        ):
            value_end -= 1
        field: cython.int = field_number(memory, name_at, name_len)
        if field >= 0:
            status: cython.int = self._field(memory, field, value_at, value_end)
            if status != 0:
                return -status
        return at + 2

    # -- fields -----------------------------------------------------------------------------

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def _field(
        self,
        memory: Memory,
        field: cython.int,
        at: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """A field that the server looks at; 0, or the status that refuses it."""
        bit: cython.uint = cython.cast(cython.uint, 1) << field
        again: cython.bint = self.seen & bit != 0
        self.seen |= bit
        if again:
            self.repeated |= bit
        if field == HOST:
            if again or skip_class(memory, at, end, self._classes, HOST_CLASS) != end:
                return 400  # RFC 9112, 3.2
        elif field == CONNECTION:
            self._connection_options(memory, at, end)
        elif field < TEXT_FIELDS:
            self.texts[field] = read(memory, at, end - at)
        elif field == CONTENT_LENGTH:
            length: cython.longlong = content_length(memory, at, end)
            if again or length < 0:
                return 400
            self.content_length = length
        elif field == TRANSFER_ENCODING:
            if again:
                return 400
            if end - at != 7 or not same_folded(memory, at, b"chunked"):
                return 501  # a coding it does not know (RFC 9112, 6.1)
            self.chunked = True
        elif field == EXPECT:
            if end - at != 12 or not same_folded(memory, at, b"100-continue"):
                return 417
            self.continues = True
        return 0

    @cython.cfunc
    def _connection_options(
        self, memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.void:
        """Connection = #connection-option (RFC 9110, 7.6.1): the two that matter here."""
        start: cython.Py_ssize_t
        while at < end:
            start = at
            at = skip_class(memory, at, end, self._classes, TOKEN_CLASS)
            if at - start == 5 and same_folded(memory, start, b"close"):
                self.wants_close = True
            elif at - start == 10 and same_folded(memory, start, b"keep-alive"):
                self.wants_keep = True
            while at < end and not skip_class(memory, at, at + 1, self._classes, TOKEN_CLASS) > at:
                at += 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def _conclude(self) -> cython.int:
        """What only the whole head can tell: DONE, or the status that refuses it."""
        if self.minor > 0:
            self.keep_alive = not self.wants_close
            if self.seen & (1 << HOST) == 0:
                return 400  # RFC 9112, 3.2
        else:
            self.keep_alive = self.wants_keep and not self.wants_close
            if self.chunked:
                return 400  # RFC 9112, 6.1: the framing of a 1.0 message cannot be trusted
            self.continues = False  # RFC 9110, 10.1.1
        if self.chunked and self.seen & (1 << CONTENT_LENGTH) != 0:
            return 400  # RFC 9112, 6.3: request smuggling
        return DONE
