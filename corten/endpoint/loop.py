"""The loop a connection lives in, as handlers see it: `connection.worker`.

Implemented by the worker of a stack, by the kernel's worker, and by a Stack that stands alone.
All calls come from the loop's own thread, except `call_soon_threadsafe`.
"""

from __future__ import annotations

from collections.abc import Callable

from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.handler import Handler


class TimerHandle:
    """A scheduled call; `cancel()` once or more, before or after it ran."""

    def cancel(self) -> None:
        raise NotImplementedError


class Loop:
    """What a handler may ask of the loop it runs in."""

    index: int = 0  # which worker this is, from 0

    def time(self) -> float:
        """Seconds on the loop's clock, read once a breath."""
        raise NotImplementedError

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Run at the end of this breath, or in the next."""
        raise NotImplementedError

    def call_later(
        self, seconds: float, function: Callable[..., object], *arguments: object
    ) -> TimerHandle:
        """Run once after `seconds`."""
        raise NotImplementedError

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        """Call `function` whenever `fd` is readable; None stops watching."""
        raise NotImplementedError

    def listen(
        self,
        port: int,
        factory: Callable[[], Handler],
        address: str | None = None,
        **options: object,
    ) -> object:
        """Accept connections to `port`; `factory()` makes a handler for each.

        Answers an object with `port`, and `close()` to accept no more.
        """
        raise NotImplementedError

    def connect(
        self, address: str, port: int, factory: Callable[[], Handler], **options: object
    ) -> Connection:
        """Open a connection; the `on_open` or `on_close(error)` of its handler follows.

        `factory()` is called at once. Options: `timeout`, seconds until TimeoutError;
        `source=(address, port)` fixes the local end, either may be None.
        """
        raise NotImplementedError

    def bind(
        self,
        port: int,
        handler: DatagramHandler,
        address: str | None = None,
        *,
        peer: tuple[str, int] | None = None,
        **options: object,
    ) -> Endpoint:
        """Receive and send UDP datagrams at `port` (0: a free one by chance) of `address`, or of
        every address. `peer`: hear and speak to this (address, port) alone.

        Options: `ttl`, 1 to 255; `dscp`, 0 to 63; `dont_fragment`, a datagram larger than the path
        takes is not sent; `broadcast`, it may be sent to broadcast addresses.
        """
        raise NotImplementedError
