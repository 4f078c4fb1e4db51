"""The echo service (RFC 862): a plain Python handler, and how short one is."""

from __future__ import annotations

from corten.endpoint.connection import Connection
from corten.endpoint.handler import Handler


class Echo(Handler):
    """Sends back what comes, no faster than it is taken: a peer that only talks fills nothing."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        if not connection.send(data):
            connection.pause()

    def on_writable(self, connection: Connection) -> None:
        connection.resume()
