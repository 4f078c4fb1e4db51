"""One breath of the kernel's worker: what happened, to whom, and what is left to do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import cython
from cython.cimports.corten.kernel.breath import Breath
from cython.cimports.corten.kernel.connection import KernelConnection
from cython.cimports.corten.kernel.timers import Timer

if cython.compiled:
    from cython.cimports.cpython.exc import PyErr_CheckSignals

logger = logging.getLogger("corten")


@cython.ccall
def poll(breath: Breath, milliseconds: cython.int, watched: dict) -> cython.int:
    """Wait at most so long (-1: for ever), then let each connection that changed do its work.

    `watched` maps other descriptors to what to call. Answers how many events there were. What a
    signal's own handler raises comes out of here.
    """
    count: cython.int = breath.epoll.wait(milliseconds)
    if cython.compiled:
        PyErr_CheckSignals()
    breath.now = time.monotonic_ns()
    i: cython.int
    for i in range(count):
        fd: cython.int = breath.epoll.fd_of(i)
        connection: object = None
        if fd < len(breath.connections):
            connection = breath.connections[fd]
        if connection is not None:
            cython.cast(KernelConnection, connection).happened(breath.epoll.flags_of(i))
        else:
            function = watched.get(fd)
            if function is not None:
                call(function, ())
    return count


@cython.ccall
def work_left(breath: Breath) -> cython.void:
    """Let the marked connections do their work; close the descriptors of those that ended."""
    if breath.marked:
        marked: list = breath.marked
        breath.marked = []
        for connection in marked:
            cython.cast(KernelConnection, connection).work()
    if breath.doomed:
        breath.close_doomed()


@cython.ccall
def expire(breath: Breath) -> cython.void:
    """Run what is due."""
    while True:
        found = breath.timers.pop(breath.now)
        if found is None:
            return
        timer: Timer = cython.cast(Timer, found)
        target = breath.timers.due
        breath.timers.due = None
        if isinstance(target, KernelConnection):
            cython.cast(KernelConnection, target).expire(timer)
        else:
            call(target, timer.arguments)


@cython.ccall
def call(function: Callable[..., object], arguments: tuple) -> cython.void:
    """Call what the application scheduled; what it raises is logged and ends there."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("%r raised", function)


@cython.ccall
def open_connections(breath: Breath) -> list:
    """The connections that live, in no order."""
    return [connection for connection in breath.connections if connection is not None]


@cython.ccall
def give_up(breath: Breath) -> cython.void:
    """Reset every connection."""
    for connection in open_connections(breath):
        cython.cast(KernelConnection, connection).give_up()
    breath.close_doomed()


@cython.ccall
def is_idle(connection: KernelConnection) -> cython.bint:
    """Whether its handler has said all that it had to say."""
    return connection.is_idle()
