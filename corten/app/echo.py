"""The echo service (RFC 862), over TCP and UDP: plain Python handlers, and how short they are."""

from __future__ import annotations

from corten.endpoint.connection import Connection
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.endpoint.handler import Handler


class Echo(Handler):
    """Sends back what comes, no faster than it is taken: a peer that only talks fills nothing."""

    def on_data(self, connection: Connection, data: bytes) -> None:
        if not connection.send(data):
            connection.pause()

    def on_writable(self, connection: Connection) -> None:
        connection.resume()


class DatagramEcho(DatagramHandler):
    """Sends each datagram back to whom it came from, or not at all."""

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        endpoint.send(data, peer)
