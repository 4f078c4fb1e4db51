"""The compiled doors of a connection, for Python: reading a part of what is ready, and what a
socket option changes of one that lives already."""

from __future__ import annotations

import cython
from cython.cimports.corten.core.arena import read
from cython.cimports.corten.endpoint.connection import Connection, Span
from cython.cimports.corten.tcp.deadline import retime
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.state import CAN_SEND
from cython.cimports.corten.tcp.tcb import Tcb


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


@cython.ccall
def await_word(connection: Connection) -> cython.void:
    """Keep-alive was turned on, or its time changed: count from what was heard last."""
    tcb: Tcb = cython.cast(Tcb, connection)
    if tcb.state & CAN_SEND and tcb.config.keepalive_ns != 0:
        host: TcpHost = tcb.host
        tcb.end_at = tcb.heard_at + tcb.config.keepalive_ns
        retime(host, tcb)


@cython.ccall
def wake(connection: Connection) -> cython.void:
    """A setting that held something back has changed: let the connection send."""
    tcb: Tcb = cython.cast(Tcb, connection)
    host: TcpHost = tcb.host
    host.mark(tcb)
