"""Handlers run here, and nowhere else: after the state is consistent, each inside one `try`.

An exception resets its own connection, is logged with its traceback, and harms no other.
"""

from __future__ import annotations

import logging

import cython
from cython.cimports.corten.endpoint.doors import Doors
from cython.cimports.corten.endpoint.handler import Handler, doors_of
from cython.cimports.corten.tcp.connection import TcpConnection, reset_connection
from cython.cimports.corten.tcp.custom import CustomControl
from cython.cimports.corten.tcp.host import TcpHost, release_receive
from cython.cimports.corten.tcp.listener import Listener
from cython.cimports.corten.tcp.state import (
    CLOSED,
    EVENT_CLOSE,
    EVENT_DATA,
    EVENT_EOF,
    EVENT_OPEN,
    EVENT_TIMEOUT,
    EVENT_TROUBLE,
    EVENT_WRITABLE,
)
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import CONGESTION_ERRORS, HANDLER_ERRORS

log = logging.getLogger("corten")


@cython.cfunc
def deliver(host: TcpHost, tcb: TcpConnection) -> cython.int:
    """Tell a connection's handler what has happened, in order; then keep what it left unread."""
    try:
        _events(tcb)
    except Exception as error:
        _failed(host, tcb, error)
    if tcb.first_slice >= 0:
        host.retain(tcb)
    if tcb.events & EVENT_CLOSE and not (tcb.paused and waits_for_resume(tcb)):
        _close(host, tcb)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def waits_for_resume(tcb: Tcb) -> cython.bint:
    """Of a paused connection: it is not over, or in good order but before its reader has seen the
    end. A reset is told at once."""
    if tcb.state != CLOSED:
        return True
    return tcb.error is None and tcb.fin_received != 0 and tcb.eof_delivered == 0


@cython.cfunc
def _events(tcb: TcpConnection) -> cython.int:
    if tcb.events & EVENT_OPEN:
        tcb.events &= ~EVENT_OPEN
        _open(tcb)
    handler: Handler = tcb.handler
    if tcb.events & EVENT_DATA and not tcb.paused:
        tcb.events &= ~EVENT_DATA
        if tcb.retained_len + tcb.slices_len > 0:
            handler.receive(tcb)
    if tcb.events & ~(EVENT_CLOSE | EVENT_DATA) == 0:
        return 0
    doors: Doors = tcb.doors
    if tcb.events & EVENT_EOF and not tcb.paused:
        tcb.events &= ~EVENT_EOF
        tcb.eof_delivered = True
        doors.on_eof(handler, tcb)
    if tcb.events & EVENT_WRITABLE:
        tcb.events &= ~EVENT_WRITABLE
        if doors.wants_writable and tcb.state != CLOSED:
            doors.on_writable(handler, tcb)
    if tcb.events & EVENT_TIMEOUT:
        tcb.events &= ~EVENT_TIMEOUT
        if tcb.state != CLOSED:
            doors.on_timeout(handler, tcb)
    if tcb.events & EVENT_TROUBLE:
        tcb.events &= ~EVENT_TROUBLE
        if tcb.state != CLOSED:
            doors.on_trouble(handler, tcb, tcb.error or TimeoutError("nothing is acknowledged"))
    return 0


@cython.cfunc
def _open(tcb: TcpConnection) -> cython.void:
    """ESTABLISHED: the handler is made, or the one given to `connect` hears of it."""
    if tcb.handler is None:
        listener: Listener = tcb.listener
        listener.accepted += 1
        handler = listener.factory()
        if type(handler) is not listener.handler_class:  # nearly always the one before
            listener.know(type(handler), doors_of(handler))
        tcb.doors = listener.doors
        tcb.handler = handler
    doors: Doors = tcb.doors
    if doors.wants_open:
        doors.on_open(tcb.handler, tcb)


@cython.cfunc
def _close(host: TcpHost, tcb: TcpConnection) -> cython.void:
    """The last event; after it the connection refers to nothing."""
    tcb.events = 0
    doors: Doors | None = tcb.doors
    if doors is not None and doors.wants_close:
        try:
            doors.on_close(tcb.handler, tcb, tcb.error)
        except Exception as error:
            host.counters.add(HANDLER_ERRORS)
            log.error("on_close of %s failed", tcb.peer, exc_info=error)
    tcb.closed = True
    release_receive(tcb)
    tcb.handler = None
    tcb.error = None
    tcb.listener = None


@cython.cfunc
def _failed(host: TcpHost, tcb: TcpConnection, error: Exception) -> cython.void:
    """A handler raised: count, log, reset this connection."""
    host.counters.add(HANDLER_ERRORS)
    log.error("handler of %s failed: connection reset", tcb.peer, exc_info=error)
    tcb.events &= EVENT_CLOSE
    tcb.retained = None
    tcb.retained_len = 0
    reset_connection(tcb, ConnectionAbortedError(f"its handler failed: {error!r}"))


@cython.cfunc
def reset_failed(host: TcpHost) -> cython.void:
    """A user's congestion control raised in this breath: log, count, reset its connection."""
    failures: list = host.failed_controls
    while failures:
        control: CustomControl = failures.pop()
        host.counters.add(CONGESTION_ERRORS)
        tcb: TcpConnection | None = host.connections[control.connection_id]
        if tcb is None or tcb.congestion is not control:
            continue  # it is over already
        log.error(
            "congestion control of %s failed: connection reset", tcb.peer, exc_info=control.error
        )
        reset_connection(
            tcb, ConnectionAbortedError(f"its congestion control failed: {control.error!r}")
        )
