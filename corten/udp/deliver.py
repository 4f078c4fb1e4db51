"""Handlers of datagrams run here, and nowhere else, each inside one `try`.

An exception closes its own endpoint, is logged with its traceback, and harms no other.
"""

from __future__ import annotations

import logging

import cython
from cython.cimports.corten.endpoint.datagram import DatagramDoors
from cython.cimports.corten.udp.host import UdpHost
from cython.cimports.corten.udp.port import (
    EVENT_CLOSE,
    EVENT_DATAGRAM,
    EVENT_ERROR,
    EVENT_WRITABLE,
    Port,
    Received,
)
from cython.cimports.corten.udp.send import wake_refused
from cython.cimports.corten.wire.reason import HANDLER_ERRORS

log = logging.getLogger("corten")


@cython.cfunc
def deliver_datagrams(host: UdpHost) -> cython.void:
    """Tell every handler what has happened to its endpoint; what follows from it waits for the
    next breath."""
    if host.refused:
        wake_refused(host)
    active: list = host.active
    host.active = []
    port: Port
    for port in active:
        port.active = False
        try:
            _events(host, port)
        except Exception as error:
            _failed(host, port, error)
        port.current = None
        if port.events & EVENT_CLOSE:
            _close(host, port)


@cython.cfunc
def _events(host: UdpHost, port: Port) -> cython.void:
    doors: DatagramDoors = port.doors
    handler = port.handler
    if port.events & EVENT_ERROR:
        port.events &= ~EVENT_ERROR
        errors: list = port.errors or []
        port.errors = None
        for error, peer in errors:
            doors.on_error(handler, port, error, peer)
    if port.events & EVENT_DATAGRAM:
        port.events &= ~EVENT_DATAGRAM
        received: list = port.received or []
        port.received = None
        port.received_octets = 0
        datagram: Received
        for datagram in received:
            if not port.is_open:
                return
            port.current = datagram
            name: str = host.name_of(datagram.remote_high, datagram.remote_low)
            doors.on_datagram(handler, port, datagram.octets, (name, datagram.remote_port))
        port.current = None
    if port.events & EVENT_WRITABLE:
        port.events &= ~EVENT_WRITABLE
        if port.is_open and doors.wants_writable:
            doors.on_writable(handler, port)


@cython.cfunc
def _failed(host: UdpHost, port: Port, error: Exception) -> cython.void:
    """A handler raised: count, log, close this endpoint."""
    host.counters.add(HANDLER_ERRORS)
    log.error("handler of UDP port %d failed: closed", port.local_port, exc_info=error)
    host.remove(port)
    port.error = error
    port.events |= EVENT_CLOSE


@cython.cfunc
def _close(host: UdpHost, port: Port) -> cython.void:
    """The last event; after it the endpoint refers to nothing."""
    port.events = 0
    port.received = port.errors = None
    port.received_octets = 0
    if port.doors.wants_close:
        try:
            port.doors.on_close(port.handler, port, port.error)
        except Exception as error:
            host.counters.add(HANDLER_ERRORS)
            log.error("on_close of UDP port %d failed", port.local_port, exc_info=error)
    port.is_over = True
    port.handler = None
    port.error = None
