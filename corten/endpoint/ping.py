"""ICMP echo as applications see it: requests to one host, and what comes back. An interface,
implemented by `ip/echo.py`."""

from __future__ import annotations


class Ping:
    """Echo requests to one address, under an identifier of their own."""

    address: str
    identifier: int

    def send(self, sequence: int, data: bytes) -> bool:
        """One request, `sequence` 0 to 65535. False: no room on the link, or no route; try later.
        To be called from the loop. CortenError for what can never be sent."""
        raise NotImplementedError

    def close(self) -> None:
        """Hear no more. Calling it again does nothing."""
        raise NotImplementedError


class PingHandler:
    """What comes back. An exception here is logged and harms nobody."""

    def on_reply(self, ping: Ping, sequence: int, data: bytes, seconds: float, ttl: int) -> None:
        """A reply: `seconds` after its request (after the first of that number that is not yet
        answered; negative: it answers none), with the time to live it came with."""

    def on_error(self, ping: Ping, sequence: int, error: OSError) -> None:
        """An ICMP error about a request."""
