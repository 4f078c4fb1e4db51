"""The variables of one UDP endpoint, and no behaviour: what tables and queues need of it."""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.endpoint.datagram import DatagramDoors, Endpoint
from cython.cimports.corten.ip.path import Path

if not cython.compiled:
    # events that wait for the handler
    EVENT_DATAGRAM = 1
    EVENT_ERROR = 2
    EVENT_WRITABLE = 4
    EVENT_CLOSE = 8
    # bounds of one endpoint
    RECEIVED_MAX = 4096  # datagrams until the handler runs
    RECEIVED_OCTETS_MAX = 2097152  # of them, at their true cost
    QUEUED_MAX = 1024  # datagrams given to `send` until the breath ends
    QUEUED_OCTETS_MAX = 1048576  # of them; a single longer one always fits
    ERRORS_MAX = 64  # until the handler runs
    DATAGRAM_COST = 256  # of keeping a datagram, its octets aside


@cython.final
@cython.cclass
class Received:
    """A datagram on its way to the handler."""

    octets: bytes
    remote_high: cython.ulonglong
    remote_low: cython.ulonglong
    remote_port: cython.uint
    local_high: cython.ulonglong
    local_low: cython.ulonglong

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.remote_high = 0
        self.remote_low = 0
        self.remote_port = 0
        self.local_high = 0
        self.local_low = 0


@cython.final
@cython.cclass
class Queued:
    """A datagram on its way to the wire."""

    octets: bytes
    path: Path
    port: cython.uint

    def __init__(self, octets: bytes, path: Path, port: int) -> None:
        self.octets = octets
        self.path = path
        self.port = port


@cython.cclass
class Port(Endpoint):
    """One local port, on one address or on all of them, with a fixed peer or without."""

    id: cython.int  # in the host's table; -1: not registered
    hash: cython.ulonglong  # of the flow where there is a peer, else of the port
    local_port: cython.uint
    any_address: cython.bint
    local_high: cython.ulonglong
    local_low: cython.ulonglong
    is_connected: cython.bint
    remote_high: cython.ulonglong
    remote_low: cython.ulonglong
    remote_port: cython.uint
    doors: DatagramDoors
    ttl: cython.uint
    tos: cython.uint
    dont_fragment: cython.bint
    broadcast: cython.bint
    events: cython.uint
    active: cython.bint  # it stands in the host's list of those with events
    sending: cython.bint  # and of those with datagrams to send
    is_open: cython.bint
    is_over: cython.bint  # on_close has been delivered
    is_refused: cython.bint  # `send` has said False since the last on_writable
    error: Any
    received: list | None  # of Received
    received_octets: cython.Py_ssize_t  # at their true cost
    queued: list | None  # of Queued
    queued_octets: cython.Py_ssize_t
    errors: list | None  # of (OSError, (address, port))
    current: Received | None  # what the handler is looking at
    datagrams_in: cython.ulonglong
    octets_in: cython.ulonglong
    datagrams_out: cython.ulonglong
    octets_out: cython.ulonglong
    dropped: cython.ulonglong  # received, and no room
    refused: cython.ulonglong  # calls of `send` that said False

    def __init__(self) -> None:
        self.id = -1
        self.hash = 0
        self.local_port = 0
        self.any_address = True
        self.local_high = 0
        self.local_low = 0
        self.is_connected = False
        self.remote_high = 0
        self.remote_low = 0
        self.remote_port = 0
        self.ttl = 0
        self.tos = 0
        self.dont_fragment = False
        self.broadcast = False
        self.events = 0
        self.active = False
        self.sending = False
        self.is_open = False
        self.is_over = False
        self.is_refused = False
        self.error = None
        self.received = None
        self.received_octets = 0
        self.queued = None
        self.queued_octets = 0
        self.errors = None
        self.current = None
        self.datagrams_in = 0
        self.octets_in = 0
        self.datagrams_out = 0
        self.octets_out = 0
        self.dropped = 0
        self.refused = 0
