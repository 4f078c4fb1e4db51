"""Reading a part of what a connection has ready: the compiled door of `Connection`, for Python."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import read
from cython.cimports.corten.endpoint.connection import Connection, Span


@cython.ccall
def take(connection: Connection, length: cython.Py_ssize_t) -> bytes:
    """Consume up to `length` ready octets, and no more: the window opens by as many."""
    span: Span = Span()
    parts: list = []
    while length > 0 and connection.peek(span):
        part: cython.Py_ssize_t = min(length, span.length)
        parts.append(read(span.memory, span.at, part))
        connection.consume(part)
        length -= part
    return b"".join(parts)
