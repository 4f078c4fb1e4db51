"""What a request is answered with: status, field lines, which part of which file (RFC 9110).

Strategy. `decide` takes a whole request head and the entry that its target leads to, and fills a
`Reply`: the octets of the head (and of a small body), and the range of a file to send after them.
It sends nothing. Only requests that are not a plain GET of a file come here; those are answered
from the entry's ready replies.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.app.http_head import Head
from cython.cimports.corten.app.http_name import (
    GET,
    HEAD,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
)
from cython.cimports.corten.app.site import FORBIDDEN, MOVED, Entry

from corten.app.http_date import parse_date

_REASONS = {
    200: b"OK",
    206: b"Partial Content",
    301: b"Moved Permanently",
    304: b"Not Modified",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    505: b"HTTP Version Not Supported",
}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@cython.final
@cython.cclass
class Reply:
    """One answer, ready to be sent: `octets`, then entry's file[body_at : body_at + body_len]."""

    status: cython.int
    octets: bytes
    entry: Entry | None
    body_at: cython.Py_ssize_t
    body_len: cython.Py_ssize_t
    keep_alive: cython.bint

    def __init__(self, status: cython.int, octets: bytes, keep_alive: cython.bint) -> None:
        self.status = status
        self.octets = octets
        self.keep_alive = keep_alive
        self.entry = None
        self.body_at = 0
        self.body_len = 0


def head_octets(
    status: int, date: bytes, fields: bytes, length: int, connection: bytes = b""
) -> bytes:
    """The head of a reply. `connection` is the option to state, when one must be."""
    lines = [
        b"HTTP/1.1 %d %s\r\nServer: corten\r\nDate: %s\r\n" % (status, _REASONS[status], date),
        fields,
    ]
    if status != 304:
        lines.append(b"Content-Length: %d\r\n" % length)
    if connection:
        lines.append(b"Connection: %s\r\n" % connection)
    lines.append(b"\r\n")
    return b"".join(lines)


def connection_option(minor: int, keep_alive: bool) -> bytes:
    """What must be said: that it closes, or to a 1.0 client that it does not (RFC 9112, 9.3)."""
    if not keep_alive:
        return b"close"
    return b"keep-alive" if minor == 0 else b""


def page(
    status: int,
    date: bytes,
    minor: int = 1,
    keep_alive: bool = False,
    fields: bytes = b"",
    *,
    with_body: bool = True,
) -> Reply:
    """A reply that carries a status and a short page that says so."""
    title = b"%d %s" % (status, _REASONS[status])
    body = b"<!DOCTYPE html>\n<html lang=en><title>%s</title>\n<h1>%s</h1>\n</html>\n" % (
        title,
        title,
    )
    fields += b"Content-Type: text/html; charset=utf-8\r\n"
    option = connection_option(minor, keep_alive)
    octets = head_octets(status, date, fields, len(body), option)
    return Reply(status, octets + body if with_body else octets, keep_alive)


def decide(head: Head, entry: Entry | int, date: bytes, now: int) -> Reply:
    """The answer to a request whose head and body have been read.

    `entry` is what the target leads to, or the status that refuses it; `now` is the time of `date`.
    """
    keep_alive = head.keep_alive
    with_body = head.method != HEAD
    if head.method not in (GET, HEAD):
        return page(405, date, head.minor, keep_alive, b"Allow: GET, HEAD\r\n")
    if isinstance(entry, int):
        return page(entry, date, head.minor, keep_alive and entry != 400, with_body=with_body)
    if entry.kind == FORBIDDEN:
        return page(403, date, head.minor, keep_alive, with_body=with_body)
    if entry.kind == MOVED:
        target = head.path().partition(b"?")
        fields = b"Location: %s%s%s\r\n" % (entry.path, target[1], target[2])
        return page(301, date, head.minor, keep_alive, fields, with_body=with_body)
    status = _condition(head, entry, now)
    if status == 412:
        return page(412, date, head.minor, keep_alive, with_body=with_body)
    if status == 304:
        option = connection_option(head.minor, keep_alive)
        fields = b"ETag: %s\r\n" % entry.etag
        return Reply(304, head_octets(304, date, fields, 0, option), keep_alive)
    return _content(head, entry, date, now)


