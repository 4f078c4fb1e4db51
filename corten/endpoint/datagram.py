"""UDP as applications see it: a handler of datagrams, and the endpoint they come to. An interface,
implemented by `udp/` and by `kernel/`.

    class Echo(corten.DatagramHandler):
        def on_datagram(self, endpoint, data, peer):
            endpoint.send(data, peer)

Rules. A handler's events come one at a time from the worker's own loop. A datagram is delivered
whole or not at all; what nobody has room for is dropped and counted, as on a wire. An exception in
a handler closes its own endpoint, is logged, and harms no other. `on_close` comes exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cython


@cython.cclass
class Endpoint:
    """A UDP port on one local address or on all, with a fixed peer («connected») or without."""

    handler: Any  # writable by implementations; None after on_close
    worker: Any  # writable by implementations; its loop: call_soon, call_later, watch, bind

    def send(self, data: object, to: object = None, source: object = None) -> bool:
        """Send one datagram: `data` is bytes or any object with the buffer protocol, up to 65,507
        octets over IPv4.

        `to`: (address, port); None on a connected endpoint, whose peer it is. `source`: the local
        address that it leaves from, when the endpoint has all of them; an answer given inside
        `on_datagram` leaves from the address that the question came to.
        True: it is on its way. False says that no room is left (the link is full, the neighbour's
        address is not yet known), or, with `dont_fragment`, that it is larger than the path takes:
        nothing is queued, and `on_writable` follows when there is room again. CortenError for what
        can never be sent.
        """
        raise NotImplementedError

    @cython.ccall
    def close(self) -> cython.void:
        """Receive no more; what was sent leaves. `on_close(None)` follows. Again: no effect."""
        raise NotImplementedError

    @property
    def local(self) -> tuple[str, int]:
        """This end's (address, port). Of an endpoint on all addresses: "0.0.0.0" or "::", and
        inside `on_datagram` the address that the datagram came to (RFC 1122 4.1.3.5)."""
        raise NotImplementedError

    @property
    def peer(self) -> tuple[str, int] | None:
        """The fixed peer's (address, port), or None."""
        raise NotImplementedError

    def info(self) -> dict[str, object]:
        """Figures: datagrams and octets both ways, what was dropped, what waits."""
        raise NotImplementedError


@cython.cclass
class DatagramHandler:
    """The events of one endpoint. Subclass it; a handler keeps what it needs between events."""

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        """A datagram from `peer`, (address, port); `data` may be empty."""

    def on_error(self, endpoint: Endpoint, error: OSError, peer: tuple[str, int]) -> None:
        """An ICMP error about something sent to `peer`, once each (RFC 1122 4.1.3.3):
        ConnectionRefusedError where no one has that port; other OSErrors by errno (EHOSTUNREACH,
        ENETUNREACH, EMSGSIZE, …). A hint that anybody on the way may have made up; the endpoint
        lives on."""

    def on_writable(self, endpoint: Endpoint) -> None:
        """After `send` returned False: there is room again."""

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        """Nothing more will happen. `error`: what the handler raised, None after `close`."""


@cython.final
@cython.cclass
class DatagramDoors:
    """One handler class: its functions, and which of the optional ones it overrides."""

    on_datagram: Callable[..., object]
    on_error: Callable[..., object]
    on_writable: Callable[..., object]
    on_close: Callable[..., object]
    wants_error: cython.bint
    wants_writable: cython.bint
    wants_close: cython.bint

    def __init__(self, cls: type, base: type) -> None:
        self.on_datagram = cls.on_datagram  # type: ignore[attr-defined]
        self.on_error = cls.on_error  # type: ignore[attr-defined]
        self.on_writable = cls.on_writable  # type: ignore[attr-defined]
        self.on_close = cls.on_close  # type: ignore[attr-defined]
        self.wants_error = self.on_error is not base.on_error  # type: ignore[attr-defined]
        self.wants_writable = self.on_writable is not base.on_writable  # type: ignore[attr-defined]
        self.wants_close = self.on_close is not base.on_close  # type: ignore[attr-defined]


_known: dict = {}


@cython.ccall
def datagram_doors_of(handler: object) -> DatagramDoors:
    """The doors of a handler's class, looked up once. TypeError when it is no DatagramHandler."""
    cls = type(handler)
    doors = _known.get(cls)
    if doors is None:
        if not isinstance(handler, DatagramHandler):
            raise TypeError(f"{cls.__name__} is not a corten.DatagramHandler: make it a subclass")
        doors = _known[cls] = DatagramDoors(cls, DatagramHandler)
    return doors
