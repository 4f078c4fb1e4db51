"""The errors an application meets. What a peer or the network did comes as Python's own
ConnectionError family and TimeoutError, in `on_close`; what the caller did wrong is raised here."""

from __future__ import annotations


class CortenError(Exception):
    """A wrong call, option or environment. The text is one line and says what to do."""


class ConnectionClosed(CortenError):
    """A call on a connection whose `on_close` has been delivered."""

    def __init__(self) -> None:
        super().__init__("the connection is closed: its on_close has been called")


class ResolutionError(OSError):
    """A name could not be resolved; the text says which, and why."""


class NoSuchName(ResolutionError):
    """The name does not exist (RFC 1035 4.1.1, RCODE 3)."""


class NoSuchAddress(ResolutionError):
    """The name exists, but has no address of the families asked for."""