def _content(head: Head, entry: Entry, date: bytes, now: int) -> Reply:
    """200 with the file, 206 with a part of it, or 416."""
    first, last = 0, entry.length - 1
    status = 200
    fields = entry.fields
    if head.method == GET and _once(head, RANGE) and _if_range(head, entry, now):
        wanted = parse_range(head.texts[RANGE], entry.length)
        if wanted is not None:
            first, last = wanted
            if first > last:
                fields = b"Content-Range: bytes */%d\r\n" % entry.length
                return page(416, date, head.minor, head.keep_alive, fields)
            status = 206
            fields += b"Content-Range: bytes %d-%d/%d\r\n" % (first, last, entry.length)
    length = last + 1 - first
    option = connection_option(head.minor, head.keep_alive)
    reply = Reply(status, head_octets(status, date, fields, length, option), head.keep_alive)
    if head.method == GET:
        reply.entry = entry
        reply.body_at = first
        reply.body_len = length
    return reply


# -- conditions -----------------------------------------------------------------------------


def _once(head: Head, field: int) -> bool:
    return bool(head.seen >> field & 1) and not head.repeated >> field & 1


def _condition(head: Head, entry: Entry, now: int) -> int:
    """The conditional fields in their order of precedence (RFC 9110, 13.2.2): 200, 304 or 412.

    One that is repeated, or a date that cannot be read, is passed over; but a repeated If-Match or
    If-Unmodified-Since fails, for what it protects is not known.
    """
    seen = head.seen
    if seen >> IF_MATCH & 1:
        if head.repeated >> IF_MATCH & 1 or not _lists(head.texts[IF_MATCH], entry.etag, False):
            return 412
    elif seen >> IF_UNMODIFIED_SINCE & 1:
        date = parse_date(head.texts[IF_UNMODIFIED_SINCE], now)
        if head.repeated >> IF_UNMODIFIED_SINCE & 1 or 0 <= date < entry.modified:
            return 412
    if seen >> IF_NONE_MATCH & 1:
        if _once(head, IF_NONE_MATCH) and _lists(head.texts[IF_NONE_MATCH], entry.etag, True):
            return 304
    elif _once(head, IF_MODIFIED_SINCE):
        date = parse_date(head.texts[IF_MODIFIED_SINCE], now)
        if entry.modified <= date:
            return 304
    return 200


def _lists(text: bytes, etag: bytes, weak: bool) -> bool:
    """Whether a list of entity tags, or "*", names this one (RFC 9110, 8.8.3.2 and 13.1).

    Tags may hold commas; ours never does, and a quote ends a tag, so that splitting is safe.
    """
    if text == b"*":
        return True
    for item in text.split(b","):
        tag = item.strip(b" \t")
        if tag == etag or (weak and tag == b"W/" + etag):
            return True
    return False


def _if_range(head: Head, entry: Entry, now: int) -> bool:
    """Whether a Range still holds: If-Range, compared strongly (RFC 9110, 13.1.5)."""
    if not head.seen >> IF_RANGE & 1:
        return True
    text = head.texts[IF_RANGE]
    if not _once(head, IF_RANGE):
        return False
    return text == entry.etag or parse_date(text, now) == entry.modified


def parse_range(text: bytes, length: int) -> tuple[int, int] | None:
    """The first and last position of a single range of octets; None: ignore the field.

    Ignored is what is not `bytes=`, is malformed, or asks for several ranges: the whole file is
    always a right answer (RFC 9110, 14.2). first > last: not satisfiable.
    """
    unit, _, spec = text.partition(b"=")
    if unit.strip().lower() != b"bytes":
        return None
    first, dash, last = spec.strip(b" \t").partition(b"-")
    if not dash or len(first) > 19 or len(last) > 19:
        return None
    if (first and not first.isdigit()) or (last and not last.isdigit()) or not (first or last):
        return None
    if not first:
        suffix = int(last)
        return (max(length - suffix, 0), length - 1) if suffix else (1, 0)
    if last and int(last) < int(first):
        return None
    if int(first) >= length:
        return 1, 0
    return int(first), min(int(last), length - 1) if last else length - 1
