"""A listener: a local port, and what makes a handler for each connection that comes."""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.tcp.config import Config


@cython.final
@cython.cclass
class Listener:
    """LISTEN (RFC 9293, 3.10.1): one port, on one local address or on all."""

    port: cython.uint
    any_address: cython.bint
    address_high: cython.ulonglong
    address_low: cython.ulonglong
    factory: Any  # called without arguments when a connection is ESTABLISHED
    config: Config
    host: Any
    accepted: cython.ulonglong
    handler_class: Any  # of the last connection's handler
    doors: Any  # and its doors

    def __init__(
        self,
        host: object,
        port: int,
        factory: object,
        address: tuple[int, int] | None,
        config: Config,
    ) -> None:
        self.host = host
        self.port = port
        self.factory = factory
        self.any_address = address is None
        self.address_high, self.address_low = address or (0, 0)
        self.config = config
        self.accepted = 0
        self.handler_class = None
        self.doors = None

    @cython.cfunc
    def know(self, handler_class: object, doors: object) -> cython.void:
        """What the factory makes, so that it is looked up once."""
        self.handler_class = handler_class
        self.doors = doors

    def close(self) -> None:
        """Accept no more; connections already made live on. Calling it again does nothing."""
        if self.host is not None:
            self.host.forget_listener(self)
            self.host = None
