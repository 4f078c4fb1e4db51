"""What the connections of one worker share: its memory, its clock, and who has work left to do."""

from __future__ import annotations

import time

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.kernel import system
from cython.cimports.corten.kernel.epoll import Epoll
from cython.cimports.corten.kernel.limits import READ_LEN, SCRATCH_LEN
from cython.cimports.corten.kernel.timers import Timers


@cython.final
@cython.cclass
class Breath:
    """One a worker. `scratch` holds the copies of small sends until the end of the breath: no slice
    of it is left in a queue once its connection has worked."""

    now: cython.longlong  # nanoseconds, read once a breath
    arena: Arena  # the octets that the connection at work has just read
    scratch: Arena
    scratch_at: cython.Py_ssize_t
    scratch_users: cython.Py_ssize_t  # connections with slices of it in their queue
    marked: list  # connections with work left to do
    connections: list  # by descriptor; None where there is none
    doomed: list  # descriptors to close at the end of the breath, when no event can name them
    epoll: Epoll
    timers: Timers
    worker: object
    open_count: cython.Py_ssize_t
    accepted: cython.ulonglong
    failed: cython.ulonglong  # connections that ended with an error
    received_len: cython.ulonglong  # octets
    sent_len: cython.ulonglong  # octets

    def __init__(self, worker: object) -> None:
        self.now = time.monotonic_ns()
        self.arena = Arena(READ_LEN)
        self.scratch = Arena(SCRATCH_LEN)
        self.scratch_at = 0
        self.scratch_users = 0
        self.marked = []
        self.connections = []
        self.doomed = []
        self.epoll = Epoll()
        self.timers = Timers()
        self.worker = worker
        self.open_count = 0
        self.accepted = 0
        self.failed = 0
        self.received_len = 0
        self.sent_len = 0

    @cython.cfunc
    def adopt(self, fd: cython.int, connection: object) -> cython.void:
        """From now on the events of `fd` are the connection's."""
        while fd >= len(self.connections):
            self.connections.extend([None] * 1024)
        self.connections[fd] = connection
        self.open_count += 1
        self.epoll.add_connection(fd)

    @cython.cfunc
    def release(self, fd: cython.int) -> cython.void:
        """The connection of `fd` is over; the descriptor is closed at the end of the breath."""
        self.connections[fd] = None
        self.open_count -= 1
        self.doomed.append(fd)

    @cython.cfunc
    def close_doomed(self) -> cython.void:
        """Close what ended in this breath."""
        fd: cython.int
        for fd in self.doomed:
            system.close(fd)
        self.doomed.clear()
