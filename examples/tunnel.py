"""Two stacks in one process, joined by a pair of callables: a tunnel without any privilege.

    python examples/tunnel.py

In a checkout that is built but not installed, put PYTHONPATH=. before it.

Each `send` gets one bare IP packet (bytes); what a real tunnel would do with it, encrypt it and put
it into a datagram, is the place of `carry`. The client asks for a page of the server beyond it.
With a file's name as argument the packets of one end are recorded there, for Wireshark.
"""

from __future__ import annotations

import select
import sys

import corten

PAGE = b"Hello from the other end of the tunnel.\n"


class Server(corten.Handler):
    """As much HTTP as the example needs: one page, whatever is asked."""

    def __init__(self) -> None:
        self.request = b""

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        self.request += data
        if b"\r\n\r\n" in self.request:
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PAGE)}\r\nConnection: close\r\n\r\n"
            connection.send(head.encode() + PAGE)
            connection.close()


class Client(corten.Handler):
    """Asks, and keeps what comes until the server has finished."""

    reply = b""
    is_over = False

    def on_open(self, connection: corten.Connection) -> None:
        connection.send(b"GET / HTTP/1.1\r\nHost: 10.7.0.1\r\n\r\n")

    def on_data(self, connection: corten.Connection, data: bytes) -> None:
        self.reply += data

    def on_eof(self, connection: corten.Connection) -> None:
        connection.close()

    def on_close(self, connection: corten.Connection, error: Exception | None) -> None:
        self.is_over = True


def main() -> None:
    packets = 0

    def carry(link: corten.Pipe, packet: bytes) -> None:
        nonlocal packets
        packets += 1
        link.push(packet)

    server, client = corten.Node(), corten.Node()
    near = corten.Pipe(lambda packet: carry(far, packet))
    far = corten.Pipe(lambda packet: carry(near, packet))
    wire = corten.Capture(near, sys.argv[1], ethernet=False) if sys.argv[1:] else near
    server.add(far, ["10.7.0.1/24"])
    client.add(wire, ["10.7.0.2/24"])
    server.listen(80, Server)
    asking = Client()
    client.connect("10.7.0.1", 80, lambda: asking)
    nodes = (client, server)
    while True:
        for node in nodes:
            node.turn()
        if asking.is_over:
            break
        waits = [wait for node in nodes if (wait := node.patience()) is not None]
        select.select(nodes, [], [], min(waits, default=None))
    client.close()
    server.close()
    status, _, body = asking.reply.partition(b"\r\n")
    print(status.decode())
    print(body.partition(b"\r\n\r\n")[2].decode(), end="")
    print(f"{packets} packets")


if __name__ == "__main__":
    main()
